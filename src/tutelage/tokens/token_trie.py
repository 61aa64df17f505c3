"""How much rows share: tokens of a set of rows, and the nodes of the trie that spells them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tutelage.records import Encoded
from tutelage.tokens.batches import Batch
from tutelage.tokens.prefix_tree import shared_length

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sharing:
    """Tokens that enter the model: with a copy per row, and with every shared beginning once."""

    tokens: int
    unique: int

    @property
    def saved(self) -> float:
        """Share of the tokens that need not be computed."""
        return 1 - self.unique / self.tokens if self.tokens else 0.0

    @classmethod
    def of_set(cls, encoded: Sequence[Encoded]) -> Sharing:
        """All rows merged into one trie: the most that any batching could share.

        The last token of a row is a target and never an input, so it does not count.
        """
        inputs = [(*e.prompt_ids, *e.completion_ids)[:-1] for e in encoded]
        return cls(sum(map(len, inputs)), trie_nodes(inputs))

    @classmethod
    def of_batches(cls, batches: Iterable[Batch]) -> Sharing:
        """What micro-batches compute, against separate rows."""
        tokens = unique = 0
        for batch in batches:
            tokens += batch.tokens
            unique += batch.unique
        return cls(tokens, unique)


def trie_nodes(sequences: Iterable[Ids]) -> int:
    """Nodes of a trie of sequences, the root left out.

    In sorted order a sequence shares most with its neighbour, and adds what follows that.
    """
    ordered = sorted(sequences)
    first = len(ordered[0]) if ordered else 0
    return first + sum(len(b) - shared_length(a, b) for a, b in pairwise(ordered))
