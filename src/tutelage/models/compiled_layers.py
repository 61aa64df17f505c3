"""Decoder layers through `torch.compile`, in training passes only.

All layers of a kind share one graph. The attention over a tree stays as it is, between two graphs;
norms, rotations, activations, casts and residual sums are what is fused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tutelage.models.last_layer import last_layer


@contextmanager
def compiled_layers(model: Any) -> Iterator[None]:
    """Within this context training passes run compiled layers; evaluation runs the plain ones.

    The last layer is left out where it computes labelled rows only. Compilation happens in the
    first passes, and its errors come out of them.
    """
    layers = _layers(model)
    for layer in layers:
        layer.forward = _in_training(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _layers(model: Any) -> list[Any]:
    """The decoder layers, in whatever place a family has them."""
    count = model.config.get_text_config().num_hidden_layers
    lists = (m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)
    found = list(next(lists, []))
    return found[:-1] if last_layer(model) is not None else found


def _in_training(layer: Any) -> Callable[..., Any]:
    plain = layer.forward
    # Dropout draws the numbers that it draws in plain layers.
    compiled = torch.compile(plain, dynamic=True, options={"fallback_random": True})

    def forward(*args: Any, **kwargs: Any) -> Any:
        training = layer.training and torch.is_grad_enabled()
        return (compiled if training else plain)(*args, **kwargs)

    return forward
