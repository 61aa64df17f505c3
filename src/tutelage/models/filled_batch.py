"""Batches filled up to a round number of tokens, where products of bf16 go by tiles (AMX).

The tokens are a row of its own, which no other sees and which predicts nothing: no logit changes,
and every gradient of theirs is zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.nn.functional import pad

from tutelage.kernels.library import kernels
from tutelage.kernels.tree_attention import computed_in
from tutelage.models.prefix_attention import attends_by_blocks
from tutelage.tokens.batches import Batch
from tutelage.tokens.prefix_tree import Node

WHOLE = 32  # numbers of bf16 in a row of a tile


def likes_whole_tiles(model: Any, low: bool) -> bool:
    """Whether to fill batches up; `low`: products will be in bf16, whatever they are in now."""
    weight = model.get_input_embeddings().weight
    in_bf16 = low or computed_in(weight) == torch.bfloat16
    return in_bf16 and kernels().tiles and attends_by_blocks(model)


def filled(batch: Batch, whole: int = WHOLE) -> Batch:
    """The batch with as many more tokens, behind all others, as make a multiple of `whole`."""
    missing = -batch.unique % whole
    if not missing:
        return batch
    end = batch.unique + missing
    positions_1P = torch.arange(missing, device=batch.positions_1N.device)[None]
    return replace(
        batch,
        input_ids_1N=pad(batch.input_ids_1N, (0, missing), value=int(batch.input_ids_1N[0, 0])),
        positions_1N=torch.cat([batch.positions_1N, positions_1P], dim=1),
        nodes=(*batch.nodes, Node(batch.unique, end, end)),
    )
