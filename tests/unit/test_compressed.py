"""Compressed files: read as their content, refused when damaged or out of proportion."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tutelage.errors import InputError, StorageError
from tutelage.tasks import compressed
from tutelage.tasks.compressed import bare_name, open_bytes
from tutelage.tasks.table import read_table

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
TABLE = "text,label\nnaïve,a\nb\u2028c,d\n".encode()


@pytest.mark.parametrize("extension", PACKERS)
def test_content_is_read(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.csv{extension}"
    packed = PACKERS[extension]
    path.write_bytes(packed(TABLE[:10]) + packed(TABLE[10:]))  # two members in one file
    assert [list(r.cells.values()) for r in read_table(path).records] == [
        ["naïve", "a"],
        ["b\u2028c", "d"],
    ]
    assert bare_name(path) == "a.csv"
    assert read_table(path).records[1].where == f"a.csv{extension}:3"


@pytest.mark.parametrize("extension", PACKERS)
def test_damage_is_named(tmp_path: Path, extension: str) -> None:
    noise = random.Random(0).randbytes(2**16).hex().encode()
    whole = PACKERS[extension](b"text,label\n" + noise)
    for name, content in (("cut", whole[: len(whole) // 2]), ("other", b"no archive at all")):
        path = tmp_path / f"{name}.csv{extension}"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}\.csv\{extension}: is damaged or cut short"):
            read_table(path)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "_FREE", 2**16)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"t,l\n" + b"x,y\n" * 2**16))
    with pytest.raises(InputError, match=r"a\.csv\.gz: unpacks to over [\d,]+ bytes, 200 times"):
        read_table(path)
    monkeypatch.setattr(compressed, "_FREE", 2**19)
    assert len(read_table(path).records) == 2**16


def test_no_such_file(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"a\.gz: could not be read"),
        open_bytes(tmp_path / "a.gz"),
    ):
        pass
