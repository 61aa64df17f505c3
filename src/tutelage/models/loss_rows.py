"""Logits and loss where there are labels, and nowhere else.

The head is the most expensive matrix of a small model, and a completion is a few tokens: the
hidden rows that predict a target are projected, the others never (`logits_to_keep` of the model
itself, so soft-caps and scalings stay in).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tutelage.tokens.batches import Batch


def label_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Logits of the labelled rows.

    Returns:
        logits_NV in the model's compute precision, one row per (row, target) pair of the batch.
    """
    keep_BT = torch.zeros_like(batch.input_ids_BT, dtype=torch.bool)
    unique, inverse = torch.unique_consecutive(batch.rows, return_inverse=True)
    keep_BT.view(-1)[unique] = True
    out = model(input_ids=batch.input_ids_BT, logits_to_keep=keep_BT, use_cache=False)
    logits_NV: torch.Tensor = out.logits.reshape(-1, out.logits.shape[-1])
    if len(unique) == len(batch.rows):
        return logits_NV
    return logits_NV.index_select(0, inverse)  # a branching row has several targets


def loss_sum(model: Any, batch: Batch) -> torch.Tensor:
    """Sum of the cross-entropies (nats, fp32) of all targets of a batch.

    The caller divides by the number of targets in the whole optimiser step, over all
    micro-batches: a mean of means would weigh tokens by the company they keep.
    """
    logits_NV = label_logits(model, batch)
    return cross_entropy(logits_NV.float(), batch.targets, reduction="sum")
