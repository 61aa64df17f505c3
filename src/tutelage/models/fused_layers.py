"""Norms and gates of Llama-shaped layers in one pass each, on a CPU that has the kernels.

Under autocast a norm gives what its products take, so that three of them do not round it anew.
Everything else is the model's own code; compiled layers fuse these operations themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tutelage.kernels.layer import gate_takes, llama_shaped, norm_takes, rms_norm, silu_gate
from tutelage.kernels.library import kernels

_NORMS = ("input_layernorm", "post_attention_layernorm")


@contextmanager
def fused_layers(model: Any) -> Iterator[None]:
    """Within this context, also where layers are recomputed on the way back."""
    changed = list(_changed(model)) if _here(model) else []
    try:
        for module, forward in changed:
            module.forward = forward
        yield
    finally:
        for module, _ in changed:
            vars(module).pop("forward", None)


def _here(model: Any) -> bool:
    return model.device.type == "cpu" and kernels().functions is not None


def _changed(model: Any) -> Iterator[tuple[Any, Callable[..., Any]]]:
    """Modules and what they do instead; those that somebody else changed are left alone."""
    for layer in model.modules():
        if not llama_shaped(layer, "DecoderLayer"):
            continue
        for norm in (getattr(layer, name, None) for name in _NORMS):
            if type(norm).__name__.endswith("RMSNorm") and "forward" not in vars(norm):
                yield norm, _norm(norm)
        mlp = layer.mlp
        silu = type(getattr(mlp, "act_fn", None)).__name__ in ("SiLU", "SiLUActivation")
        if silu and llama_shaped(mlp, "MLP") and "forward" not in vars(mlp):
            yield mlp, _gated(mlp)


def _norm(module: Any) -> Callable[..., Any]:
    plain = module.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling() or not norm_takes(x, module.weight):
            return plain(x)  # type: ignore[no-any-return]
        return rms_norm(x, module.weight, module.variance_epsilon)

    return forward


def _gated(module: Any) -> Callable[..., Any]:
    plain = module.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling():
            return plain(x)  # type: ignore[no-any-return]
        gate, up = module.gate_proj(x), module.up_proj(x)
        inner = silu_gate(gate, up) if gate_takes(gate, up) else module.act_fn(gate) * up
        return module.down_proj(inner)  # type: ignore[no-any-return]

    return forward
