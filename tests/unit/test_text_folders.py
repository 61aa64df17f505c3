"""Folders of text files by label."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import InputError
from tutelage.tasks.fingerprint import source_fingerprint
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import SourceSpec, TaskSpec


def _write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _rows(folder: Path, **task: Any) -> Rows:
    return load_rows(
        TaskSpec.model_validate({"name": "toy", "source": {"path": str(folder)}, **task})
    )


def test_the_folder_is_the_label(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "good/1.txt": "\ufefffine\nsecond line\r\n",
            "good/deep/2.md": "x",
            "bad/1.txt.gz": gzip.compress(b"awful"),
            "bad/2.txt": "  ",
            "bad/image.png": b"\x89",
            "bad/.hidden.txt": "no",
            "readme.txt": "no label",
        },
    )
    found = _rows(tmp_path)
    assert [(row.fields["text"], row.label, row.where) for row in found.rows] == [
        ("awful", "bad", "bad/1.txt.gz"),
        ("fine\nsecond line\r\n", "good", "good/1.txt"),
        ("x", "good", "good/deep/2.md"),
    ]
    assert [(s.where, s.reason) for s in found.skipped] == [("bad/2.txt", "empty text")]
    by_file = _rows(tmp_path, id="file", fields={"text": "text"})
    assert [row.id for row in by_file.rows] == ["bad/1.txt.gz", "good/1.txt", "good/deep/2.md"]


def test_outer_folders_may_be_splits(tmp_path: Path) -> None:
    files = [f"{s}/{c}/{i}.txt" for s in ("train", "test") for c in ("neg", "pos") for i in (1, 2)]
    _write(tmp_path, dict.fromkeys(files, "text"))
    found = _rows(tmp_path)
    assert {(row.split, row.label) for row in found.rows} == {
        (s, c) for s in ("train", "test") for c in ("neg", "pos")
    }
    _write(tmp_path, {"other/neg/1.txt": "x"})
    assert {row.split for row in _rows(tmp_path, labels=["other", "test", "train"]).rows} == {None}


def test_faults_name_the_file(tmp_path: Path) -> None:
    _write(tmp_path, {"a/1.txt": "x", "b/1.txt": "x\ny\0"})
    with pytest.raises(InputError, match=r"1\.txt:2: contains a NUL byte"):
        _rows(tmp_path)
    _write(tmp_path, {"b/1.txt": b"x\n\xff"})
    with pytest.raises(InputError, match=r"b/1\.txt:2: byte 2 is not utf-8 text"):
        _rows(tmp_path)


def test_the_fingerprint_sees_names_and_bytes(tmp_path: Path) -> None:
    def mark(folder: str = "data") -> str:
        return source_fingerprint(SourceSpec(path=str(tmp_path / folder)))

    _write(tmp_path, {"data/a/1.txt": "x", "data/b/1.txt": "y"})
    seen = {mark()}
    (tmp_path / "data").rename(tmp_path / "moved")
    assert mark("moved") in seen
    (tmp_path / "moved" / "a").rename(tmp_path / "moved" / "c")
    seen.add(mark("moved"))
    _write(tmp_path, {"moved/b/1.txt": "z"})
    seen.add(mark("moved"))
    assert len(seen) == 3
