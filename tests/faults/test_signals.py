"""Asked to stop, a run leaves whole results, says how to go on, and goes on to the same end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from interrupted import LongTraining, check_same_result, check_whole, checkpoints

from command import Done, call
from tutelage.files import read_jsonl
from tutelage.pipeline import baseline


def test_stopped_three_times_ends_in_the_same_weights(
    long_training: LongTraining, uninterrupted: Path, tmp_path: Path
) -> None:
    run = long_training.copy(tmp_path / "run")
    for number, steps in ((signal.SIGTERM, 50), (signal.SIGINT, 100)):
        watched = long_training.start(run)
        watched.wait_until(lambda w=watched, s=steps: w.step() >= s)
        _check_stopped(watched.interrupt(number), run, watched.step)
    watched = long_training.start(run)
    watched.freeze_when(lambda: watched.step() > 140 and watched.validating())
    _check_stopped(watched.interrupt(signal.SIGTERM), run, watched.step)
    long_training.start(run).finish().expect(0)
    check_same_result(run, uninterrupted)


def _check_stopped(done: Done, run: Path, step: Callable[[], int]) -> None:
    done.expect(75)
    assert "run" in done.err.splitlines()[-1]
    assert "again" in done.err or "same command" in done.err
    assert "Traceback" not in done.err
    check_whole(run)
    assert checkpoints(run)[-1].name == f"step-{step():08d}", "nothing that was done is lost"
    assert list((run / "training" / "tokens").glob("epoch-*")), "tokens are there to go on with"
    assert not (run / "training" / "manifest.json").exists()
    assert not (run / "model").exists()


@pytest.fixture
def stop_in_baselines(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the second baseline send this process as many signals as asked, once."""
    real = baseline.tfidf_logreg

    def ask(times: int) -> None:
        def stopping(*arguments: Any) -> Sequence[Any]:
            monkeypatch.setattr(baseline, "tfidf_logreg", real)
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGTERM)
            return real(*arguments)

        monkeypatch.setattr(baseline, "tfidf_logreg", stopping)

    return ask


@pytest.mark.parametrize("signals", [1, 2])
def test_stopped_in_the_baselines(
    signals: int,
    tiny_reviews_csv: Path,
    tiny_model_dir: Path,
    tmp_path: Path,
    stop_in_baselines: Callable[[int], None],
) -> None:
    run = tmp_path / "run"
    command = ["baseline", tiny_reviews_csv, "--text", "review", "--label", "sentiment"]
    command += ["--model", tiny_model_dir, "--out", run, "--set", "baselines.shots=[0, 1]"]
    stop_in_baselines(signals)
    done = call(*command).expect(75)
    assert "same command" in done.err
    assert not list(run.rglob(".tmp-*"))
    assert (run / "data" / "manifest.json").exists()
    assert not (run / "baselines" / "manifest.json").exists()
    arms = {path.parent.name for path in run.glob("baselines/*/arm.json")}
    assert arms == ({"majority", "tfidf_logreg"} if signals == 1 else {"majority"})

    majority = run / "baselines" / "majority" / "arm.json"
    written = majority.stat().st_mtime_ns
    call(*command).expect(0)
    assert majority.stat().st_mtime_ns == written, "an arm that was done is kept"
    for arm in ("majority", "tfidf_logreg", "zero_shot", "few_shot_1"):
        for split in ("validation", "test"):
            rows = {row["id"] for row in read_jsonl(run / "data" / f"{split}.jsonl")}
            answers = {p["id"] for p in read_jsonl(run / "baselines" / arm / f"{split}.jsonl")}
            assert answers == rows
