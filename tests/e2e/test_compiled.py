"""A run with compiled layers: asked for, written down, and gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from command import call
from tutelage.files import read_json, read_jsonl


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiled_run_learns_what_a_plain_one_learns(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    command = ["train", tiny_reviews_csv, "--text", "review", "--label", "sentiment"]
    command += ["--model", tiny_model_dir, "--set", "training.precision=fp32"]
    command += ["--set", "training.epochs=0.5"]
    losses = []
    for name, asked in (("compiled", "true"), ("plain", "auto")):
        run = tmp_path / name
        done = call(*command, "--set", f"training.compile={asked}", "--out", run).expect(0)
        assert f"Layers {'' if asked == 'true' else 'not '}compiled" in done.err
        decided = read_json(run / "training" / "summary.json")["compilation"]
        assert decided["used"] is (asked == "true")
        log = read_jsonl(run / "training" / "log.jsonl")
        losses.append([line["loss"] for line in log if line["kind"] == "step"])
    compiled, plain = losses
    assert len(plain) >= 4
    assert compiled == pytest.approx(plain, rel=1e-3)
