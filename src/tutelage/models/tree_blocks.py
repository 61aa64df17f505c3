"""Attention over a prefix tree by blocks of flash attention, on a CPU.

Each small subtree, or the own tokens of a node, is a block by itself, and every larger node's keys
are one for all that begins with them. Blocks are merged by their log-sum-exp, and the backward
pass of a block with the merged output and log-sum-exp is its exact share of the gradient (Liu et
al., Ring Attention, 2023, arXiv:2310.01889). What a token does not see is not computed, grouped
keys are not copied, and there is no mask over the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tutelage.kernels.tree_attention import Past
from tutelage.tokens.prefix_tree import SMALL, Node, last_seen

_CLOSE = 0.75  # rows of a padded block are at least this share of its longest
_TINY = 16  # tokens; and among blocks this short, padding is cheaper than another call

_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def flash(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float,
    causal: bool = False,
    bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The CPU's flash kernel: (B, H, Q, D) out, and the log-sum-exp (B, H, Q)."""
    found: tuple[torch.Tensor, torch.Tensor]
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    found = kernel(q, k, v, 0.0, causal, attn_mask=bias, scale=scale)
    return found


@dataclass(frozen=True, slots=True)
class _Units:
    """Subtrees of similar size, padded to one block of G rows of L tokens.

    Attributes:
        whole: the one unit's places, where the block is a single run of tokens.
        index_M: place of each of the M = G·L padded tokens; padding repeats a place.
        real_R: which of the M are tokens; places_R: where they stand.
        bias_G1LL: what is added to the attention logits; None where plain causality says it.
    """

    whole: slice | None
    rows: int
    index_M: torch.Tensor
    real_R: torch.Tensor
    places_R: torch.Tensor
    bias_G1LL: torch.Tensor | None

    @classmethod
    def of(cls, spans: Sequence[tuple[int, int]], seen_N: np.ndarray | None) -> _Units:
        """Pad spans (start, stop) to the longest; where some branch, see `last_seen`."""
        longest = max(stop - start for start, stop in spans)
        step_L = np.arange(longest)
        starts_G1, stops_G1 = (np.array(side)[:, None] for side in zip(*spans, strict=True))
        places_GL = np.minimum(starts_G1 + step_L, stops_G1 - 1)
        real_GL = starts_G1 + step_L < stops_G1
        bias = None
        if seen_N is not None:
            q_GL1, k_G1L = places_GL[:, :, None], places_GL[:, None, :]
            seen_GLL = (k_G1L <= q_GL1) & (q_GL1 < seen_N[k_G1L]) & real_GL[:, None, :]
            bias_GLL = torch.from_numpy(np.where(seen_GLL, 0.0, -np.inf).astype(np.float32))
            bias_GLL[torch.from_numpy(~real_GL)] = 0.0  # padding sees anything, to stay finite
            bias = bias_GLL[:, None]
        real_R = np.flatnonzero(real_GL)
        return cls(
            slice(*spans[0]) if len(spans) == 1 else None,
            len(spans),
            torch.from_numpy(places_GL.reshape(-1)),
            torch.from_numpy(real_R),
            torch.from_numpy(places_GL.reshape(-1)[real_R]),
            bias,
        )

    def take(self, x_NHD: torch.Tensor) -> torch.Tensor:
        """The block's rows, heads before tokens: (G, H, L, ...)."""
        if self.whole is not None:
            return x_NHD[self.whole][None].transpose(1, 2)
        picked = x_NHD.index_select(0, self.index_M)
        return picked.view(self.rows, -1, *x_NHD.shape[1:]).transpose(1, 2)

    def take_grad(self, x_NHD: torch.Tensor) -> torch.Tensor:
        """The same for a gradient, which padding has none of."""
        if self.whole is not None:
            return self.take(x_NHD)
        picked = x_NHD.new_zeros(len(self.index_M), *x_NHD.shape[1:])
        picked.index_copy_(0, self.real_R, x_NHD.index_select(0, self.places_R))
        return picked.view(self.rows, -1, *x_NHD.shape[1:]).transpose(1, 2)

    def put(self, x_NHD: torch.Tensor, block_GHLD: torch.Tensor) -> None:
        """Write the block's real rows to their places."""
        rows = block_GHLD.transpose(1, 2)
        if self.whole is not None:
            x_NHD[self.whole] = rows[0]
        else:
            flat = rows.reshape(-1, *x_NHD.shape[1:]).index_select(0, self.real_R)
            x_NHD.index_copy_(0, self.places_R, flat)


