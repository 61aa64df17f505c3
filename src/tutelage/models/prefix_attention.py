"""Attention over a prefix tree, through the attention interface of `transformers`.

On a CPU it is computed by the kernel of `kernels.tree_attention`, or where there is none by blocks
of torch's flash kernel (`tree_blocks`). On CUDA, FlexAttention takes the same tree as a
block mask; elsewhere a dense mask says it. A single row is left to the model's own attention.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import AttentionInterface

from tutelage.kernels.tree_attention import Past, TreeRanges, kernel_takes
from tutelage.models.tree_blocks import TreeBlocks
from tutelage.tokens.batches import Batch
from tutelage.tokens.prefix_tree import last_seen, sees

NAME = "tutelage_prefix_tree"

_HARMLESS = {"position_ids", "cache_position"}  # they are in queries and keys already

Kept = dict[int, tuple[torch.Tensor, torch.Tensor]]  # layer -> keys, values (1, heads, N, D)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # its blocks differ from batch to batch
def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    tree: TreeRanges | TreeBlocks | None = None,
    kept_keys: Kept | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """The attention interface of `transformers`: (1, H, N, D) in, (1, N, H, D) out."""
    if tree is None or attention_mask is not None or dropout:
        raise RuntimeError(f"The attention {NAME} needs its tree, and no mask and no dropout.")
    refuse_unknown(others)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(getattr(module, "layer_idx", None) or 0)
    if kept_keys is not None:
        kept_keys[layer] = key, value
    return tree.attend(query, key, value, scale, layer)[None], None


def refuse_unknown(others: dict[str, Any]) -> None:
    """Stop where a model chooses by a tensor of its own what attention sees (sinks, blocks).

    Raises:
        RuntimeError: which `longest_merged` takes for: keep rows apart.
    """
    unknown = [n for n, value in others.items() if torch.is_tensor(value) and n not in _HARMLESS]
    if unknown:
        raise RuntimeError(f"This attention does not know {', '.join(unknown)}.")


def past_of(cache: Any) -> Past:
    """Keys and values of a model's own cache, layer by layer."""
    return tuple((layer.keys, layer.values) for layer in cache.layers)


def attends_by_blocks(model: Any) -> bool:
    """Whether a model's attention can be computed per block: on a CPU, by softmax alone."""
    config = model.config.get_text_config()
    caps = getattr(config, "attn_logit_softcapping", None)
    latent = getattr(config, "kv_lora_rank", None)  # values of another width than keys
    known = getattr(model, "_supports_attention_backend", False)
    return bool(known) and not (caps or latent) and model.device.type == "cpu"


def keeps_past(model: Any) -> bool:
    """Whether every layer has keys and values of its own to be seen by later tokens."""
    shared = getattr(model.config.get_text_config(), "num_kv_shared_layers", 0)
    return attends_by_blocks(model) and not shared


@contextmanager
def attention_named(model: Any, name: str | None) -> Iterator[None]:
    """Switch the attention of a model within this context; None leaves it."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    try:
        config._attn_implementation = name or before
        yield
    finally:
        config._attn_implementation = before


@contextmanager
def tree_attention(
    model: Any, batch: Batch, past: Past = (), kept: Kept | None = None
) -> Iterator[dict[str, Any]]:
    """Let the model's layers attend over a batch's tree, within this context only.

    Args:
        model: any model that `longest_merged` finds able to.
        batch: a single row is left to the model's own attention.
        past: per layer, (keys, values) of shape (1, heads, P, D) that every token sees as well;
            only where `attends_by_blocks`.
        kept: takes the keys and values of the batch; only where `attends_by_blocks`.

    Yields:
        What to call the model with, besides tokens and positions.
    """
    if len(batch.nodes) == 1 and not past and kept is None:
        yield {"attention_mask": None}
        return
    how, inputs = _way(model, batch, past)
    if kept is not None:
        inputs["kept_keys"] = kept
    with attention_named(model, how):
        yield inputs


def _way(model: Any, batch: Batch, past: Past) -> tuple[str | None, dict[str, Any]]:
    """The attention to switch to, if any, and what tells it the tree."""
    if attends_by_blocks(model):
        AttentionInterface.register(NAME, attend)
        return NAME, {"attention_mask": None, "tree": _tree(model, batch, past)}
    if model.device.type == "cuda" and model._supports_flex_attn:
        return "flex_attention", {"attention_mask": block_mask(batch, model.device)}
    seen_NN = torch.from_numpy(sees(batch.nodes, batch.unique))
    return None, {"attention_mask": seen_NN[None, None].to(model.device)}


def _tree(model: Any, batch: Batch, past: Past) -> TreeRanges | TreeBlocks:
    config = model.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if kernel_takes(int(width)):
        return TreeRanges.of(batch.nodes, past)
    return TreeBlocks.of(batch.nodes, batch.unique, past)


def block_mask(batch: Batch, device: torch.device) -> BlockMask:
    """The tree as FlexAttention wants it; 128 tokens a block, whole blocks skipped."""
    stops_N = torch.from_numpy(last_seen(batch.nodes, batch.unique)).to(device)

    def seen(_b: Any, _h: Any, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return (k <= q) & (q < stops_N[k])

    return create_block_mask(seen, None, None, batch.unique, batch.unique, device=str(device))
