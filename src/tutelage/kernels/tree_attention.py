"""Attention over a prefix tree by the kernel in C++ (`tree_attention.cpp`), on a CPU with AVX-512.

Queries go by blocks of one node, and each block knows the ranges of keys that it sees: nothing is
padded, copied or merged, and grouped keys are read where they are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from tutelage.kernels.library import LANES, kernels
from tutelage.tokens.prefix_tree import Node

Past = Sequence[tuple[torch.Tensor, torch.Tensor]]


class _Tree(ctypes.Structure):
    _fields_ = (
        ("parts", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("part", "part_block", "block", "range")),
    )


class _Shape(ctypes.Structure):
    _fields_ = (
        *((n, ctypes.c_int64) for n in ("tokens", "heads", "shared", "width")),
        ("scale", ctypes.c_float),
        ("threads", ctypes.c_int32),
    )


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("token", ctypes.c_int64),
        ("head", ctypes.c_int64),
    )


def kernel_takes(width: int) -> bool:
    """Whether there is a kernel here, and for heads of this width."""
    return kernels().functions is not None and width % LANES == 0


def computed_in(x: torch.Tensor) -> torch.dtype:
    """What layers that read this compute products in, autocast being heeded."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def kernel_dtype(x: torch.Tensor) -> torch.dtype:
    """What the kernel computes in: bf16 where layers do and the processor can, else fp32."""
    low = computed_in(x) == torch.bfloat16 and kernels().bf16
    return torch.bfloat16 if low else torch.float32


