"""Test: the best model, once, on the sealed split; paired with every other arm."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tutelage.data.splits import MIN_TEST_ROWS
from tutelage.evaluate.comparison import best_baseline, compare, score_arm
from tutelage.evaluate.measure import score
from tutelage.files import read_json, read_manifest, write_json, write_jsonl, write_manifest
from tutelage.models.load import load_model, load_tokenizer
from tutelage.pipeline.answering import Answerer
from tutelage.pipeline.stage import (
    HELD_OUT,
    UNSEEN_TASKS,
    Context,
    by_id,
    decide_precision,
    measured,
    read_predictions,
    record,
)
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import Metric
from tutelage.tokens.encode import Encoder

TUNED = "tuned"


def evaluate(context: Context) -> None:
    """Write `test/`: the tuned model's predictions, every arm's scores, the verdict."""
    run = context.run
    folder = run.folder("evaluate")
    with measured(context.device) as spent:
        started = time.perf_counter()
        answerer = _tuned(context)
        tuned = answerer(context.examples("test"), title="Sealed test")
        seconds = round(time.perf_counter() - started, 3)
        write_jsonl(folder / "tuned.jsonl", (p.to_json() for p in tuned))
        write_json(folder / "looks.json", _looks(context))
        arms = _scores(context, tuned, seconds)
        _add_unseen_wordings(context, answerer, arms)
        _add_tasks(context, arms)
        write_json(folder / "unseen_tasks.json", _unseen_tasks(context, answerer, arms))
        write_json(folder / "scores.json", arms)
        write_json(folder / "verdict.json", _verdict(context, arms, tuned))
    record(run, "evaluate", spent)
    write_manifest(folder, stage="evaluate", key=run.key("evaluate"))


def _tuned(context: Context) -> Answerer:
    """The model as it is handed over: from `model/`, with the tokenizer saved there."""
    run = context.run
    model = load_model(run.model, context.device)
    encoder = Encoder(load_tokenizer(run.model))
    precision = decide_precision(context, model)
    return Answerer(model, encoder, precision, run.config.task.answers, context.progress)


def _add_unseen_wordings(
    context: Context, answerer: Answerer, arms: dict[str, dict[str, Any]]
) -> None:
    """Score the tuned model on the test rows under wordings that were never trained on.

    It stands beside the tuned arm's own scores as `unseen_wordings`; the verdict is on the
    wordings of training, under which every arm answered.
    """
    examples = context.examples(HELD_OUT)
    if not examples:
        return
    predictions = answerer(examples, title="Unseen wordings")
    folder = context.run.folder("evaluate")
    write_jsonl(folder / "tuned_unseen_wordings.jsonl", (p.to_json() for p in predictions))
    seed = context.run.config.training.seed
    scored = score_arm(predictions, context.labels(), seed, context.metrics())
    arms[TUNED]["unseen_wordings"] = {
        name: scored[name] for name in ("metrics", "per_template", "examples")
    }


def _add_tasks(context: Context, arms: dict[str, dict[str, Any]]) -> None:
    """In a mixture, every arm's metrics on the test rows of each task."""
    names = by_task(context.examples("test"))
    if len(names) < 2:
        return
    for name, arm in arms.items():
        found = by_id(arm_predictions(context, name, "test"))
        arm["per_task"] = {
            task: _values(context, [found[i] for i in ids]) for task, ids in names.items()
        }


