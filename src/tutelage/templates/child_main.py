"""The limited child process: reads tasks from its input, answers on its output.

Started by `child`. Every task is a function of what all items share and of one item; it may take
any time and memory, since the system ends the process where a limit is passed.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import os
import pprint  # noqa: F401 - as below
import signal
import sys
import textwrap  # noqa: F401 - as below
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import jinja2

# Loaded by Jinja where first used, when no file can be opened any more.
import jinja2.async_utils
import jinja2.constants
import jinja2.debug
from jinja2.exceptions import SecurityError

from tutelage.templates.child import MEMORY_EXIT, receive, send
from tutelage.templates.importers import engine, foreign_yaml, guess, house, ours
from tutelage.templates.importers.sandbox import OutputLimitError

try:
    import resource
except ImportError:  # Windows: the parent's wall time is the only limit
    resource = None  # type: ignore[assignment]

_OPEN_FILES = 3  # input, output and errors: no other file or connection can be opened

Task = Callable[[Mapping[str, Any], Any, int], Any]
TASKS: dict[str, Task] = {
    "render": engine.render,
    "inspect": guess.inspect,
    "again": guess.again,
    "house": house.render,
    "parse_yaml": foreign_yaml.parse,
    "same_in_ours": ours.same_in_ours,
    "try_ours": ours.try_ours,
}


class _OutOfTime(BaseException):
    """Not an Exception, so that nothing on the way catches it."""


def main() -> None:
    """Answer until the input ends."""
    cpu_seconds, memory, characters = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    requests, replies = os.fdopen(0, "rb"), os.fdopen(1, "wb")
    for name in ("ascii", "unicode_escape", "utf-8"):
        codecs.lookup(name)
    _limit(memory)
    while (message := receive(requests)) is not None:
        request = json.loads(message)
        task = TASKS[request["task"]]
        for item in request["items"]:
            began = time.process_time()
            answer = _answer(task, request["common"], item, cpu_seconds, characters)
            answer["seconds"] = time.process_time() - began
            send(replies, json.dumps(answer).encode())


def _limit(memory: int) -> None:
    if resource is None:
        return
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/self/statm", encoding="ascii") as status:  # noqa: PTH123 - Linux only
            start = int(status.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (start + memory, start + memory))
    for name, value in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_NOFILE", _OPEN_FILES)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(getattr(resource, name), (value, value))
    signal.signal(signal.SIGPROF, _stop)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _OutOfTime


def _answer(
    task: Task, common: Mapping[str, Any], item: Any, cpu_seconds: float, characters: int
) -> dict[str, Any]:
    """The result of one item, or why there is none."""
    try:
        _clock(cpu_seconds)
        try:
            result = task(common, item, characters)
        finally:
            _clock(0)
    except MemoryError:
        os._exit(MEMORY_EXIT)  # what is left of this process cannot be trusted to answer
    except _OutOfTime:
        return _failure("time", "takes too long. A template may not loop over thousands.")
    except Exception as error:
        return _failure(_kind(error), _message(error))
    return {"result": result}


def _clock(seconds: float) -> None:
    """Allow this much processor time: a signal between two steps of Python, then a kill."""
    if resource is None:
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    if seconds:
        soft = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _failure(kind: str, message: str) -> dict[str, Any]:
    return {"failure": {"kind": kind, "message": message}}


def _kind(error: Exception) -> str:
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (engine.NoResultError, getattr(error, "kind", "")),
        (jinja2.TemplateSyntaxError, "syntax"),
        (jinja2.UndefinedError, "undefined"),
        (SecurityError, "unsafe"),
        (OutputLimitError, "output"),
    )
    return next((kind for known, kind in kinds if isinstance(error, known)), "error")


def _message(error: Exception) -> str:
    said = " ".join(str(error).split())[:300]
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"is not valid Jinja in line {error.lineno} ({error.message})."
    if isinstance(error, RecursionError):
        return "is nested too deeply."
    if isinstance(error, (jinja2.TemplateError, engine.NoResultError)):
        return said
    return f"{type(error).__name__}: {said}"


if __name__ == "__main__":
    main()
