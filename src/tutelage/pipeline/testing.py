"""Test: the best model, once, on the sealed split; paired with every other arm."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tutelage.evaluate.comparison import best_baseline, compare, score_arm
from tutelage.evaluate.predict import predictions_from_scores, questions_for
from tutelage.evaluate.score import score_options
from tutelage.files import read_json, read_manifest, write_json, write_jsonl, write_manifest
from tutelage.models.load import load_model, load_tokenizer
from tutelage.pipeline.stage import (
    Context,
    decide_precision,
    measured,
    read_predictions,
    record,
)
from tutelage.records import Prediction
from tutelage.tokens.encode import Encoder

TUNED = "tuned"


def evaluate(context: Context) -> None:
    """Write `test/`: the tuned model's predictions, every arm's scores, the verdict."""
    run = context.run
    folder = run.folder("evaluate")
    with measured(context.device) as spent:
        started = time.perf_counter()
        tuned = _tuned(context)
        seconds = round(time.perf_counter() - started, 3)
        write_jsonl(folder / "tuned.jsonl", (p.to_json() for p in tuned))
        write_json(folder / "looks.json", _looks(context))
        arms = _scores(context, tuned, seconds)
        write_json(folder / "scores.json", arms)
        write_json(folder / "verdict.json", _verdict(context, arms, tuned))
    record(run, "evaluate", spent)
    write_manifest(folder, stage="evaluate", key=run.key("evaluate"))


def _tuned(context: Context) -> list[Prediction]:
    """Answers of the model as it is handed over: from `model/`, with the tokenizer saved there."""
    run = context.run
    examples = context.examples("test")
    model = load_model(run.model, context.device)
    encoder = Encoder(load_tokenizer(run.model))
    scores = score_options(
        model,
        questions_for(encoder, examples),
        precision=decide_precision(context, model),
        progress=context.progress,
        title="Sealed test",
    )
    return predictions_from_scores(examples, scores)


def _scores(
    context: Context, tuned: Sequence[Prediction], seconds: float
) -> dict[str, dict[str, Any]]:
    """Every arm in report.json's shape, in the order it was made, the tuned model last."""
    labels = context.labels()
    seed = context.run.config.training.seed
    metrics = context.run.config.task.metrics
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
    metrics: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    on_test = score_arm(test, labels, seed)
    on_validation = score_arm(validation, labels, seed)
    return {
        **on_test,
        "metrics": {m: on_test["metrics"][m] for m in metrics},
        "validation": {m: on_validation["metrics"][m]["value"] for m in metrics},
    }


def baseline_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """The facts of every arm under `baselines/`, in a fixed order."""
    order = ["majority", "tfidf_logreg", "zero_shot"]
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
        rows = len(tuned)
        return {
            "says": "no comparison",
            "sentence": f"The model was tuned, but {rows} test rows are too few to say whether "
            "that helped: no comparison is made.",
        }
    primary = context.run.config.task.metrics[0]
    candidates = {
        name: arm["validation"][primary]
        for name, arm in arms.items()
        if name != TUNED and not arm["reference"]
    }
    best = best_baseline(candidates)
    other = read_predictions(context.run.folder("baseline") / best / "test.jsonl")
    return compare(tuned, other, primary, context.labels(), name=best).to_json()


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
