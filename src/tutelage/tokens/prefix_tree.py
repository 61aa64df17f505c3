"""The prefix tree of a batch: every shared beginning held once.

Sequences are laid out one after the other; where one begins like its neighbour, it goes on from
the neighbour's tokens instead of repeating them. A mask lets each token see its ancestors, and
position ids continue along each branch, so without dropout the computation equals that of
separate rows (gradients too: tests/parity).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Unique tokens of a batch in layout order.

    Attributes:
        tokens: (N,) token ids.
        positions: (N,) position of each token in its sequence.
        sees: (N, N) which tokens each token attends to, or None where plain causality says it.
        paths: per sequence, the nodes that spell it, in order.
    """

    tokens: np.ndarray
    positions: np.ndarray
    sees: np.ndarray | None
    paths: tuple[np.ndarray, ...]


def shared_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of leading tokens that two sequences have in common."""
    return sum(1 for _ in takewhile(lambda ab: ab[0] == ab[1], zip(a, b, strict=False)))


def build_tree(sequences: Sequence[Ids]) -> PrefixTree:
    """Merge sequences into a tree; neighbours should be sorted by their tokens."""
    paths: list[np.ndarray] = []
    size = 0
    for i, sequence in enumerate(sequences):
        same = shared_length(sequences[i - 1], sequence) if i else 0
        own = np.arange(size, size + len(sequence) - same)
        paths.append(np.concatenate([paths[i - 1][:same], own]) if same else own)
        size += len(own)
    tokens = np.zeros(size, dtype=np.int64)
    positions = np.zeros(size, dtype=np.int64)
    sees = np.zeros((size, size), dtype=bool) if len(sequences) > 1 else None
    start = 0
    for sequence, path in zip(sequences, paths, strict=True):
        own = path[path >= start]
        first = len(path) - len(own)
        tokens[own] = sequence[first:]
        positions[own] = np.arange(first, len(path))
        if sees is not None and len(own):
            sees[own[:, None], path[None, :first]] = True
            sees[start : start + len(own), start : start + len(own)] = np.tri(len(own), dtype=bool)
        start += len(own)
    return PrefixTree(tokens, positions, sees, tuple(paths))
