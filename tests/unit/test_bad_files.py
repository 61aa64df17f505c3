"""Bad input, by the numbers of the project's list of faults: each ends in one clear error."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import DataGateError, InputError
from tutelage.records import Row
from tutelage.tasks.rows import Rows, load_rows, stream_rows
from tutelage.tasks.schema import TaskSpec

GOOD = '{"text": "t", "label": "a"}\n'


def _load(folder: Path, name: str, content: str | bytes, **task: Any) -> Rows:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    spec = {"name": "toy", "source": {"path": str(path)}, **task}
    return load_rows(TaskSpec.model_validate(spec))


def _refused(folder: Path, name: str, content: str | bytes, **task: Any) -> str:
    with pytest.raises((InputError, DataGateError)) as caught:
        _load(folder, name, content, **task)
    assert name in str(caught.value)
    return str(caught.value)


def test_17_csv_ragged_open_quote_nul_and_huge_field(tmp_path: Path) -> None:
    ragged = _refused(tmp_path, "a.csv", "text,label\nx\ny,a,b\nz,a\n")
    assert "a.csv:2: 1 cells" in ragged
    assert "a.csv:3: 3 cells" in ragged
    assert "a.csv:3: unexpected end" in _refused(tmp_path, "a.csv", 'text,label\nx,a\n"y,b\n')
    assert "a.csv:3: contains a NUL" in _refused(tmp_path, "a.csv", "text,label\nx,a\ny\0,b\n")
    long = "x" * 200_000
    rows = _load(tmp_path, "a.csv", f"text,label\n{long},a\nx,b\ny,b\n").rows
    assert rows[0].fields["text"] == long
    huge = "x," + "x" * (11 * 2**20)
    assert "a.csv:3: field larger" in _refused(tmp_path, "a.csv", f"text,label\nx,a\n{huge}\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "half', "is not valid JSON"),
        ('{"text": "t", "text": "u", "label": "a"}', "key 'text' appears twice"),
        ('{"text": NaN, "label": "a"}', "NaN is not a JSON value"),
        ('{"text": -Infinity, "label": "a"}', "-Infinity is not a JSON value"),
        ('{"text": "\\ud800", "label": "a"}', "cell 'text' contains half a surrogate pair"),
        ('{"text": ' + "[" * 200_000, "is nested too deeply"),
        ('{"text": "' + "x" * 50_000_000 + '", "label": "a"}', "is longer than 16,777,216"),
    ],
    ids=["half", "doubled", "nan", "infinity", "surrogate", "deep", "long"],
)
def test_18_json_lines(tmp_path: Path, line: str, says: str) -> None:
    told = _refused(tmp_path, "a.jsonl", f"{GOOD}{line}\n{GOOD}")
    assert f"a.jsonl:2: {says}" in told
    assert len(told) < 300


def test_18_a_long_line_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("w") as stream:
        stream.write(GOOD * 3)
        for _ in range(100):
            stream.write("x" * 500_000)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"a\.jsonl:4: is longer than"):
            load_rows(TaskSpec.model_validate({"name": "t", "source": {"path": str(path)}}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150 * 2**20  # a line of 16 Mi characters, twice while it grows


def test_18_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    texts = ["a\u2028b", "a\u2029b", "a\x85b", "a\x0bb\x0cb", "a\x1cb", "a\rb"]
    lines = [json.dumps({"text": t, "label": "x"}, ensure_ascii=False) for t in texts]
    lines += ['{"text": "last", "label": "y"}']
    content = "\n".join(lines)
    rows = _load(tmp_path, "a.jsonl", content).rows
    assert [row.fields["text"] for row in rows] == [*texts, "last"]
    assert [row.where for row in rows] == [f"a.jsonl:{n}" for n in range(1, 8)]


def test_19_marks_and_encodings(tmp_path: Path) -> None:
    other = GOOD.replace('"a"', '"b"')
    for name, content in (
        ("a.csv", "text,label\nx,a\ny,b\nz,b\n"),
        ("a.jsonl", GOOD + other + other),
        ("a.json", f"[{GOOD},{GOOD},{other}]"),
    ):
        assert len(_load(tmp_path, name, content.encode("utf-8-sig")).rows) == 3
        told = _refused(tmp_path, name, content.encode("utf-16"))
        assert f"{name}:1: byte 0 is not utf-8 text" in told
        assert "task.source.encoding=utf-16" in told
        source = {"path": str(tmp_path / name), "encoding": "utf-16"}
        assert len(_load(tmp_path, name, content.encode("utf-16"), source=source).rows) == 3
    told = _refused(tmp_path, "a.csv", "text,label\nx,a\nné,b\n".encode("latin-1"))
    assert "a.csv:3: byte 16 is not utf-8 text" in told
    assert "task.source.encoding=latin-1" in told
    assert "a.csv:3: contains a NUL" in _refused(
        tmp_path, "a.csv", b"text,label\nx,a\n" + "y,b\n".encode("utf-16-le")
    )


def test_20_cells_stay_text_and_empty_ones_are_counted(tmp_path: Path) -> None:
    content = "".join(
        json.dumps({"text": text, "label": label}) + "\n"
        for text, label in [
            ("None", True),
            ("nan", False),
            ("NA", True),
            (None, True),
            ("  ", False),
            ("x", None),
            ("y", ""),
        ]
    )
    found = _load(tmp_path, "a.jsonl", content)
    assert [(row.fields["text"], row.label) for row in found.rows] == [
        ("None", "true"),
        ("nan", "false"),
        ("NA", "true"),
    ]
    assert [(s.where, s.reason) for s in found.skipped] == [
        ("a.jsonl:4", "empty text"),
        ("a.jsonl:5", "empty text"),
        ("a.jsonl:6", "empty label"),
        ("a.jsonl:7", "empty label"),
    ]
    with pytest.raises(DataGateError, match="' 1' in 1 rows and '1' in 1 rows"):
        _load(tmp_path, "b.csv", "text,label\nx,0\ny,1\nz,01\nw, 1\nv,0\n")


def test_20_nothing_but_empty_rows(tmp_path: Path) -> None:
    told = _refused(tmp_path, "a.csv", "text,label\n,a\n  ,b\nx,\n")
    assert "no row is left: 2 empty text, 1 empty label" in told


def test_21_doubled_ids(tmp_path: Path) -> None:
    content = "id,text,label\nk,x,a\nl,y,b\nk,z,a\nl,w,b\n"
    told = _refused(tmp_path, "a.csv", content, id="id", fields={"text": "text"})
    assert "a.csv:4: id 'k' is also on line 2; " in told
    assert "a.csv:5: id 'l' is also on line 3. Make the ids unique" in told


def test_22_labels_outside_the_set(tmp_path: Path) -> None:
    content = "text,label\na,good\nb,Good\nc,good \nd,godo\ne,bad\nf,Good\n"
    told = _refused(tmp_path, "a.csv", content, labels=["good", "bad"])
    assert "'Good' in 2 rows (Did you mean 'good'?)" in told
    assert "'good ' in 1 rows (Did you mean 'good'?)" in told
    assert "'godo' in 1 rows (Did you mean 'good'?)" in told


def test_25_empty_after_filters_names_the_filter(tmp_path: Path) -> None:
    content = "text,label,stars\na,x,1\nb,y,2\nc,x,3\n"
    filters = [
        {"column": "stars", "at_least": 2},
        {"column": "text", "matches": "^z"},
    ]
    told = _refused(tmp_path, "a.csv", content, filters=filters)
    assert "2 filtered: task.filters.1: 'text' does not match '^z'" in told
    assert "1 filtered: task.filters.0: 'stars' is not a number of at least 2" in told
    assert "Loosen the filter that takes most." in told


def test_errors_come_behind_the_rows_that_are_good(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(GOOD * 1500 + "{\n" + GOOD)
    stream = stream_rows(TaskSpec.model_validate({"name": "t", "source": {"path": str(path)}}))
    rows: list[Row] = []
    with pytest.raises(InputError, match=r"a\.jsonl:1501: is not valid JSON"):
        rows.extend(stream)
    assert len(rows) == 1500
