"""Tables: cells exactly as written, and every fault with its place."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tutelage.errors import ConfigError, DataGateError, InputError
from tutelage.tasks.table import Table, find_table, read_table

# Everything a cell may hold; NUL is refused, and a lone surrogate is no text.
CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5)
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _read(folder: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, encoding)


def _cells(table: Table) -> list[list[str]]:
    return [list(record.cells.values()) for record in table.records]


def _lines(table: Table) -> list[int]:
    return [record.line for record in table.records]


# --- what is read ---


@QUICK
@given(rows=ROWS, ending=st.sampled_from(("\n", "\r\n")), kind=st.sampled_from((",csv", "\ttsv")))
def test_delimited_cells_survive(
    tmp_path: Path, rows: list[tuple[str, str]], ending: str, kind: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=kind[0], quoting=csv.QUOTE_ALL, lineterminator=ending)
    writer.writerows([("text", "label"), *rows])
    table = _read(tmp_path, f"a.{kind[1:]}", text.getvalue())
    assert table.columns == ("text", "label")
    assert _cells(table) == [list(row) for row in rows]


@QUICK
@given(rows=ROWS, escaped=st.booleans())
def test_json_cells_survive(tmp_path: Path, rows: list[tuple[str, str]], escaped: bool) -> None:
    objects = [dict(zip(("text", "label"), row, strict=True)) for row in rows]
    lines = "".join(json.dumps(o, ensure_ascii=escaped) + "\n" for o in objects)
    array = json.dumps(objects, ensure_ascii=escaped, indent=1)
    for name, content in (("a.jsonl", lines), ("a.json", array)):
        assert _cells(_read(tmp_path, name, content)) == [list(row) for row in rows]


def test_cells_that_others_would_convert(tmp_path: Path) -> None:
    values = ["None", "NA", "012", "1e5", "true", " x ", "'q'", "<|im_end|>", "{{ x }}", "a\u2028b"]
    content = "text,label\n" + "".join(f"{value},null\n" for value in values)
    table = _read(tmp_path, "a.csv", content)
    assert _cells(table) == [[value, "null"] for value in values]
    assert _lines(table) == list(range(2, 2 + len(values)))
    assert table.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_lines_count_those_inside_cells(tmp_path: Path) -> None:
    table = _read(tmp_path, "a.csv", 'text,label\r\n"a\r\nb",x\r\n\r\nc,y\r\n')
    assert _cells(table) == [["a\r\nb", "x"], ["c", "y"]]
    assert _lines(table) == [2, 5]


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("a.csv", "text;label", "1,5;x"),
        ("a.csv", "text\tlabel", "1,5\tx"),
        ("a.tsv", "text\tlabel", "1,5\tx"),
        ("a.TAB", "text\tlabel", "1,5\tx"),
    ],
)
def test_the_header_decides_the_delimiter(tmp_path: Path, name: str, header: str, row: str) -> None:
    assert _cells(_read(tmp_path, name, f"\n{header}\n{row}\n")) == [["1,5", "x"]]


def test_json_scalars_become_their_text(tmp_path: Path) -> None:
    row = '{"a": 1.50, "b": true, "c": null, "d": -0, "e": 1E400, "f": "x"}'
    for name, content in (("a.jsonl", row), ("a.json", f"[{row}]")):
        assert _cells(_read(tmp_path, name, content)) == [["1.50", "true", "", "-0", "1E400", "x"]]


def test_lists_and_objects_stay_data(tmp_path: Path) -> None:
    row = '{"a": [1, 2.5, "x", null, true, {"b": [-0.0]}], "c": {"d": "1"}}'
    for name, content in (("a.jsonl", row), ("a.json", f"[{row}]")):
        assert _cells(_read(tmp_path, name, content)) == [
            [[1, 2.5, "x", None, True, {"b": [0.0]}], {"d": "1"}]
        ]


def test_an_array_longer_than_a_block(tmp_path: Path) -> None:
    rows = [{"n": str(n), "text": "x\n\u2028é" * (n % 90)} for n in range(9000)]
    content = json.dumps(rows, ensure_ascii=False, indent=0)
    assert len(content) > 2 * 2**20
    table = _read(tmp_path, "a.json", content)
    assert _cells(table) == [list(row.values()) for row in rows]
    lines = content.split("\n")
    assert all(lines[line - 1] == "{" for line in _lines(table))
    broken = content.replace('"n": "8500"', '"n": 8500"')
    with pytest.raises(InputError) as caught:
        _read(tmp_path, "a.json", broken)
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(broken)
    at = expected.value
    assert f"a.json:{at.lineno}: is not valid JSON (column {at.colno}: " in str(caught.value)


def test_missing_keys_are_empty(tmp_path: Path) -> None:
    table = _read(tmp_path, "a.jsonl", '{"a": "1"}\n\n{"b": "2"}\r\n')
    assert table.columns == ("a", "b")
    assert _cells(table) == [["1", ""], ["", "2"]]
    assert _lines(table) == [1, 3]


def test_lines_of_an_array(tmp_path: Path) -> None:
    table = _read(tmp_path, "a.json", '\n[ {"a": 1},\n\n {"a":\n 2}, {"a": 3}\n]\n')
    assert _lines(table) == [2, 4, 5]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    content = "text,label\nnaïve,é\n".encode(encoding)
    table = _read(tmp_path, "a.csv", content, named)
    assert table.columns == ("text", "label")
    assert _cells(table) == [["naïve", "é"]]


def test_long_cells_and_the_limit_is_put_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    long = "x" * (2**20)
    assert _cells(_read(tmp_path, "a.csv", f"text,label\n{long},a\n")) == [[long, "a"]]
    assert csv.field_size_limit() == before


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "a.csv",
            "t,l\na,b,c\nd\n",
            ["a.csv:2: 3 cells where the header has 2", "a.csv:3: 1 cell"],
        ),
        ("a.csv", 't,l\na,b\n"d,e\nf,g\n', ["a.csv:3: unexpected end", "quote"]),
        ("a.csv", 't,l\na,b,c\n"d"e,f\ng\n', ["a.csv:2: 3 ", "a.csv:3: ',' exp", "a.csv:4: 1 "]),
        ("a.csv", '"t,l\na,b\n', ["a.csv:1: unexpected end"]),
        ("a.csv", "t,t,l\na,b,c\n", ["a.csv:1: column name 't' appears twice"]),
        ("a.csv", ",t,l\n0,b,c\n", ["a.csv:1: column 1 has no name"]),
        ("a.csv", "t,l\na\0,b\nc,d\n\0,e\n", ["a.csv:2: contains a NUL", "a.csv:4:", "utf-16"]),
        ("a.jsonl", '{"a": 1}\n{"a": "b"\n', ["a.jsonl:2: is not valid JSON (column 10"]),
        ("a.jsonl", '{"a": 1, "b": 2, "a": 3}', ["a.jsonl:1: key 'a' appears twice"]),
        ("a.jsonl", '{"a": NaN}\n{"a": -Infinity}', ["a.jsonl:1: NaN", "a.jsonl:2: -Infinity"]),
        ("a.jsonl", '{"a": {"b": 1, "b": 2}}', ["a.jsonl:1: key 'b' appears twice"]),
        ("a.jsonl", '{"a": [["\\udc00"]]}', ["a.jsonl:1: cell 'a' contains half a surr"]),
        ("a.jsonl", '{"a": [1e999]}', ["a.jsonl:1: cell 'a' holds an infinite number"]),
        ("a.jsonl", '{"a": ' + "[" * 40 + "]" * 40 + "}", ["a.jsonl:1: cell 'a' is nested deep"]),
        ("a.jsonl", '[1]\n"x"\n3', ["a.jsonl:1: is not a JSON object", "a.jsonl:3: is not"]),
        ("a.jsonl", '{"": 1}', ["a.jsonl:1: column 1 has no name"]),
        ("a.jsonl", '{"a": ' + "[" * 100_000, ["a.jsonl:1: is nested too deeply"]),
        ("a.jsonl", '{"a": 1}\n{"a": "\\ud800"}', ["a.jsonl:2: cell 'a' contains half a surr"]),
        ("a.jsonl", '{"\\udc00": 1}', ["a.jsonl:1: column name '\\udc00'"]),
        ("a.json", '{"a": 1}', ["a.json:1: is not an array of objects", ".jsonl"]),
        ("a.json", '[\n{"a": 1}\n{"a": 2}]', ["a.json:3: is not valid JSON (column 1"]),
        ("a.json", '[{"a": 1}', ["a.json:1: is not valid JSON (column 10"]),
        ("a.json", '[{"a": 1}]\n]', ["a.json:2: is not valid JSON (column 1: Extra data)"]),
        ("a.json", '[\n{"a": 1},\n]', ["a.json:3: is not valid JSON"]),
        ("a.json", '[\n1,\n{"a": NaN}]', ["a.json:2: is not a JSON object", "a.json:3: NaN"]),
        ("a.json", "[" * 100_000, ["a.json:1: is nested too deeply"]),
    ],
)
def test_faults_name_their_place(tmp_path: Path, name: str, content: str, says: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        _read(tmp_path, name, content)
    for part in says:
        assert part in str(caught.value)


def test_five_places_and_the_number_of_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="and 3 more, 8 in all") as caught:
        _read(tmp_path, "a.csv", "t,l\n" + "x\n" * 8)
    assert str(caught.value).count("1 cells") == 5


def test_a_cell_over_the_limit(tmp_path: Path) -> None:
    content = 't,l\na,b\n"c,d\n' + "e,ffffffff\n" * 1_000_000
    with pytest.raises(InputError, match=r"a\.csv:3: field larger than field limit"):
        _read(tmp_path, "a.csv", content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"t,l\na,b\nc\xff,d\n", r"a\.csv:3: byte 9 .*encoding=latin-1"),
        (b"\xef\xbb\xbft,l\nc\xff,d\n", r"a\.csv:2: byte 8 "),
        ("t,l\na,b\n".encode("utf-16"), r"a\.csv:1: byte 0 .*encoding=utf-16"),
        ("t,é\n".encode() + "t,é\n".encode("latin-1"), r"a\.csv:2: byte 7 "),
    ],
)
def test_the_wrong_encoding(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        _read(tmp_path, "a.csv", content)


@pytest.mark.parametrize("encoding", ["klingon", "hex"])
def test_no_such_encoding(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(ConfigError, match=r"task\.source\.encoding"):
        _read(tmp_path, "a.csv", "t,l\na,b\n", encoding)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", ""),
        ("a.csv", "\n \n"),
        ("a.csv", "t,l\n"),
        ("a.jsonl", "\n"),
        ("a.json", "[]"),
        ("a.json", "\ufeff"),
    ],
)
def test_no_rows(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(DataGateError, match=name):
        _read(tmp_path, name, content)


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").touch()
    (tmp_path / "reviews.docx").touch()
    for name, says in (
        ("revews.csv", "Did you mean 'reviews.csv'"),
        ("", "is a directory"),
        ("nowhere/reviews.csv", "there is no directory"),
        ("reviews.docx", r"the extension '\.docx' is not one of \.csv"),
    ):
        with pytest.raises(InputError, match=says):
            find_table(tmp_path / name)
