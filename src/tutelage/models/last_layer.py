"""The last layer where it is needed: keys and values everywhere, the rest on labelled rows.

Behind its attention nobody reads the other rows, so their output projection and feed-forward are
left out: five sixths of one layer's products. Exact, for layers shaped like Llama's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tutelage.kernels.layer import llama_shaped


def last_layer(model: Any) -> Any:
    """The last decoder layer of a Llama-shaped model; None for other families."""
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    layers = getattr(getattr(core, "model", None), "layers", None)
    if not layers:
        return None
    return layers[-1] if llama_shaped(layers[-1], "DecoderLayer") else None


@contextmanager
def on_rows(layer: Any, rows: torch.Tensor) -> Iterator[None]:
    """Let a layer give back some rows only: (1, N, D) in, (1, M, D) out."""

    def select(_module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0].index_select(1, rows), *inputs[1:])

    def forward(hidden_states: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        normed = layer.input_layernorm(hidden_states)
        attended, _ = layer.self_attn(hidden_states=normed, **kwargs)
        hidden = hidden_states.index_select(1, rows) + attended
        found: torch.Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return found

    handle = layer.self_attn.o_proj.register_forward_pre_hook(select)
    layer.forward = forward  # the instance's, for this pass
    try:
        yield
    finally:
        del layer.forward
        handle.remove()
