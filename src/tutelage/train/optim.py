"""AdamW over all trained weights (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

from __future__ import annotations

from typing import Any

import torch


def make_optimizer(model: Any, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW; matrices decay, norms and biases do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=0.0, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
