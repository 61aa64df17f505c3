"""Work on templates that are not ours, in one limited child process.

A sandbox stops a template from reaching Python, but not from looping or from building huge texts.
So such templates are parsed, compiled and rendered in a process of their own, with limits on
processor time per item, wall time, memory, open files and output. Parent and child exchange plain
data (JSON); the child has no network, no open file and an empty environment. When it dies, the
item that killed it is a `Failure`, a new child is started, and the next items go on.

Where the system has no `resource` module (Windows), only the wall time, the sandbox and the
output limit hold.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from tutelage.errors import InputError

_CHUNK_CHARACTERS = 1 << 20
_CHUNK_ITEMS = 2000
_CPU_SIGNALS = {-getattr(signal, name) for name in ("SIGXCPU",) if hasattr(signal, name)}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one item may cost; the child as a whole may take `memory` bytes above its start."""

    cpu_seconds: float = 1.0
    wall_seconds: float = 20.0 if hasattr(signal, "SIGXCPU") else 2.0
    memory: int = 512 << 20
    characters: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one item has no result.

    `kind` is one of: syntax, undefined, unsafe, time, memory, output, empty, parts, leak, row,
    error.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return self.message


class Child:
    """A limited child process; use it in a `with` block.

    It starts at the first call, and again after it died. `hash_seed` orders its sets: what two
    children with different ones render alike does not depend on that order. `seconds` is the
    processor time of all items that were answered.
    """

    def __init__(self, limits: Limits | None = None, hash_seed: int = 0) -> None:
        self.limits = limits or Limits()
        self.hash_seed = hash_seed
        self.starts = 0
        self.seconds = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._progress = 0.0
        self._late = False
        self._done = threading.Event()
        self._watchdog: threading.Thread | None = None

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; a later call would start a new one."""
        self._done.set()
        self._end()
        if self._watchdog is not None:
            self._watchdog.join()
            self._watchdog = None

    def run(
        self, task: str, common: Mapping[str, Any], items: Sequence[Any]
    ) -> list[Any | Failure]:
        """Do a task of `child_main` on every item.

        Items travel in chunks, results come back one by one, so that the item at which a child
        dies is known and 100,000 items do not cost a round trip each.

        Args:
            task: one of the tasks of `child_main`.
            common: plain data that all items share, such as the template.
            items: plain data, one value per item.

        Returns:
            Per item, in order, its result or the `Failure`.

        Raises:
            InputError: an item is not plain data.
        """
        results: list[Any | Failure] = []
        while len(results) < len(items):
            for chunk in _chunks(items[len(results) :]):
                got = self._exchange({"task": task, "common": common}, chunk)
                results += got
                if len(got) < len(chunk):
                    results.append(self._cause_of_death())
                    break
        return results

    def _exchange(self, head: Mapping[str, Any], chunk: Sequence[str]) -> list[Any | Failure]:
        """Results of a chunk, up to the item that killed the child."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            request = json.dumps(head)[:-1] + ', "items": [' + ",".join(chunk) + "]}"
        except (TypeError, ValueError) as error:
            raise InputError(
                f"templates: what all rows share is not plain data ({error})."
            ) from error
        got: list[Any | Failure] = []
        self._progress = time.monotonic()
        try:
            send(process.stdin, request.encode())
            while len(got) < len(chunk):
                self._progress = time.monotonic()
                reply = receive(process.stdout)
                if reply is None:
                    break
                answer = json.loads(reply)
                self.seconds += answer["seconds"]
                failed = answer.get("failure")
                got.append(Failure(**failed) if failed else answer["result"])
        except OSError:  # the pipe of a child that died
            pass
        finally:
            self._progress = 0.0
        return got

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._done.clear()
        self._late = False
        self._process = _spawn(self.limits, self.hash_seed)
        self.starts += 1
        if self._watchdog is None:
            self._watchdog = threading.Thread(target=self._watch, daemon=True)
            self._watchdog.start()
        return self._process

    def _watch(self) -> None:
        """Kill a child that makes no progress for too long."""
        while not self._done.wait(0.05):
            since, process = self._progress, self._process
            if since and process and time.monotonic() - since > self.limits.wall_seconds:
                self._late = True
                process.kill()
                self._progress = 0.0

    def _cause_of_death(self) -> Failure:
        process = self._process
        assert process is not None
        self._end()
        code = process.returncode
        if self._late or code in _CPU_SIGNALS:
            return Failure("time", "takes too long. A template may not loop over thousands.")
        if code == MEMORY_EXIT or code == -getattr(signal, "SIGKILL", 9):
            return Failure("memory", "needs too much memory. A template may not repeat text.")
        return Failure("error", f"ended its process (exit code {code}). Leave this template out.")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        try:
            process.wait(0.2)  # the end of its input ends a child that is well
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


MEMORY_EXIT = 99
"""Exit code of a child that ran out of memory."""


def send(stream: IO[bytes], message: bytes) -> None:
    """Write one message: its length in 8 bytes, then its bytes."""
    stream.write(len(message).to_bytes(8, "big") + message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read one message; None at the end of the stream."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    length = int.from_bytes(head, "big")
    message = stream.read(length)
    return message if len(message) == length else None


def _chunks(items: Sequence[Any]) -> Iterator[list[str]]:
    """The items as JSON texts, in chunks of bounded size."""
    chunk: list[str] = []
    size = 0
    for item in items:
        try:
            text = json.dumps(item)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"templates: a row holds a value that is not plain data ({error}). Give text, "
                "numbers, lists or mappings."
            ) from error
        chunk.append(text)
        size += len(text)
        if size > _CHUNK_CHARACTERS or len(chunk) >= _CHUNK_ITEMS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _spawn(limits: Limits, hash_seed: int) -> subprocess.Popen[bytes]:
    """A child without our environment; it imports what this process can, and never torch."""
    command = [sys.executable, "-P", "-s", "-X", "utf8", "-m", "tutelage.templates.child_main"]
    keep = {k: v for k, v in os.environ.items() if k.upper() in ("SYSTEMROOT", "LD_LIBRARY_PATH")}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen(  # noqa: S603 - our own module
        [*command, str(limits.cpu_seconds), str(limits.memory), str(limits.characters)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**keep, "PYTHONPATH": path, "PYTHONHASHSEED": str(hash_seed)},
        start_new_session=True,  # ctrl-C goes to the parent, which ends the child
    )