def _unseen_tasks(
    context: Context, answerer: Answerer, arms: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """How the arms do on tasks that were never trained on, and whether tuning carried over."""
    examples = context.examples(UNSEEN_TASKS)
    if not examples:
        return {}
    folder = context.run.folder("evaluate")
    tuned = answerer(examples, title="Unseen tasks")
    write_jsonl(folder / f"{UNSEEN_TASKS}.jsonl", (p.to_json() for p in tuned))
    primary, labels = context.metrics()[0], context.labels()
    answered = {
        name: by_id(tuned if name == TUNED else arm_predictions(context, name, UNSEEN_TASKS))
        for name, arm in arms.items()
        if not arm["reference"]
    }
    report = {}
    for task, ids in by_task(examples).items():
        own = {name: [found[i] for i in ids] for name, found in answered.items()}
        untrained = "zero_shot" if "zero_shot" in own else "majority"
        verdict = compare(own[TUNED], own[untrained], primary, labels, name=untrained)
        report[task] = {
            "rows": len(ids),
            "arms": {name: _values(context, part) for name, part in own.items()},
            "verdict": verdict.to_json(),
        }
    return report


def _values(context: Context, predictions: Sequence[Prediction]) -> dict[str, float]:
    labels = context.labels()
    return {metric: score(predictions, labels, metric) for metric in context.metrics()}


def by_task(examples: Sequence[Example]) -> dict[str, list[str]]:
    """Ids of the examples of each task."""
    found: dict[str, list[str]] = {}
    for example in examples:
        found.setdefault(example.task, []).append(example.id)
    return found


def arm_predictions(context: Context, arm: str, split: str) -> list[Prediction]:
    """What an arm answered on the test, or on unseen tasks."""
    if arm == TUNED:
        return read_predictions(context.run.folder("evaluate") / "tuned.jsonl")
    return read_predictions(context.run.folder("baseline") / arm / f"{split}.jsonl")


def _scores(
    context: Context, tuned: Sequence[Prediction], seconds: float
) -> dict[str, dict[str, Any]]:
    """Every arm in report.json's shape, in the order it was made, the tuned model last."""
    labels = context.labels()
    seed = context.run.config.training.seed
    metrics = context.metrics()
    arms: dict[str, dict[str, Any]] = {}
    for name, facts in baseline_facts(context.run.folder("baseline")).items():
        home = context.run.folder("baseline") / name
        test = read_predictions(home / "test.jsonl")
        validation = read_predictions(home / "validation.jsonl")
        arms[name] = {
            **{k: facts[k] for k in ("title", "reference", "shots", "seconds")},
            **_scored(test, validation, labels, metrics, seed),
        }
    validation = read_predictions(context.run.folder("train") / "validation.jsonl")
    arms[TUNED] = {
        "title": "Tuned",
        "reference": False,
        "shots": None,
        "seconds": seconds,
        **_scored(tuned, validation, labels, metrics, seed),
    }
    return arms


def _scored(
    test: Sequence[Prediction],
    validation: Sequence[Prediction],
    labels: Sequence[str],
    metrics: Sequence[Metric],
    seed: int,
) -> dict[str, Any]:
    on_validation = {m: score(validation, labels, m) for m in metrics}
    return {**score_arm(test, labels, seed, metrics), "validation": on_validation}


def baseline_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """The facts of every arm under `baselines/`, in a fixed order."""
    order = ["majority", "tfidf_logreg", "option_overlap", "nearest_neighbour", "lead", "zero_shot"]
    found = {p.parent.name: read_json(p) for p in sorted(folder.glob("*/arm.json"))}

    def place(name: str) -> tuple[bool, int, int, str]:
        shots = int(name.rpartition("_")[2]) if name.startswith("few_shot_") else 0
        known = order.index(name) if name in order else len(order)
        return bool(found[name]["reference"]), known, shots, name

    return {name: found[name] for name in sorted(found, key=place)}


def _verdict(
    context: Context, arms: Mapping[str, dict[str, Any]], tuned: Sequence[Prediction]
) -> dict[str, Any]:
    """The one declared comparison: tuned against the best baseline by validation."""
    summary = read_json(context.run.folder("prepare") / "summary.json")
    if not summary["comparable"]:
        return _no_comparison(len(tuned))
    primary = context.metrics()[0]
    candidates = {
        name: arm["validation"][primary]
        for name, arm in arms.items()
        if name != TUNED and not arm["reference"]
    }
    best = best_baseline(candidates)
    other = read_predictions(context.run.folder("baseline") / best / "test.jsonl")
    return compare(tuned, other, primary, context.labels(), name=best).to_json()


def _no_comparison(rows: int) -> dict[str, Any]:
    """The verdict on a test that cannot tell arms apart: too small, or of one label."""
    what = "are too few" if rows < MIN_TEST_ROWS else "of one label are not enough"
    return {
        "says": "no comparison",
        "sentence": f"The model was tuned, but {rows} test rows {what} to say whether that "
        "helped: no comparison is made.",
    }


def _looks(context: Context) -> dict[str, Any]:
    """How often this test split was looked at by the runs beside this one, this look included."""
    run = context.run
    mine = read_json(run.folder("prepare") / "summary.json")["split_fingerprint"]
    others = []
    for summary in sorted(run.path.parent.glob("*/data/summary.json")):
        beside = summary.parent.parent
        if beside.resolve() == run.path.resolve():
            continue
        looked = read_manifest(beside / "test") is not None
        if looked and read_json(summary).get("split_fingerprint") == mine:
            others.append(beside.name)
    return {"fingerprint": mine, "looks": 1 + len(others), "others": others}
