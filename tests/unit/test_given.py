"""Predefined splits: leaks counted, mended on request, missing splits carved."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.data.config import SplitConfig
from tutelage.data.division import divide
from tutelage.data.given import joined
from tutelage.data.overlap import Pair, cross_split_pairs, group_rows
from tutelage.data.splits import Split
from tutelage.errors import DataGateError
from tutelage.records import Row, SplitName

NAMES = "lens strap camera battery sharp cheap feels poor light zoom case grip screen menu"
WORDS = NAMES.split()


def sentence(seed: int) -> str:
    rng = random.Random(seed)
    return f"{seed} " + " ".join(rng.choices(WORDS, k=14))


def row(number: int, split: SplitName | None, text: str, group: str | None = None) -> Row:
    return Row(f"{number:04}", {"text": text}, "pn"[number % 2], f"t:{number}", group, split=split)


def clean() -> list[Row]:
    """100 training, 20 validation, 40 test rows that have nothing in common."""
    names: list[SplitName] = ["train"] * 100 + ["validation"] * 20 + ["test"] * 40
    return [row(i, name, sentence(i)) for i, name in enumerate(names)]


def leaking() -> list[Row]:
    """Two training rows and one of validation repeat the test, one training row validation."""
    rows = clean()
    rows[0] = row(0, "train", sentence(150).upper())
    rows[1] = row(1, "train", sentence(151) + "!")
    rows[100] = row(100, "validation", sentence(150))
    rows[2] = row(2, "train", sentence(101))
    return rows


def made(rows: list[Row], **config: Any) -> Split:
    return divide(rows, group_rows(rows), SplitConfig(**config))


def test_sound_splits_are_kept_as_they_are() -> None:
    rows = clean()
    split = made(rows)
    assert split.of == tuple(r.split for r in rows)
    assert (split.kind, split.notes, split.leaks.before, split.leaks.after) == ("given", (), (), ())
    assert split.comparable


def test_leaks_are_counted_noted_and_kept() -> None:
    rows = leaking()
    split = made(rows)
    assert split.of == tuple(r.split for r in rows)
    told = {(leak.earlier, leak.later): leak for leak in split.leaks.before}
    assert split.leaks.after == split.leaks.before
    assert {names: leak.rows for names, leak in told.items()} == {
        ("train", "validation"): 2,  # row 0 equals row 100 as well
        ("train", "test"): 2,
        ("validation", "test"): 1,
    }
    leak = told["train", "test"]
    assert (leak.kinds, leak.later_rows) == ({"exact": 1, "near": 1}, 2)
    assert leak.later_share == pytest.approx(2 / 40)
    assert [(e.id, e.of, e.kind) for e in leak.examples] == [
        ("0000", "0150", "exact"),
        ("0001", "0151", "near"),
    ]
    loud = [note for note in split.notes if note.startswith("LEAK")]
    assert len(loud) == 3
    assert any("t:0 equals t:150" in note and "decontaminate=true" in note for note in loud)


def test_decontamination_removes_the_earlier_side_and_lists_it() -> None:
    rows = leaking()
    split = made(rows, decontaminate=True)
    assert [i for i, name in enumerate(split.of) if name is None] == [0, 1, 2, 100]
    assert {(e.id, e.reason) for e in split.removed} == {
        (f"{i:04}", "leak") for i in (0, 1, 2, 100)
    }
    assert split.leaks.before
    assert split.leaks.after == ()
    assert cross_split_pairs(rows, split.of) == ()
    assert any("3 train and 1 validation rows" in note for note in split.notes)
    assert all("t:15" in e.detail for e in split.removed if e.id in ("0000", "0001", "0100"))


def test_a_row_that_repeats_only_what_is_removed_stays() -> None:
    """Training repeats a validation row that itself goes, because it repeats the test."""
    rows = clean()
    shared = sentence(150)
    rows[100] = row(100, "validation", shared + " and some more words")
    rows[5] = row(5, "train", shared + " and some more words, and then a few others")
    texts = [rows[i].fields["text"] for i in (5, 100, 150)]

    def near(a: str, b: str) -> bool:
        return bool(
            cross_split_pairs([row(1, None, a), row(2, None, b)], ["train", "test"], threshold=0.7)
        )

    assert (near(texts[0], texts[1]), near(texts[1], texts[2]), near(texts[0], texts[2])) == (
        True,
        True,
        False,
    )
    split = made(rows, decontaminate=True, near_duplicate_threshold=0.7)
    assert split.of[100] is None
    assert split.of[5] == "train"


def test_a_group_key_in_two_splits_is_a_leak() -> None:
    rows = clean()
    rows[10] = row(10, "train", sentence(10), group="anna")
    rows[140] = row(140, "test", sentence(140), group="anna")
    split = made(rows)
    (leak,) = split.leaks.before
    assert (leak.kinds, leak.later_rows) == ({"group": 1}, 1)
    assert "shares its group with" in str(leak)
    assert made(rows, decontaminate=True).of[10] is None


def test_a_missing_validation_is_carved_out_of_training_by_groups() -> None:
    rows = [
        row(i, "test" if i >= 300 else None, sentence(i), group=f"g{i // 3}" if i < 300 else None)
        for i in range(350)
    ]
    split = made(rows, validation=0.2)
    assert split.of[300:] == ("test",) * 50
    assert split.of.count("validation") == pytest.approx(60, abs=2)
    for start in range(0, 300, 3):
        assert len(set(split.of[start : start + 3])) == 1
    assert any(
        "60 rows were carved" in n or "were carved out of training" in n for n in split.notes
    )
    assert made(rows, validation=0.2).of == split.of
    assert made(rows, validation=0.2, seed=1).of != split.of


def test_training_groups_that_touch_the_test_are_not_carved() -> None:
    rows = [row(i, "test" if i >= 100 else "train", sentence(i)) for i in range(140)]
    for i in range(0, 100, 2):
        rows[i] = row(i, "train", sentence(100 + i // 3))
    split = made(rows, validation=0.3)
    carved = split.rows("validation")
    assert carved
    assert all(i % 2 for i in carved)
    assert {(x.earlier, x.later) for x in split.leaks.after} == {("train", "test")}


def test_a_missing_test_is_carved_too() -> None:
    rows = [row(i, "validation" if i >= 200 else "train", sentence(i)) for i in range(240)]
    split = made(rows)
    assert split.of.count("test") == 40
    assert split.of[200:] == ("validation",) * 40
    only = [row(i, "train", sentence(i)) for i in range(200)]
    assert Counter(made(only).of) == {"train": 140, "validation": 20, "test": 40}


def test_what_grouping_missed_is_not_carved_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(i, "test" if i >= 200 else "train", sentence(i)) for i in range(240)]
    for i in range(0, 200, 2):
        rows[i] = row(i, "train", sentence(i + 1) + "!")
    groups = group_rows(rows)
    blind = type(groups)(tuple(r.id for r in rows), (), (), groups.inputs)
    split = divide(rows, blind, SplitConfig())
    assert split.leaks.after == ()
    assert cross_split_pairs(rows, split.of) == ()
    assert split.of.count("validation") > 0


def test_bad_splits_are_refused() -> None:
    with pytest.raises(DataGateError, match="no row is left for the train split"):
        made([row(i, "test", sentence(i)) for i in range(40)])
    repeated = [row(i, "test" if i >= 40 else "train", sentence(i % 40)) for i in range(80)]
    with pytest.raises(DataGateError, match="after repeated rows were removed"):
        made(repeated, decontaminate=True)
    one = [
        row(i, "test" if i >= 40 else "train", sentence(i), "g" if i < 40 else None)
        for i in range(80)
    ]
    with pytest.raises(DataGateError, match="cannot be carved"):
        made(one)
    single = [
        Row(
            f"{i}",
            {"text": sentence(i)},
            "pn"[i >= 60],
            f"t:{i}",
            split="train" if i < 60 else "test",
        )
        for i in range(100)
    ]
    with pytest.raises(DataGateError, match="all training rows have the label 'p'"):
        made(single)


def test_a_label_that_the_training_rows_lack_is_noted_and_stays_in_the_test() -> None:
    rows = clean()
    rows[150] = Row("new", rows[150].fields, "x", "t:150", split="test")
    split = made(rows)
    assert split.of == tuple(r.split for r in rows)
    assert "the train split has no row of 'x'" in split.notes
    assert split.comparable


def test_a_small_given_test_is_not_filled_up() -> None:
    split = made(clean()[:140])  # 20 test rows
    assert split.of.count("test") == 20
    assert not split.comparable
    assert any("under 30 there is no comparison" in note for note in split.notes)


def test_a_test_of_one_label_is_no_comparison() -> None:
    rows = clean()
    rows = [
        Row(r.id, r.fields, "p" if r.split == "test" else r.label, r.where, split=r.split)
        for r in rows
    ]
    split = made(rows)
    assert not split.comparable
    assert any("all test rows have the label 'p'" in note for note in split.notes)


def test_joining_is_transitive_and_takes_the_smallest_name() -> None:
    ids = list("abcdef")
    pairs = [Pair("e", "f", 1, "near"), Pair("b", "e", 1, "near"), Pair("b", "f", 1, "near")]
    assert joined(ids, ids, pairs) == ("a", "b", "c", "d", "b", "b")
    assert joined(["a", "a", "c", "c", "e", "e"], ids, [Pair("b", "d", 1, "near")]) == (
        *"aaaa",
        *"ee",
    )


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train", "train", "validation", "test"]),
            st.integers(0, 14),
            st.booleans(),
            st.sampled_from([None, None, None, "g1", "g2"]),
        ),
        min_size=30,
        max_size=70,
    )
)
def test_after_decontamination_nothing_repeats_and_the_test_is_whole(cells) -> None:
    rows = [
        row(i, name, sentence(text) + "!" * mark, group)
        for i, (name, text, mark, group) in enumerate(cells)
    ]
    rows += [
        row(500 + i, name, sentence(500 + i))
        for i, name in enumerate(["train"] * 8 + ["validation"] * 4 + ["test"] * 4)
    ]
    split = made(rows, decontaminate=True)
    assert cross_split_pairs(rows, split.of) == ()
    assert split.leaks.after == ()
    for place, r in enumerate(rows):
        assert split.of[place] in (r.split, None)
        assert r.split != "test" or split.of[place] == "test"
    keys = {
        name: {rows[i].group for i in split.rows(name)} - {None}
        for name in ("train", "validation", "test")
    }
    assert not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]
    assert not keys["train"] & keys["test"]
    assert {e.id for e in split.removed} == {
        r.id for r, n in zip(rows, split.of, strict=True) if n is None
    }
    again = made([r for r, n in zip(rows, split.of, strict=True) if n is not None])
    assert again.leaks.before == ()
