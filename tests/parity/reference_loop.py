"""The plainest training loop that is right: what Tutelage's own loop is compared with.

It imports nothing of Tutelage and shares none of its ideas: rows are padded on the right under an
attention mask, logits are computed for every position, prompts and padding have the label -100,
and a step is one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy

IGNORED = -100

Row = tuple[Sequence[int], Sequence[int]]
"""Token ids of a prompt and of its completion."""


class Step(NamedTuple):
    """Loss in nats per target, and the norm of the gradient before it was clipped."""

    loss: float
    grad_norm: float


def padded(rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, attention mask and labels of rows, each (rows, longest)."""
    width = max(len(prompt) + len(completion) for prompt, completion in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    mask = torch.zeros(len(rows), width, dtype=torch.int64)
    labels = torch.full((len(rows), width), IGNORED)
    for number, (prompt, completion) in enumerate(rows):
        length = len(prompt) + len(completion)
        ids[number, :length] = torch.tensor([*prompt, *completion])
        mask[number, :length] = 1
        labels[number, len(prompt) : length] = torch.tensor(completion)
    return ids, mask, labels


def mean_loss(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """Cross-entropy of all completion tokens, divided by their number."""
    ids, mask, labels = padded(rows)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    predicted = logits[:, :-1].float().flatten(0, 1)
    wanted = labels[:, 1:].flatten()
    total = cross_entropy(predicted, wanted, ignore_index=IGNORED, reduction="sum")
    return total / (wanted != IGNORED).sum()


def train(
    model: Any,
    rows: Sequence[Row],
    order: Sequence[Sequence[int]],
    rates: Sequence[float],
    *,
    clip: float,
    weight_decay: float,
) -> list[Step]:
    """Train in place: one step per entry of `order` (row numbers) at the rate of `rates`."""
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.dim() > 1]
    vectors = [p for p in trained if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        fused=True,
    )
    model.train()
    steps = []
    for numbers, rate in zip(order, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = mean_loss(model, [rows[number] for number in numbers])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, clip)
        optimizer.step()
        steps.append(Step(loss.item(), norm.item()))
    return steps
