"""report.json: its shape, and the notes a reader needs beside the numbers."""

from __future__ import annotations

import platform
import shlex
from pathlib import Path
from typing import Any

import pytest
from toy_context import toy_context

import tutelage
from tutelage import Result
from tutelage.files import manifest_problems, read_json, read_jsonl
from tutelage.pipeline.reporting import _command, _notes, _versions

SUMMARY: dict[str, Any] = {"notes": [], "prompt_form": "chat"}
ONE_LOOK: dict[str, Any] = {"looks": 1, "others": []}


def test_an_ordinary_run_needs_no_notes() -> None:
    assert _notes(SUMMARY, ONE_LOOK, None) == []


def test_notes_of_prepare_come_first() -> None:
    summary = {**SUMMARY, "notes": ["the text column was guessed"]}
    notes = _notes(summary, ONE_LOOK, "4-bit quantisation (GGUF Q4_1)")
    assert notes[0] == "the text column was guessed"
    assert notes[1].startswith("The untuned weights went through 4-bit quantisation (GGUF Q4_1):")
    assert summary["notes"] == ["the text column was guessed"]


def test_the_plain_form_is_said() -> None:
    (note,) = _notes({**SUMMARY, "prompt_form": "plain"}, ONE_LOOK, None)
    assert note.startswith("The tokenizer has no chat template")


@pytest.mark.parametrize("looks", [2, 5])
def test_looks_at_the_same_test_are_counted_and_named(looks: int) -> None:
    others = [f"reviews-{i}" for i in range(looks - 1)]
    (note,) = _notes(SUMMARY, {"looks": looks, "others": others}, None)
    assert f"looked at {looks} times" in note
    assert f"({', '.join(others)})" in note
    assert "weakens what the p value says" in note


def test_versions_name_what_computed() -> None:
    versions = _versions()
    assert versions["tutelage"] == tutelage.__version__
    assert versions["python"] == platform.python_version()
    assert {"torch", "transformers", "scikit-learn"} < versions.keys()


def test_the_command_finds_the_run_again(tmp_path: Path) -> None:
    run = toy_context(tmp_path / "with space").run
    assert shlex.split(_command(run)) == ["tutelage", "run", str(run.path / "config.yaml")]


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


def test_what_the_report_wrote_is_whole(tiny_run: Result) -> None:
    assert manifest_problems(tiny_run.path, hashes=True) == []
    assert read_json(tiny_run.path / "report.json") == tiny_run.report
    assert (tiny_run.model_path / "README.md").read_text(encoding="utf-8").startswith("---\n")
    assert "<script" not in tiny_run.page.read_text(encoding="utf-8")
