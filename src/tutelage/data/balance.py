"""Whole groups dealt out so that sizes and label shares come close to what was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DRAWS = 20
_PLACEMENTS = 20_000

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows per label of every group, and of all labels together as a last one.

    Group g has the entries `starts[g]` to `starts[g + 1]` of `kinds` and `counts`; `whole`
    (labels + 1,) are the sums over groups.
    """

    names: Sequence[str]
    starts: list[int]
    kinds: list[int]
    counts: list[float]
    whole: Counts

    @classmethod
    def of_rows(cls, groups: Sequence[str], labels: Sequence[str]) -> Tally:
        """Count rows; `groups[i]` and `labels[i]` belong to row i, in any order."""
        names, group_of = coded(groups)
        kinds, kind_of = coded(labels)
        width = len(kinds) + 1
        keys = np.concatenate((group_of * width + kind_of, group_of * width + len(kinds)))
        cells, counts = np.unique(keys, return_counts=True)
        group, kind = np.divmod(cells, width)
        starts = np.searchsorted(group, np.arange(len(names) + 1))
        whole: Counts = np.bincount(kind, counts, width).astype(np.float64)
        return cls(names, starts.tolist(), kind.tolist(), counts.astype(float).tolist(), whole)


def coded(names: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct names, sorted, and the index of every name among them."""
    distinct = sorted(set(names))
    index = {name: i for i, name in enumerate(distinct)}
    return distinct, np.fromiter((index[name] for name in names), np.int64, len(names))


def balance(tally: Tally, shares: Sequence[float], seed: int, *, least: int = 0) -> list[int]:
    """Index of a share for every group: the best balanced of a few random orders.

    Groups are visited in random order, and each goes where it is needed most. A label found in
    one group only goes to the first share. Orders whose last share has fewer than `least` rows,
    though so many are wanted, lose.
    """
    wanted = np.outer(shares, tally.whole)
    candidates = []
    for draw in range(max(1, min(_DRAWS, _PLACEMENTS // len(tally.names)))):
        ranks = [_rank(name, seed, draw) for name in tally.names]
        order = sorted(range(len(ranks)), key=ranks.__getitem__)
        assigned, left = _fill(order, tally, wanted)
        empty = len(shares) - len(set(assigned))
        filled = (wanted - left)[-1, -1]
        short = bool(round(filled) < least <= round(wanted[-1, -1]))
        imbalance = float((left * left / wanted).sum())
        candidates.append((empty, short, imbalance, draw, assigned))
    return min(candidates)[-1]


def _rank(name: str, seed: int, draw: int) -> bytes:
    text = f"{seed}\0{draw}\0{name}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).digest()


def _fill(order: Sequence[int], tally: Tally, wanted: Counts) -> tuple[list[int], Counts]:
    """Give each group in turn to the share where it lowers the squared relative need most.

    `wanted` (shares, labels + 1) is what each should get. Returns the share per group and what
    is still wanted. The last group of a label that the first share has no row of goes there, and
    the last groups of all to shares that have none.
    """
    left, goals = wanted.tolist(), wanted.tolist()
    assigned = [0] * len(order)
    unseen = np.bincount(tally.kinds, minlength=wanted.shape[1]).tolist()
    trained = [False] * wanted.shape[1]
    empty = set(range(len(wanted)))
    for remaining, group in zip(range(len(order), 0, -1), order, strict=True):
        part = slice(tally.starts[group], tally.starts[group + 1])
        cells = list(zip(tally.kinds[part], tally.counts[part], strict=True))
        for kind, _ in cells:
            unseen[kind] -= 1
        to = 0
        if not any(unseen[kind] == 0 and not trained[kind] for kind, _ in cells):
            choices = empty if remaining <= len(empty) else range(len(goals))
            costs = [
                (sum((n - 2 * left[i][k]) * n / goals[i][k] for k, n in cells), i) for i in choices
            ]
            to = min(costs)[1]
        if to == 0:
            for kind, _ in cells:
                trained[kind] = True
        empty.discard(to)
        for kind, count in cells:
            left[to][kind] -= count
        assigned[group] = to
    return assigned, np.array(left)
