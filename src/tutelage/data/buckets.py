"""Candidates out of the buckets of one hash: neighbours in sorted order, never all pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_NEIGHBOURS = 16
# In a larger bucket fewer neighbours are looked at, and only as long as they are unconnected.
_LARGE = 64
_FEW = 4

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]


def neighbours(
    bucket: Hashes, further: Hashes, bits: NDArray[np.uint8] | None = None
) -> tuple[Integers, Flags]:
    """Index pairs (P, 2), left < right, of texts in one bucket, and which buckets are large.

    A bucket is sorted by `further` and each text meets its next 16 neighbours, all of them in a
    smaller bucket (sorted neighbourhood, Hernández and Stolfo 1995): a large cluster stays
    connected and costs no quadratic time. With `bits` each text meets the nearest 16 texts that
    have a higher bit than its own lowest one.
    """
    order = _shared(bucket)
    order = order[np.lexsort((further[order], bucket[order]))]
    _, run = np.unique(bucket[order], return_inverse=True)
    large = np.bincount(run, minlength=1)[run] > _LARGE
    if bits is None:
        found, wide = _following(run, large)
    else:
        found, wide = _facing(run, large, bits[order])
    ends = order[found]
    return np.sort(ends, axis=1), wide


def components(links: Integers, count: int) -> Integers:
    """Component label (count,) of the graph whose edges are `links` (E, 2)."""
    graph = coo_matrix((np.ones(len(links), np.int8), links.T), shape=(count, count))
    labels: Integers = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _shared(bucket: Hashes) -> Integers:
    """Positions whose bucket holds others too, in rising order."""
    order = np.argsort(bucket)
    same = bucket[order[1:]] == bucket[order[:-1]]
    shared = np.zeros(len(bucket), np.bool_)
    shared[order[1:][same]] = True
    shared[order[:-1][same]] = True
    return np.flatnonzero(shared)


def _following(run: Integers, large: Flags) -> tuple[Integers, Flags]:
    """Pairs of places, each with the next ones of its bucket."""
    found, wide = [np.empty((0, 2), np.int64)], [np.empty(0, np.bool_)]
    for step in range(1, min(_NEIGHBOURS, len(run) - 1) + 1):
        meets = run[step:] == run[:-step]
        if step > _FEW:
            meets &= ~large[:-step]
        left = np.flatnonzero(meets)
        found.append(np.stack((left, left + step), axis=1))
        wide.append(large[left])
    return np.concatenate(found), np.concatenate(wide)


def _facing(run: Integers, large: Flags, bits: NDArray[np.uint8]) -> tuple[Integers, Flags]:
    """Pairs of places, each with the nearest of its bucket that have a higher bit."""
    found, wide = [np.empty((0, 2), np.int64)], [np.empty(0, np.bool_)]
    for bit in (2, 4):
        upper = np.flatnonzero(bits & bit)
        lower = np.flatnonzero(bits & (bit - 1))
        at = np.searchsorted(upper, lower)
        for offset in range(-_NEIGHBOURS // 2, _NEIGHBOURS // 2 + 1):
            other = at + offset
            inside = np.flatnonzero((other >= 0) & (other < len(upper)))
            left, right = lower[inside], upper[other[inside]]
            meets = (run[left] == run[right]) & (left != right)
            if not -_FEW // 2 <= offset <= _FEW // 2:
                meets &= ~large[left]
            found.append(np.stack((left[meets], right[meets]), axis=1))
            wide.append(large[left[meets]])
    return np.concatenate(found), np.concatenate(wide)
