"""Streams of rows: the rows that `load_rows` holds, one by one, in bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import ConfigError, DataGateError
from tutelage.tasks.rows import load_rows, stream_rows
from tutelage.tasks.schema import TaskSpec


def _task(path: Path, **task: Any) -> TaskSpec:
    return TaskSpec.model_validate({"name": "toy", "source": {"path": str(path)}, **task})


def _write(path: Path, rows: int, characters: int) -> int:
    with path.open("w", encoding="utf-8") as stream:
        for n in range(rows):
            text = f"{n} " + "é" * characters
            stream.write(json.dumps({"text": text, "label": "ab"[n % 2], "key": f"k{n}"}) + "\n")
    return path.stat().st_size


def test_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    _write(path, 1200, 3)
    task = _task(path, id="key", filters=[{"column": "key", "not_equals": "k7"}])
    stream = stream_rows(task)
    rows = tuple(stream)
    loaded = load_rows(task)
    assert rows == loaded.rows
    assert len(rows) == 1199
    assert stream.skips.all() == loaded.skipped
    assert tuple(stream.notes) == loaded.notes
    assert list(stream) == []


def test_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    size = _write(path, 8_000, 300)
    assert size > 14 * 2**20
    tracemalloc.start()
    try:
        count = sum(1 for _ in stream_rows(_task(path, id="key", fields={"text": "text"})))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 8_000
    assert peak < 8 * 2**20  # the first thousand rows are held to guess by


def test_a_column_that_comes_late(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = ['{"text": "t", "label": "a"}'] * 1500 + ['{"text": "t", "label": "b", "group": "g"}']
    path.write_text("\n".join(lines))
    found = load_rows(_task(path, group_by="group"))
    assert [row.group for row in found.rows[-2:]] == [None, "g"]
    assert "group_by: 1,500 rows have no group and stand alone" in found.notes


def test_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n")
    with pytest.raises(DataGateError, match=r"a\.csv: has no rows"):
        stream_rows(_task(path))
    (tmp_path / "b.csv").write_text("text,label\nu,a\nv,b\nw,b\n")
    found = load_rows(_task(tmp_path))
    assert len(found.rows) == 3
    assert "a.csv: has no rows" in found.notes


def test_a_mixture_is_read_by_its_tasks(tmp_path: Path) -> None:
    part = {"name": "a", "source": {"path": "a.csv"}}
    tasks = [{"task": part}, {"task": {**part, "name": "b"}}]
    task = TaskSpec.model_validate({"name": "m", "source": {"mixture": {"tasks": tasks}}})
    with pytest.raises(ConfigError, match=r"task\.source\.mixture: holds several tasks"):
        stream_rows(task)
