"""The balancing of groups, against a plain matrix computation of the same rule."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tutelage.data.balance import Tally, _fill, balance
from tutelage.data.config import SplitConfig
from tutelage.data.splits import shares


def matrix_fill(order, needs, wanted):
    """Every label of every group at every step, as matrices."""
    left = wanted.copy()
    assigned = [0] * len(order)
    present = needs > 0
    unseen = present.sum(axis=0)
    trained = np.zeros(needs.shape[1], dtype=bool)
    empty = np.ones(len(wanted), dtype=bool)
    for remaining, group in zip(range(len(order), 0, -1), order, strict=True):
        need = needs[group]
        unseen -= present[group]
        split = 0
        if not np.any(present[group] & ~trained & (unseen == 0)):
            cost = ((need - 2 * left) * need / wanted).sum(axis=1)
            if remaining <= empty.sum():
                cost[~empty] = np.inf
            split = int(np.argmin(cost))
        if split == 0:
            trained |= present[group]
        empty[split] = False
        left[split] -= need
        assigned[group] = split
    return assigned, left


@pytest.mark.parametrize("seed", range(6))
def test_the_sparse_way_is_the_matrix_way(seed: int) -> None:
    rng = random.Random(seed)
    rows = [(f"g{rng.randrange(80)}", rng.choice("aaabbcd")) for _ in range(400)]
    groups, labels = map(list, zip(*rows, strict=True))
    tally = Tally.of_rows(groups, labels)
    needs = np.zeros((len(tally.names), len(set(labels)) + 1))
    for group, label in rows:
        needs[tally.names.index(group), [sorted(set(labels)).index(label), -1]] += 1
    assert np.array_equal(tally.whole, needs.sum(axis=0))
    wanted = np.outer((0.7, 0.1, 0.2), tally.whole)
    order = list(range(len(tally.names)))
    rng.shuffle(order)
    assigned, left = _fill(order, tally, wanted)
    expected, expected_left = matrix_fill(order, needs, wanted)
    assert assigned == expected
    assert np.allclose(left, expected_left)


def test_two_shares_and_many_labels() -> None:
    """One column per group and label would be 2,000 x 1,001 numbers."""
    names = [f"g{i}" for i in range(2000)]
    tally = Tally.of_rows(names, [f"l{i % 1000}" for i in range(2000)])
    assert len(tally.counts) == 4000
    dealt = balance(tally, (0.8, 0.2), seed=1)
    assert 200 < dealt.count(1) < 500  # no label has the 5 rows that 0.2 of it would take
    trained = {name for name, to in zip(tally.names, dealt, strict=True) if to == 0}
    assert {int(name[1:]) % 1000 for name in trained} == set(range(1000))


def test_many_groups_stay_close_to_the_shares() -> None:
    tally = Tally.of_rows(
        [str(i) for i in range(30_000)], ["ab"[i % 3 == 0] for i in range(30_000)]
    )
    dealt = balance(tally, shares(30_000, SplitConfig()), seed=0)
    assert [dealt.count(i) for i in range(3)] == [21_000, 3_000, 6_000]
