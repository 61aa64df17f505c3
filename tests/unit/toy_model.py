"""A causal model of a few hundred weights with the interface that training needs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from tutelage.records import Encoded
from tutelage.tokens.batches import ALL
from tutelage.train.plan import Plan

PLAN = Plan(
    steps=8,
    epochs=2.0,
    batch_size=3,
    learning_rate=0.05,
    warmup_steps=1,
    schedule="linear",
    weight_decay=0.0,
    clip=1.0,
    seed=0,
    precision="fp32",
    micro_batch_tokens=8,
    longest_merged=ALL,
    checkpoint_every=3,
    keep_checkpoints=2,
    validate_at=(2, 4, 6, 8),
    early_stopping=None,
    threads=1,
    longest=5,
    estimated_bytes=0,
)


class ToyModel(torch.nn.Module):
    """Next-token logits from the token and its position alone.

    So rows that share tokens cannot differ, and every loss can be counted by hand.
    """

    def __init__(self, vocabulary: int = 11, width: int = 4, seed: int = 0) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.embed = torch.nn.Parameter(torch.randn(vocabulary, width, generator=draw))
        self.place = torch.nn.Parameter(torch.randn(16, width, generator=draw))
        self.head = torch.nn.Parameter(torch.randn(vocabulary, width, generator=draw))
        self.bias = torch.nn.Parameter(torch.zeros(vocabulary))
        text = SimpleNamespace(_attn_implementation="sdpa")
        self.config = SimpleNamespace(get_text_config=lambda: text)

    def get_input_embeddings(self) -> SimpleNamespace:
        return SimpleNamespace(weight=self.embed)

    @property
    def device(self) -> torch.device:
        return self.head.device

    def logits(self, input_ids: torch.Tensor, position_ids: torch.Tensor) -> torch.Tensor:
        hidden = (self.embed[input_ids] + self.place[position_ids]).tanh()
        return hidden @ self.head.T + self.bias

    def forward(
        self,
        *,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        logits_to_keep: torch.Tensor,
        **_: Any,
    ) -> SimpleNamespace:
        all_logits = self.logits(input_ids, position_ids)
        return SimpleNamespace(logits=all_logits[logits_to_keep][None])


def toy_rows(count: int = 12) -> list[Encoded]:
    """Rows of three to six tokens that partly share their beginnings."""
    return [
        Encoded(f"r{i}", (1, 2, 3 + i % 3)[: 2 + i % 2], (5 + i % 4, 9 + i % 2)[: 1 + i % 2])
        for i in range(count)
    ]


def plain_loss(model: ToyModel, rows: list[Encoded]) -> torch.Tensor:
    """Mean negative log-likelihood over all completion tokens, row by row, without a batch."""
    losses = []
    for row in rows:
        ids = torch.tensor([*row.prompt_ids, *row.completion_ids])
        logprobs = model.logits(ids[:-1], torch.arange(len(ids) - 1)).log_softmax(-1)
        first = len(row.prompt_ids)
        losses += [-logprobs[i - 1, ids[i]] for i in range(first, len(ids))]
    return torch.stack(losses).mean()
