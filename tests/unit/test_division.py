"""The one way to divide: what wins, what is searched again, and what benchmarks do."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tutelage.data import shingles
from tutelage.data.config import SplitConfig
from tutelage.data.division import divide
from tutelage.data.overlap import Groups, cross_split_pairs, group_rows
from tutelage.data.splits import Split, classes, have_classes, split_groups
from tutelage.errors import ConfigError, DataGateError
from tutelage.records import Row

NAMES = "lens strap camera battery sharp cheap feels poor light zoom case grip screen menu"
WORDS = NAMES.split()


def table(count: int, **more: Any) -> list[Row]:
    """Distinct sentences in two classes."""
    rng = random.Random(7)
    return [
        Row(
            f"{i:04}",
            {"text": f"{i} " + " ".join(rng.choices(WORDS, k=12))},
            "pn"[i % 2],
            f"t:{i}",
            **more,
        )
        for i in range(count)
    ]


def made(rows: list[Row], **config: Any) -> Split:
    return divide(rows, group_rows(rows), SplitConfig(**config))


def test_at_random_it_is_the_split_of_groups() -> None:
    rows = table(200)
    groups = group_rows(rows)
    plain = split_groups(
        groups.of, [r.label for r in rows], SplitConfig(seed=3), ids=[r.id for r in rows]
    )
    split = divide(rows, groups, SplitConfig(seed=3))
    assert (split.of, split.fingerprint, split.notes) == (plain.of, plain.fingerprint, plain.notes)
    assert (split.kind, split.removed, split.groups) == ("random", (), groups.of)


def test_what_grouping_missed_is_joined_and_split_anew() -> None:
    """Grouping is made to know nothing: the search across the splits has to find it all."""
    rows = table(120)
    doubles = [Row(f"x{r.id}", {"text": r.fields["text"] + "!"}, r.label, r.where) for r in rows]
    rows = rows + doubles
    blind = Groups(tuple(r.id for r in rows), (), (), group_rows(rows).inputs)
    assert cross_split_pairs(rows, split_groups(blind.of, None, SplitConfig(), ids=blind.of).of)
    split = divide(rows, blind, SplitConfig())
    assert cross_split_pairs(rows, split.of) == ()
    of = dict(zip((r.id for r in rows), split.of, strict=True))
    group = dict(zip((r.id for r in rows), split.groups, strict=True))
    assert all(of[r.id] == of[f"x{r.id}"] for r in rows[:120])
    assert all(
        group[i] == group[f"x{i}"] or of[i] == of[f"x{i}"] for i in map(str, of) if i[0] != "x"
    )


def test_text_answers_and_options_need_no_classes() -> None:
    rows = [
        Row(r.id, r.fields, f"answer {r.id}", r.where, answers=(f"answer {r.id}",))
        for r in table(100)
    ]
    split = made(rows)
    assert split.comparable
    assert split.of.count("test") == 30
    assert not any("has no row of" in note for note in split.notes)
    options = [Row(r.id, r.fields, "a", r.where, choices=("a", "b")) for r in table(100)]
    assert made(options).of == split.of


def test_tasks_of_a_mixture_are_balanced_each_by_its_own_labels() -> None:
    rows = [
        Row(r.id, r.fields, r.label, r.where, task="one" if i < 150 else "two")
        for i, r in enumerate(table(200))
    ]
    split = made(rows)
    tested = [rows[i].task for i in split.rows("test")]
    assert (tested.count("one"), tested.count("two")) == (30, 10)


def test_labels_of_a_mixture_are_classes_where_they_stand_as_options() -> None:
    """Of the same options in every row of a task a label is a class; of others it is an answer."""
    plain = table(3)
    fixed = [replace(row, task="one", choices=("a", "b")) for row in plain]
    texts = [replace(row, task="two", answers=(row.label,), choices=("a", "b")) for row in plain]
    own = [replace(row, task="three", choices=(row.label, row.id)) for row in plain]
    free = [replace(row, task="four", answers=(row.label,)) for row in plain]
    rows = [*fixed, *texts, *own, *free]
    assert have_classes(rows) == [True] * 6 + [False] * 6
    found = classes(rows)
    assert found is not None
    assert found[0] == f"one: {rows[0].label}"
    assert found[-1] == "four"


def test_by_time_no_group_straddles_and_the_search_is_repeated() -> None:
    rows = [
        Row(r.id, r.fields, r.label, r.where, time=f"2024-01-{1 + i // 10:02}")
        for i, r in enumerate(table(200))
    ]
    late = rows[190]
    rows[3] = Row("0003", late.fields, late.label, "t:3", time="2024-01-01")
    split = made(rows, time="when")
    assert split.kind == "time"
    assert split.of[3] == "test"
    assert split.leaks.moved == 1
    assert any("validation begins at 2024-01-15, the test at 2024-01-17" in n for n in split.notes)
    assert any("1 rows stand in a later split" in n and "t:3" in n for n in split.notes)
    assert cross_split_pairs(rows, split.of) == ()


def test_time_and_given_splits_exclude_each_other() -> None:
    rows = table(60, split="train", time="1")
    with pytest.raises(ConfigError, match=r"split\.time"):
        made(rows, time="when")
    for both in (
        {"time": "t", "column": "c"},
        {"time": "t", "test_path": "x.csv"},
        {"column": "c", "test_path": "x.csv"},
    ):
        with pytest.raises(ValueError, match="give one"):
            SplitConfig(**both)


QUOTE = "a benchmark question of thirteen words or more that no training row should ever quote"


@pytest.fixture
def benchmark(tmp_path: Path) -> str:
    path = tmp_path / "bench.jsonl"
    path.write_text(json.dumps({"q": QUOTE, "a": ["yes", 3]}) + "\n")
    return str(path)


def quoting(rows: list[Row], places: list[int]) -> list[Row]:
    return [
        Row(r.id, {"text": f"{r.fields['text']} {QUOTE.upper()}?"}, r.label, r.where)
        if i in places
        else r
        for i, r in enumerate(rows)
    ]


def test_rows_that_quote_a_benchmark_are_counted_and_kept(benchmark: str) -> None:
    rows = quoting(table(200), list(range(0, 200, 20)))
    split = made(rows, benchmarks=[benchmark], near_duplicate_threshold=1.0)
    (told,) = split.leaks.benchmarks
    assert sum(told.rows.values()) == 10
    assert (told.texts, told.ngrams) == (3, 3)
    assert None not in split.of
    assert any("rows that quote bench.jsonl" in note for note in split.notes)


def test_decontamination_drops_quoting_rows_from_training_only(benchmark: str) -> None:
    rows = quoting(table(200), list(range(0, 200, 10)))
    config = {"benchmarks": [benchmark], "near_duplicate_threshold": 1.0}
    plain = made(rows, **config)
    split = made(rows, decontaminate=True, **config)
    trained = [i for i in range(0, 200, 10) if plain.of[i] == "train"]
    assert trained
    assert [i for i, name in enumerate(split.of) if name is None] == trained
    assert [entry.id for entry in split.removed] == [rows[i].id for i in trained]
    assert {entry.reason for entry in split.removed} == {"benchmark"}
    assert "a benchmark question" in split.removed[0].detail
    assert split.fingerprint != plain.fingerprint
    assert len(split.notes) == len(set(split.notes))


def test_nothing_left_to_train_on_is_refused(benchmark: str) -> None:
    rows = quoting(table(60), list(range(60)))
    with pytest.raises(DataGateError, match="no row is left for the train split"):
        made(rows, benchmarks=[benchmark], decontaminate=True, near_duplicate_threshold=1.0)


def test_the_hashes_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(80)
    groups = group_rows(rows)
    calls = []
    monkeypatch.setattr(
        "tutelage.data.overlap.sketch",
        lambda *args: calls.append(args) or shingles.sketch(*args),
    )
    divide(rows, Groups(tuple(r.id for r in rows), (), (), groups.inputs), SplitConfig())
    assert len(calls) == 1
