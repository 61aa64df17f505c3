"""Which kernels a run began with, and what is said where it goes on with others."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tutelage.kernels.library import Library
from tutelage.pipeline import training

THERE = ctypes.CDLL(None)
NONE = Library(None, why="the processor has no AVX-512")
AVX, AMX = Library(THERE, bf16=True), Library(THERE, bf16=True, tiles=True)


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        (AMX, AMX, None),
        (NONE, NONE, None),
        (AMX, AVX, "started with compiled kernels for AMX and goes on with .* for AVX-512: "),
        (AVX, NONE, "with compiled kernels for AVX-512 and goes on with torch's kernels: "),
        (NONE, AMX, "with torch's kernels and goes on with compiled kernels for AMX: "),
    ],
)
def test_a_run_that_goes_on_elsewhere(
    first: Library, then: Library, says: str | None, tmp_path: Path, monkeypatch: Any
) -> None:
    said = list[str]()
    context: Any = SimpleNamespace(
        run=SimpleNamespace(folder=lambda _: tmp_path, key=lambda _: "k"),
        device=torch.device("cpu"),
        progress=SimpleNamespace(say=said.append),
    )
    found = []
    for library in (first, then):
        monkeypatch.setattr(training, "kernels", lambda library=library: library)
        found.append(training._compiled_kernels(context))
    assert found[1] == {"available": then.functions is not None, "tiles": then.tiles}
    if says is None:
        assert not said
        assert found[0] == found[1]
    else:
        (text,) = said
        assert re.search(says, text)
