"""The report.json of a finished run: its shape and its counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tutelage import Result
from tutelage.files import manifest_problems, read_json, read_jsonl


def test_the_report_has_what_other_programs_read(tiny_run: Result) -> None:
    report = tiny_run.report
    assert (report["schema"], report["task"]) == (1, "reviews")
    assert report["labels"] == ["negative", "neutral", "positive"]
    assert sum(report["rows"].values()) == 240
    assert list(report["arms"]) == ["majority", "tfidf_logreg", "zero_shot", "few_shot_2", "tuned"]
    for arm in report["arms"].values():
        assert set(arm["metrics"]) == {"accuracy", "macro_f1"}
        low, high = arm["metrics"]["accuracy"]["ci95"]
        assert 0 <= low <= arm["metrics"]["accuracy"]["value"] <= high <= 1
        assert arm["examples"] == report["rows"]["test"]
        assert arm["per_template"]
        assert {"seconds", "unscored", "validation"} <= arm.keys()
    assert report["primary_metric"] == "accuracy"
    assert report["verdict"]["says"] in ("better", "not shown", "worse")
    assert {"best_baseline", "difference", "ci95", "p_value", "test"} <= report["verdict"].keys()
    assert list(report["stages"]) == ["prepare", "baseline", "train", "evaluate", "report"]
    for spent in report["stages"].values():
        assert spent["seconds"] > 0
        assert spent["peak_memory_bytes"] > 2**20
    assert report["splits"]["looks"] == 1
    assert report["provenance"]["quantisation"] is None


def test_training_is_counted(tiny_run: Result) -> None:
    training = tiny_run.report["training"]
    records = read_jsonl(tiny_run.path / "training" / "log.jsonl")
    log = [r for r in records if r["kind"] == "step"]
    assert training["steps"] == training["planned_steps"] == len(log)
    per_epoch = training["labelled_tokens"]
    assert sum(r["labelled"] for r in log) == pytest.approx(6 * per_epoch, rel=0.1)
    seconds = sum(r["seconds"] for r in log)
    assert training["training_seconds"] == pytest.approx(seconds, abs=0.02)
    tokens = sum(r["tokens"] for r in log)
    assert training["tokens_per_second"] == pytest.approx(tokens / seconds, rel=0.05)
    assert training["unique_tokens_per_second"] < training["tokens_per_second"]
    assert training["tokens_shared"] == pytest.approx(
        1 - training["unique_tokens_per_second"] / training["tokens_per_second"], abs=2e-3
    )
    plan = read_json(tiny_run.path / "training" / "plan.json")["plan"]
    assert training["rows_of_a_template_together"] == plan["together"]


def test_what_the_report_wrote_is_whole(tiny_run: Result) -> None:
    assert manifest_problems(tiny_run.path, hashes=True) == []
    assert read_json(tiny_run.path / "report.json") == tiny_run.report
    assert (tiny_run.model_path / "README.md").read_text(encoding="utf-8").startswith("---\n")
    assert "<script" not in tiny_run.page.read_text(encoding="utf-8")


def test_every_key_of_the_report_is_documented(tiny_run: Result) -> None:
    page = Path(__file__).parents[2] / "docs" / "report.md"
    tables = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    words = set(re.findall(r"`([^`]+)`", " ".join(tables)))
    first = {name for line in tables for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])}

    def missing(part: Mapping[str, Any], known: set[str]) -> set[str]:
        return part.keys() - known

    report = tiny_run.report
    assert missing(report, first) == set()
    for name in ("verdict", "training", "ledger", "leaks"):
        assert missing(report[name], first) == set(), name
    for arm in report["arms"].values():
        assert missing(arm, {*first, "metrics"}) == set()
    for name in ("quality", "provenance", "machine"):
        assert missing(report[name], words) == set(), name
    assert missing(report["splits"], words) == set()
    assert missing(report["splits"]["test"], words) == set()
