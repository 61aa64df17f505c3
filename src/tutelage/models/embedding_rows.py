"""The gradient of the embedding, added to the rows that were looked up and to no others.

The plain backward pass fills a matrix of the size of the vocabulary with zeros for every
micro-batch, and adds it to the head's gradient where the two are tied: for short batches that
costs more than the lookup's whole layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class EmbeddingRows:
    """What was looked up in one forward pass."""

    def __init__(self, weight: torch.nn.Parameter | None, padding: int | None) -> None:
        self._weight = weight
        self._padding = padding
        self._found: list[tuple[torch.Tensor, torch.Tensor]] = []

    def hook(self, _module: Any, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> Any:
        """Cut the lookup out of the graph; what comes back to it is kept."""
        leaf = out.detach().requires_grad_()
        self._found.append((inputs[0], leaf))
        return leaf

    def add(self) -> None:
        """Add the rows' gradients to the weight's, after the backward pass."""
        weight = self._weight
        if weight is None:
            return
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        for ids, leaf in self._found:
            assert leaf.grad is not None, "add() comes after the backward pass"
            rows_ND = leaf.grad.reshape(-1, weight.shape[1])
            ids_N = ids.reshape(-1)
            if self._padding is not None:  # torch gives this row no gradient
                rows_ND = rows_ND * (ids_N != self._padding)[:, None]
            if weight.dtype != torch.float32:  # a token's rows are summed before they are rounded
                ids_N, of_N = torch.unique(ids_N, return_inverse=True)
                sums_UD = rows_ND.new_zeros(len(ids_N), rows_ND.shape[1], dtype=torch.float32)
                rows_ND = sums_UD.index_add_(0, of_N, rows_ND.float()).to(weight.dtype)
            weight.grad.index_add_(0, ids_N, rows_ND)
        self._found.clear()


@contextmanager
def embedding_rows(model: Any) -> Iterator[EmbeddingRows]:
    """Around a forward pass on a CPU with a plain, trained embedding; else nothing changes.

    On other devices adding in place is not deterministic.
    """
    module = model.get_input_embeddings()
    weight = module.weight
    plain = type(module) is torch.nn.Embedding and module.max_norm is None
    plain = plain and not (module.sparse or module.scale_grad_by_freq)
    if not (plain and weight.requires_grad and weight.device.type == "cpu"):
        yield EmbeddingRows(None, None)
        return
    rows = EmbeddingRows(weight, module.padding_idx)
    handle = module.register_forward_hook(rows.hook)
    try:
        yield rows
    finally:
        handle.remove()
