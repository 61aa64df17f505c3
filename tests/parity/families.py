"""Tiny random models of several families, and one whose every probability is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

VOCABULARY = 128
_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,  # large, so that attention and positions matter
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_SHARED_HEADS = {"num_key_value_heads": 2}
_OWN: dict[str, dict[str, Any]] = {
    "llama": _SHARED_HEADS,
    "qwen2": _SHARED_HEADS,
    "qwen3": {**_SHARED_HEADS, "head_dim": 16},
    "mistral": {**_SHARED_HEADS, "sliding_window": 64},
    "gemma3_text": {
        **_SHARED_HEADS,
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 64,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gpt_neox": {},
    "olmo": _SHARED_HEADS,
    "olmo2": _SHARED_HEADS,
    "phi": {"num_key_value_heads": 4, "partial_rotary_factor": 0.5},
    "phi3": _SHARED_HEADS,
    "smollm3": {**_SHARED_HEADS, "no_rope_layers": [1, 0]},
}
FAMILIES = tuple(_OWN)
_OWN |= {
    "llama4_text": {
        **_SHARED_HEADS,
        "head_dim": 16,
        "intermediate_size_mlp": 64,
        "num_local_experts": 2,
    },
    "granitemoehybrid": {
        **_SHARED_HEADS,
        "layer_types": ["mamba", "attention"],
        "mamba_n_heads": 16,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "num_local_experts": 0,
        "shared_intermediate_size": 64,
    },
    "lfm2": {**_SHARED_HEADS, "layer_types": ["conv", "full_attention"]},
    "qwen3_5_text": {
        **_SHARED_HEADS,
        "head_dim": 16,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 64},
}

_SLIDING = {"layer_types": ["sliding_attention", "full_attention"]}
WINDOWED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3_text": ("sliding_window", {}),
    "mistral": ("sliding_window", {}),
    "phi3": ("sliding_window", {}),
    "qwen2": ("sliding_window", {"use_sliding_window": True, **_SLIDING}),
    "llama4_text": ("attention_chunk_size", {}),
}
"""Families with a local window of attention: its name, and what else switches it on."""

STATEFUL = ("granitemoehybrid", "lfm2", "qwen3_5_text", "recurrent_gemma")
"""Families with layers that carry a state from token to token."""


def windowed_model(family: str, length: int) -> Any:
    """A tiny model of a family in `WINDOWED` with a window of `length` tokens."""
    name, switch = WINDOWED[family]
    return tiny_model(family, **{name: length}, **switch)


def tiny_model(family: str, **changes: Any) -> Any:
    """A random causal model: 2 layers, 64 wide, 128 tokens; the same one every time."""
    config = AutoConfig.for_model(family, **{**_SIZES, **_OWN[family], **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    with torch.no_grad():  # scales of norms start at one or zero: let each be its own
        noise = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise))
    return model.eval()


def in_bf16(model: Any) -> Any:
    """The same model as loading in bf16 makes it: rounded weights, exact rotary frequencies."""
    low = AutoModelForCausalLM.from_config(
        model.config, dtype=torch.bfloat16, attn_implementation="sdpa"
    )
    low.load_state_dict(model.state_dict())
    return low.train(model.training)


def bigram_model(chances: Sequence[Sequence[float]]) -> Any:
    """A Llama whose next token depends on the last one only: chances[last][next]."""
    size = len(chances)
    sizes = {"vocab_size": size, "hidden_size": size, "head_dim": 4, "tie_word_embeddings": False}
    model = tiny_model("llama", **sizes, num_attention_heads=2, rms_norm_eps=1e-12)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.norm.weight.fill_(1)
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        # The norm makes sqrt(size) of the one that stands for the last token.
        table = torch.tensor(chances).log() / math.sqrt(size)
        model.lm_head.weight.copy_(table.T)
    return model
