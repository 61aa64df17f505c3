"""The kernels in C++: compiled once on a machine, kept in the user's cache, and loaded from there.

Where the processor lacks the instructions, or there is no compiler, the engine goes on with what
torch has, and says so where a compiler would have made it faster.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tutelage.fetch import cache_dir
from tutelage.files import fsync_path

_SETS = ("avx512_f", "avx512_bw", "avx512_dq", "avx512_vl", "fma3")
_FLAGS = (
    *("-O3", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-fno-math-errno"),
    *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mfma"),
)
LANES = 16  # fp32 in a register, as in numbers.h
_SECONDS = 300.0  # a compiler that takes longer is taken for broken; it takes about ten


@dataclass(frozen=True, slots=True)
class Library:
    """The compiled functions, or why there are none.

    Attributes:
        bf16: whether this processor multiplies it.
        tiles: whether it does so in tiles (AMX).
        repairable: a compiler is all that is missing.
    """

    functions: ctypes.CDLL | None
    bf16: bool = False
    tiles: bool = False
    why: str = ""
    repairable: bool = False


@functools.cache
def kernels() -> Library:
    """The library of this machine; compiled, in seconds, at the first call of all."""
    # An older torch does not tell.
    have: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if not all(have.get(name) for name in _SETS):
        return Library(None, why="the processor has no AVX-512")
    try:
        compiler = _compiler()
        if compiler is None:
            return Library(None, why="there is no C++ compiler", repairable=True)
        functions = _loaded(compiler)
        functions.tree_attention_memory.restype = ctypes.c_int64
        functions.gradient_squares.restype = ctypes.c_double
        bf16 = bool(have.get("avx512_bf16"))
        return Library(functions, bf16, tiles=bf16 and bool(functions.tree_attention_tiles()))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return Library(None, why=f"they do not compile ({_reason(error)})", repairable=True)


def _compiler() -> list[str] | None:
    """The one that CXX names, as everywhere, else the usual ones."""
    named = shlex.split(os.environ.get("CXX", ""))
    found = named or [name for name in ("g++", "c++", "clang++") if shutil.which(name)][:1]
    return found if found and shutil.which(found[0]) else None


def _loaded(compiler: list[str]) -> ctypes.CDLL:
    """The library for these sources, flags and compiler; made where there is none that loads.

    Raises:
        OSError, subprocess.SubprocessError: it cannot be.
    """
    here = Path(__file__).parent
    sources = sorted(path for path in here.iterdir() if path.suffix in {".cpp", ".h"})
    units = [str(path) for path in sources if path.suffix == ".cpp"]
    version = subprocess.run(  # noqa: S603 - the user's own compiler
        [*compiler, "--version"], capture_output=True, check=True, timeout=_SECONDS
    )
    key = hashlib.sha256(repr((compiler, _FLAGS)).encode() + version.stdout)
    for source in sources:
        key.update(source.read_bytes())
    final = cache_dir() / "kernels" / f"kernels-{key.hexdigest()[:16]}.so"
    if _ours(final.parent):
        try:
            return ctypes.CDLL(str(final))
        except OSError:  # not there, or spoiled
            pass
        with contextlib.suppress(OSError):  # a cache that is full, or on a system without exec
            return _compile(compiler, units, final)
    folder = tempfile.mkdtemp(prefix="tutelage-kernels-")
    try:
        return _compile(compiler, units, Path(folder, final.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is loaded stays mapped


def _ours(folder: Path) -> bool:
    """Whether what lies in this folder, made where it is missing, can only be from this user."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    return folder.is_dir() and found.st_uid == os.getuid() and not found.st_mode & others


def _compile(compiler: list[str], units: list[str], final: Path) -> ctypes.CDLL:
    """Compile beside its place, load what came out, and only then put it there."""
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".tmp-") as folder:
        made = Path(folder, final.name)
        subprocess.run(  # noqa: S603
            [*compiler, *_FLAGS, *units, "-o", str(made)],
            capture_output=True,
            check=True,
            timeout=_SECONDS,
        )
        functions = ctypes.CDLL(str(made))
        fsync_path(made)
        made.replace(final)
    return functions


def _reason(error: Exception) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    text = said.decode(errors="replace") if said else str(error)
    return next((line.strip() for line in text.splitlines() if "error" in line.lower()), text[:200])
