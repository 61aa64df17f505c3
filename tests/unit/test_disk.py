"""The disk: its speed, and that measuring it leaves nothing behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tutelage.errors import StorageError
from tutelage.machine import disk
from tutelage.machine.disk import nearest_folder, write_rate


def test_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert nearest_folder(tmp_path) == tmp_path
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "file").write_text("")
    assert nearest_folder(tmp_path / "file" / "b") == tmp_path


def test_a_rate_without_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_BYTES", 1 << 22)
    assert 1e5 < write_rate(tmp_path) < 1e12
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(StorageError, match=r"cannot be written .*another --out"):
        write_rate(tmp_path)
