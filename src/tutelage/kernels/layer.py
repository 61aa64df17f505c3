"""Norm, rotation and gate of a layer in one pass each (`layer.cpp`), on a CPU with AVX-512.

RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467), rotary positions (Su et al. 2021,
arXiv:2104.09864) and SwiGLU (Shazeer 2020, arXiv:2002.05202), with their gradients. Sums and
factors are fp32, and what comes out is rounded once.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tutelage.kernels.library import LANES, kernels

_LLAMA_SHAPED = ("Llama", "Mistral", "Qwen2", "Qwen3", "SmolLM3")


def llama_shaped(module: torch.nn.Module, part: str) -> bool:
    """Whether a module is the part of that name ("DecoderLayer", "MLP") of a family like Llama."""
    return type(module).__name__ in {f"{name}{part}" for name in _LLAMA_SHAPED}


def norm_takes(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether `rms_norm` can do it: fp32, in whole registers."""
    fp32 = x.dtype == weight.dtype == torch.float32
    fits = x.shape[-1] % LANES == 0 and weight.shape == x.shape[-1:] and weight.is_contiguous()
    return kernels().functions is not None and fp32 and fits and _on_cpu(x, weight)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """(..., D) fp32 in; the same in the dtype that products are computed in, scaled by (D,)."""
    low = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    out: torch.Tensor = _Norm.apply(x, weight, epsilon, low and kernels().bf16)  # type: ignore[no-untyped-call]
    return out


def rotation_takes(x_NHD: torch.Tensor, cos_ND: torch.Tensor, sin_ND: torch.Tensor) -> bool:
    """Whether `rotate` can do it: fp32 or bf16, the angles of whole heads in fp32."""
    found = kernels()
    known = x_NHD.dtype == torch.float32 or (x_NHD.dtype == torch.bfloat16 and found.bf16)
    shape = (x_NHD.shape[0], x_NHD.shape[2])
    angles = all(x.shape == shape and x.dtype == torch.float32 for x in (cos_ND, sin_ND))
    fits = angles and shape[1] % 2 == 0 and not (cos_ND.requires_grad or sin_ND.requires_grad)
    return found.functions is not None and known and fits and _on_cpu(x_NHD, cos_ND, sin_ND)


def rotate(
    x_NHD: torch.Tensor, cos_ND: torch.Tensor, sin_ND: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """x · cos + (-x2, x1) · sin, x1 and x2 being the halves of a head; rounded once, to `dtype`."""
    out: torch.Tensor = _Rotation.apply(x_NHD, cos_ND, sin_ND, dtype)  # type: ignore[no-untyped-call]
    return out


def gate_takes(gate: torch.Tensor, up: torch.Tensor) -> bool:
    """Whether `silu_gate` can do it: fp32 or bf16, in whole registers."""
    found = kernels()
    known = gate.dtype == torch.float32 or (gate.dtype == torch.bfloat16 and found.bf16)
    alike = gate.dtype == up.dtype and gate.shape == up.shape
    fits = alike and gate.numel() % LANES == 0
    return found.functions is not None and known and fits and _on_cpu(gate, up)


def silu_gate(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """silu(gate) · up, of any shape; the gradient takes what came in, and keeps no more."""
    out: torch.Tensor = _Gate.apply(gate, up)  # type: ignore[no-untyped-call]
    return out


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float, low: bool
    ) -> torch.Tensor:
        x, width = x.contiguous(), x.shape[-1]
        out = x.new_empty(x.shape, dtype=torch.bfloat16 if low else torch.float32)
        roots = x.new_empty(x.numel() // width)
        _call(
            "norm_forward",
            *(low, x, weight, out, roots, len(roots), width, ctypes.c_float(epsilon)),
        )
        ctx.save_for_backward(x, weight, roots)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, roots = ctx.saved_tensors
        grad, width = grads[0].contiguous(), x.shape[-1]
        functions = kernels().functions
        assert functions is not None
        dx = torch.empty_like(x)
        blocks = -(-len(roots) // int(functions.norm_rows()))
        shares = x.new_empty(blocks, width)
        low = grad.dtype == torch.bfloat16
        _call("norm_backward", low, grad, x, weight, roots, dx, shares, len(roots), width)
        return dx, shares.sum(0), None, None


class _Rotation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        cos, sin = cos.contiguous(), sin.contiguous()
        ctx.save_for_backward(cos, sin)
        ctx.dtype = x.dtype
        return _rotated(x, cos, sin, dtype, back=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _rotated(grads[0], cos, sin, ctx.dtype, back=True), None, None, None


def _rotated(
    x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, dtype: torch.dtype, *, back: bool
) -> torch.Tensor:
    x = x if x.stride(2) == 1 else x.contiguous()
    out = x.new_empty(x.shape, dtype=dtype)
    low, how = x.dtype == torch.bfloat16, (dtype == torch.bfloat16, back)
    given = (x, cos, sin, out, *x.shape, *x.stride()[:2])
    _call("rotate", low, *map(ctypes.c_int, how), *given)
    return out


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        out = torch.empty_like(gate)
        _call("gate_forward", gate.dtype == torch.bfloat16, gate, up, out, out.numel())
        ctx.save_for_backward(gate, up)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gate, up = ctx.saved_tensors
        low, found = gate.dtype == torch.bfloat16, (torch.empty_like(gate), torch.empty_like(up))
        _call("gate_backward", low, grads[0].contiguous(), gate, up, *found, gate.numel())
        return found


def _on_cpu(*tensors: torch.Tensor) -> bool:
    return all(x.device.type == "cpu" for x in tensors)


def _call(name: str, low: bool, *given: Any) -> None:
    function = getattr(kernels().functions, name)
    function(int(low), *map(_in_c, given), torch.get_num_threads())


def _in_c(value: Any) -> Any:
    if torch.is_tensor(value):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_int64(value) if isinstance(value, int) else value
