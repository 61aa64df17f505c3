"""What only the rows can settle of a configuration is said at once, each with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import call

TASK = """\
task:
  name: orders
  source: {path: orders.jsonl}
  fields: {text: mail}
  answer: order
  truncate: [test]
  metrics: [json_f1]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_dir: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"mail": f"please send {i} boxes of number {i * 7}", "order": json.dumps({"n": i})}
        for i in range(60)
    ]
    for place in (3, 9, 20, 40):
        rows[place]["order"] = "none"
    (tmp_path / "orders.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.yaml").write_text(f"{TASK}model: {tiny_model_dir}\n")
    return tmp_path


WANTED = (
    "task.yaml:6:task.truncate: there is no field 'test'. Did you mean 'text'?",
    "task.yaml:7:task.metrics: json_f1 needs gold answers in JSON, and 4 of 60 are not: "
    "orders.jsonl:4",
)


def test_all_of_it_at_once_before_anything_is_made(folder: Path) -> None:
    failed = call("prepare", "task.yaml", "--out", "out").expect(2)
    lines = failed.err.splitlines()
    told = [line for line in lines if line.startswith(("tutelage: ", "task.yaml:"))]
    assert len(told) == 2
    for wanted in WANTED:
        assert wanted in failed.err
    assert "and 1 more. Correct or filter these rows" in failed.err
    assert not (folder / "out").exists()


def test_a_plan_says_the_same(folder: Path) -> None:
    planned = json.loads(call("plan", "task.yaml", "--json").expect(2).out)
    said = "\n".join(problem["says"] for problem in planned["problems"])
    for wanted in WANTED:
        assert wanted in said


def test_a_flag_is_the_address_of_what_it_set(folder: Path) -> None:
    failed = call("prepare", "task.yaml", "--out", "out", "--set", "task.truncate=[tex]").expect(2)
    assert "--set task.truncate: there is no field 'tex'." in failed.err


def test_too_few_rows_say_where_they_are(folder: Path, tiny_model_dir: Path) -> None:
    rows = "".join(f"it was {'good' if i % 2 else 'bad'} {i},{'ab'[i % 2]}\n" for i in range(8))
    Path("few.csv").write_text(f"review,mood\n{rows}")
    few = ("few.csv", "--text", "review", "--label", "mood", "--model", tiny_model_dir)
    failed = call("prepare", *few, "--out", "out").expect(3)
    assert "few.csv:2 to few.csv:9: the table has 8 labelled rows" in failed.err
