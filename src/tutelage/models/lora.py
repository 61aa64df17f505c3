"""Low-rank adapters through peft (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import get_peft_model


def add_lora(
    model: Any, *, rank: int, alpha: int, dropout: float, targets: str | list[str], seed: int
) -> Any:
    """Freeze the model and add trainable adapters; initialisation depends on the seed only."""
    config = PeftLoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def merge_lora(model: Any) -> Any:
    """The base model with the adapters folded into its weights."""
    return model.merge_and_unload()
