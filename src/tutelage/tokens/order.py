"""The endless stream of training rows; what a step takes is a function of seed and step.

Position p of the stream is row `p mod n` of the order of epoch `p div n`, and the optimiser batch
of step s is positions [s·b, (s+1)·b). An order is a random permutation. Rows under one template
can stand together in it, a few at a time: which rows those are is random, so a batch is a random
sample of rows under fewer templates, whose shared beginnings are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from tutelage.records import Encoded
from tutelage.tokens.store import TokenStore

_SAMPLED = 24  # steps
_PAYS = 0.97  # of the tokens of a plain permutation; less is not worth fewer templates in a batch
_AS_GOOD = 1.05  # of the fewest tokens


class Epochs(Protocol):
    """The training examples of every epoch, made when they are asked for."""

    def __getitem__(self, epoch: int, /) -> Sequence[Encoded]: ...


class SameRows:
    """Every epoch the same."""

    def __init__(self, rows: Sequence[Encoded]) -> None:
        self._rows = rows

    def __getitem__(self, _epoch: int, /) -> Sequence[Encoded]:
        return self._rows


class Stream:
    """Rows of optimiser steps, from epochs of the same rows in the same places."""

    def __init__(self, epochs: Epochs, *, seed: int, batch_size: int, together: int = 1) -> None:
        self._epochs = epochs
        self._seed, self._batch_size, self._together = seed, batch_size, together
        self._count = len(epochs[0])
        self._orders: dict[int, np.ndarray] = {}

    def places(self, step: int) -> Iterator[tuple[int, int]]:
        """(epoch, row number) of the examples of one optimiser step; an epoch after the other."""
        for position in range(step * self._batch_size, (step + 1) * self._batch_size):
            epoch, place = divmod(position, self._count)
            yield epoch, int(self._order(epoch)[place])

    def rows(self, step: int) -> list[Encoded]:
        """The examples of one optimiser step."""
        return [self._epochs[epoch][row] for epoch, row in self.places(step)]

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            codes = None if self._together == 1 else template_codes(self._epochs[epoch])
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = epoch_order(self._seed, epoch, self._count, codes, self._together)
        return self._orders[epoch]


def template_codes(rows: Sequence[Encoded]) -> np.ndarray:
    """(N,) a number per row, the same for rows under one template."""
    if isinstance(rows, TokenStore):
        return rows.template_codes
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(e.template, len(numbers)) for e in rows], np.int64)


def epoch_order(
    seed: int, epoch: int, count: int, codes_N: np.ndarray | None = None, together: int = 1
) -> np.ndarray:
    """A permutation of so many rows in which `together` rows of one code follow one another.

    They begin at multiples of `together` in the stream, so that batches cut few of them. What a
    code has beyond its whole runs forms runs of mixed codes among the others.
    """
    rng = np.random.default_rng([seed, epoch])
    order_N = rng.permutation(count)
    if codes_N is None or together == 1:
        return order_N
    head = min(-epoch * count % together, count)
    middle_M = order_N[head : count - (count - head) % together]
    codes_M = codes_N[middle_M]
    by_code_M = np.argsort(codes_M, kind="stable")  # still at random within a code
    _, starts, sizes = np.unique(codes_M[by_code_M], return_index=True, return_counts=True)
    rank_M = np.arange(len(middle_M)) - np.repeat(starts, sizes)
    whole_M = rank_M < np.repeat(sizes - sizes % together, sizes)
    left = np.sort(by_code_M[~whole_M])  # by place in a random order; they fill runs of their own
    runs_RT = middle_M[np.concatenate([by_code_M[whole_M], left])].reshape(-1, together)
    between = rng.permutation(runs_RT).reshape(-1)
    return np.concatenate([order_N[:head], between, order_N[head + len(middle_M) :]])


def rows_together(
    rows: Sequence[Encoded],
    computed: Callable[[Sequence[Encoded]], int],
    *,
    seed: int,
    batch_size: int,
    tasks: int,
) -> int:
    """How many rows of a template follow one another: 1 where more would save little.

    At most half a batch, and a quarter in a mixture of tasks, because a template belongs to one
    task; as few as save nearly the most.

    Args:
        rows: of the first epoch.
        computed: tokens that a step of such rows computes.
        seed: of the order.
        batch_size: examples of a step.
        tasks: how many are mixed.
    """
    if len(np.unique(template_codes(rows))) == 1:
        return 1  # what another order saves here is chance
    count = max(1, len(rows) // batch_size)
    sampled = sorted({i * count // _SAMPLED for i in range(_SAMPLED)})

    def steps(together: int) -> list[list[Encoded]]:
        stream = Stream(SameRows(rows), seed=seed, batch_size=batch_size, together=together)
        return [stream.rows(step) for step in sampled]

    def saved(made: list[list[Encoded]]) -> int:
        """Unlike what is computed, this hardly depends on how long the sampled rows are."""
        return sum(sum(len(e) - 1 for e in step) - computed(step) for step in made)

    plain = steps(1)
    few, many = max(1, batch_size // 4), max(1, batch_size // (4 if tasks > 1 else 2))
    base = saved(plain) + sum(map(computed, plain))
    tokens = {size: base - saved(steps(size)) for size in (1, few, many)}
    least = min(tokens.values())
    if least > _PAYS * tokens[1]:
        return 1
    return min(size for size, number in tokens.items() if number <= _AS_GOOD * least)
