"""Micro-batches: the rows of an optimiser batch, grouped by what they begin with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tutelage.records import Encoded
from tutelage.tokens.prefix_tree import Node, build_tree, shared_length


@dataclass(frozen=True, slots=True)
class Batch:
    """A micro-batch: the unique tokens of its rows, and what each should predict.

    Attributes:
        ids: examples' ids, for error messages.
        input_ids_1N: unique tokens in layout order.
        positions_1N: position of each token in its row.
        nodes: the tree that the tokens form; a single row is one node.
        rows: indices into the N hidden states whose next token is a target, rising; a branching
            token stands there once per target.
        targets: the token id each of `rows` should predict.
        owners: which of `ids` each target belongs to; on the host.
        paths: per row, the tokens that spell it; on the host.
        tokens: real tokens of all rows, each with its own copy of what is shared.
    """

    ids: tuple[str, ...]
    input_ids_1N: torch.Tensor
    positions_1N: torch.Tensor
    nodes: tuple[Node, ...]
    rows: torch.Tensor
    targets: torch.Tensor
    owners: torch.Tensor
    paths: tuple[np.ndarray, ...]
    tokens: int

    @property
    def unique(self) -> int:
        """Tokens that are really computed."""
        return self.input_ids_1N.shape[1]

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(
            self.ids,
            self.input_ids_1N.to(device),
            self.positions_1N.to(device),
            self.nodes,
            self.rows.to(device),
            self.targets.to(device),
            self.owners,
            self.paths,
            self.tokens,
        )


def total_steps(rows: int, epochs: float, batch_size: int) -> int:
    """Optimiser steps of a run, at least one."""
    return max(1, round(rows * epochs / batch_size))


ALL = 2**31 - 1  # tokens; longer than any row


def micro_batches(
    encoded: Sequence[Encoded], token_budget: int, *, merged: int = ALL
) -> Iterator[Batch]:
    """Group rows by what they begin with into batches of at most `token_budget` unique tokens.

    As few as that allows, and about as large as each other. A row longer than the budget is a
    batch of its own, and so is one of more than `merged` tokens.
    """
    yield from _grouped(encoded, token_budget, merged, _even)


def full_batches(
    encoded: Sequence[Encoded], token_budget: int, *, merged: int = ALL
) -> Iterator[Batch]:
    """The same, each filled before the next one begins: the largest that such rows can make."""
    yield from _grouped(encoded, token_budget, merged, lambda _, budget: budget)


def _grouped(
    encoded: Sequence[Encoded],
    token_budget: int,
    merged: int,
    filled: Callable[[Sequence[tuple[int, int]], int], int],
) -> Iterator[Batch]:
    yield from (collate([e]) for e in encoded if len(e) > merged)
    short = [e for e in encoded if len(e) <= merged]
    ordered = sorted(short, key=lambda e: (e.prompt_ids, e.completion_ids, e.id))
    sizes = _sizes(ordered)
    to, start = filled(sizes, token_budget), 0
    while start < len(ordered):
        stop = _fitting(sizes, start, to)
        batch = collate(ordered[start:stop])
        while batch.unique > token_budget and stop - start > 1:
            stop -= 1  # beginnings too short to share were counted once, and are repeated
            batch = collate(ordered[start:stop])
        yield batch
        start = stop


def computed_tokens(encoded: Sequence[Encoded], token_budget: int, *, merged: int = ALL) -> int:
    """Unique tokens of all micro-batches of these rows."""
    return sum(batch.unique for batch in micro_batches(encoded, token_budget, merged=merged))


def _sizes(ordered: Sequence[Encoded]) -> list[tuple[int, int]]:
    """Tokens of each row alone, and behind the row before it if every beginning is held once."""
    inputs = [_inputs(e) for e in ordered]
    befores = [(), *inputs]
    return [
        (len(here), len(here) - shared_length(before, here))
        for before, here in zip(befores, inputs, strict=False)
    ]


def _fitting(sizes: Sequence[tuple[int, int]], start: int, token_budget: int) -> int:
    """Where a batch ends; at least one row is in it."""
    size = sizes[start][0]
    for stop in range(start + 1, len(sizes)):
        size += sizes[stop][1]
        if size > token_budget:
            return stop
    return len(sizes)


def _even(sizes: Sequence[tuple[int, int]], token_budget: int) -> int:
    """The smallest budget that takes no more batches: none is then left with a few rows."""

    def count(budget: int) -> int:
        start = batches = 0
        while start < len(sizes):
            start, batches = _fitting(sizes, start, budget), batches + 1
        return batches

    few = count(token_budget)
    if few < 2:
        return token_budget
    least = max((size for size, _ in sizes if size <= token_budget), default=token_budget)
    enough = bisect_left(range(least, token_budget), -few, key=lambda budget: -count(budget))
    return least + enough


def collate(encoded: Sequence[Encoded], before: int = 0) -> Batch:
    """Merge rows into one batch; the last token of each is a target, never an input.

    Args:
        encoded: the rows.
        before: tokens that stand before all of them, and are not in the batch.
    """
    tree = build_tree([_inputs(e) for e in encoded])
    rows = np.concatenate(
        [path[len(e.prompt_ids) - 1 :] for e, path in zip(encoded, tree.paths, strict=True)]
    )
    targets = np.concatenate([np.array(e.completion_ids, dtype=np.int64) for e in encoded])
    owners = np.repeat(np.arange(len(encoded)), [len(e.completion_ids) for e in encoded])
    if any(e.trained for e in encoded):  # conversations: what others said is no target
        marks = [e.trained or (True,) * len(e.completion_ids) for e in encoded]
        trained = np.concatenate([np.array(m, dtype=bool) for m in marks])
        rows, targets, owners = rows[trained], targets[trained], owners[trained]
    order = np.argsort(rows, kind="stable")
    return Batch(
        ids=tuple(e.id for e in encoded),
        input_ids_1N=torch.from_numpy(tree.tokens)[None],
        positions_1N=torch.from_numpy(tree.positions + before)[None],
        nodes=tree.nodes,
        rows=torch.from_numpy(rows[order]),
        targets=torch.from_numpy(targets[order]),
        owners=torch.from_numpy(owners[order]),
        paths=tree.paths,
        tokens=sum(len(e) - 1 for e in encoded),
    )


def _inputs(e: Encoded) -> tuple[int, ...]:
    return (*e.prompt_ids, *e.completion_ids)[:-1]
