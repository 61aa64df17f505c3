"""torch's AdamW with the kernel of our own: clipping, rounding and update in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from tutelage.kernels.update import Gradient, Updated, adamw, gradient_norm
from tutelage.models.rounded_weights import RoundedWeights

_CLIP_EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_


class KernelAdamW(torch.optim.AdamW):
    """Over fp32 weights on a CPU; its state is that of torch's, so either goes on from the other's.

    Attributes:
        rounded: copies of weights that the update writes too, and whose gradients it reads.
        table: the embedding, whose gradient is zero but for a few rows: its memory is kept.
    """

    def __init__(
        self, groups: Any, rounded: RoundedWeights, table: torch.Tensor | None = None
    ) -> None:
        super().__init__(groups, lr=0.0, fused=True)
        self.rounded, self.table = rounded, table
        self._factor = 1.0

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        held = None if self.table is None else self.table.grad
        self.rounded.clear()
        super().zero_grad(set_to_none)
        if self.table is not None and held is not None:
            self.table.grad = held.zero_()
        self._factor = 1.0

    def clip(self, largest: float) -> torch.Tensor:
        """Norm of all gradients; what is above `largest` the next update scales down to it."""
        norm = gradient_norm([gradient for _, _, gradient in self._given()])
        self._factor = min(1.0, largest / (norm + _CLIP_EPSILON))
        return torch.tensor(norm)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all weights that have a gradient."""
        assert closure is None, "the loss is not computed anew"
        group: dict[str, Any] = self.param_groups[0]
        updated = [self._updated(*given) for given in self._given()]
        betas, epsilon = group["betas"], group["eps"]
        adamw(updated, betas=betas, epsilon=epsilon, factor=self._factor)
        for part in updated:
            self.rounded.written(part.weight)

    def _given(self) -> Iterator[tuple[dict[str, Any], torch.Tensor, Gradient]]:
        for group in self.param_groups:
            for weight in group["params"]:
                found = Gradient(weight.grad, self.rounded.gradient(weight))
                if found.fp32 is not None or found.bf16 is not None:
                    yield group, weight, found

    def _updated(self, group: dict[str, Any], weight: torch.Tensor, found: Gradient) -> Updated:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(weight, memory_format=torch.contiguous_format)
            state["exp_avg_sq"] = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        state["step"] += 1
        return Updated(
            weight,
            state["exp_avg"],
            state["exp_avg_sq"],
            found,
            self.rounded.copy(weight),
            int(state["step"]),
            group["lr"],
            group["weight_decay"],
        )
