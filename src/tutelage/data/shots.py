"""Few-shot examples: from training rows only, label-balanced, the same for every query."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import cycle

from tutelage.records import Example


def choose_shots(
    train: Sequence[Example], labels: Sequence[str], k: int, seed: int
) -> list[Example]:
    """Draw `k` examples, labels in turn, in an order that only the seed and the row ids decide.

    Every beginning of the list is label-balanced too, so that a block which has to be shortened
    to fit the context stays balanced.
    """

    def rank(example: Example) -> bytes:
        return hashlib.sha256(f"{seed}\0{example.id}".encode("utf-8", "surrogatepass")).digest()

    if not labels:  # text answers, or options of each row's own
        return sorted(train, key=rank)[:k]
    pools = {name: sorted((e for e in train if e.label == name), key=rank) for name in labels}
    first = sorted(labels, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    chosen: list[Example] = []
    for name in cycle(first):
        if len(chosen) == k or not any(pools.values()):
            return chosen
        if pools[name]:
            chosen.append(pools[name].pop(0))
    return chosen
