"""Weights rounded to bf16 once per update, not once per pass, on a CPU that has the kernels.

Autocast rounds every weight anew in every micro-batch, and widens every gradient. Here each linear
layer multiplies by a copy in bf16 that lives as long as the weight, and the copy's gradient is the
weight's: the update reads it as it is, and what came before it is a sum in fp32. The numbers are
those of autocast, in the same order.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import linear

from tutelage.kernels.library import kernels
from tutelage.kernels.update import Gradient, sum_gradients, update_takes
from tutelage.machine.precision import Precision

_State = tuple[int, int]


class RoundedWeights:
    """Copies of the fp32 weights of linear layers, where products are computed in bf16.

    A weight may be changed by anybody, but not through `.data` in place, which leaves no trace.
    """

    def __init__(self, layers: Sequence[Any] = ()) -> None:
        self._layers = layers
        self._weights = {layer.weight for layer in layers}
        self._copies: dict[torch.Tensor, torch.Tensor] = {}
        self._states: dict[torch.Tensor, _State] = {}
        self._spare: dict[torch.Tensor, torch.Tensor] = {}  # new pages cost more than sums

    def of(self, weight: torch.Tensor) -> torch.Tensor | None:
        """The copy, rounded anew where the weight was changed since; None of other weights."""
        if weight not in self._weights:
            return None
        if self._states.get(weight) != _state(weight):
            with torch.inference_mode(False), torch.no_grad():  # it may be made while answering
                copy = self._copies.get(weight)
                if copy is None:
                    copy = self._copies[weight] = self._new(weight)
                copy.copy_(weight)
            self._states[weight] = _state(weight)
        return self._copies[weight]

    def copy(self, weight: torch.Tensor) -> torch.Tensor | None:
        """The copy if a product has taken it."""
        return self._copies.get(weight)

    def gradient(self, weight: torch.Tensor) -> torch.Tensor | None:
        """What is not yet part of the weight's own gradient."""
        copy = self._copies.get(weight)
        return None if copy is None else copy.grad

    def written(self, weight: torch.Tensor) -> None:
        """The weight was changed, and the copy with it."""
        torch.autograd.graph.increment_version(weight)
        if weight in self._copies:
            self._states[weight] = _state(weight)

    def clear(self) -> None:
        """Forget the copies' gradients and the weights'; the latter's memory is kept for sums."""
        for weight, copy in self._copies.items():
            copy.grad = None
            if weight.grad is not None:
                self._spare[weight] = weight.grad
            weight.grad = None

    def add_up(self) -> None:
        """Move what the copies' gradients hold to the weights', for whoever reads those."""
        for weight in self._copies:
            self._add_up(weight)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within this context layers multiply by the copies, wherever autocast would round."""
        changed = [layer for layer in self._layers if "forward" not in vars(layer)]
        try:
            for layer in changed:
                layer.forward = self._forward(layer)
            yield
        finally:
            for layer in changed:
                del layer.forward

    def _new(self, weight: torch.Tensor) -> torch.Tensor:
        copy = torch.empty_like(weight, dtype=torch.bfloat16).requires_grad_(weight.requires_grad)
        if weight.requires_grad:  # sums are in fp32: what is there goes before the next comes
            owner = weakref.ref(self)  # a cycle would outlive its use, with all its memory

            def before(_: torch.Tensor) -> None:
                if (rounded := owner()) is not None:
                    rounded._add_up(weight)

            copy.register_hook(before)  # type: ignore[no-untyped-call]
        return copy

    def _add_up(self, weight: torch.Tensor) -> None:
        copy = self._copies[weight]
        if copy.grad is None:
            return
        found = Gradient(weight.grad, copy.grad)
        if weight.grad is None:
            spare = self._spare.pop(weight, None)
            weight.grad = torch.empty_like(weight) if spare is None else spare
        sum_gradients([(weight.grad, found)])
        copy.grad = None

    def _forward(self, layer: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        plain = layer.forward

        def forward(input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - the module's own name
            if torch.compiler.is_compiling() or not _rounds():
                return plain(input)  # type: ignore[no-any-return]
            copy = self.of(layer.weight)
            return plain(input) if copy is None else linear(input, copy, layer.bias)

        return forward


def roundable(model: torch.nn.Module, precision: Precision) -> list[torch.nn.Linear]:
    """Linear layers whose fp32 weights passes in this precision round, where copies may be kept."""
    if precision != "bf16":
        return []
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    found = [layer for layer in layers if update_takes([layer.weight])]
    return found if found and kernels().bf16 else []


def _rounds() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def _state(weight: torch.Tensor) -> _State:
    return weight._version, weight.data_ptr()
