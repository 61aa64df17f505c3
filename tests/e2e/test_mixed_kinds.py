"""A mixture of a task with labels, one with options per row, and one with text answers."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest
from small_tasks import moods, run, some, write_lines

from command import call
from tutelage.files import read_json, read_jsonl


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mixed() -> dict[str, Any]:
    rng = random.Random(5)
    with Path("moods.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("body", "mood"), *moods(60, 30)])
    quiz, notes = [], []
    for number in range(60):
        options = rng.sample(["river", "stone", "cloud", "lamp"], 3)
        question = f"{some(rng, 5)}: which one is {number}?"
        quiz.append({"question": question, "options": options, "answer": options[number % 3]})
        text = f"{some(rng, 9)} and that is note {number}"
        notes.append({"text": text, "summary": " ".join(text.split()[:7])})
    write_lines("quiz.jsonl", quiz)
    write_lines("notes.jsonl", notes)
    tasks: list[dict[str, Any]] = [
        {"fields": {"text": "body"}, "label": "mood", "templates": ["sentiment/*"]},
        {"fields": {"question": "question"}, "label": "answer", "choices": "options"},
        {"fields": {"text": "text"}, "answer": "summary", "templates": ["summarisation/*"]},
    ]
    files = {"moods": "moods.csv", "quiz": "quiz.jsonl", "notes": "notes.jsonl"}
    parts = [
        {"task": {"name": name, "source": {"path": path}, **task}}
        for (name, path), task in zip(files.items(), tasks, strict=True)
    ]
    answers = {"max_tokens": 6}
    return {"name": "all", "source": {"mixture": {"tasks": parts}}, "answers": answers}


def test_labels_options_and_texts_in_one_run(folder: Path, tiny_model_dir: Path) -> None:
    out = run(tiny_model_dir, mixed(), training={"epochs": 1, "validations": 1})
    report = read_json(out / "report.json")
    assert report["kind"] == "text"
    tuned = report["arms"]["tuned"]
    assert "exact_match" in tuned["metrics"]
    assert tuned["per_task"].keys() == {"moods", "quiz", "notes"}
    for example in read_jsonl(out / "data" / "test.jsonl"):
        if example["task"] == "moods":
            assert example["options"] == [example["label"]]
            assert example["answers"] == [example["label"]]
            assert example["choices"] == ["negative", "positive"]
        if example["task"] == "quiz":
            assert all(choice in example["prompt"] for choice in example["choices"])
            letter = "ABC"[example["choices"].index(example["label"])]
            number = str(1 + example["choices"].index(example["label"]))
            assert example["options"][0] in (example["label"], letter, number)  # as it is asked
        if example["task"] == "notes":
            assert example["choices"] == []
    shown = call("preview", "task.yaml", "--rows", "6").expect(0).out
    assert "quiz" in shown
    call("show", "out").expect(0)
    for task in ("moods", "notes"):
        said = call("predict", "out", "--text", "the cloud was superb", "--task", task).expect(0)
        assert said.out.endswith("\n")
    write_lines("new.jsonl", [{"question": "which?", "options": ["river", "lamp"]}])
    (line,) = call("predict", "out", "new.jsonl", "--task", "quiz").expect(0).out.splitlines()
    assert "predicted" in line
    refused = call("predict", "out", "--text", "x", "--task", "mods").expect(2)
    assert "has moods, quiz, notes. Did you mean 'moods'?" in refused.err


def test_a_task_of_a_mixture_answers_by_its_own_labels(folder: Path, tiny_model_dir: Path) -> None:
    """Labels that differ stand as options in every row; the columns are each task's own."""
    names = {"moods": ("negative", "positive"), "tones": ("calm", "angry")}
    for number, (name, labels) in enumerate(names.items()):
        with Path(f"{name}.csv").open("w", newline="") as stream:
            made = [(text, labels[label == "positive"]) for text, label in moods(80, number)]
            csv.writer(stream).writerows([(f"text of {name}", "mood"), *made])
    parts = [
        {
            "task": {
                "name": name,
                "source": {"path": f"{name}.csv"},
                "fields": {"text": f"text of {name}"},
                "label": "mood",
                "templates": ["sentiment/*"],
            }
        }
        for name in names
    ]
    task = {"name": "both", "source": {"mixture": {"tasks": parts}}}
    run(tiny_model_dir, task)
    for name, labels in names.items():
        Path("new.csv").write_text(f"text of {name}\nit was superb\n")
        lines = call("predict", "out", "new.csv", "--task", name).expect(0).out.splitlines()
        assert lines[0] == f"text of {name},predicted,probability"
        assert lines[1].split(",")[1] in labels


def test_a_second_epoch_words_every_kind_anew(folder: Path, tiny_model_dir: Path) -> None:
    """Rows are rendered again from what `data/` holds, choices included."""
    task = {**mixed(), "templates": ["auto"]}
    out = run(tiny_model_dir, task, training={"epochs": 3, "validations": 1})
    steps = [s for s in read_jsonl(out / "training" / "log.jsonl") if s["kind"] == "step"]
    assert len({s["tokens"] for s in steps}) > 1
    assert read_json(out / "training" / "summary.json")["epochs"] == 3
