"""Tokens shared by rows: the trie's nodes against brute force, and what micro-batches share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import Encoded
from tutelage.tokens.batches import collate, micro_batches
from tutelage.tokens.prefix_tree import WORTH
from tutelage.tokens.token_trie import Sharing, trie_nodes

IDS = st.lists(st.integers(0, 2), max_size=8).map(tuple)
ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 2), min_size=1, max_size=6),
        st.lists(st.integers(0, 2), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=12,
)


def encoded(rows: list[tuple[list[int], list[int]]]) -> list[Encoded]:
    return [Encoded(str(i), tuple(p), tuple(c)) for i, (p, c) in enumerate(rows)]


@given(st.lists(IDS, max_size=20))
@settings(max_examples=150, deadline=None)
def test_a_trie_has_a_node_per_beginning(sequences: list[tuple[int, ...]]) -> None:
    beginnings = {s[:n] for s in sequences for n in range(1, len(s) + 1)}
    assert trie_nodes(sequences) == len(beginnings)


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_one_batch_repeats_only_short_beginnings(
    rows: list[tuple[list[int], list[int]]],
) -> None:
    found = encoded(rows)
    whole = Sharing.of_set(found)
    ordered = sorted(found, key=lambda e: (*e.prompt_ids, *e.completion_ids)[:-1])
    merged = Sharing.of_batches([collate(ordered)])
    assert whole.tokens == merged.tokens
    assert whole.unique <= merged.unique <= whole.unique + WORTH * len(found)
    assert whole.tokens == sum(len(e) - 1 for e in found)


@given(ROWS, st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_smaller_batches_share_less(rows: list[tuple[list[int], list[int]]], budget: int) -> None:
    found = encoded(rows)
    whole = Sharing.of_set(found)
    part = Sharing.of_batches(micro_batches(found, budget))
    alone = Sharing.of_batches(micro_batches(found, budget, merged=0))
    assert whole.unique <= part.unique <= alone.unique == alone.tokens


def test_the_share_that_is_saved() -> None:
    rows = encoded([([1] * 9, [5]), ([1] * 9, [6])])
    found = Sharing.of_set(rows)
    assert (found.tokens, found.unique) == (18, 9)
    assert found.saved == pytest.approx(0.5)
    assert Sharing(0, 0).saved == 0
