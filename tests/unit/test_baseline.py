"""Baselines: few-shot blocks that fit the context, and arms that are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_context import toy_context
from toy_example import LABELS, example

from listener import Listener
from tutelage.data.shots import choose_shots
from tutelage.errors import Preempted
from tutelage.files import read_json
from tutelage.pipeline import baseline as module
from tutelage.pipeline.baseline import Arm, _write_arm, cheap_arms, fitting_shots
from tutelage.pipeline.stage import Context, read_predictions
from tutelage.records import Example, Prediction
from tutelage.templates.library import select
from tutelage.templates.render import render

TEMPLATES = select(["classification/*"], LABELS)
TRAIN = [
    example(f"t{i}", f"training text number {i}", LABELS[i % 2], template=TEMPLATES[2].id)
    for i in range(20)
]


def queries(*texts: str) -> list[Example]:
    rows = []
    for number, text in enumerate(texts):
        template = TEMPLATES[number % 2]
        prompt, options = render(template, {"text": text}, LABELS, "q")
        rows.append(replace(example(f"q{number}", text), template=template.id, prompt=prompt))
        assert options == LABELS
    return rows


QUERIES = queries("short", "a bit longer", "x" * 150, "also short")


def fitted(context: Context, limit: int, k: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(module, "context_length", lambda _folder: limit)
    return fitting_shots(context, TRAIN, QUERIES, k)


def tokens(context: Context, query: Example, shots: Sequence[Any]) -> int:
    longest = max(len(option) for option in context.encoder.options(query))
    return len(context.encoder.prompt(query.prompt, shots)) + longest


# --- examples in the prompt ---


def test_with_room_all_examples_stand_in_the_querys_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = toy_context(tmp_path)
    found = fitted(context, 100_000, 5, monkeypatch)
    chosen = choose_shots(TRAIN, LABELS, 5, 0)
    assert sorted(found) == sorted({q.template for q in QUERIES})
    by_name = {t.id: t for t in TEMPLATES}
    for name, shots in found.items():
        prompts = [render(by_name[name], e.fields, LABELS, "t")[0] for e in chosen]
        assert shots == [(p, e.label) for p, e in zip(prompts, chosen, strict=True)]


@pytest.mark.parametrize("limit", [200, 420, 600, 900, 1300])
def test_examples_are_dropped_until_the_longest_query_fits_uncut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    context = toy_context(tmp_path)
    whole = fitted(context, 100_000, 6, monkeypatch)
    found = fitted(context, limit, 6, monkeypatch)
    for name, shots in found.items():
        assert shots == whole[name][: len(shots)]
        own = [q for q in QUERIES if q.template == name]
        longest = max(tokens(context, q, shots) for q in own)
        assert longest <= limit or not shots
        more = whole[name][: len(shots) + 1]
        assert len(shots) == 6 or max(tokens(context, q, more) for q in own) > limit


def test_no_examples_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted(toy_context(tmp_path), 1000, 0, monkeypatch) == {}


# --- arms ---


ROWS = {"validation": [example("v1"), example("v2", label="bad")], "test": [example("t1")]}


class Counted:
    """An arm that says "bad" and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rows: Sequence[Example]) -> list[Prediction]:
        self.calls += 1
        return [Prediction(e.id, e.group, e.label, "bad") for e in rows]


def test_an_arm_is_written_with_its_facts_and_not_computed_again(tmp_path: Path) -> None:
    context, predict = toy_context(tmp_path), Counted()
    folder = context.run.folder("baseline")
    arm = Arm("few_shot_2", "2 examples", predict, shots={"asked": 2, "fitted": {"t/one": 1}})
    for _ in range(2):
        _write_arm(context, folder, arm, ROWS)
    assert predict.calls == 2  # one per split, once
    assert [p.id for p in read_predictions(folder / "few_shot_2/validation.jsonl")] == ["v1", "v2"]
    assert [p.gold for p in read_predictions(folder / "few_shot_2/test.jsonl")] == ["good"]
    facts = read_json(folder / "few_shot_2/arm.json")
    assert facts["seconds"] >= 0
    del facts["seconds"]
    assert facts == {
        "key": context.run.key("baseline"),
        "title": "2 examples",
        "reference": False,
        "shots": {"asked": 2, "fitted": {"t/one": 1}},
    }


def test_an_arm_of_other_settings_is_computed_again(tmp_path: Path) -> None:
    predict = Counted()
    for context in (toy_context(tmp_path), toy_context(tmp_path, training={"seed": 5})):
        _write_arm(context, context.run.folder("baseline"), Arm("a", "A", predict), ROWS)
    assert predict.calls == 4


def test_an_interrupted_arm_is_computed_again(tmp_path: Path) -> None:
    context, predict = toy_context(tmp_path), Counted()
    folder = context.run.folder("baseline")

    def stops(rows: Sequence[Example]) -> list[Prediction]:
        if rows is ROWS["test"]:
            raise Preempted("Stopped while scoring.")
        return predict(rows)

    with pytest.raises(Preempted):
        _write_arm(context, folder, Arm("a", "A", stops), ROWS)
    assert not (folder / "a/arm.json").exists()
    _write_arm(context, folder, Arm("a", "A", predict), ROWS)
    assert predict.calls == 3
    assert (folder / "a/arm.json").exists()


def test_a_stop_is_heard_between_two_arms(tmp_path: Path) -> None:
    context, predict = toy_context(tmp_path), Counted()
    folder = context.run.folder("baseline")
    _write_arm(context, folder, Arm("a", "A", predict), ROWS)
    stopped = replace(context, progress=Listener(stop=True))
    _write_arm(stopped, folder, Arm("a", "A", predict), ROWS)  # there already
    with pytest.raises(Preempted, match="between two baselines"):
        _write_arm(stopped, folder, Arm("b", "B", predict), ROWS)
    assert not (folder / "b").exists()


def test_an_arm_whose_package_is_missing_is_left_out_and_named(tmp_path: Path) -> None:
    context = toy_context(tmp_path)
    folder = context.run.folder("baseline")

    def missing(_rows: Sequence[Example]) -> list[Prediction]:
        raise ModuleNotFoundError("VADER needs the package vaderSentiment")

    _write_arm(context, folder, Arm("vader", "VADER lexicon", missing, reference=True), ROWS)
    assert context.progress.said == [
        "VADER lexicon: left out (VADER needs the package vaderSentiment)."
    ]
    assert not (folder / "vader").exists()


def test_which_arms_need_no_model(tmp_path: Path) -> None:
    def arms(**sections: Any) -> list[tuple[str, bool]]:
        return [(a.name, a.reference) for a in cheap_arms(toy_context(tmp_path, **sections), TRAIN)]

    assert arms() == [("majority", False), ("tfidf_logreg", False)]
    assert arms(baselines={"classic": False}) == [("majority", False)]
    rated = {
        "name": "toy",
        "source": {"path": "d.csv"},
        "rating_rule": {"scale": 4, "negative_below": -0.05, "positive_above": 0.05},
        "references": ["human_rater", "vader"],
    }
    assert arms(task=rated)[2:] == [("human_rater", True), ("vader", True)]
