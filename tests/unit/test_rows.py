"""Rows of a task: what is taken from which column, what is left out, what stops the run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tutelage.data.config import SplitConfig
from tutelage.errors import ConfigError, DataGateError, InputError
from tutelage.records import Row
from tutelage.tasks import rows as rows_module
from tutelage.tasks.archive import RatedText
from tutelage.tasks.fingerprint import source_fingerprint
from tutelage.tasks.rows import Rows, Skipped, load_rows
from tutelage.tasks.schema import SourceSpec, TaskSpec

TABLE = (
    "id,review,stars,label\n"
    "a,a long and pleasant text ,5,good\n"
    'b,"<|im_end|> {{ x }}\nsecond line",1, bad\n'
    "c,a third,,good\n"
)
CORPUS = (
    RatedText("1_1", -0.9, "bad &amp; sad ", (-1, 0), "1", 1),
    RatedText("1_2", 0.2, "so so", (0, 1), "1", 2),
    RatedText("2_1", 0.21, "fine", (2, 3), "2", 4),
)


def _load(folder: Path, content: str, **task: Any) -> Rows:
    path = folder / "data.csv"
    path.write_text(content, newline="")
    return load_rows(_task(path, **task))


def _task(path: Path, **task: Any) -> TaskSpec:
    return TaskSpec.model_validate({"name": "toy", "source": {"path": str(path)}, **task})


# --- tables ---


def test_cells_and_labels_exactly(tmp_path: Path) -> None:
    found = _load(tmp_path, TABLE, fields={"text": "review"}, id="id", group_by="stars")
    assert found.rows == (
        Row("a", {"text": "a long and pleasant text "}, "good", "data.csv:2", "5"),
        Row("b", {"text": "<|im_end|> {{ x }}\nsecond line"}, " bad", "data.csv:3", "1"),
        Row("c", {"text": "a third"}, "good", "data.csv:5", None),
    )
    assert found.labels == (" bad", "good")
    assert found.skipped == ()
    assert found.notes == ("group_by: 1 rows have no group and stand alone",)
    assert found.fingerprint == hashlib.sha256(TABLE.encode()).hexdigest()
    assert source_fingerprint(SourceSpec(path=str(tmp_path / "data.csv"))) == found.fingerprint


def test_the_longest_column_is_the_text(tmp_path: Path) -> None:
    found = _load(tmp_path, TABLE)
    assert [row.fields["text"] for row in found.rows][2] == "a third"
    assert [row.id for row in found.rows] == ["1", "2", "3"]
    assert "'review'" in found.notes[0]
    assert found.fields == {"text": "review"}
    # an id or group column is never the text, however long
    content = "key,t,label\n" + "".join(f"{'k' * 30}{n},x,{'ab'[n % 2]}\n" for n in range(4))
    for role in ("id", "group_by"):
        assert "'t'" in _load(tmp_path, content, **{role: "key"}).notes[0]


def test_several_fields(tmp_path: Path) -> None:
    found = _load(tmp_path, TABLE, fields={"question": "review", "stars": "stars"})
    assert found.rows[0].fields == {"question": "a long and pleasant text ", "stars": "5"}


def test_nothing_is_left_out_silently(tmp_path: Path) -> None:
    content = "t,u,label\nx,,a\n ,,b\ny,z,\n,q,b\nw,,  \nv,v,b\n"
    found = _load(tmp_path, content, fields={"t": "t", "u": "u"})
    assert [row.id for row in found.rows] == ["1", "4", "6"]
    assert found.skipped == (
        Skipped("2", "data.csv:3", "empty text"),
        Skipped("3", "data.csv:4", "empty label"),
        Skipped("5", "data.csv:6", "empty label"),
    )


def test_all_unknown_columns_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        _load(tmp_path, TABLE, label="labl", id="no", group_by="star", fields={"text": "reviw"})
    for part in (
        "data.csv",
        "task.label: there is no column 'labl'. Did you mean 'label'?",
        "task.id: there is no column 'no'",
        "task.group_by: there is no column 'star'. Did you mean 'stars'?",
        "task.fields.text: there is no column 'reviw'. Did you mean 'review'?",
        "'id', 'review', 'stars', 'label'",
    ):
        assert part in str(caught.value)


def test_the_answer_is_no_field(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"task\.fields\.hint: 'label' is the label column"):
        _load(tmp_path, TABLE, fields={"text": "review", "hint": "label"})


def test_no_column_is_left_for_the_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column is left"):
        _load(tmp_path, "id,label\n1,a\n2,b\n", id="id")


def test_ids_are_unique_and_there(tmp_path: Path) -> None:
    content = 'id,t,label\nk,"x\n",a\nl,y,b\nk,z,a\n ,w,b\n'
    with pytest.raises(InputError) as caught:
        _load(tmp_path, content, id="id")
    assert "data.csv:5: id 'k' is also on line 2" in str(caught.value)
    assert "data.csv:6: the id in 'id' is empty" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "listed", "says"),
    [
        ("a a a", None, "every row has the label 'a'"),
        ("a a a", ["a", "b"], "every row has the label 'a'"),
        (", , ,", None, "no row is left: 3 empty label. Name the right columns"),
        ("a b c", None, "3 rows have 3 different labels"),
        (" ".join(f"x{n // 2}" for n in range(102)), None, "102 rows have 51 different labels"),
        ("Yes yes no no no", None, "'Yes' in 1 rows and 'yes' in 1 rows"),
        ("caf\u00e9 cafe\u0301 no no", None, "differ only in case, spaces or Unicode form"),
        ("good goood goood BAD", ["good", "bad"], "'goood' in 2 rows (Did you mean 'good'?)"),
        ("good goood goood BAD", ["good", "bad"], "'BAD' in 1 rows (Did you mean 'bad'?)"),
    ],
)
def test_labels_that_support_no_comparison(
    tmp_path: Path, labels: str, listed: list[str] | None, says: str
) -> None:
    content = "t,label\n" + "".join(f"x,{label.strip(',')}\n" for label in labels.split())
    with pytest.raises(DataGateError) as caught:
        _load(tmp_path, content, labels=listed)
    assert says in str(caught.value)


def test_listed_labels_keep_their_order_and_may_be_many(tmp_path: Path) -> None:
    listed = [f"x{n}" for n in range(60, 0, -1)]
    content = "t,label\n" + "".join(f"text {n},x{n}\n" for n in range(1, 60))
    assert _load(tmp_path, content, labels=listed).labels == tuple(listed)


LABELS = ["negative", "neutral", "positive"]
RULE = {"scale": 4, "negative_below": -0.05, "positive_above": 0.05}


def test_ratings_of_a_table(tmp_path: Path) -> None:
    content = "t,label\nu,0.2\nv,0.21\nw,-1e0\nx,\ny,0\n"
    found = _load(tmp_path, content, rating_rule=RULE)
    assert [row.label for row in found.rows] == ["neutral", "positive", "negative", "neutral"]
    assert [skip.id for skip in found.skipped] == ["4"]


def test_ratings_that_are_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.csv:3: the rating 'mild' .*data\.csv:4: .*'nan'"):
        _load(tmp_path, "t,label\nu,0.2\nv,mild\nw,nan\n", rating_rule=RULE)


# --- archives ---

ARCHIVE = {
    "package": "toy",
    "version": "1.0",
    "filename": "toy-1.0.tar.gz",
    "sha256": "0" * 64,
    "inner": "toy.tar.gz",
    "texts": "toy/texts.txt",
    "ratings": "toy/ratings.txt",
}


def _archive_task(**task: Any) -> TaskSpec:
    plain = {"name": "toy", "source": {"archive": ARCHIVE}, "rating_rule": RULE, **task}
    return TaskSpec.model_validate(plain)


@pytest.fixture
def _corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "read_corpus", lambda _source: CORPUS)


@pytest.mark.usefixtures("_corpus")
def test_an_archive() -> None:
    task = _archive_task(labels=LABELS)
    found = load_rows(task)
    text = {"text": "bad &amp; sad "}
    where = "toy/texts.txt:1"
    assert found.rows[0] == Row("1_1", text, "negative", where, "1", {"ratings": [-1, 0]})
    assert [row.label for row in found.rows] == LABELS
    assert [row.group for row in found.rows] == ["1", "1", "2"]
    assert found.labels == tuple(LABELS)
    assert found.fingerprint == source_fingerprint(task.source)
    assert (found.skipped, found.notes) == ((), ())


def test_the_fingerprint_of_an_archive_needs_no_archive() -> None:
    prints = {source_fingerprint(_archive_task().source)}
    for key in ("sha256", "inner", "texts", "ratings"):
        other = {**ARCHIVE, key: "1" * 64}
        prints.add(source_fingerprint(SourceSpec.model_validate({"archive": other})))
    assert len(prints) == 5


@pytest.mark.usefixtures("_corpus")
def test_a_variable_of_ones_own() -> None:
    found = load_rows(_archive_task(fields={"sentence": "text"}, labels=LABELS))
    assert found.rows[1].fields == {"sentence": "so so"}
    assert found.fields == {"sentence": "text"}


@pytest.mark.usefixtures("_corpus")
@pytest.mark.parametrize(
    "task",
    [{"rating_rule": None}, {"id": "id"}, {"group_by": "g"}, {"fields": {"text": "review"}}],
)
def test_settings_that_do_not_go_with_an_archive(task: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"task\.(rating_rule|id|group_by|fields\.text):"):
        load_rows(_archive_task(**task))


@pytest.mark.usefixtures("_corpus")
def test_an_archive_has_filters_and_samples_but_no_splits() -> None:
    filters = [{"column": "text", "matches": "s"}]
    found = load_rows(_archive_task(filters=filters, labels=LABELS))
    assert [row.id for row in found.rows] == ["1_1", "1_2"]
    assert [(skip.reason, skip.rows) for skip in found.skipped] == [
        ("filtered: task.filters.0: 'text' does not match 's'", 1)
    ]
    for setting in ({"column": "part"}, {"time": "day"}, {"test_path": "a.csv"}):
        with pytest.raises(ConfigError, match=rf"split\.{next(iter(setting))}: an archive"):
            load_rows(_archive_task(labels=LABELS), SplitConfig.model_validate(setting))
