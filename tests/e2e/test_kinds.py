"""The whole command on every kind of task and source, with a tiny random model.

What a random model answers says nothing; that every stage does what the kind needs does.
"""

from __future__ import annotations

import csv
import json
import random
import re
import sqlite3
from html import unescape
from pathlib import Path

import pytest
from small_tasks import BRIEF, WORDS, moods, run, some, write_lines

from command import call
from tutelage.files import read_json, read_jsonl


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_text_answers_with_several_references(folder: Path, tiny_model_dir: Path) -> None:
    rng = random.Random(1)
    rows = []
    for number in range(150):
        who = rng.choice(["cat", "dog", "bird"])
        text = f"the {who} sat near the {some(rng, 8)} house {number}"
        rows.append({"text": text, "summary": f"{who} sat", "other": f"a {who} sat"})
    write_lines("data.jsonl", rows)
    task = {
        "name": "short",
        "source": {"path": "data.jsonl"},
        "fields": {"text": "text"},
        "answer": ["summary", "other"],
        "answers": {"max_tokens": 8},
        "templates": ["summarisation/*"],
    }
    out = run(tiny_model_dir, task)
    report = read_json(out / "report.json")
    assert report["kind"] == "text"
    assert report["primary_metric"] == "exact_match"
    assert {"majority", "nearest_neighbour", "zero_shot", "few_shot_1", "tuned"} <= set(
        report["arms"]
    )
    answers = list(read_jsonl(out / "test" / "tuned.jsonl"))
    assert {len(answer["references"]) for answer in answers} == {2}
    seen = {e["template"] for e in read_jsonl(out / "data" / "test.jsonl")}
    unseen = {e["template"] for e in read_jsonl(out / "data" / "test_held_out.jsonl")}
    assert unseen
    assert not seen & unseen
    assert report["arms"]["tuned"]["unseen_wordings"]["examples"] == report["rows"]["test"]
    page = (out / "report.html").read_text()
    assert "Unseen wordings" in page
    assert "What tuning gained, and what it lost" in page
    assert "What tuning fixed" not in page
    verdict = report["verdict"]
    shown = list(re.findall(r"<h3>(Gained|Lost) .*?of (\d+)\)</span>", page))
    counts = verdict["discordant"]
    assert any(counts.values())
    assert shown[:2] == [
        ("Gained", str(counts["tuned_only"])),
        ("Lost", str(counts["baseline_only"])),
    ]
    assert "Reference 2 of 2" in page
    assert f"{report['arms'][verdict['best_baseline']]['title']}, " in unescape(
        re.sub("</?bdi>", "", page)
    )
    card = (out / "model" / "README.md").read_text()
    assert "text-classification" not in card
    assert "max_new_tokens=8" in card
    said = call("predict", "out", "--text", "the cat sat near the old house").expect(0)
    assert len(said.out.splitlines()) == 1


