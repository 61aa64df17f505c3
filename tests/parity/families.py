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
    "hidden_size": 32,
    "intermediate_size": 64,
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
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": 64,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gpt_neox": {},
    "olmo2": _SHARED_HEADS,
    "phi3": _SHARED_HEADS,
}
FAMILIES = tuple(_OWN)

WINDOWED: dict[str, dict[str, Any]] = {
    "gemma3_text": {},
    "mistral": {},
    "phi3": {},
    "qwen2": {"use_sliding_window": True, "layer_types": ["sliding_attention", "full_attention"]},
}
"""Families with a sliding window, and what switches it on."""


def tiny_model(family: str, **changes: Any) -> Any:
    """A random causal model: 2 layers, 32 wide, 128 tokens; the same one every time."""
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
