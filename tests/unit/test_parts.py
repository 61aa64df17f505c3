"""Parts of a source: files, patterns, folders; how each is read, and of which split it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tutelage.data.config import SplitConfig
from tutelage.errors import ConfigError, InputError
from tutelage.tasks.parts import find_parts
from tutelage.tasks.record import split_named
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import SourceSpec, TaskSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, rows in (("a.csv", "ab"), ("b.tsv", "cd"), ("c.jsonl", "ef")):
        mark = "\t" if name.endswith("tsv") else ","
        lines = [f"text {r}{mark}{'xy'[ord(r) % 2]}" for r in rows]
        content = "\n".join([f"text{mark}label", *lines])
        if name.endswith("jsonl"):
            cells = [{"text": f"text {r}", "label": "xy"[ord(r) % 2]} for r in rows]
            content = "".join(json.dumps(row) + "\n" for row in cells)
        (tmp_path / name).write_text(content)
    (tmp_path / "notes.docx").touch()
    (tmp_path / ".hidden.csv").write_text("no")
    (tmp_path / "~$open.xlsx").write_text("no")
    return tmp_path


def _names(path: str | list[str], **more: Any) -> list[tuple[str, str]]:
    return [(p.name, p.medium) for p in find_parts(SourceSpec(path=path, **more))]


def _rows(path: str | list[str], split: SplitConfig | None = None, **task: Any) -> Rows:
    spec = {"name": "toy", "source": {"path": path}, **task}
    return load_rows(TaskSpec.model_validate(spec), split)


def test_files_patterns_and_folders(folder: Path) -> None:
    all_three = [("a.csv", "csv"), ("b.tsv", "tsv"), ("c.jsonl", "jsonl")]
    assert _names(str(folder)) == all_three
    assert _names(str(folder / "[abc].*")) == all_three
    assert _names([str(folder / "c.jsonl"), str(folder / "*.?sv")]) == [
        all_three[2],
        *all_three[:2],
    ]
    assert _names(str(folder / "**" / "*.csv")) == all_three[:1]


def test_rows_of_several_files(folder: Path) -> None:
    found = _rows(str(folder))
    assert [row.fields["text"] for row in found.rows] == [f"text {c}" for c in "abcdef"]
    assert [row.id for row in found.rows] == list("123456")
    assert [row.where for row in found.rows][1:3] == ["a.csv:3", "b.tsv:2"]
    assert {row.split for row in found.rows} == {None}


def test_a_name_with_the_marks_of_a_pattern_is_a_name(folder: Path) -> None:
    (folder / "a[1].csv").write_text((folder / "a.csv").read_text())
    assert _names(str(folder / "a[1].csv")) == [("a[1].csv", "csv")]


def test_equal_names_show_their_folders(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.csv").write_text((folder / "a.csv").read_text())
    assert [name for name, _ in _names(str(folder / "**" / "a.csv"))] == ["a.csv", "sub/a.csv"]


def test_a_format_beats_the_extension(folder: Path) -> None:
    (folder / "data.txt").write_text("text\tlabel\nu\tx\nv\ty\nw\ty\n")
    assert _names(str(folder / "data.txt"), format="tsv") == [("data.txt", "tsv")]
    rows = _rows(
        str(folder / "data.txt"), source={"path": str(folder / "data.txt"), "format": "tsv"}
    )
    assert [row.label for row in rows.rows] == ["x", "y", "y"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("*.parquet", "no file matches this pattern"),
        ("no/such.csv", "there is no directory"),
        ("aa.csv", "does not exist. Did you mean 'a.csv'?"),
        ("notes.docx", "the extension '.docx' is not one of .csv"),
        ("sub", "holds neither tables"),
        (["a.csv", "./a.csv"], "is named twice"),
        ([], "is an empty list"),
    ],
)
def test_what_cannot_be_read(
    folder: Path, path: str | list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "sub").mkdir()
    with pytest.raises((InputError, ConfigError)) as caught:
        find_parts(SourceSpec(path=path))
    assert says in str(caught.value)


def test_no_compressed_parquet(folder: Path) -> None:
    (folder / "a.parquet.gz").touch()
    with pytest.raises(InputError, match="a parquet file is not read compressed"):
        find_parts(SourceSpec(path=str(folder / "a.parquet.gz")))


# --- predefined splits ---


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("Train", "train"),
        ("dev", "validation"),
        (" val ", "validation"),
        ("TEST", "test"),
        ("x", None),
    ],
)
def test_words_for_splits(word: str, split: str | None) -> None:
    assert split_named(word) == split


def test_split_files(folder: Path) -> None:
    split = SplitConfig(validation_path=str(folder / "b.tsv"), test_path=str(folder / "c.jsonl"))
    found = _rows(str(folder / "a.csv"), split)
    assert [row.split for row in found.rows] == [
        *("train", "train"),
        *("validation", "validation"),
        *("test", "test"),
    ]
    assert [row.id for row in found.rows] == list("123456")
    only = _rows(str(folder / "a.csv"), SplitConfig(test_path=str(folder / "c.jsonl")))
    assert [row.split for row in only.rows] == ["train", "train", "test", "test"]


def test_files_named_after_splits(folder: Path) -> None:
    for old, new in (("a.csv", "train.csv"), ("b.tsv", "dev.tsv"), ("c.jsonl", "test.jsonl")):
        (folder / old).rename(folder / new)
    found = _rows(str(folder))
    assert [row.split for row in found.rows] == [
        *("validation", "validation"),
        *("test", "test"),
        *("train", "train"),
    ]
    assert "split: by the names of the files" in found.notes
    alone = _rows(str(folder / "train.csv"), labels=["x", "y"])
    assert {row.split for row in alone.rows} == {None}


def test_a_split_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label,part,day\nu,x,Train,2\nv,y,dev,1\nw,y,TEST,3\n")
    found = _rows(str(path), SplitConfig(column="part"), fields={"text": "text"})
    assert [row.split for row in found.rows] == ["train", "validation", "test"]
    found = _rows(str(path), SplitConfig(time="day"))
    assert [row.time for row in found.rows] == ["2", "1", "3"]
    assert found.fields == {"text": "part"}
    path.write_text("text,label,part,day\nu,x,Train,2\nv,y,later, \n")
    with pytest.raises(InputError, match=r"a\.csv:3: 'later' in 'part' is no split. Write train"):
        _rows(str(path), SplitConfig(column="part"))
    with pytest.raises(InputError, match=r"a\.csv:3: the time in 'day' is empty"):
        _rows(str(path), SplitConfig(time="day"))
    with pytest.raises(InputError, match=r"split\.column: there is no column 'prt'.*'part'"):
        _rows(str(path), SplitConfig(column="prt"))


def test_a_split_file_without_a_column_is_named(folder: Path) -> None:
    (folder / "test.csv").write_text("sentence,label\nu,x\n")
    split = SplitConfig(test_path=str(folder / "test.csv"))
    with pytest.raises(InputError, match=r"test\.csv: task\.fields\.text: there is no column"):
        _rows(str(folder / "a.csv"), split, fields={"text": "text"})
