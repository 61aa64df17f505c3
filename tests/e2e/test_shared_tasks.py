"""The tasks of the docs' results on small slices, where the shared data lie beside the checkout."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from command import call
from tutelage.files import read_json, read_jsonl

SHARED = Path(os.environ.get("TUTELAGE_SHARED", Path(__file__).parents[3] / "shared"))
BRIEF = {
    "training": {"epochs": 1, "learning_rate": 0.003, "validations": 1, "validation_seconds": 5},
    "baselines": {"shots": [0, 1]},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def slice_of(name: str, count: int, field: str, longest: int) -> list[dict[str, Any]]:
    """The first rows whose field is short, written beside the task; the rows."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(row[field]) <= longest][:count]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    Path(path.name).write_text(text, encoding="utf-8")
    return rows


def report_of(task: dict[str, Any], model: Path, **sections: Any) -> dict[str, Any]:
    Path("task.yaml").write_text(
        json.dumps({"task": task, "model": str(model), **BRIEF, **sections}), encoding="utf-8"
    )
    call("run", "task.yaml", "--out", "out").expect(0)
    return dict(read_json(Path("out/report.json")))


def test_dialogues_with_a_test_file_of_their_own(folder: Path, tiny_model_dir: Path) -> None:
    slice_of("dialogsum/dev.jsonl", 60, "dialogue", 450)
    tested = slice_of("dialogsum/test_first250.jsonl", 32, "dialogue", 700)
    task = {
        "name": "dialogsum",
        "source": {"path": "dev.jsonl"},
        "id": "fname",
        "fields": {"dialogue": "dialogue"},
        "answer": ["summary", "summary1", "summary2", "summary3"],
        "answers": {"max_tokens": 12},
        "templates": ["dialogue-summarisation/*"],
    }
    split = {"test_path": "test_first250.jsonl", "decontaminate": True}
    report = report_of(task, tiny_model_dir, split=split)
    assert report["rows"]["test"] == len(tested)
    assert report["primary_metric"] == "rougeL"
    assert {"lead", "nearest_neighbour", "zero_shot", "few_shot_1", "tuned"} < set(report["arms"])
    answers = {a["id"]: a["references"] for a in read_jsonl(Path("out/test/tuned.jsonl"))}
    for row in tested:
        given = [row[f"summary{n}"] for n in (1, 2, 3)]
        assert list(answers[row["fname"]]) == list(dict.fromkeys(given))  # some say the same


def test_numbers_behind_a_mark(folder: Path, tiny_model_dir: Path) -> None:
    rows = slice_of("gsm8k/test.jsonl", 150, "question", 160)
    task = {
        "name": "gsm8k",
        "source": {"path": "test.jsonl"},
        "fields": {"question": "question"},
        "answer": "answer",
        "answers": {"max_tokens": 12, "after": "####"},
        "templates": ["math/*"],
    }
    report = report_of(task, tiny_model_dir)
    kept = sum(report["rows"].values())
    reasons = [line["reason"] for line in read_jsonl(Path("out/data/ledger.jsonl"))]
    assert len(rows) - kept == len([r for r in reasons if r != "truncated"])
    assert report["primary_metric"] == "numeric_match"
    shown = call("preview", "task.yaml", "--rows", "1").expect(0).out
    assert "####" in shown


@pytest.mark.real_model
def test_the_built_in_sentiment_tasks_mix(folder: Path) -> None:
    tasks = [
        "reviews",
        {"task": "movies", "cap": 2000},
        {"task": "editorials", "rate": 0.5},
        {"task": "tweets", "held_out": True},
    ]
    source = {"mixture": {"temperature": 2, "tasks": tasks}}
    Path("task.yaml").write_text(json.dumps({"task": {"name": "sentiments", "source": source}}))
    call("prepare", "task.yaml", "--out", "out").expect(0)
    train = [e["task"] for e in read_jsonl(Path("out/data/train.jsonl"))]
    counts = {name: train.count(name) for name in sorted(set(train))}
    assert set(counts) == {"reviews", "movies", "editorials"}
    assert counts["movies"] == 2000
    unseen = {e["task"] for e in read_jsonl(Path("out/data/unseen_tasks.jsonl"))}
    assert unseen == {"tweets"}
