"""Excel sheets: what a cell shows as text, and what cannot be read."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tutelage.errors import InputError
from tutelage.tasks import excel
from tutelage.tasks.rows import load_rows
from tutelage.tasks.schema import TaskSpec
from tutelage.tasks.table import Table, read_table


def _write(folder: Path, *rows: list[Any], title: str = "Sheet1") -> Path:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.create_sheet("other").append(["text", "label"])
    book.save(folder / "a.xlsx")
    return folder / "a.xlsx"


def _cells(table: Table) -> list[list[Any]]:
    return [list(record.cells.values()) for record in table.records]


def test_cells(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        [],
        ["text", "label", "n"],
        ["012", "NA", 12],
        [None, None, None],
        ["a\nb", True, 0.5],
        ["=1+1", dt.datetime(2024, 2, 29, 1, 2), 3.0],
    )
    table = read_table(path)
    assert _cells(table) == [
        ["012", "NA", "12"],
        ["a\nb", "true", "0.5"],
        ["", "2024-02-29T01:02:00", "3"],  # openpyxl writes no value for a formula
    ]
    assert [record.line for record in table.records] == [3, 5, 6]
    assert table.records[0].where == "a.xlsx:3"


def test_a_sheet_by_name(tmp_path: Path) -> None:
    path = _write(tmp_path, ["t", "l"], ["u", "x"], ["v", "y"], ["w", "y"], title="data")

    def rows(sheet: str) -> int:
        source = {"path": str(path), "sheet": sheet}
        return len(
            load_rows(TaskSpec.model_validate({"name": "t", "source": source, "label": "l"})).rows
        )

    assert rows("data") == 3
    with pytest.raises(InputError, match=r"no sheet 'dat'. Did you mean 'data'\? Its sheets are"):
        rows("dat")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["t", "t"], ["u", "v"]], r"a\.xlsx:1: column name 't' appears twice"),
        ([["t", None, "l"], ["u", "v", "w"]], r"a\.xlsx:1: column 2 has no name"),
        ([["t", "l"], ["u", "v", "w"]], r"a\.xlsx:2: has cells right of the 2 columns"),
        ([["t", "l"], ["u", "#N/A"]], r"a\.xlsx:2: cell B2 holds the error #N/A"),
    ],
)
def test_faults_name_their_row(tmp_path: Path, rows: list[list[Any]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_table(_write(tmp_path, *rows))


def test_what_is_no_excel_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.xlsx"
    path.write_text("text,label\n")
    with pytest.raises(InputError, match=r"a\.xlsx: is not an Excel file"):
        read_table(path)
    with zipfile.ZipFile(path, "w") as container:
        container.writestr("x.xml", "<x/>")
    with pytest.raises(InputError, match=r"a\.xlsx: is not an Excel file"):
        read_table(path)
    monkeypatch.setattr(excel, "_CONTENT_LIMIT", 3)
    with pytest.raises(InputError, match="unpacks to 4 bytes, over the 3 that are read"):
        read_table(path)
