"""Norms, rotations and gates of Llama-shaped layers in one pass each, on a CPU with kernels.

Under autocast a norm gives what its products take, so that three of them do not round it anew.
Everything else is the model's own code; compiled layers fuse these operations themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tutelage.kernels.layer import (
    gate_takes,
    llama_shaped,
    norm_takes,
    rms_norm,
    rotate,
    rotation_takes,
    silu_gate,
)
from tutelage.kernels.library import kernels
from tutelage.kernels.tree_attention import TreeRanges, kernel_dtype
from tutelage.models import prefix_attention

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
            if type(norm).__name__.endswith("RMSNorm") and _unchanged(norm):
                yield norm, _norm(norm)
        attention = layer.self_attn
        if llama_shaped(attention, "Attention") and _unchanged(attention):
            yield attention, _attention(attention)
        mlp = layer.mlp
        silu = type(getattr(mlp, "act_fn", None)).__name__ in ("SiLU", "SiLUActivation")
        if silu and llama_shaped(mlp, "MLP") and _unchanged(mlp):
            yield mlp, _gated(mlp)


def _unchanged(module: Any) -> bool:
    own = type(module).forward.__module__.startswith("transformers.")
    return own and "forward" not in vars(module)


def _norm(module: Any) -> Callable[..., Any]:
    plain = module.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling() or not norm_takes(x, module.weight):
            return plain(x)  # type: ignore[no-any-return]
        return rms_norm(x, module.weight, module.variance_epsilon)

    return forward


def _attention(module: Any) -> Callable[..., Any]:
    """Queries and keys are rotated and rounded at once, on their way into the tree."""
    plain = module.forward

    def forward(hidden_states: torch.Tensor, **given: Any) -> Any:
        angles: Any = given.get("position_embeddings")
        tree = given.get("tree")
        tracing = torch.compiler.is_compiling()
        if tracing or not isinstance(tree, TreeRanges) or given.get("past_key_values") is not None:
            return plain(hidden_states, **given)
        query, key, value = _projected(module, hidden_states)
        if getattr(module, "use_rope", True):
            cos, sin = (x[0].float() for x in angles)
            if not all(rotation_takes(x, cos, sin) for x in (query, key)):
                return plain(hidden_states, **given)
            dtype = kernel_dtype(query)
            query, key = (rotate(x, cos, sin, dtype) for x in (query, key))
        out, _ = prefix_attention.attend(
            module,
            *(x.transpose(0, 1)[None] for x in (query, key, value)),
            given.get("attention_mask"),
            scaling=module.scaling,
            tree=tree,
            kept_keys=given.get("kept_keys"),
        )
        return module.o_proj(out.reshape(*hidden_states.shape[:-1], -1)), None

    return forward


def _projected(module: Any, hidden_1ND: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values (N, heads, D), normed where the family does that."""
    found = []
    for name in ("q", "k", "v"):
        x_NHD = getattr(module, f"{name}_proj")(hidden_1ND)[0].unflatten(-1, (-1, module.head_dim))
        norm = getattr(module, f"{name}_norm", None)
        found.append(x_NHD if norm is None else norm(x_NHD))
    return tuple(found)


def _gated(module: Any) -> Callable[..., Any]:
    plain = module.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling():
            return plain(x)  # type: ignore[no-any-return]
        gate, up = module.gate_proj(x), module.up_proj(x)
        inner = silu_gate(gate, up) if gate_takes(gate, up) else module.act_fn(gate) * up
        return module.down_proj(inner)  # type: ignore[no-any-return]

    return forward
