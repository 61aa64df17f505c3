"""Files as bytes, unpacked on the way where their last extension says that they are compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tutelage.errors import ConfigError, InputError, StorageError

_FREE = 64 * 2**20  # bytes of content that any file may unpack to
_RATIO = 200  # beyond that, content may be this many times larger; text packs 3 to 50 times
_WINDOW = 2**27  # bytes; the largest window of zstd's own command line
_BLOCK = 2**20
_FEED = 2**12

_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError)


def _zstd(raw: BinaryIO) -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise ConfigError(
            f"{raw.name}: needs the package zstandard. Install `tutelage[formats]`, or unpack it."
        ) from error
    return _Frames(raw, zstandard.ZstdDecompressor(max_window_size=_WINDOW))


class _Frames:
    """Content of the frames of a zstd file; unlike the package's reader it sees a cut file."""

    def __init__(self, raw: BinaryIO, decompressor: Any) -> None:
        self._raw, self._decompressor = raw, decompressor
        self._frame: Any = None
        self._packed, self._ready = b"", b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._ready:
            # A little at a time, because a byte may stand for 30,000.
            self._packed = self._packed or self._raw.read(_FEED)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the last frame has no end")
                return b""
            self._frame = self._frame or self._decompressor.decompressobj()
            self._ready = self._frame.decompress(self._packed)
            self._packed = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        part, self._ready = self._ready[:size], self._ready[size:]
        return part


_UNPACKERS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _zstd,
}
COMPRESSIONS = tuple(_UNPACKERS)


def bare_name(path: Path) -> str:
    """The file's name without the extension of a compression.

    >>> bare_name(Path("reviews.csv.gz"))
    'reviews.csv'
    """
    return path.stem if path.suffix.lower() in _UNPACKERS else path.name


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading its content, unpacked where it is compressed.

    Raises:
        StorageError: the file cannot be read.
        InputError: what is packed is damaged, or unpacks to over 64 MiB and 200 times its size.
        ConfigError: the file is `.zst` and zstandard is not installed.
    """
    try:
        size = path.stat().st_size
        raw = path.open("rb")
    except OSError as error:
        raise StorageError(f"{path}: could not be read ({error.strerror}).") from error
    with raw:
        unpacker = _UNPACKERS.get(path.suffix.lower())
        if unpacker is None:
            yield raw
        else:
            content = _Unpacked(unpacker(raw), path, max(_FREE, _RATIO * size))
            yield io.BufferedReader(content, _BLOCK)


class _Unpacked(io.RawIOBase):
    """Content of a packed file, up to a limit in bytes."""

    def __init__(self, packed: Any, path: Path, limit: int) -> None:
        self._packed, self._path, self._limit, self._read = packed, path, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._packed.read(len(buffer))
        except Exception as error:
            if not isinstance(error, _DAMAGE) and type(error).__name__ != "ZstdError":
                raise
            raise InputError(
                f"{self._path}: is damaged or cut short after {self._read:,} bytes of content "
                f"({error}). Copy or pack it again."
            ) from error
        buffer[: len(block)] = block
        self._read += len(block)
        if self._read > self._limit:
            raise InputError(
                f"{self._path}: unpacks to over {self._limit:,} bytes, {_RATIO} times its size. "
                "If that is right, unpack it yourself."
            )
        return len(block)
