"""The head in chunks of labelled rows, for losses over long answers or whole sequences.

Logits of thousands of rows are the largest tensor of a step. Here a chunk's logits live from its
own forward pass to its own backward pass, and nothing is computed twice: the gradient of the
hidden rows is gathered chunk by chunk, and then goes on into the layers at once.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tutelage.machine.precision import Precision, autocast

CHUNK = 1024  # rows; fewer go in one piece


_PLAIN = ("Llama", "Mistral", "Qwen2", "Qwen3", "SmolLM3", "Gemma3", "Olmo", "Olmo2", "Phi3")


def has_plain_head(model: Any) -> bool:
    """Whether logits are one matrix times what the core, `model.model`, gives back."""
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    capped = getattr(core.config.get_text_config(), "final_logit_softcapping", None)
    return type(core).__name__ in {f"{name}ForCausalLM" for name in _PLAIN} and not capped


def chunked_backward(
    model: Any,
    hidden_MD: torch.Tensor,
    places_N: torch.Tensor,
    targets_N: torch.Tensor,
    divisor: int,
    precision: Precision,
) -> float:
    """Backward pass of the summed cross-entropies divided by `divisor`; returns that loss.

    Args:
        model: with a plain head, `get_output_embeddings()`, behind its last norm.
        hidden_MD: what the head reads, in the graph of the layers.
        places_N: row of `hidden_MD` that each target belongs to, rising.
        targets_N: token ids.
        divisor: targets of the whole optimiser step.
        precision: of the head's products.

    A loss that is not finite ends it early, with part of the gradients added.
    """
    head = model.get_output_embeddings()
    leaf_MD = hidden_MD.detach().requires_grad_()
    total = 0.0
    for start in range(0, len(leaf_MD), CHUNK):
        first, last = torch.searchsorted(
            places_N, torch.tensor([start, start + CHUNK], device=places_N.device)
        ).tolist()
        with autocast(precision, model.device):
            logits_CV = head(leaf_MD[start : start + CHUNK])
            logits_NV = logits_CV.index_select(0, places_N[first:last] - start)
            loss = cross_entropy(logits_NV.float(), targets_N[first:last], reduction="sum")
            loss = loss / divisor
        total += float(loss.detach())
        if not math.isfinite(total):
            return total
        loss.backward()  # type: ignore[no-untyped-call]
    if hidden_MD.requires_grad:  # else the head alone is trained
        hidden_MD.backward(leaf_MD.grad)  # type: ignore[no-untyped-call]
    return total
