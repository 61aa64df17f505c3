"""Precision by measurement: bf16 only where a probe finds it faster in all three products.

A processor's flags do not tell: with AVX-512 bf16 instructions but no matrix unit, bf16 can be
slower than fp32, and a weight-gradient product can fall back to an emulation (docs/log.md).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]
_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """Rates in GFLOP/s of the forward, input-gradient and weight-gradient products."""

    fp32: tuple[float, float, float]
    bf16: tuple[float, float, float]

    @property
    def faster(self) -> Precision:
        """The precision whose three products together take less time."""

        def seconds(rates: tuple[float, float, float]) -> float:
            return sum(1 / rate for rate in rates)

        return "bf16" if seconds(self.bf16) < 0.95 * seconds(self.fp32) else "fp32"


def probe(device: torch.device, width: int, inner: int, tokens: int = 1024) -> Probe:
    """Time x·Wᵀ, g·W and gᵀ·x in both precisions, interleaved; medians of five.

    Args:
        device: where to measure.
        width: hidden size of the model.
        inner: width of its feed-forward layer.
        tokens: rows of the left factor.
    """
    kinds: dict[Precision, list[Callable[[], torch.Tensor]]] = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        kinds[name] = _products(device, dtype, width, inner, tokens)  # type: ignore[index]
    times: dict[Precision, list[list[float]]] = {k: [[], [], []] for k in kinds}
    for _ in range(_REPEATS + 1):
        for name, products in kinds.items():
            for i, product in enumerate(products):
                times[name][i].append(_seconds(product, device))
    flop = 2.0 * tokens * width * inner / 1e9

    def rates(name: Precision) -> tuple[float, float, float]:
        a, b, c = (flop / statistics.median(t[1:]) for t in times[name])
        return a, b, c

    return Probe(rates("fp32"), rates("bf16"))


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Context in which the model runs: bf16 autocast over fp32 weights, or nothing."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _products(
    device: torch.device, dtype: torch.dtype, width: int, inner: int, tokens: int
) -> list[Callable[[], torch.Tensor]]:
    x = torch.ones(tokens, width, dtype=dtype, device=device)
    weight = torch.ones(inner, width, dtype=dtype, device=device)
    grad = torch.ones(tokens, inner, dtype=dtype, device=device)
    return [lambda: x @ weight.T, lambda: grad @ weight, lambda: grad.T @ x]


def _seconds(product: Callable[[], torch.Tensor], device: torch.device) -> float:
    start = time.perf_counter()
    product()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - start
