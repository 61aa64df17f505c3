"""Groups of rows that say the same, against a brute-force search."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.data.inputs import normal_text
from tutelage.data.overlap import Pair, cross_split_pairs, group_rows
from tutelage.data.shingles import CHECKING, GROUPING, near_pairs, shingles, sketch
from tutelage.records import Row

SENTENCE = "the lens of this camera is sharp but its strap feels cheap and battery life poor"
WORDS = SENTENCE.split()


def row(row_id: str, text: str, label: str = "a", group: str | None = None) -> Row:
    return Row(row_id, {"text": text}, label, f"t.csv:{row_id}", group)


def rows_of(texts: Sequence[str]) -> list[Row]:
    return [row(f"{i:05d}", text) for i, text in enumerate(texts)]


def jaccard(a: str, b: str) -> float:
    one, other = ({t[i : i + 5] for i in range(len(t) - 4)} for t in (a, b))
    return len(one & other) / len(one | other) if one | other else 0.0


def variants(seed: int, families: int = 40, members: int = 4) -> list[str]:
    """Sentences, and each again with a few characters changed: a wide range of similarities."""
    rng = random.Random(seed)
    texts = []
    for _ in range(families):
        base = " ".join(rng.choices(WORDS, k=rng.randint(3, 25)))
        for member in range(members):
            letters = list(base)
            for _ in range(member):
                letters[rng.randrange(len(letters))] = rng.choice("xyzq")
            texts.append("".join(letters))
    return texts


def test_shingles_are_the_distinct_five_grams() -> None:
    assert shingles("abcd").size == 0
    assert shingles("abcde").size == 1
    assert shingles("aaaaaaaa").size == 1
    text = "so much wood would a woodchuck chuck \U0001f600\U0001f600 \ud800 é"
    assert shingles(text).size == len({text[i : i + 5] for i in range(len(text) - 4)})


@pytest.mark.parametrize("search", [GROUPING, CHECKING])
def test_near_pairs_are_those_of_brute_force(search) -> None:
    texts = sorted(set(variants(1)))
    expected = {
        pair: jaccard(texts[pair[0]], texts[pair[1]])
        for pair in itertools.combinations(range(len(texts)), 2)
    }
    expected = {pair: j for pair, j in expected.items() if j >= 0.8}
    assert len(expected) > 20
    links, similarity = near_pairs(sketch(texts, search), 0.8)
    found = dict(zip(map(tuple, links.tolist()), similarity.tolist(), strict=True))
    assert found.keys() == expected.keys()
    assert all(found[pair] == pytest.approx(expected[pair]) for pair in expected)


def test_pairs_and_groups_name_rows() -> None:
    long = "an honest sentence about a camera with a lens"
    rows = [
        row("c", long),
        row("b", f" {long.upper()} "),
        row("d", f"{long}!"),
        row("a", "something else entirely, nothing alike"),
    ]
    groups = group_rows(rows)
    assert groups.of == ("b", "b", "b", "a")
    near = jaccard(long, f"{long}!")
    assert groups.pairs == (Pair("b", "c", 1.0, "exact"), Pair("b", "d", near, "near"))


def test_the_group_key_and_duplicates_join_transitively() -> None:
    long = "an honest sentence about a camera with a lens"
    rows = [
        row("1", "first part of the first review here", group="A"),
        row("2", long, group="A"),
        row("3", f"{long}.", group="B"),
        row("4", "last part of the second review there", group="B"),
        row("5", "a row of its own without any group", group="C"),
        row("6", "another one that nobody else resembles"),
    ]
    assert group_rows(rows).of == ("1", "1", "1", "1", "5", "6")


def test_threshold_one_joins_equal_sets_only() -> None:
    long = "an honest sentence about a camera with a lens"
    rows = rows_of([long, f"{long}!", f"{long}  "])
    assert group_rows(rows, threshold=1.0).of == ("00000", "00001", "00000")


def test_short_texts_match_exactly_or_not_at_all() -> None:
    groups = group_rows(rows_of(["good", "good!"[:4], "goo", "", ""]))
    assert groups.of == ("00000", "00000", "00002", "00003", "00003")
    assert {pair.kind for pair in groups.pairs} == {"exact"}


def test_conflicts_are_equal_inputs_with_different_labels() -> None:
    rows = [row("2", "Fine.", "pos"), row("1", "fine.", "neg"), row("3", "bad", "neg")]
    (conflict,) = group_rows(rows).conflicts
    assert (conflict.ids, conflict.labels) == (("1", "2"), ("neg", "pos"))
    assert group_rows([row("1", "x", "a"), row("2", "x", "a")]).conflicts == ()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join),
            st.sampled_from([None, "g1", "g2", "g3"]),
        ),
        min_size=1,
        max_size=25,
    ),
    st.randoms(use_true_random=False),
)
def test_groups_are_a_partition_that_ignores_the_order(cells, shuffler) -> None:
    rows = [row(f"{i:02d}", text, "a", key) for i, (text, key) in enumerate(cells)]
    groups = group_rows(rows)
    of = dict(zip((r.id for r in rows), groups.of, strict=True))
    members: dict[str, list[str]] = {}
    for row_id, group in of.items():
        members.setdefault(group, []).append(row_id)
    assert all(group == min(ids) for group, ids in members.items())
    for one, other in itertools.combinations(rows, 2):
        texts = normal_text(one.fields), normal_text(other.fields)
        alike = texts[0] == texts[1] or jaccard(*texts) >= 0.8
        if alike or (one.group is not None and one.group == other.group):
            assert of[one.id] == of[other.id]
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    again = group_rows(shuffled)
    assert dict(zip((r.id for r in shuffled), again.of, strict=True)) == of
    assert (again.pairs, again.conflicts) == (groups.pairs, groups.conflicts)


def test_cross_split_pairs_finds_what_a_random_split_leaks() -> None:
    rows = rows_of(variants(2))
    rng = random.Random(0)
    splits = [rng.choice(["train", "test"]) for _ in rows]
    texts = sorted({normal_text(r.fields) for r in rows})
    held = {text: set() for text in texts}
    for r, split in zip(rows, splits, strict=True):
        held[normal_text(r.fields)].add(split)
    exact = sum(len(found) - 1 for found in held.values())
    near = sum(
        len(held[a] | held[b]) > 1
        for a, b in itertools.combinations(texts, 2)
        if jaccard(a, b) >= 0.8
    )
    found = cross_split_pairs(rows, splits)
    assert sum(p.kind == "exact" for p in found) == exact
    assert sum(p.kind == "near" for p in found) == near > 5
    of = {r.id: split for r, split in zip(rows, splits, strict=True)}
    assert all(of[p.first] != of[p.second] for p in found)


def test_every_row_with_a_partner_across_is_found_in_large_clusters() -> None:
    """2,000 letters that differ in a number, a tenth of them for the test."""
    letter = "Dear customer, thank you for your order, it left our house today, number {} thanks"
    rows = rows_of([letter.format(i * 7919) for i in range(2000)])
    splits = ["test" if i % 10 == 0 else "train" for i in range(2000)]
    tested = [normal_text(r.fields) for r, s in zip(rows, splits, strict=True) if s == "test"]
    named = {i for pair in cross_split_pairs(rows, splits) for i in (pair.first, pair.second)}
    for r, split in list(zip(rows, splits, strict=True))[1:100]:
        near = any(jaccard(normal_text(r.fields), other) >= 0.8 for other in tested)
        assert near
        assert r.id in named, (r, split)


def test_cross_split_pairs_leaves_removed_rows_out() -> None:
    rows = rows_of(["one honest sentence", "one honest sentence", "one honest sentence!"])
    assert cross_split_pairs(rows, ["train", None, None]) == ()
    assert [p.kind for p in cross_split_pairs(rows, ["train", None, "test"])] == ["near"]


def test_cross_split_pairs_is_empty_when_groups_stay_together() -> None:
    rows = rows_of(variants(3))
    groups = group_rows(rows)
    names = sorted(set(groups.of))
    splits = ["train" if names.index(group) % 2 else "test" for group in groups.of]
    assert cross_split_pairs(rows, splits) == ()


def test_no_rows_and_one_row() -> None:
    assert group_rows([]).of == ()
    assert group_rows([row("only", "a sentence that stands alone")]).of == ("only",)


@pytest.mark.parametrize("number", [0, 7919])
def test_large_clusters_cost_no_quadratic_time(number: int) -> None:
    """All rows equal, or all but for a number; every pair would be 4.5 million."""
    letter = "Dear customer, thank you for your order, it left our house today, number {} thanks"
    rows = rows_of([letter.format(i * number) for i in range(3000)])
    started = time.perf_counter()
    groups = group_rows(rows)
    assert time.perf_counter() - started < 10
    assert len(groups.pairs) < 40 * len(rows)
    assert np.unique(groups.of).size == 1
