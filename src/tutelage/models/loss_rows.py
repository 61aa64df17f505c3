"""Logits and loss where there are labels, and nowhere else.

The head is the most expensive matrix of a small model, and a completion is a few tokens: the
hidden rows that predict a target are projected, the others never (`logits_to_keep` of the model
itself, so soft-caps and scalings stay in).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tutelage.records import Encoded
from tutelage.tokens.batches import Batch, collate

_SAME_LOGITS = 1e-3  # in standard deviations of a row's logits; rounding stays below 1e-5


def merges_exactly(model: Any, longest: int) -> bool:
    """Whether rows that share tokens compute what separate rows would.

    Not with active dropout, which would hit a shared token once for all its rows, and not where
    the rows are longer than the model can merge.
    """
    dropout = any(m.p > 0 for m in model.modules() if isinstance(m, torch.nn.Dropout))
    config = model.config.get_text_config()
    dropout = dropout or any(
        value > 0
        for name, value in config.to_dict().items()
        if "dropout" in name and "classifier" not in name and isinstance(value, (int, float))
    )
    return not dropout and longest <= longest_merged(model)


def longest_merged(model: Any) -> float:
    """Longest rows, in tokens, whose shared beginnings the model may hold once; 0 for none.

    A local window of attention is a limit, because the tree's mask would replace the window's.
    Layers that carry a state from token to token (convolutions, linear attention, state spaces)
    go by the layout and not by any mask: such a model merges nothing.
    """
    return window(model) if _branches(model) else 0.0


def window(model: Any) -> float:
    """Length of the model's shortest local attention window; infinite where it has none."""
    config = model.config.get_text_config()
    sizes = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return min((float(size) for size in sizes if size), default=math.inf)


@torch.no_grad()
def _branches(model: Any) -> bool:
    """Measure, on two rows of eleven tokens, whether a tree gives the logits of its rows.

    The second row's last logits are compared: they would see the first row's tokens where a model
    goes by the layout. Losses would hide it in a model that has learned nothing.
    """
    size = model.config.get_text_config().vocab_size
    stem, *ends = [tuple(i % size for i in range(*ids)) for ids in ((1, 8), (8, 12), (13, 17))]
    rows = [Encoded(str(number), stem, end) for number, end in enumerate(ends)]
    was_training = model.training
    model.eval()
    merged_V, alone_V = (
        label_logits(model, collate(part).to(model.device))[-1].float() for part in (rows, rows[1:])
    )
    model.train(was_training)
    return bool((merged_V - alone_V).abs().max() <= _SAME_LOGITS * alone_V.std())


def label_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Logits of the labelled rows.

    Returns:
        logits_NV in the model's compute precision, one row per (row, target) pair of the batch.
    """
    keep_1N = torch.zeros_like(batch.input_ids_1N, dtype=torch.bool)
    unique, inverse = torch.unique_consecutive(batch.rows, return_inverse=True)
    keep_1N[0, unique] = True
    out = model(
        input_ids=batch.input_ids_1N,
        attention_mask=batch.sees_11NN,
        position_ids=batch.positions_1N,
        logits_to_keep=keep_1N,
        use_cache=False,
    )
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
