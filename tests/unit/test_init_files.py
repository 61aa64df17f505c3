"""What `tutelage init` writes: whole files, never over others, that any table's load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from init_case import CLASSES, Rows, brief, csv_file, jsonl, load, rows_of, start, text

from command import call
from tutelage.errors import ConfigError, DataGateError, InputError
from tutelage.languages import language, named_language
from tutelage.starter.start import start_task


@pytest.fixture(autouse=True)
def _desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    return


def test_a_table_without_an_answer() -> None:
    with pytest.raises(InputError, match=r"no column looks like a label.*'notes' \(24 values"):
        start_task(csv_file(Path("a.csv"), rows_of(row_id=str, notes=text)))
    assert not Path("task.yaml").exists()


def test_nothing_is_overwritten() -> None:
    table = csv_file(Path("a.csv"), rows_of(en=text, de=brief))
    Path("task-templates.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"task-templates\.yaml: is there already"):
        start_task(table)
    assert not Path("task.yaml").exists()
    start_task(table, Path("other.yaml"))
    with pytest.raises(ConfigError, match=r"other\.yaml: is there already.*--force"):
        start_task(table, Path("other.yaml"))
    start_task(table, force=True)
    assert Path("task-templates.yaml").read_text() != "mine"
    with pytest.raises(ConfigError, match=r"task\.csv"):
        start_task(table, Path("task.csv"))


def test_the_path_is_relative_to_the_file() -> None:
    Path("data").mkdir()
    table = csv_file(Path("data/my table.csv"), CLASSES["topic"])
    started = start_task(table, Path("conf/deep/task.yaml"))
    config = load(started.task)
    assert Path(str(config.task.source.path)).resolve() == table.resolve()
    assert config.task.name == "my-table"


def test_comments_say_what_each_setting_is() -> None:
    started, _ = start(CLASSES["sentiment"])
    lines = started.task.read_text().splitlines()
    settings_ = [line for line in lines if ":" in line and not line.lstrip().startswith("#")]
    sections = {"task:", "split:", "baselines:", "training:"}
    assert [line for line in settings_ if "  # " not in line and line not in sections] == []
    assert "  # group_by" not in started.task.read_text()


def test_the_command() -> None:
    csv_file(Path("my.csv"), CLASSES["sentiment"])
    done = call("init", "my.csv", "--out", "mine.yaml")
    assert done.code == 0, done.err
    assert "my.csv (24 rows): sentiment" in done.out
    assert "'sentiment' has 3 labels" in done.out
    assert load(Path("mine.yaml")).task.name == "my"
    assert call("init", "my.csv", "--out", "mine.yaml").code == 2
    assert call("init", "my.csv", "--out", "mine.yaml", "--force").code == 0


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["The cat is in the garden and it was not for you."], "English"),
        (["Der Hund ist nicht im Garten, und die Katze auch."], "German"),
        (["Le chat est dans le jardin et il ne veut pas des fleurs."], "French"),
        (["これは本です"], "Japanese"),
        (["这是一本书"], "Chinese"),
        (["Это книга"], "Russian"),
        (["xyzzy plugh"], None),
        (["123 !"], None),
    ],
)
def test_languages(texts: list[str], said: str | None) -> None:
    assert language(texts) == said


def test_named_languages() -> None:
    assert [named_language(t) for t in (("text", "de"), ("german",), ("design",), ())] == [
        *("German", "German", None, None)
    ]


NAMES = st.one_of(
    st.sampled_from(
        [
            "label",
            "text",
            "question",
            "answer",
            "summary",
            "split",
            "id",
            "en",
            "de",
            "A",
            "B",
            "choices",
        ]
    ),
    st.text(min_size=1, max_size=12).filter(str.strip),
)
ANY = st.one_of(
    st.sampled_from(
        ["", "null", "0", "1.5", "train", "test", "#### 4", "Ann: hi\nBo: hi\nAnn: no"]
    ),
    st.text(max_size=40),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
CLASS = st.text(min_size=1, max_size=12).filter(str.strip)
KINDS = [
    ANY,
    st.text(min_size=30, max_size=60),
    st.lists(st.sampled_from(["river", "stone", "the", "und"]), min_size=4).map(" ".join),
    st.lists(CLASS, min_size=2, max_size=4).flatmap(st.sampled_from),
    st.floats(0, 10).map(str),
    st.fixed_dictionaries({"name": CLASS, "x y": st.integers()}),
    st.lists(CLASS, min_size=2, max_size=4, unique=True),
]


INPUTS = ["text", "question", "dialogue", "prompt", "source", "en", "original"]
OUTPUTS = ["label", "answer", "summary", "completion", "target", "de", "simplified", "stars"]


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Columns that look like texts, classes, numbers, objects, lists, or anything at all.

    Most have an input and an output by name, among columns of any name.
    """
    kinds = dict.fromkeys(draw(st.lists(NAMES, max_size=4, unique=True)), st.sampled_from(KINDS))
    if not kinds or draw(st.integers(0, 3)):
        kinds[draw(st.sampled_from(INPUTS))] = st.sampled_from(KINDS[1:3])
        kinds[draw(st.sampled_from(OUTPUTS))] = st.sampled_from(KINDS[2:])
    count = draw(st.integers(1, 16))
    columns = {}
    for name, kind in kinds.items():
        cell = draw(kind)
        if draw(st.integers(0, 2)) == 0:  # the same few cells in all rows
            cell = st.sampled_from(draw(st.lists(cell, min_size=2, max_size=4)))
        columns[name] = draw(st.lists(cell, min_size=count, max_size=count))
    return [{name: columns[name][row] for name in kinds} for row in range(count)]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=tables())
def test_any_table_gives_a_file_that_loads_or_a_clear_error(rows: Rows) -> None:
    table = jsonl(Path("any.jsonl"), rows)
    try:
        started = start_task(table, Path("any.yaml"), force=True)
    except (DataGateError, InputError):
        return
    task = load(started.task).task
    columns = set(rows[0])
    assert set(task.fields.values()) <= columns
    assert {task.id, task.group_by} - {None} <= columns
    assert task.label in columns or task.answer is not None or task.source.format != "auto"
