"""The prefix tree of a batch: every shared beginning held once.

Nodes are runs of tokens, laid out depth first: a node's own tokens, then those of all that begin
with them. So token j is an ancestor of token i, or i itself, exactly where j <= i < stop of j's
node, and position ids continue along each branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Ids = tuple[int, ...]

WORTH = 8  # tokens saved; a branch that saves fewer costs more than it saves
SMALL = 128  # tokens; but a subtree this small is computed in one piece, however it branches


@dataclass(frozen=True, slots=True)
class Node:
    """Own tokens are layout places start to end; what begins with them goes on to stop."""

    start: int
    end: int
    stop: int


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Unique tokens of a batch in layout order.

    Attributes:
        tokens: (N,) token ids.
        positions: (N,) position of each token in its sequence.
        nodes: depth first; together their own tokens are all N.
        paths: per sequence, in the order given, the tokens that spell it.
    """

    tokens: np.ndarray
    positions: np.ndarray
    nodes: tuple[Node, ...]
    paths: tuple[np.ndarray, ...]


def shared_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of leading tokens that two sequences of one type have in common."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def build_tree(sequences: Sequence[Ids], worth: int = WORTH, small: int = SMALL) -> PrefixTree:
    """Merge sequences into a tree.

    A beginning is shared where that saves `worth` tokens, or where all that follows is `small`.
    """
    return _Builder(sequences, worth, small).tree()


def last_seen(nodes: Sequence[Node], size: int) -> np.ndarray:
    """(N,) for each token the place behind the last token that sees it."""
    stops = np.zeros(size, dtype=np.int64)
    for node in nodes:
        stops[node.start : node.end] = node.stop
    return stops


def sees(nodes: Sequence[Node], size: int) -> np.ndarray:
    """(N, N) which tokens each token attends to: its ancestors and itself."""
    place = np.arange(size)
    return (place <= place[:, None]) & (place[:, None] < last_seen(nodes, size))


@dataclass(slots=True)
class _Builder:
    sequences: Sequence[Ids]
    worth: int
    small: int
    tokens: list[int] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def tree(self) -> PrefixTree:
        order = sorted(range(len(self.sequences)), key=self.sequences.__getitem__)
        paths: dict[int, np.ndarray] = {}
        self._grow(order, np.zeros(0, dtype=np.int64), paths)
        return PrefixTree(
            np.array(self.tokens, dtype=np.int64),
            np.concatenate(self.positions) if self.positions else np.zeros(0, dtype=np.int64),
            tuple(sorted(self.nodes, key=lambda node: node.start)),
            tuple(paths[i] for i in range(len(self.sequences))),
        )

    def _grow(self, members: list[int], above: np.ndarray, paths: dict[int, np.ndarray]) -> None:
        """Lay out sorted sequences that all go through `above`."""
        first, last = self.sequences[members[0]], self.sequences[members[-1]]
        common = shared_length(first, last)  # of all of them, because they are sorted
        saved = (len(members) - 1) * (common - len(above))
        if len(members) > 1 and saved < (1 if self._is_small(members, above) else self.worth):
            for part in self._parted(members, common):
                self._grow(part, above, paths)
            return
        start = len(self.tokens)
        self.tokens += first[len(above) : common]
        end = len(self.tokens)
        self.positions.append(np.arange(len(above), common))
        path = np.concatenate([above, np.arange(start, end)])
        for part in self._parted(members, common):
            if len(self.sequences[part[0]]) == common:
                paths[part[0]] = path
            else:
                self._grow(part, path, paths)
        if end > start:
            self.nodes.append(Node(start, end, len(self.tokens)))

    def _is_small(self, members: list[int], above: np.ndarray) -> bool:
        lengths = (len(self.sequences[i]) - len(above) for i in members)
        return sum(lengths) <= self.small

    def _parted(self, members: list[int], common: int) -> list[list[int]]:
        """Members by their next token; one that ends here is by itself."""
        parts: list[list[int]] = []
        before: int | None = None
        for i in members:
            token = self.sequences[i][common] if len(self.sequences[i]) > common else None
            if token is None or token != before:
                parts.append([])
            parts[-1].append(i)
            before = token
        return parts