def test_fewer_training_rows_than_one_batch(folder: Path, tiny_model_dir: Path) -> None:
    """A step reads on into the next epochs; a model is made, and no comparison."""
    with Path("moods.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "mood"), *moods(12, 5)])
    task = {"name": "moods", "source": {"path": "moods.csv"}, "label": "mood"}
    training = {**BRIEF["training"], "epochs": 6}
    out = run(tiny_model_dir, task, training=training)
    report = read_json(out / "report.json")
    rows = report["rows"]["train"]
    assert rows < 16 == report["training"]["batch_size"]
    steps = [s for s in read_jsonl(out / "training" / "log.jsonl") if s["kind"] == "step"]
    assert len(steps) == report["training"]["steps"] == round(6 * rows / 16)
    per_row = report["training"]["labelled_tokens"] / rows
    assert all(abs(s["labelled"] - 16 * per_row) < 16 for s in steps)  # 16 rows, some again
    assert report["verdict"]["says"] == "no comparison"
    assert any("under 30 there is no comparison" in note for note in report["notes"])


@pytest.mark.parametrize("method", ["full", "lora"])
def test_weights_in_bf16(folder: Path, tiny_model_dir: Path, method: str) -> None:
    """Training holds them so and learns; what is handed over is of the dtype it was merged in."""
    with Path("moods.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "mood"), *moods(300, 5)])
    task = {"name": "moods", "source": {"path": "moods.csv"}, "label": "mood"}
    task["fields"] = {"text": "text"}
    training = {**BRIEF["training"], "method": method, "weights": "bf16", "epochs": 4}
    training["validations"] = 2  # training goes on behind the first
    training["learning_rate"] = 0.003 if method == "full" else 0.01  # 0.03 leaps about
    out = run(tiny_model_dir, task, training=training)
    report = read_json(out / "report.json")
    assert report["training"]["weights"] == report["training"]["precision"] == "bf16"
    steps = [s for s in read_jsonl(out / "training" / "log.jsonl") if s["kind"] == "step"]
    assert steps[-1]["loss"] < 0.95 * steps[0]["loss"]
    dtype = json.loads((out / "model" / "config.json").read_text())["dtype"]
    assert dtype == ("bfloat16" if method == "full" else "float32")  # merged, adapters are kept
    moments = sorted(p.name for p in next((out / "training/checkpoints").glob("step-*")).iterdir())
    assert ("kahan_comp.safetensors" in moments) == (method == "full")


def test_a_chat_file_trains_every_turn_of_the_assistant(folder: Path, tiny_model_dir: Path) -> None:
    rng = random.Random(2)
    conversations = []
    for number in range(100):
        who, yes = rng.choice(["cat", "dog"]), rng.choice(["yes", "no"])
        turns = [
            ("system", "Answer in one word."),
            ("user", f"{some(rng, 6)}: who is {number} {who}?"),
            ("assistant", who),
            ("user", f"and is it {some(rng, 3)} {number}?"),
            ("assistant", yes),
        ]
        messages = [{"role": role, "content": text} for role, text in turns]
        conversations.append({"messages": messages})
    write_lines("chat.jsonl", conversations)
    task = {"name": "chats", "source": {"path": "chat.jsonl"}, "loss_on": "all"}
    out = run(tiny_model_dir, task)
    proof = read_json(out / "data" / "proof.json")
    assert proof["trained_tokens"] > 3 * proof["examples"], "two answers and their stop tokens"
    page = call("preview", "task.yaml", "--rows", "1", "--html", "page.html").expect(0)
    assert page.out.strip() == "Wrote page.html"
    card = (out / "model" / "README.md").read_text()
    said = re.findall(r'\{"role": "(\w+)", "content"', card)
    assert said == ["system", "user", "assistant", "user"]
    assert '"Answer in one word."' in card
    html = Path("page.html").read_text()
    assert html.count('<bdi class="trained">') == 2


def test_a_database(folder: Path, tiny_model_dir: Path) -> None:
    with sqlite3.connect("shop.db") as database:
        database.execute("create table reviews(body text, mood text)")
        database.executemany("insert into reviews values(?, ?)", moods(120, 3))
    task = {
        "name": "sql",
        "source": {"sql": "select body, mood from reviews", "url": "sqlite:///shop.db"},
        "fields": {"text": "body"},
        "label": "mood",
    }
    out = run(tiny_model_dir, task)
    report = read_json(out / "report.json")
    assert sum(report["rows"].values()) == 120
    assert "shop.db: select body, mood from reviews" in (out / "report.html").read_text()
    assert report["labels"] == ["negative", "positive"]


def test_options_of_every_row_s_own(folder: Path, tiny_model_dir: Path) -> None:
    rng = random.Random(4)
    rows = [
        {
            "question": f"{some(rng, 4)}: which is {number}?",
            "options": rng.sample(WORDS, 4),
            "answer": rng.randrange(4),
        }
        for number in range(120)
    ]
    write_lines("quiz.jsonl", rows)
    task = {
        "name": "quiz",
        "source": {"path": "quiz.jsonl"},
        "fields": {"question": "question"},
        "label": "answer",
        "choices": "options",
    }
    out = run(tiny_model_dir, task)
    assert {"majority", "option_overlap"} <= read_json(out / "report.json")["arms"].keys()
    options = {e["id"]: e["labels"] for e in read_jsonl(out / "data" / "test.jsonl")}
    for answer in read_jsonl(out / "test" / "tuned.jsonl"):
        assert answer["predicted"] in options[answer["id"]]
    write_lines("new.jsonl", [{"question": "which?", "options": ["wide", "thin"]}])
    (line,) = call("predict", "out", "new.jsonl").expect(0).out.splitlines()
    assert json.loads(line)["predicted"] in ("wide", "thin")


def test_a_mixture_and_a_task_it_never_sees(folder: Path, tiny_model_dir: Path) -> None:
    for number in range(3):
        with Path(f"m{number}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("body", "mood"), *moods(120, 10 + number)])
        part = {
            "name": f"m{number}",
            "source": {"path": f"m{number}.csv"},
            "fields": {"text": "body"},
            "label": "mood",
        }
        Path(f"m{number}.yaml").write_text(json.dumps({"task": part}))
    tasks = ["m0.yaml", {"task": "m1.yaml", "cap": 20}, {"task": "m2.yaml", "held_out": True}]
    out = run(tiny_model_dir, {"name": "mixed", "source": {"mixture": {"tasks": tasks}}})
    train = [e["task"] for e in read_jsonl(out / "data" / "train.jsonl")]
    assert train.count("m1") == 20
    assert "m2" not in train
    tested = {e["task"] for e in read_jsonl(out / "data" / "test.jsonl")}
    assert tested == {"m0", "m1"}
    report = read_json(out / "report.json")
    assert set(report["arms"]["tuned"]["per_task"]) == {"m0", "m1"}
    unseen = report["unseen_tasks"]["m2"]
    assert unseen["rows"] == 120
    assert unseen["verdict"]["best_baseline"] == "zero_shot"
    page = (out / "report.html").read_text()
    assert "not trained on" in page
    assert "mixture of m0, m1, m2 (held out)" in page
    call("show", "out").expect(0)
    refused = call("prepare", "task.yaml", "--set", "split.column=mood").expect(2)
    assert "--set split.column: a mixture is divided as a whole." in refused.err
