"""The built-in model, killed within six steps and started again, ends in the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import few_steps
import pytest

from tutelage.files import manifest_problems, read_json, read_manifest

_FILES = ("weights.safetensors", "exp_avg.safetensors", "exp_avg_sq.safetensors")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder that is emptied at once: every checkpoint has 1.6 GB."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def _start(folder: Path, every: int) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, few_steps.__file__, folder, str(every)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def _hashes(folder: Path, step: int) -> dict[str, str]:
    """sha256 of the tensors of a checkpoint, after proving that the manifest tells the truth."""
    checkpoint = folder / "checkpoints" / f"step-{step:08d}"
    assert manifest_problems(checkpoint, hashes=True) == []
    manifest = read_manifest(checkpoint)
    assert manifest is not None
    return {name: manifest["files"][name]["sha256"] for name in _FILES}


def _steps(folder: Path) -> int:
    log = folder / "log.jsonl"
    return log.read_text().count('"kind": "step"') if log.exists() else 0


@pytest.mark.real_model
def test_killed_after_step_three(home: Path) -> None:
    killed = home / "killed"
    process = _start(killed, 2)
    while _steps(killed) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 3 <= _steps(killed) < 6
    assert read_json(killed / "checkpoints" / "step-00000002" / "state.json")["step"] == 2
    assert "Going on from step " in _finish(_start(killed, 2))
    hashes = _hashes(killed, 6)
    assert _hashes(killed, 4) != hashes, "the steps change something"
    shutil.rmtree(killed)

    whole = home / "whole"
    assert "Going on" not in _finish(_start(whole, 6))
    assert _hashes(whole, 6) == hashes
