"""report.json: its shape, and the notes a reader needs beside the numbers."""

from __future__ import annotations

import platform
import shlex
from pathlib import Path
from typing import Any

import pytest
from toy_context import toy_context

import tutelage
from tutelage.config import RunConfig, dump_config
from tutelage.pipeline.pagedata import _shown_config
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


def test_the_configuration_on_the_page_has_no_password() -> None:
    source = {"sql": "select a from t", "url": "postgresql://me:s3cr@host/db"}
    config = RunConfig.model_validate({"task": {"name": "shop", "source": source}, "model": "toy"})
    shown = dump_config(_shown_config(config))
    assert "s3cr" not in shown
    assert shown == dump_config(config).replace("me:s3cr@", "me:***@")
