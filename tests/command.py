"""The command line as tests call it: in this process where speed matters, else as a process."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from tutelage import cli

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Done:
    """Exit code and output of a command that has ended."""

    code: int
    out: str
    err: str

    def expect(self, code: int) -> Done:
        """This result, after checking its exit code."""
        assert self.code == code, f"exit code {self.code}, not {code}\n{self.out}\n{self.err}"
        return self


def call(*arguments: str | Path, stdin: str = "") -> Done:
    """`tutelage ARGUMENTS` in this process; what it changes in the process is put back."""
    handlers = {name: signal.getsignal(name) for name in STOP_SIGNALS}
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["tutelage", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        finally:
            for name, handler in handlers.items():
                signal.signal(name, handler)
    assert isinstance(code, int), "the command line always says how it ended"
    return Done(code, out.getvalue(), err.getvalue())


def spawn(
    *arguments: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[str]:
    """`tutelage ARGUMENTS` as a process of its own, above `environment` or this one's."""
    return subprocess.Popen(
        [sys.executable, "-m", "tutelage.cli", *map(str, arguments)],
        cwd=cwd,
        env=dict(os.environ if environment is None else environment),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], *, stdin: str | None = None, seconds: float) -> Done:
    """Wait for a process that `spawn` started; kill it where it takes too long."""
    try:
        out, err = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"still running after {seconds} s\n{out}\n{err}")
    return Done(process.returncode, out, err)


def paragraph(done: Done) -> str:
    """What was said last: one paragraph that names the program and holds no traceback."""
    assert "Traceback" not in done.err
    assert 'File "' not in done.err
    assert "fault of Tutelage" not in done.err
    said = done.err[done.err.index("tutelage: ") :].removeprefix("tutelage: ").strip()
    assert "\n\n" not in said
    assert len(said) < 1200
    assert said.endswith((".", "?"))
    return " ".join(said.split())