@dataclass(frozen=True, slots=True)
class TreeBlocks:
    """How attention over a tree is computed: blocks of their own, and nodes with followers.

    Attributes:
        past: see `tree_attention`.
    """

    units: tuple[_Units, ...]
    inner: tuple[Node, ...]
    past: Past = ()

    @classmethod
    def of(cls, nodes: Sequence[Node], size: int, past: Past = ()) -> TreeBlocks:
        """Decide the blocks of a tree of `size` tokens."""
        chains: list[tuple[int, int]] = []
        branching: list[tuple[int, int]] = []
        inner: list[Node] = []
        done = 0
        for node in nodes:
            if node.start < done:
                continue
            if node.stop == node.end:
                chains.append((node.start, node.end))
            elif node.stop - node.start <= SMALL:
                branching.append((node.start, node.stop))
                done = node.stop
            else:
                chains.append((node.start, node.end))
                inner.append(node)
        seen_N = last_seen(nodes, size) if branching else None
        units = [_Units.of(spans, None) for spans in _alike(chains)]
        units += [_Units.of(spans, seen_N) for spans in _alike(branching)]
        return cls(tuple(units), tuple(inner), past)

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        layer: int,
    ) -> torch.Tensor:
        """(1, H, N, D) queries, (1, K, N, D) keys and values of fewer heads; (N, H, D) out."""
        q_NHD, k_NKD, v_NKD = (x[0].transpose(0, 1).float() for x in (query, key, value))
        with torch.autocast(query.device.type, enabled=False):
            out_NHD = TreeAttention.apply(q_NHD, k_NKD, v_NKD, self, scale, layer)  # type: ignore[no-untyped-call]
        return out_NHD.to(query.dtype)  # type: ignore[no-any-return]


def _alike(spans: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Spans in groups of similar length."""
    group: list[tuple[int, int]] = []
    for start, stop in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        longest = group[0][1] - group[0][0] if group else 0
        if group and longest > _TINY and stop - start < _CLOSE * longest:
            yield group
            group = []
        group.append((start, stop))
    if group:
        yield group


class TreeAttention(torch.autograd.Function):
    """Flash attention per block, merged; fp32, in which the CPU's kernel is fastest."""

    @staticmethod
    def forward(
        ctx: Any,
        q_NHD: torch.Tensor,
        k_NKD: torch.Tensor,
        v_NKD: torch.Tensor,
        blocks: TreeBlocks,
        scale: float,
        layer: int,
    ) -> torch.Tensor:
        """(N, H, D) queries, (N, K, D) keys and values of fewer heads; (N, H, D) out."""
        out_NHD, lse_NH = torch.empty_like(q_NHD), q_NHD.new_empty(q_NHD.shape[:2])
        for unit in blocks.units:
            q, k, v = unit.take(q_NHD), unit.take(k_NKD), unit.take(v_NKD)
            causal = unit.bias_G1LL is None
            out, lse = flash(q, k, v, causal=causal, bias=unit.bias_G1LL, scale=scale)
            unit.put(out_NHD, out)
            unit.put(lse_NH, lse)
        for node in blocks.inner:
            keys, values = (
                _block(k_NKD[node.start : node.end]),
                _block(v_NKD[node.start : node.end]),
            )
            _merge(q_NHD, out_NHD, lse_NH, slice(node.end, node.stop), keys, values, scale)
        if blocks.past:
            keys, values = (x.to(q_NHD.dtype) for x in blocks.past[layer])
            _merge(q_NHD, out_NHD, lse_NH, slice(None), keys, values, scale)
        ctx.save_for_backward(q_NHD, k_NKD, v_NKD, out_NHD, lse_NH)
        ctx.blocks, ctx.scale = blocks, scale
        return out_NHD

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Each block's share, with the merged output and log-sum-exp."""
        grad_NHD = grads[0]
        q_NHD, k_NKD, v_NKD, out_NHD, lse_NH = ctx.saved_tensors
        dq, dk, dv = (torch.empty_like(x) for x in (q_NHD, k_NKD, v_NKD))
        for unit in ctx.blocks.units:
            parts = _flash_backward(
                unit.take_grad(grad_NHD),
                *(unit.take(x) for x in (q_NHD, k_NKD, v_NKD, out_NHD, lse_NH)),
                0.0,
                unit.bias_G1LL is None,
                attn_mask=unit.bias_G1LL,
                scale=ctx.scale,
            )
            for whole, part in zip((dq, dk, dv), parts, strict=True):
                unit.put(whole, part)
        for node in ctx.blocks.inner:
            own, later = slice(node.start, node.end), slice(node.end, node.stop)
            parts = _flash_backward(
                *(_block(x[at]) for x, at in ((grad_NHD, later), (q_NHD, later))),
                *(_block(x[own]) for x in (k_NKD, v_NKD)),
                *(_block(x[later]) for x in (out_NHD, lse_NH)),
                0.0,
                False,
                scale=ctx.scale,
            )
            for whole, at, part in zip((dq, dk, dv), (later, own, own), parts, strict=True):
                whole[at] += part[0].transpose(0, 1)
        return dq, dk, dv, None, None, None


def _block(x_NHD: torch.Tensor) -> torch.Tensor:
    """(N, H, ...) as one block of the kernel: (1, H, N, ...)."""
    return x_NHD[None].transpose(1, 2)


def _merge(
    q_NHD: torch.Tensor,
    out_NHD: torch.Tensor,
    lse_NH: torch.Tensor,
    rows: slice,
    keys: torch.Tensor,
    values: torch.Tensor,
    scale: float,
) -> None:
    """Let rows attend to more keys, and merge that into what they have, in place."""
    out, lse = flash(_block(q_NHD[rows]), keys, values, scale=scale)
    old_out, old_lse, new_lse = out_NHD[rows], lse_NH[rows], lse[0].transpose(0, 1)
    merged = torch.logaddexp(old_lse, new_lse)
    old_out.mul_((old_lse - merged).exp_()[..., None])
    old_out.addcmul_(out[0].transpose(0, 1), (new_lse - merged).exp_()[..., None])
    old_lse.copy_(merged)
