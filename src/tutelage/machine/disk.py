"""The disk a run writes to: how fast it is, found without leaving a trace."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

from tutelage.errors import StorageError

_BYTES = 1 << 25
_PART = 1 << 20


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def write_rate(folder: Path) -> float:
    """Bytes per second that can be written, flushed and hashed; the file has no name.

    Raises:
        StorageError: nothing can be written there.
    """
    part = os.urandom(_PART)
    started = time.perf_counter()
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            for _ in range(_BYTES // _PART):
                stream.write(part)
                hashlib.sha256(part).digest()
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}). Choose another --out."
        ) from error
    return _BYTES / (time.perf_counter() - started)
