"""Parquet, Arrow and saved data sets: nested data stays data, numbered classes get their names."""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tutelage.data.config import SplitConfig
from tutelage.errors import InputError, StorageError
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import TaskSpec
from tutelage.tasks.table import read_table

TABLE = pa.table(
    {
        "text": ["a", "b\u2028", None],
        "n": [1, None, 3],
        "x": [0.5, math.nan, 3.0],
        "yes": [True, False, None],
        "day": [dt.date(2024, 2, 29), None, dt.date(1, 1, 1)],
        "cost": [Decimal("1.50"), None, Decimal("2.00")],
        "choices": [{"text": ["u", "v"], "label": ["A", "B"]}] * 3,
        "scores": [[1, 2], [], None],
    }
)
CELLS = [
    [
        "a",
        "1",
        "0.5",
        "true",
        "2024-02-29",
        "1.50",
        {"text": ["u", "v"], "label": ["A", "B"]},
        [1, 2],
    ],
    ["b\u2028", "", "", "false", "", "", {"text": ["u", "v"], "label": ["A", "B"]}, []],
    ["", "3", "3.0", "", "0001-01-01", "2.00", {"text": ["u", "v"], "label": ["A", "B"]}, ""],
]


def _rows(source: dict[str, Any], split: SplitConfig | None = None, **task: Any) -> Rows:
    return load_rows(TaskSpec.model_validate({"name": "toy", "source": source, **task}), split)


def _dataset(count: int = 4, start: int = 0) -> datasets.Dataset:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    plain = {
        "text": [f"text {start + i}" for i in range(count)],
        "label": [i % 2 for i in range(count)],
    }
    return datasets.Dataset.from_dict(plain, features=features)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    datasets.disable_progress_bars()


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_cells(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.parquet" if kind == "parquet" else "a.arrow")
    if kind == "parquet":
        pq.write_table(TABLE, path, row_group_size=2)
    else:
        new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with new(str(path), TABLE.schema) as writer:
            writer.write_table(TABLE)
    table = read_table(path)
    assert [list(record.cells.values()) for record in table.records] == CELLS
    assert [record.where for record in table.records] == [f"{path.name}:{n}" for n in (1, 2, 3)]


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "image": [None, b"\xff\xd8"]}), path)
    with pytest.raises(
        InputError, match=r"a\.parquet:2: 'image' holds bytes.*leave the column out"
    ):
        read_table(path)
    pq.write_table(pa.table({"x": [math.inf]}), path)
    with pytest.raises(InputError, match=r"a\.parquet:1: 'x' holds an infinite number"):
        read_table(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=rf"{name}: is not an? \w+ file that can be read|is not a"):
        read_table(tmp_path / name)


def test_numbered_classes_have_their_names(tmp_path: Path) -> None:
    _dataset().to_parquet(tmp_path / "a.parquet")
    found = _rows({"path": str(tmp_path / "a.parquet")})
    assert [row.label for row in found.rows] == ["neg", "pos", "neg", "pos"]


def test_a_saved_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    _dataset().save_to_disk(folder)
    for source in ({"path": str(folder)}, {"hub": str(folder)}):
        found = _rows(source)
        assert [row.fields["text"] for row in found.rows] == [f"text {i}" for i in range(4)]
        assert found.labels == ("neg", "pos")
        assert found.rows[1].where.endswith("saved:2")
        assert len(found.fingerprint) == 64
    before = found.fingerprint
    _dataset(5).save_to_disk(folder)
    assert _rows({"path": str(folder)}).fingerprint != before


def test_saved_splits(tmp_path: Path) -> None:
    parts = {
        "train": _dataset(),
        "test": _dataset(2, 10),
        "unsupervised": _dataset(3, 20),
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    found = _rows({"path": str(tmp_path / "saved")})
    assert [row.split for row in found.rows] == ["train"] * 4 + ["test"] * 2
    assert [(s.reason, s.rows) for s in found.skipped] == [("of the split saved/unsupervised", 3)]
    datasets.DatasetDict(train=parts["train"]).save_to_disk(tmp_path / "one")
    assert {row.split for row in _rows({"path": str(tmp_path / "one")}).rows} == {None}
    split = SplitConfig(test_path=str(tmp_path / "one"))
    named = _rows({"path": str(tmp_path / "saved")}, split)
    assert [row.split for row in named.rows] == ["train"] * 9 + ["test"] * 4


def test_no_such_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(StorageError, match=r"no/such: cannot be fetched .*Check the network"):
        _rows({"hub": "no/such"})
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(InputError, match="is no data set that can be read"):
        _rows({"path": str(tmp_path)})


def test_a_hub_data_set_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fake(*args: Any, **kwargs: Any) -> Any:
        asked.append((args, kwargs))
        return datasets.DatasetDict(train=_dataset(), validation=_dataset(2, 10))

    monkeypatch.setattr(datasets, "load_dataset", fake)
    source = {"hub": "org/name", "subset": "small", "revision": "abc"}
    found = _rows(source)
    assert asked == [(("org/name", "small"), {"revision": "abc"})]
    assert [row.split for row in found.rows] == ["train"] * 4 + ["validation"] * 2
    assert found.rows[0].where == "org/name/train:1"
    prints = {_rows({**source, **other}).fingerprint for other in ({}, {"revision": "d"})}
    assert len(prints) == 2
    assert any("may change" in note for note in _rows({"hub": "org/name"}).notes)


def test_reading_imports_no_torch(tmp_path: Path) -> None:
    _dataset().to_parquet(tmp_path / "a.parquet")
    _dataset().save_to_disk(tmp_path / "saved")
    probe = (
        "import sys\n"
        "from tutelage.tasks.rows import load_rows\n"
        "from tutelage.tasks.schema import TaskSpec\n"
        "assert 'datasets' not in sys.modules and 'pyarrow' not in sys.modules\n"
        "for path in sys.argv[1:]:\n"
        "    load_rows(TaskSpec(name='t', source={'path': path}))\n"
        "assert 'torch' not in sys.modules"
    )
    paths = [str(tmp_path / "a.parquet"), str(tmp_path / "saved")]
    done = subprocess.run(
        [sys.executable, "-c", probe, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
