"""Norms, rotations and gates of Llama-shaped layers in one pass each, on a CPU with kernels.

Under autocast a norm gives what its products take, so that three of them do not round it anew, and
queries and keys are rounded as they are rotated. The order of operations is the model's own;
compiled layers fuse them themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
        if torch.compiler.is_compiling() or not _fused(module, given):
            return plain(hidden_states, **given)
        query, key, value = _projected(module, hidden_states)
        angles, cache = given.pop("position_embeddings"), given.pop("past_key_values", None)
        assert cache is None
        if getattr(module, "use_rope", True):
            query, key = (_turned(x, *(a[0].float() for a in angles)) for x in (query, key))
        out, _ = prefix_attention.attend(
            module,
            *(x.transpose(0, 1)[None] for x in (query, key, value)),
            given.pop("attention_mask", None),
            scaling=module.scaling,
            dropout=module.attention_dropout if module.training else 0.0,
            **given,
        )
        return module.o_proj(out.reshape(*hidden_states.shape[:-1], -1)), None

    return forward


def _fused(module: Any, given: Mapping[str, Any]) -> bool:
    """Whether keys are those of a tree alone, and whole heads are rotated."""
    in_tree = isinstance(given.get("tree"), TreeRanges) and given.get("past_key_values") is None
    angles = given.get("position_embeddings")
    return in_tree and angles is not None and angles[0].shape[-1] == module.head_dim


def _turned(x_NHD: torch.Tensor, cos_ND: torch.Tensor, sin_ND: torch.Tensor) -> torch.Tensor:
    if rotation_takes(x_NHD, cos_ND, sin_ND):
        return rotate(x_NHD, cos_ND, sin_ND, kernel_dtype(x_NHD))
    one, two = x_NHD.chunk(2, dim=-1)
    return x_NHD * cos_ND[:, None] + torch.cat([-two, one], dim=-1) * sin_ND[:, None]


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