@dataclass(frozen=True, slots=True)
class TreeRanges:
    """What each block of queries sees; tokens of `past` are counted before those of the tree.

    Attributes:
        before: tokens of the past, which all see.
        part_P1: first token of each part that sees nothing of the others, and the end.
        part_block_P1: the same in blocks.
        block_B4: first token and end; first of its ranges and end.
        range_R2: first token and end.
        past: see `models.prefix_attention.tree_attention`.
    """

    before: int
    part_P1: np.ndarray
    part_block_P1: np.ndarray
    block_B4: np.ndarray
    range_R2: np.ndarray
    past: Past = ()

    @classmethod
    def of(cls, nodes: Sequence[Node], past: Past = ()) -> TreeRanges:
        """Blocks and ranges of a tree whose nodes are given depth first."""
        functions = kernels().functions
        assert functions is not None
        rows = int(functions.tree_attention_rows())
        before = int(past[0][0].shape[2]) if past else 0
        parts, firsts = list[int](), list[int]()
        blocks, ranges = list[tuple[int, ...]](), list[tuple[int, int]]()
        above: list[Node] = []
        for node in nodes:
            while above and above[-1].stop <= node.start:
                above.pop()
            if not above and not (past and parts):
                parts.append(node.start + before if parts else 0)
                firsts.append(len(blocks))
            seen = _joined(before, [*above, node])
            for start in range(node.start + before, node.end + before, rows):
                end = min(start + rows, node.end + before)
                at = len(ranges)
                ranges += [*seen[:-1], (seen[-1][0], end)]
                blocks.append((start, end, at, len(ranges)))
            above.append(node)
        parts.append(nodes[-1].end + before)
        firsts.append(len(blocks))
        part_P1, part_block_P1, block_B4, range_R2 = (
            np.array(found, dtype=np.int64) for found in (parts, firsts, blocks, ranges)
        )
        return cls(before, part_P1, part_block_P1, block_B4, range_R2, past)

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        layer: int,
    ) -> torch.Tensor:
        """(1, H, N, D) queries, (1, K, N, D) keys and values of fewer heads; (N, H, D) out.

        In bf16 where the layers compute in it, with sums in fp32.
        """
        cast, dtype = computed_in(query), kernel_dtype(query)
        if self.past:
            key, value = (
                torch.cat([old.to(dtype), new.to(dtype)], dim=2)
                for old, new in zip(self.past[layer], (key, value), strict=True)
            )
        if len(query) != 1:
            raise RuntimeError("A tree is one row of tokens.")
        q_NHD, k_MKD, v_MKD = (x[0].transpose(0, 1).to(dtype) for x in (query, key, value))
        out_NHD: torch.Tensor = KernelAttention.apply(q_NHD, k_MKD, v_MKD, self, scale)  # type: ignore[no-untyped-call]
        return out_NHD.to(cast)

    def shape(self, q_NHD: torch.Tensor, k_MKD: torch.Tensor, scale: float) -> _Shape:
        """What the kernel is told besides the tree."""
        heads, width = q_NHD.shape[1:]
        threads = min(torch.get_num_threads(), heads * len(self.block_B4))
        return _Shape(len(k_MKD), heads, heads // k_MKD.shape[1], width, scale, threads)

    def tree(self) -> _Tree:
        """Where the kernel finds the tree, as long as this object lives."""
        arrays = (self.part_P1, self.part_block_P1, self.block_B4, self.range_R2)
        return _Tree(len(self.part_P1) - 1, *(array.ctypes.data for array in arrays))


def _joined(before: int, nodes: Sequence[Node]) -> list[tuple[int, int]]:
    """Own tokens of these nodes, and all that stand before the tree, as few ranges."""
    found = [(0, before)] if before else []
    for node in nodes:
        start, end = node.start + before, node.end + before
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


class KernelAttention(torch.autograd.Function):
    """The kernel, forward and backward, in the dtype of the queries."""

    @staticmethod
    def forward(
        ctx: Any,
        q_NHD: torch.Tensor,
        k_MKD: torch.Tensor,
        v_MKD: torch.Tensor,
        ranges: TreeRanges,
        scale: float,
    ) -> torch.Tensor:
        """(N, H, D) queries, (M, K, D) keys and values; (N, H, D) out."""
        _refuse_misfits(q_NHD, k_MKD, v_MKD, ranges)
        q_NHD, k_MKD, v_MKD = (_dense(x) for x in (q_NHD, k_MKD, v_MKD))
        out_NHD = q_NHD.new_empty(q_NHD.shape)
        lse_HM = q_NHD.new_empty(q_NHD.shape[1], len(k_MKD), dtype=torch.float32)
        shape = ranges.shape(q_NHD, k_MKD, scale)
        before = ranges.before
        tensors = _tensors((q_NHD, before), (k_MKD, 0), (v_MKD, 0), (out_NHD, before))
        _run("forward", q_NHD.dtype, ranges, shape, tensors, lse_HM)
        ctx.save_for_backward(q_NHD, k_MKD, v_MKD, out_NHD, lse_HM)
        ctx.ranges, ctx.scale = ranges, scale
        return out_NHD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of queries, keys and values."""
        q_NHD, k_MKD, v_MKD, out_NHD, lse_HM = ctx.saved_tensors
        if ctx.ranges.before:
            raise RuntimeError("What stands before a tree has no gradients.")
        found = tuple(x.new_empty(x.shape) for x in (q_NHD, k_MKD, v_MKD))
        given = (_dense(grads[0]), q_NHD, k_MKD, v_MKD, out_NHD)
        tensors = _tensors(*((x, 0) for x in (*given, *found)))
        shape = ctx.ranges.shape(q_NHD, k_MKD, ctx.scale)
        _run("backward", q_NHD.dtype, ctx.ranges, shape, tensors, lse_HM)
        return *found, None, None


def _refuse_misfits(
    q_NHD: torch.Tensor, k_MKD: torch.Tensor, v_MKD: torch.Tensor, ranges: TreeRanges
) -> None:
    """Stop before memory is read or written that is not theirs.

    Raises:
        RuntimeError: which `longest_merged` takes for: keep rows apart.
    """
    heads, width = q_NHD.shape[1:]
    fits = (
        k_MKD.shape == v_MKD.shape
        and k_MKD.shape[2] == width
        and kernel_takes(width)
        and heads % k_MKD.shape[1] == 0
        and len(k_MKD) == ranges.part_P1[-1] == len(q_NHD) + ranges.before
        and q_NHD.dtype == k_MKD.dtype == v_MKD.dtype
        and all(x.device.type == "cpu" for x in (q_NHD, k_MKD, v_MKD))
    )
    if not fits:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q_NHD, k_MKD, v_MKD))
        raise RuntimeError(f"Attention over a tree does not take {shapes}.")


def _dense(x_NHD: torch.Tensor) -> torch.Tensor:
    """With each head's numbers side by side, and pairs of them addressable."""
    fits = x_NHD.stride(2) == 1 and x_NHD.stride(0) % 2 == 0 and x_NHD.stride(1) % 2 == 0
    return x_NHD if fits else x_NHD.contiguous()


def _tensors(*given: tuple[torch.Tensor, int]) -> ctypes.Array[_Tensor]:
    """Tensors, and the token that each begins with."""
    return (_Tensor * len(given))(
        *(
            _Tensor(x.data_ptr() - before * x.stride(0) * x.element_size(), *x.stride()[:2])
            for x, before in given
        )
    )


def _run(
    which: str,
    dtype: torch.dtype,
    ranges: TreeRanges,
    shape: _Shape,
    tensors: ctypes.Array[_Tensor],
    lse_HM: torch.Tensor,
) -> None:
    functions, tiles = kernels().functions, kernels().tiles
    assert functions is not None
    tree, backward = ranges.tree(), int(which == "backward")
    size = functions.tree_attention_memory(ctypes.byref(tree), ctypes.byref(shape), backward)
    memory = torch.empty(size, dtype=torch.uint8, device="cpu")
    getattr(functions, f"tree_attention_{which}")(
        (2 if tiles else 1) if dtype == torch.bfloat16 else 0,
        ctypes.byref(tree),
        ctypes.byref(shape),
        tensors,
        ctypes.c_void_p(lse_HM.data_ptr()),
        ctypes.c_void_p(memory.data_ptr()),
    )
