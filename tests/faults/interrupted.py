"""A training that is made to be interrupted, and a process that is followed and stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from command import Done, call
from tutelage import cli
from tutelage.files import manifest_problems, sha256_file

_SETTINGS = (
    "training.batch_size=4",
    "training.epochs=7",  # about 290 steps
    "training.learning_rate=0.002",
    "training.checkpoint_every=7",
    "training.validations=16",
    "training.precision=fp32",  # a probe of a busy machine could say something else each time
    "baselines.shots=[]",
    "baselines.classic=false",
)
_POLL_SECONDS = 0.001
_STOP_SECONDS = 0.02  # until SIGSTOP has surely taken hold


@dataclass(frozen=True, slots=True)
class LongTraining:
    """`tutelage train` on a table and a model; `home` is a run with its data prepared."""

    table: Path
    model: Path
    home: Path

    def arguments(self, out: Path, *sets: str, command: str = "train") -> list[str | Path]:
        """The command line that trains in `out`."""
        options = [part for text in (*_SETTINGS, *sets) for part in ("--set", text)]
        columns = ["--text", "review", "--label", "sentiment", "--group-by", "author"]
        return [command, self.table, *columns, "--model", self.model, "--out", out, *options]

    @property
    def environment(self) -> dict[str, str]:
        """Two threads, whatever the machine has: part of what makes runs byte-identical.

        They sleep while they wait: on a busy machine, spinning slows tiny steps tenfold.
        """
        return {**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}

    def prepare(self) -> None:
        """Write the data once."""
        call(*self.arguments(self.home, command="prepare")).expect(0)

    def copy(self, out: Path) -> Path:
        """A run directory of one's own, with the data prepared."""
        shutil.copytree(self.home, out)
        return out

    def start(self, run: Path, *sets: str, command: str = "train") -> Watched:
        """Train in `run` in a process of its own."""
        return Watched(run, self.arguments(run, *sets, command=command), self.environment)


def _train(arguments: list[str], errors: Path) -> None:
    """Be the command line in a process of its own; what it says goes to a file."""
    with errors.open("w", buffering=1, encoding="utf-8") as stream:
        sys.stderr = stream
        sys.argv = ["tutelage", *arguments]
        cli.main()


class Watched:
    """A training process, followed by what it writes.

    Only what this process itself wrote counts: a log that an earlier one left is replaced when
    training begins, so its inode tells.
    """

    def __init__(self, run: Path, arguments: list[str | Path], environment: dict[str, str]) -> None:
        self.run = run
        self.log = run / "training" / "log.jsonl"
        self.checkpoints = run / "training" / "checkpoints"
        self._before = self._inode()
        self._errors = run.parent / f"{run.name}.err"
        plain = [str(argument) for argument in arguments]
        # A server that has imported everything once: importing takes longer than this training.
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            forked = multiprocessing.get_context("forkserver")
            forked.set_forkserver_preload(["tutelage.pipeline.run"])
            self.process = forked.Process(target=_train, args=(plain, self._errors), daemon=True)
            self.process.start()

    def last(self) -> dict[str, Any]:
        """The newest record of this process's log; empty before the first."""
        if self._inode() in (None, self._before):
            return {}
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - 2000))
            lines = [line for line in stream.read().split(b"\n")[:-1] if line.endswith(b"}")]
        return dict(json.loads(lines[-1])) if lines else {}

    def step(self) -> int:
        """Steps that this process's log holds."""
        return int(self.last().get("step", 0))

    def writing(self) -> bool:
        """Whether a checkpoint is being written."""
        return self.step() > 0 and any(self.checkpoints.glob(".tmp-*-step-*"))

    def validating(self) -> bool:
        """Whether the log stands between a step that is validated and its validation."""
        last = self.last()
        if last.get("kind") != "step":
            return False
        plan = json.loads((self.run / "training" / "plan.json").read_text())["plan"]
        saving = any(self.checkpoints.glob(f".tmp-*-best-{last['step']:08d}"))
        return last["step"] in plan["validate_at"] and not saving

    def wait_until(self, reached: Callable[[], bool], seconds: float = 60) -> None:
        """Poll until `reached` holds while the process lives."""
        end = time.monotonic() + seconds
        while not reached():
            if not self.process.is_alive() or time.monotonic() > end:
                self.process.kill()
                said = self._errors.read_text()
                pytest.fail(f"the moment did not come; {self.process}\n{said}")
            time.sleep(_POLL_SECONDS)

    def freeze_when(self, reached: Callable[[], bool]) -> None:
        """Stop the process (SIGSTOP) at a moment when `reached` holds, and still does then."""
        for _ in range(500):
            self.wait_until(reached)
            self._send(signal.SIGSTOP)
            time.sleep(_STOP_SECONDS)
            if reached():
                return
            self._send(signal.SIGCONT)
        self.process.kill()
        pytest.fail("the moment was always missed")

    def kill(self) -> int:
        """SIGKILL; returns the step it had reached, and checks that it was this that ended it."""
        self.process.kill()
        assert self._end(30).code == -signal.SIGKILL
        return self.step()

    def interrupt(self, number: signal.Signals) -> Done:
        """Send a signal, let a stopped process go on, and wait for the end."""
        self._send(number)
        self._send(signal.SIGCONT)
        return self._end(60)

    def finish(self) -> Done:
        """Let it end by itself."""
        return self._end(120)

    def _send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def _end(self, seconds: float) -> Done:
        self.process.join(seconds)
        code = self.process.exitcode
        self.process.kill()
        assert code is not None, f"still running after {seconds} s"
        return Done(code, "", self._errors.read_text())

    def _inode(self) -> int | None:
        try:
            return self.log.stat().st_ino
        except FileNotFoundError:
            return None


def checkpoints(run: Path) -> list[Path]:
    """Checkpoints of a run under their final names, oldest first."""
    return sorted((run / "training" / "checkpoints").glob("step-*"))


def check_whole(run: Path) -> None:
    """Nothing in the run is half-written, and the newest checkpoint is at the log's last step."""
    assert not list(run.rglob(".tmp-*"))
    for checkpoint in checkpoints(run):
        assert manifest_problems(checkpoint, hashes=True) == []


def check_same_result(run: Path, other: Path) -> None:
    """Two finished trainings took the same steps to byte-identical weights."""
    for name in ("model/model.safetensors", "training/validation.jsonl"):
        assert sha256_file(run / name) == sha256_file(other / name), name
    assert _losses(run) == _losses(other)


def _losses(run: Path) -> list[tuple[str, int, float]]:
    lines = (run / "training" / "log.jsonl").read_text().splitlines()
    return [(r["kind"], r["step"], r["loss"]) for r in map(json.loads, lines)]
