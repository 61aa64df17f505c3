"""The allocator keeps what it is told to keep, and leaves the user's own settings alone."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from tutelage.machine.allocator import keep_memory
told = keep_memory() if sys.argv[1] == "keep" else None
import torch
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
blocks = [torch.ones(2**20) for _ in range(24)] + [torch.ones(2**24)]
del blocks
before = faults()
blocks = [torch.ones(2**20) for _ in range(24)] + [torch.ones(2**24)]
print(told, faults() - before)
"""


def run(what: str, **environment: str) -> tuple[str, int]:
    names = ("MALLOC_TRIM_THRESHOLD_", "THP_MEM_ALLOC_ENABLE")
    kept = {k: v for k, v in os.environ.items() if k not in names}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, what],
        capture_output=True,
        text=True,
        check=True,
        env={**kept, **environment},
    )
    told, count = done.stdout.split()
    return told, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_the_second_time_the_memory_is_there() -> None:
    told, kept = run("keep")
    _, given_back = run("leave")
    assert told == "True"
    assert kept < 0.5 * given_back


def test_the_users_own_settings_win() -> None:
    told, _ = run("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert told == "False"
