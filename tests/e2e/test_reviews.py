"""The real command on a small slice of the real model and data, and everything after it."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tutelage
from command import call, finish, spawn
from tutelage.files import read_json, read_jsonl
from tutelage.tasks.catalog import Catalog

pytestmark = pytest.mark.real_model

LABELS = {"negative", "neutral", "positive"}
PER_LABEL = 40
SETTINGS = {
    "task.fields": {"text": "text"},
    "task.label": "label",
    "task.group_by": "group",
    "training.epochs": 1,
    "training.validations": 1,
    "baselines.shots": [0, 1],
}
COMMAND = (
    *("--text", "text", "--label", "label", "--group-by", "group"),
    *("--set", "training.epochs=1", "--set", "training.validations=1"),
    *("--set", "baselines.shots=[0,1]"),
)


class Finished(NamedTuple):
    """The run, its table, what the command printed, and its report.json."""

    run: Path
    table: Path
    printed: str
    report: dict[str, Any]


@contextmanager
def _cache_of(environment: Mapping[str, str]) -> Iterator[None]:
    """The user's own cache, also for fixtures that outlive a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TUTELAGE_CACHE")
        if "TUTELAGE_CACHE" in environment:
            patch.setenv("TUTELAGE_CACHE", environment["TUTELAGE_CACHE"])
        yield


def _write_slice(path: Path) -> Path:
    """Short sentences of the built-in reviews, as many of each label."""
    config, _ = tutelage.load_config("reviews", catalog=Catalog())
    counts: Counter[str] = Counter()
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "text", "label", "group"))
        for row in tutelage.load_rows(config.task).rows:
            text = row.fields["text"]
            if 25 <= len(text) <= 60 and counts[row.label] < PER_LABEL:
                counts[row.label] += 1
                writer.writerow((row.id, text, row.label, row.group))
    assert counts == dict.fromkeys(LABELS, PER_LABEL)
    return path


