"""Paths of a configuration: relative to the file that holds them, there, and not part of a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_case import complaints, load, write

from tutelage.config import config_hash
from tutelage.data.config import SplitConfig
from tutelage.tasks.fingerprint import source_fingerprint
from tutelage.tasks.schema import SourceSpec

TASK = """\
task:
  name: r
  source: {{{source}}}
split: {{{split}}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv", "conf/a.csv", "conf/b.csv", "conf/db.sqlite"):
        write(name, "text,label\nu,x\n")
    return tmp_path


def _write(source: str, split: str = "") -> str:
    return write("conf/run.yaml", TASK.format(source=source, split=split))


def test_lists_patterns_folders_and_databases(folder: Path) -> None:
    near = folder / "conf"
    for source, expected in (
        ("path: [a.csv, b.csv]", [str(near / "a.csv"), str(near / "b.csv")]),
        ("path: '*.csv'", str(near / "*.csv")),
        ("path: .", str(near)),
    ):
        assert load(_write(source)).task.source.path == expected
    source = load(_write("{sql: select 1, url: 'sqlite:///db.sqlite'}"[1:-1])).task.source
    assert source.url == f"sqlite:///{near / 'db.sqlite'}"
    for url in ("sqlite:////x/y.db", "postgresql://me:$PASSWORD@host/db", "sqlite:///$HOME/y.db"):
        assert load(_write(f"sql: select 1, url: '{url}'")).task.source.url == url
    assert load(_write("hub: ./saved")).task.source.hub == str(near / "saved")
    assert load(_write("hub: org/name")).task.source.hub == "org/name"


def test_split_files(folder: Path) -> None:
    config = load(_write("path: a.csv", "test_path: b.csv, benchmarks: [a.csv]"))
    assert config.split.test_path == str(folder / "conf" / "b.csv")
    assert config.split.benchmarks == [str(folder / "conf" / "a.csv")]
    assert load("conf/run.yaml", "split.test_path=b.csv").split.test_path == str(folder / "b.csv")


def test_what_is_not_there_is_said_at_once(folder: Path) -> None:
    target = _write("path: [a.csv, c.csv]", "test_path: bb.csv, benchmarks: [aa.csv]")
    near = folder / "conf"
    assert complaints(target) == [
        f"conf/run.yaml:3:task.source.path: there is no file 'c.csv' in {near}. "
        "Did you mean 'b.csv'? Correct the path.",
        f"conf/run.yaml:4:split.test_path: there is no file 'bb.csv' in {near}. "
        "Did you mean 'b.csv'? Correct the path.",
        f"conf/run.yaml:4:split.benchmarks: there is no file 'aa.csv' in {near}. "
        "Did you mean 'a.csv'? Correct the path.",
    ]
    assert "no file matches this pattern" in complaints(_write("path: 'x*.csv'"))[0]
    write("conf/notes.docx", "")
    assert "the extension '.docx'" in complaints(_write("path: notes.docx"))[0]


def test_places_are_no_part_of_a_name(folder: Path) -> None:
    def name(target: str, *sets: str) -> str:
        return config_hash(load(target, *sets), "data")

    first = name(_write("path: a.csv", "test_path: b.csv, benchmarks: [a.csv]"))
    assert name("conf/run.yaml", "task.source.path=[a.csv, b.csv]") == first
    assert name("conf/run.yaml", "split.test_path=a.csv") == first
    assert name("conf/run.yaml", "split.benchmarks=[b.csv]") == first  # the same bytes
    write("b.csv", "other")
    assert name("conf/run.yaml", "split.benchmarks=[b.csv]") != first
    one, other = (
        name(_write(f"sql: select 1, url: 'postgresql://{who}@host/db'")) for who in ("a", "b")
    )
    assert one == other


def test_the_fingerprint_tells_files_and_their_splits_apart(folder: Path) -> None:
    def mark(*paths: str, **split: str) -> str:
        source = SourceSpec(path=list(paths))
        return source_fingerprint(source, SplitConfig(**split))

    write("b.csv", "text,label\nv,y\n")
    marks = {
        mark("a.csv"),
        mark("b.csv"),
        mark("a.csv", "b.csv"),
        mark("b.csv", "a.csv"),
        mark("a.csv", test_path="b.csv"),
        mark("a.csv", validation_path="b.csv"),
    }
    assert len(marks) == 6
    assert mark("conf/a.csv") == mark("a.csv")
    assert source_fingerprint(SourceSpec(path="a.csv")) == mark("a.csv")
