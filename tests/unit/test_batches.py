"""Batches: the order of rows is a pure function, and merging rows changes no (prefix, target)."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import Encoded
from tutelage.tokens.batches import (
    Batch,
    collate,
    micro_batches,
    total_steps,
)
from tutelage.tokens.prefix_tree import WORTH, Node, sees

IDS = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)
ROWS = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=10).map(
    lambda pairs: [Encoded(f"r{i}", p, c) for i, (p, c) in enumerate(pairs)]
)


def wanted(rows: list[Encoded]) -> Counter[tuple[tuple[int, ...], int]]:
    """What is predicted from what: all (prefix, next token) pairs of completions."""
    pairs: Counter[tuple[tuple[int, ...], int]] = Counter()
    for row in rows:
        ids = (*row.prompt_ids, *row.completion_ids)
        pairs.update((ids[:i], ids[i]) for i in range(len(row.prompt_ids), len(ids)))
    return pairs


def held(batch: Batch) -> Counter[tuple[tuple[int, ...], int]]:
    """The same, read off a batch: a token's prefix is what it attends to, by position."""
    tokens, positions = batch.input_ids_1N[0], batch.positions_1N[0]
    count = len(tokens)
    seen_NN = torch.from_numpy(sees(batch.nodes, count))
    pairs: Counter[tuple[tuple[int, ...], int]] = Counter()
    for row, target in zip(batch.rows.tolist(), batch.targets.tolist(), strict=True):
        seen = torch.nonzero(seen_NN[row]).flatten()
        seen = seen[positions[seen].argsort()]
        assert positions[seen].tolist() == list(range(int(positions[row]) + 1))
        pairs[tuple(tokens[seen].tolist()), target] += 1
    return pairs


@pytest.mark.parametrize(
    ("rows", "epochs", "batch", "steps"),
    [(100, 1, 10, 10), (100, 1.5, 10, 15), (104, 1, 10, 10), (106, 1, 10, 11), (3, 1, 16, 1)],
)
def test_total_steps(rows: int, epochs: float, batch: int, steps: int) -> None:
    assert total_steps(rows, epochs, batch) == steps


# --- merging ---


@settings(max_examples=80, deadline=None)
@given(rows=ROWS)
def test_merged_rows_predict_what_separate_rows_do(rows: list[Encoded]) -> None:
    batch = collate(sorted(rows, key=lambda e: (e.prompt_ids, e.completion_ids)))
    assert held(batch) == wanted(rows)
    assert batch.rows.tolist() == sorted(batch.rows.tolist())
    assert batch.tokens == sum(len(e) - 1 for e in rows)
    assert batch.unique <= batch.tokens
    assert sorted(batch.ids) == sorted(e.id for e in rows)


def test_unsorted_rows_are_right_too() -> None:
    rows = [Encoded("a", (1, 2), (3,)), Encoded("b", (2,), (1, 1)), Encoded("c", (1, 2), (4, 5))]
    assert held(collate(rows)) == wanted(rows)


def test_what_is_shared_is_held_once() -> None:
    rows = [Encoded("a", (1, 2, 3) * 3, (4,)), Encoded("b", (1, 2, 3) * 3, (5, 6))]
    batch = collate(rows)
    assert (batch.tokens, batch.unique) == (19, 10)
    assert batch.targets.tolist() == [4, 5, 6]
    assert batch.rows.tolist() == [8, 8, 9]


def test_a_single_row_needs_no_mask() -> None:
    batch = collate([Encoded("a", (1, 2), (3, 4))])
    assert batch.nodes == (Node(0, 3, 3),)
    assert batch.positions_1N.tolist() == [[0, 1, 2]]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, budget=st.integers(1, 30))
def test_micro_batches_hold_every_row_once_within_the_budget(
    rows: list[Encoded], budget: int
) -> None:
    batches = list(micro_batches(rows, budget))
    assert sorted(i for b in batches for i in b.ids) == sorted(e.id for e in rows)
    assert sum((held(b) for b in batches), Counter()) == wanted(rows)
    for batch in batches:
        assert batch.unique <= budget or len(batch.ids) == 1
    # Of two neighbours the second did not fit into the first, short beginnings aside.
    assert all(one.unique + other.unique > budget - WORTH for one, other in pairwise(batches))


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(2, 12), min_size=1, max_size=9), budget=st.integers(11, 40))
def test_micro_batches_are_as_few_and_as_even_as_can_be(lengths: list[int], budget: int) -> None:
    """Among all ways to cut rows that share nothing, in their order, into so few batches."""
    rows = [
        Encoded(str(n), tuple(range(100 * n, 100 * n + size - 1)), (7,))
        for n, size in enumerate(lengths, 1)
    ]
    found = [batch.unique for batch in micro_batches(rows, budget)]
    sizes = [len(e) - 1 for e in rows]

    def cut(places: tuple[int, ...]) -> list[int]:
        edges = [0, *places, len(sizes)]
        return [sum(sizes[a:b]) for a, b in pairwise(edges)]

    every = [
        cut(places)
        for count in range(len(sizes))
        for places in combinations(range(1, len(sizes)), count)
    ]
    few = min(len(parts) for parts in every if max(parts) <= budget)
    assert len(found) == few
    assert max(found) == min(max(parts) for parts in every if len(parts) == few)


@given(rows=ROWS)
def test_without_sharing_every_row_is_alone(rows: list[Encoded]) -> None:
    batches = list(micro_batches(rows, 1000, merged=0))
    assert [b.ids for b in batches] == [(e.id,) for e in rows]
    assert all(len(b.nodes) == 1 and b.unique == b.tokens for b in batches)


@given(rows=ROWS, merged=st.integers(0, 8))
def test_rows_longer_than_the_model_can_merge_are_alone(rows: list[Encoded], merged: int) -> None:
    batches = list(micro_batches(rows, 1000, merged=merged))
    assert sorted(i for b in batches for i in b.ids) == sorted(e.id for e in rows)
    for e in rows:
        (batch,) = (b for b in batches if e.id in b.ids)
        assert len(e) <= merged or batch.ids == (e.id,)


def test_a_batch_moves_with_all_it_holds() -> None:
    batch = collate([Encoded("a", (1, 2), (3,)), Encoded("b", (1,), (3, 4))])
    moved = batch.to(torch.device("meta"))
    assert (moved.ids, moved.tokens, moved.unique) == (batch.ids, batch.tokens, batch.unique)
    for name in ("input_ids_1N", "positions_1N", "rows", "targets"):
        assert getattr(moved, name).device.type == "meta"
        assert getattr(moved, name).shape == getattr(batch, name).shape
    assert moved.nodes == batch.nodes