@pytest.fixture(scope="module")
def finished(
    real_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    folder = tmp_path_factory.mktemp("reviews")
    with _cache_of(real_environment):
        table = _write_slice(folder / "slice.csv")
        process = spawn("run", table.name, *COMMAND, cwd=folder)
        done = finish(process, seconds=500).expect(0)
    [run] = (folder / "runs").iterdir()
    assert run.name.startswith("slice-")
    return Finished(run, table, done.out, read_json(run / "report.json"))


def _answers(finished: Finished, name: str) -> list[dict[str, Any]]:
    return list(read_jsonl(finished.run / f"{name}.jsonl"))


def test_the_report_has_what_the_design_says(finished: Finished) -> None:
    report = finished.report
    assert report["schema"] == 1
    assert (report["task"], report["model"]) == ("slice", "smollm2-135m")
    assert report["primary_metric"] == "accuracy"
    assert set(report["labels"]) == LABELS
    assert sum(report["rows"].values()) == len(LABELS) * PER_LABEL
    assert report["rows"]["test"] >= 30
    assert set(report["stages"]) == {"prepare", "baseline", "train", "evaluate", "report"}
    for stage in report["stages"].values():
        assert stage["seconds"] > 0
        assert stage["peak_memory_bytes"] > 0
    training = report["training"]
    assert training["steps"] == round(report["rows"]["train"] / 16)
    assert training["precision"] in ("fp32", "bf16")
    assert training["labelled_tokens"] >= 2 * report["rows"]["train"]
    for rate in ("examples_per_second", "tokens_per_second", "unique_tokens_per_second"):
        assert training[rate] > 0
    assert training["unique_tokens_per_second"] < training["tokens_per_second"]
    assert any("4-bit quantisation" in note for note in report["notes"])


def test_every_arm_answered_the_same_rows(finished: Finished) -> None:
    arms = finished.report["arms"]
    assert list(arms) == ["majority", "tfidf_logreg", "zero_shot", "few_shot_1", "tuned"]
    rows = {row["id"]: row["label"] for row in _answers(finished, "data/test")}
    for name, arm in arms.items():
        where = "test/tuned" if name == "tuned" else f"baselines/{name}/test"
        answers = _answers(finished, where)
        assert {a["id"]: a["gold"] for a in answers} == rows
        right = sum(a["gold"] == a["predicted"] for a in answers)
        accuracy = arm["metrics"]["accuracy"]
        assert accuracy["value"] == pytest.approx(right / len(rows))
        assert accuracy["ci95"][0] <= accuracy["value"] <= accuracy["ci95"][1]
        assert 0 <= arm["metrics"]["macro_f1"]["value"] <= 1
        assert (arm["examples"], arm["unscored"]) == (len(rows), 0)


def test_the_verdict_follows_from_the_arms(finished: Finished) -> None:
    report = finished.report
    verdict, arms = report["verdict"], report["arms"]
    baselines = {name: arm["validation"]["accuracy"] for name, arm in arms.items()}
    tuned = baselines.pop("tuned")
    assert 0 <= tuned <= 1
    assert baselines[verdict["best_baseline"]] == max(baselines.values())
    values = [
        arms[name]["metrics"]["accuracy"]["value"] for name in ("tuned", verdict["best_baseline"])
    ]
    assert verdict["difference"] == pytest.approx(values[0] - values[1])
    better = verdict["p_value"] < 0.05 and verdict["ci95"][0] > 0
    worse = verdict["p_value"] < 0.05 and verdict["ci95"][1] < 0
    assert verdict["says"] == ("better" if better else "worse" if worse else "not shown")
    assert verdict["sentence"] in finished.printed


def test_show_prints_the_report(finished: Finished) -> None:
    assert json.loads(call("show", finished.run, "--json").expect(0).out) == finished.report
    shown = call("show", finished.run).expect(0).out
    assert finished.report["verdict"]["sentence"] in shown
    assert str(finished.run / "report.html") in shown
    assert (finished.run / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_a_finished_run_is_not_run_again(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.table.parent)
    written = (finished.run / "report.json").stat().st_mtime_ns
    started = time.monotonic()
    done = call("run", finished.table.name, *COMMAND).expect(0)
    assert time.monotonic() - started < 3
    assert "is done; nothing to do" in done.out
    result = tutelage.run(finished.table, settings=SETTINGS)
    assert result.path.resolve() == finished.run
    assert result.report == finished.report
    assert (
        result.metric("tuned") == finished.report["arms"]["tuned"]["metrics"]["accuracy"]["value"]
    )
    assert (finished.run / "report.json").stat().st_mtime_ns == written


def test_predict_labels_new_rows(finished: Finished, tmp_path: Path) -> None:
    label, probability = call("predict", finished.run, "--text", "great").expect(0).out.split()
    assert label in LABELS
    assert 1 / 3 < float(probability) <= 1

    rows = list(csv.DictReader(finished.table.open(encoding="utf-8", newline="")))[:5]
    new = tmp_path / "new.csv"
    with new.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    call("predict", finished.run, new, "--out", tmp_path / "labelled.csv").expect(0)
    stream = (tmp_path / "labelled.csv").open(encoding="utf-8", newline="")
    labelled = list(csv.DictReader(stream))
    assert [{k: row[k] for k in rows[0]} for row in labelled] == rows
    assert set(labelled[0]) - set(rows[0]) == {"predicted", "probability"}
    assert {row["predicted"] for row in labelled} <= LABELS


def test_chat_answers_and_switches(finished: Finished) -> None:
    process = spawn("chat", finished.run, stdin=subprocess.PIPE)
    done = finish(process, stdin="great\n/base\ngreat\n/quit\n", seconds=120).expect(0)
    tuned = done.out.split("tuned> ")[1:]
    assert tuned[0].strip()
    switched, answer, rest = tuned[1].split("base> ")
    assert switched.strip() == "The untuned model answers."
    assert answer.strip()
    assert rest == ""
