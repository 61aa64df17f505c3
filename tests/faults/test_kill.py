"""Killed at any moment and started again, training ends in the same bytes as uninterrupted."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from interrupted import LongTraining, check_same_result, check_whole

from command import call
from tutelage.files import sha256_file

_KILLS = 8
_FARTHEST = 22  # steps from one kill to the next, so that ten kills fall into the training


def test_killed_ten_times_ends_in_the_same_weights(
    long_training: LongTraining, uninterrupted: Path, tmp_path: Path
) -> None:
    run = long_training.copy(tmp_path / "run")
    rng = random.Random(2)
    reached = 0
    for number in range(_KILLS):
        target = reached + rng.randint(1, _FARTHEST)
        watched = long_training.start(run)
        watched.wait_until(lambda w=watched, t=target: w.step() >= t)
        time.sleep(rng.uniform(0, 0.03))  # anywhere between two records of the log
        reached = watched.kill()
        assert target <= reached < _plan(run)["steps"], "training had not ended"
        if number == 2:
            reached = _kill_inside_a_checkpoint(long_training, run)
        if number == 5:
            reached = _kill_inside_a_validation(long_training, run)
    last = long_training.start(run).finish().expect(0)
    assert "Going on from step" in last.err
    check_whole(run)
    check_same_result(run, uninterrupted)


def _kill_inside_a_checkpoint(training: LongTraining, run: Path) -> int:
    watched = training.start(run)
    watched.freeze_when(watched.writing)
    reached = watched.kill()
    assert list((run / "training" / "checkpoints").glob(".tmp-*-step-*")), "what it left"
    return reached


def _kill_inside_a_validation(training: LongTraining, run: Path) -> int:
    watched = training.start(run)
    watched.freeze_when(watched.validating)
    reached = watched.kill()
    assert watched.last()["kind"] == "step", "its validation was never logged"
    assert reached in _plan(run)["validate_at"]
    return reached


def test_killed_in_any_stage_ends_in_the_same_report(
    long_training: LongTraining, tmp_path: Path
) -> None:
    sets = ("training.epochs=1", "baselines.shots=[0, 1]", "baselines.classic=true")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    started = time.monotonic()
    long_training.start(whole, *sets, command="run").finish().expect(0)
    spent = time.monotonic() - started
    rng = random.Random(5)
    stages = set()
    for target in (0, 0, 1, 1, 2, 2):  # finished stages before the kill, then a random moment
        watched = long_training.start(killed, *sets, command="run")
        watched.wait_until(lambda t=target: _finished_stages(killed) >= t)
        time.sleep(spent * rng.uniform(0, 0.1))
        watched.kill()
        stages.add(_finished_stages(killed))
    assert len(stages) > 2, "the kills fell into several stages"
    long_training.start(killed, *sets, command="run").finish().expect(0)
    assert not list(killed.rglob(".tmp-*"))
    names = ["model/model.safetensors", "test/tuned.jsonl", "test/verdict.json"]
    for arm in ("majority", "tfidf_logreg", "zero_shot", "few_shot_1"):
        names += [f"baselines/{arm}/{split}.jsonl" for split in ("validation", "test")]
    names += [f"data/{path.name}" for path in (whole / "data").iterdir()]
    for name in names:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def _finished_stages(run: Path) -> int:
    return len(list(run.glob("*/manifest.json")))


def _plan(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "training" / "plan.json").read_text())["plan"])


def test_another_seed_gives_other_weights(
    long_training: LongTraining, uninterrupted: Path, tmp_path: Path
) -> None:
    """The comparison above can fail."""
    run = tmp_path / "run"
    call(*long_training.arguments(run, "training.seed=1")).expect(0)
    name = Path("model/model.safetensors")
    assert sha256_file(run / name) != sha256_file(uninterrupted / name)
    with pytest.raises(AssertionError):
        check_same_result(run, uninterrupted)
