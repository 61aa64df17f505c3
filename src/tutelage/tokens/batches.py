"""Optimiser batches and micro-batches; the order is a pure function of (seed, step).

Position p of the endless training stream is row `p mod n` of the permutation of epoch `p div n`.
The optimiser batch of step s is positions [s·b, (s+1)·b): drawn uniformly from its epoch. Only
inside it are rows grouped by length, so the statistics of training do not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from tutelage.records import Encoded


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one micro-batch, right-padded.

    Attributes:
        ids: examples' ids, for error messages.
        input_ids_BT: token ids; causality keeps the padding on the right out of every real row,
            so no attention mask is needed.
        rows: indices into the flattened (B·T) hidden states whose next token is a target.
        targets: the token id each of `rows` should predict.
    """

    ids: tuple[str, ...]
    input_ids_BT: torch.Tensor
    rows: torch.Tensor
    targets: torch.Tensor
    tokens: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(
            self.ids,
            self.input_ids_BT.to(device),
            self.rows.to(device),
            self.targets.to(device),
            self.tokens,
        )


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """Permutation of the rows for one epoch."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


def step_rows(seed: int, step: int, batch_size: int, rows: int) -> list[int]:
    """Row numbers of one optimiser step."""
    positions = range(step * batch_size, (step + 1) * batch_size)
    return [int(epoch_order(seed, p // rows, rows)[p % rows]) for p in positions]


def total_steps(rows: int, epochs: float, batch_size: int) -> int:
    """Optimiser steps of a run, at least one."""
    return max(1, round(rows * epochs / batch_size))


def micro_batches(encoded: Sequence[Encoded], token_budget: int, pad_id: int) -> Iterator[Batch]:
    """Group by length into batches of at most `token_budget` padded tokens (or one row)."""
    ordered = sorted(encoded, key=lambda e: (-len(e), e.id))
    start = 0
    while start < len(ordered):
        width = len(ordered[start]) - 1
        count = max(1, token_budget // width)
        yield collate(ordered[start : start + count], pad_id)
        start += count


def collate(encoded: Sequence[Encoded], pad_id: int) -> Batch:
    """Right-pad examples into one batch; the last token of each is a target, never an input."""
    width = max(len(e) for e in encoded) - 1
    input_ids = np.full((len(encoded), width), pad_id, dtype=np.int64)
    rows: list[np.ndarray] = []
    targets: list[int] = []
    for i, e in enumerate(encoded):
        sequence = (*e.prompt_ids, *e.completion_ids)
        input_ids[i, : len(sequence) - 1] = sequence[:-1]
        first = i * width + len(e.prompt_ids) - 1
        rows.append(np.arange(first, first + len(e.completion_ids)))
        targets.extend(e.completion_ids)
    return Batch(
        ids=tuple(e.id for e in encoded),
        input_ids_BT=torch.from_numpy(input_ids),
        rows=torch.from_numpy(np.concatenate(rows)),
        targets=torch.tensor(targets, dtype=torch.int64),
        tokens=sum(len(e) - 1 for e in encoded),
    )
