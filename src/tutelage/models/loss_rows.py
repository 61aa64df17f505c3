"""Logits and loss where there are labels, and nowhere else.

The head is the most expensive matrix of a small model, and a completion is a few tokens: the
hidden rows that predict a target are projected, the others never (`logits_to_keep` of the model
itself, so soft-caps and scalings stay in).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tutelage.kernels.tree_attention import Past
from tutelage.machine.precision import Precision, autocast
from tutelage.models.chunked_head import CHUNK, chunked_backward, has_plain_head
from tutelage.models.embedding_rows import embedding_rows
from tutelage.models.filled_batch import filled, likes_whole_tiles
from tutelage.models.full_precision import in_fp32
from tutelage.models.fused_layers import fused_layers
from tutelage.models.last_layer import last_layer, on_rows
from tutelage.models.prefix_attention import Kept, tree_attention
from tutelage.records import Encoded
from tutelage.tokens.batches import ALL, Batch, collate

_SAME_LOGITS = 1e-3  # in standard deviations of a row's logits; rounding stays below 1e-5


def trained_merged(model: Any) -> int:
    """Longest rows, in tokens, that may share their beginnings in training; 0 for none.

    Not with active dropout, which would hit a shared token once for all its rows.
    """
    dropout = any(m.p > 0 for m in model.modules() if isinstance(m, torch.nn.Dropout))
    config = model.config.get_text_config()
    dropout = dropout or any(
        value > 0
        for name, value in config.to_dict().items()
        if "dropout" in name and "classifier" not in name and isinstance(value, (int, float))
    )
    return 0 if dropout else int(min(longest_merged(model), ALL))


def longest_merged(model: Any) -> float:
    """Longest rows, in tokens, whose shared beginnings the model may hold once; 0 for none.

    A local window of attention is a limit, because the tree's mask would replace the window's.
    Layers that carry a state from token to token (convolutions, linear attention, state spaces)
    go by the layout and not by any mask: such a model merges nothing.
    """
    return window(model) if _branches(model) else 0.0


def window(model: Any) -> float:
    """Length up to which a row's attention does not depend on its length; infinite for most.

    The shortest local window, and the context behind which rotary frequencies follow the longest
    position of a pass: a short row merged with a long one would get those of the long one.
    """
    config = model.config.get_text_config()
    sizes = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = rope.values() if all(isinstance(k, dict) for k in rope.values()) else [rope]
    for kind in kinds:
        if kind.get("rope_type") in ("longrope", "dynamic"):
            sizes.append(
                kind.get("original_max_position_embeddings") or config.max_position_embeddings
            )
    return min((float(size) for size in sizes if size), default=math.inf)


@torch.no_grad()
def _branches(model: Any) -> bool:
    """Measure, on two rows of eleven tokens and in fp32, whether a tree gives its rows' logits.

    The second row's last logits are compared: they would see the first row's tokens where a model
    goes by the layout. Losses would hide it in a model that has learned nothing.
    """
    size = model.config.get_text_config().vocab_size
    stem, *ends = [tuple(i % size for i in range(*ids)) for ids in ((1, 8), (8, 12), (13, 17))]
    rows = [Encoded(str(number), stem, end) for number, end in enumerate(ends)]
    was_training = model.training
    model.eval()
    try:
        with in_fp32(model):
            alone_V = label_logits(model, collate(rows[1:]).to(model.device))[-1].float()
            merged_V = label_logits(model, collate(rows).to(model.device))[-1].float()
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return False  # an attention that takes neither blocks nor masks
    finally:
        model.train(was_training)
    return bool((merged_V - alone_V).abs().max() <= _SAME_LOGITS * alone_V.std())


def label_logits(
    model: Any, batch: Batch, past: Past = (), kept: Kept | None = None
) -> torch.Tensor:
    """Logits of the labelled rows; see `tree_attention` for `past` and `kept`.

    Returns:
        logits_NV in the model's compute precision, one row per (row, target) pair of the batch.
    """
    with _reading(model, batch, past, kept) as inputs:
        return _logits(model, batch, inputs)


def target_logprobs(model: Any, batch: Batch, past: Past = ()) -> torch.Tensor:
    """Log-probability (nats, fp32) of every target of a batch; see `tree_attention` for `past`."""
    with _reading(model, batch, past) as inputs:
        logits_MV = _row_logits(model, inputs)
    logprobs_MV = logits_MV.float().log_softmax(-1)
    found_N: torch.Tensor = logprobs_MV[_places(batch.rows), batch.targets]
    return found_N


def loss_and_gradients(model: Any, batch: Batch, targets: int, precision: Precision) -> float:
    """Add the gradients of a batch's cross-entropies (nats, fp32) divided by `targets`.

    `targets` is the number of targets in the whole optimiser step, over all micro-batches: a mean
    of means would weigh tokens by the company they keep.

    Returns:
        The loss that was divided; where it is not finite, the gradients are of no use.
    """
    low = precision == "bf16"
    with _reading(model, batch, low=low) as inputs, embedding_rows(model) as rows:
        if has_plain_head(model) and len(batch.rows) > CHUNK:
            value = _by_chunks(model, batch, inputs, targets, precision)
        else:
            value = _at_once(model, batch, inputs, targets, precision)
        if math.isfinite(value):
            rows.add()
    return value


def _at_once(
    model: Any, batch: Batch, inputs: dict[str, Any], targets: int, precision: Precision
) -> float:
    with autocast(precision, model.device):
        logits_NV = _logits(model, batch, inputs)
        loss = cross_entropy(logits_NV.float(), batch.targets, reduction="sum") / targets
    value = float(loss.detach())
    if math.isfinite(value):
        loss.backward()  # type: ignore[no-untyped-call]
    return value


def _by_chunks(
    model: Any, batch: Batch, inputs: dict[str, Any], targets: int, precision: Precision
) -> float:
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    kept = inputs.pop("logits_to_keep", None)
    with autocast(precision, model.device):
        hidden_MD = core.model(**inputs).last_hidden_state[0]
        if kept is not None:
            hidden_MD = hidden_MD.index_select(0, kept[0].nonzero()[:, 0])
    return chunked_backward(core, hidden_MD, _places(batch.rows), batch.targets, targets, precision)


@contextmanager
def _reading(
    model: Any, batch: Batch, past: Past = (), kept: Kept | None = None, low: bool = False
) -> Iterator[dict[str, Any]]:
    """Around a forward pass, and the backward pass where layers are recomputed in it.

    Yields:
        What to call the model with.
    """
    tree = len(batch.nodes) > 1 or bool(past)
    if tree and kept is None and likes_whole_tiles(model, low):
        batch = filled(batch)
    unique = torch.unique_consecutive(batch.rows)
    inputs: dict[str, Any] = {
        "input_ids": batch.input_ids_1N,
        "position_ids": batch.positions_1N,
        "use_cache": False,
    }
    layer = last_layer(model)
    if layer is None or len(unique) == batch.unique:
        inputs["logits_to_keep"] = torch.zeros_like(batch.input_ids_1N, dtype=torch.bool)
        inputs["logits_to_keep"][0, unique] = True
    with ExitStack() as around:
        around.enter_context(fused_layers(model))
        inputs |= around.enter_context(tree_attention(model, batch, past, kept))
        if "logits_to_keep" not in inputs:
            around.enter_context(on_rows(layer, unique))
        yield inputs


def _row_logits(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """One row per labelled token."""
    logits_MV: torch.Tensor = model(**inputs).logits
    return logits_MV.reshape(-1, logits_MV.shape[-1])


def _logits(model: Any, batch: Batch, inputs: dict[str, Any]) -> torch.Tensor:
    """One row per target: a branching token has several."""
    logits_MV = _row_logits(model, inputs)
    if len(logits_MV) == len(batch.rows):
        return logits_MV
    return logits_MV.index_select(0, _places(batch.rows))


def _places(rows: torch.Tensor) -> torch.Tensor:
    """Number of each row among the distinct ones."""
    places: torch.Tensor = torch.unique_consecutive(rows, return_inverse=True)[1]
    return places
