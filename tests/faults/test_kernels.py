"""Without a compiler, with a broken one or without a cache the engine goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tutelage.kernels import library
from tutelage.kernels.library import Library

HAS_AVX512 = getattr(torch.cpu, "get_capabilities", dict)().get("avx512_f", False)
needs_avx512 = pytest.mark.skipif(not HAS_AVX512, reason="no AVX-512")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path))
    return tmp_path


def load() -> Library:
    """As a new process would."""
    return library.kernels.__wrapped__()


@needs_avx512
@pytest.mark.skipif(not library._compiler(), reason="no compiler")
def test_they_compile_where_they_can(cache: Path) -> None:
    """Everything that uses them goes on without, and tests of them are skipped."""
    assert load().functions is not None, load().why


@needs_avx512
def test_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if load().functions is None:
        pytest.skip("no compiler")
    (made,) = (cache / "kernels").iterdir()
    monkeypatch.setattr(library, "_compile", None)
    assert load().functions is not None
    assert made.suffix == ".so"


@needs_avx512
@pytest.mark.parametrize("compiler", ["no-such-compiler", ""])
def test_no_compiler(cache: Path, compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("PATH", str(cache))
    found = load()
    assert (found.functions, found.why, found.repairable) == (
        None,
        "there is no C++ compiler",
        True,
    )


@needs_avx512
def test_a_compiler_that_fails(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = cache / "broken"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "x.cpp:1: error: no" >&2\nexit 1\n'
    )
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    found = load()
    assert found.functions is None
    assert found.repairable
    assert "x.cpp:1: error: no" in found.why
    assert not list((cache / "kernels").iterdir()), "nothing half made"


@needs_avx512
def test_a_cache_that_is_a_file(cache: Path) -> None:
    (cache / "kernels").write_text("")
    assert load().functions is not None or not library._compiler()


@needs_avx512
def test_a_spoiled_library_is_made_again(cache: Path) -> None:
    """It was made by another process: a library that this one has loaded is not opened again."""
    code = "from tutelage.kernels.library import kernels; print(kernels().why)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
    made = list((cache / "kernels").iterdir())
    if not made:
        pytest.skip("no compiler")
    made[0].write_bytes(b"half of it")
    assert load().functions is not None
    assert made[0].stat().st_size > 10_000


@needs_avx512
@pytest.mark.skipif(not library._compiler(), reason="no compiler")
def test_a_folder_that_others_may_write_to_is_not_read(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "kernels").mkdir()
    (cache / "kernels").chmod(0o777)
    assert load().functions is not None
    assert not list((cache / "kernels").iterdir())


def test_a_folder_of_one_s_own_is_made_for_oneself_alone(tmp_path: Path) -> None:
    assert library._ours(tmp_path / "new" / "kernels")
    assert (tmp_path / "new" / "kernels").stat().st_mode & 0o777 == 0o700


@needs_avx512
def test_quotes_that_do_not_close(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", 'g++ "')
    found = load()
    assert found.functions is None
    assert "No closing quotation" in found.why


def test_a_torch_that_does_not_know_its_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert load().functions is None


def test_a_processor_without_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert load() == Library(None, why="the processor has no AVX-512")
