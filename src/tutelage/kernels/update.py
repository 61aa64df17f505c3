"""The norm of all gradients, and the update of AdamW, in one pass each (`update.cpp`).

AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) over fp32 weights and moments, on a CPU with
AVX-512. A gradient may be in fp32, in bf16, or in two parts that are summed in fp32; a copy of the
weight in bf16 is written along with the weight, so that nobody has to round it again.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tutelage.kernels.library import kernels


class _Weight(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weight", "mean", "square")),
        *((name, ctypes.c_void_p) for name in ("gradient", "low_gradient", "low")),
        ("count", ctypes.c_int64),
        *((name, ctypes.c_float) for name in ("decay", "rate", "scale")),
    )


class _Rule(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_float) for name in ("beta1", "beta2", "rest1", "rest2", "epsilon", "factor")
    )


def update_takes(weights: Sequence[torch.Tensor]) -> bool:
    """Whether there are kernels here for all of these: fp32 in one piece, on a CPU."""
    fits = all(
        w.dtype == torch.float32 and w.device.type == "cpu" and w.is_contiguous() for w in weights
    )
    return fits and kernels().functions is not None


@dataclass(frozen=True, slots=True)
class Gradient:
    """Of one weight: what is there in fp32, and what is there in bf16, of its shape."""

    fp32: torch.Tensor | None
    bf16: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Updated:
    """A weight in fp32 with all that its update reads and writes.

    Attributes:
        mean: first moment; `square` the second, both in fp32.
        low: the weight's copy in bf16, or None.
        steps: number of this update, from 1.
        rate: learning rate.
        decay: share of the weight that goes per unit of the rate.
    """

    weight: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor
    gradient: Gradient
    low: torch.Tensor | None
    steps: int
    rate: float
    decay: float


def gradient_norm(gradients: Sequence[Gradient]) -> float:
    """Euclidean norm of all gradients together; squares are summed in fp32 by 1,024."""
    parts = [_Weight(**_of_gradient(g), count=_count(g)) for g in gradients]
    squares: float = _call("gradient_squares", parts)
    return math.sqrt(squares) if squares >= 0 else math.nan


def sum_gradients(sums: Sequence[tuple[torch.Tensor, Gradient]]) -> None:
    """Write what is there of each gradient to the fp32 tensor before it, which may be its part."""
    parts = []
    for to, gradient in sums:
        _refuse_misfits(to, torch.float32, (to, gradient.fp32))
        _refuse_misfits(to, torch.bfloat16, (gradient.bf16,))
        parts.append(_Weight(weight=to.data_ptr(), **_of_gradient(gradient), count=to.numel()))
    _call("sum_gradients", parts)


def adamw(
    weights: Sequence[Updated], *, betas: tuple[float, float], epsilon: float, factor: float
) -> None:
    """Update weights, moments and copies in place, after gradients were scaled by `factor`."""
    rule = _Rule(*betas, *(1 - beta for beta in betas), epsilon, factor)
    _call("adamw", [_part(w, betas) for w in weights], ctypes.byref(rule))


def _call(name: str, parts: Sequence[_Weight], *more: Any) -> Any:
    function = getattr(kernels().functions, name)
    table = (_Weight * len(parts))(*parts)
    return function(table, ctypes.c_int64(len(parts)), *more, torch.get_num_threads())


def _part(w: Updated, betas: tuple[float, float]) -> _Weight:
    held = (w.weight, w.mean, w.square, w.gradient.fp32)
    _refuse_misfits(w.weight, torch.float32, held)
    _refuse_misfits(w.weight, torch.bfloat16, (w.gradient.bf16, w.low))
    return _Weight(
        **{name: getattr(w, name).data_ptr() for name in ("weight", "mean", "square")},
        **_of_gradient(w.gradient),
        low=None if w.low is None else w.low.data_ptr(),
        count=w.weight.numel(),
        decay=w.rate * w.decay,
        rate=w.rate / (1 - betas[0] ** w.steps),
        scale=1 / math.sqrt(1 - betas[1] ** w.steps),
    )


def _of_gradient(gradient: Gradient) -> dict[str, int | None]:
    given = (("gradient", gradient.fp32), ("low_gradient", gradient.bf16))
    return {name: None if g is None else g.data_ptr() for name, g in given}


def _count(gradient: Gradient) -> int:
    """Numbers in a gradient that is there."""
    like = gradient.bf16 if gradient.fp32 is None else gradient.fp32
    if like is None:
        return 0
    _refuse_misfits(like, torch.float32, (gradient.fp32,))
    _refuse_misfits(like, torch.bfloat16, (gradient.bf16,))
    return like.numel()


def _refuse_misfits(
    weight: torch.Tensor, dtype: torch.dtype, given: Sequence[torch.Tensor | None]
) -> None:
    """Stop before memory is read or written that is not theirs.

    Raises:
        RuntimeError: a tensor is not as the weight is.
    """
    for x in given:
        fits = x is None or (
            x.shape == weight.shape
            and x.dtype == dtype
            and x.is_contiguous()
            and x.device.type == "cpu"
        )
        if not fits:
            assert x is not None
            raise RuntimeError(
                f"An update of {tuple(weight.shape)} does not take {x.dtype} of {tuple(x.shape)}."
            )
