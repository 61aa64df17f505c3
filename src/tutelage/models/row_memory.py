"""Keys and values of rows that are answered side by side, and attention over them, on a CPU.

What all rows begin with is held once. A row's own tokens are in a slot as wide as the longest row
can become, so a new token is written and nothing is copied; a row that ends leaves its slot to the
last one. A new token attends to both, merged by log-sum-exp, and the heads that share keys are
queries of one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface

from tutelage.kernels.tree_attention import Past
from tutelage.models.loss_rows import label_logits
from tutelage.models.prefix_attention import attention_named, refuse_unknown
from tutelage.models.tree_blocks import flash
from tutelage.records import Encoded
from tutelage.tokens.batches import collate

NAME = "tutelage_row_memory"
_PASS_TOKENS = 4096  # own tokens of prompts that run together


@dataclass(slots=True)
class RowMemory:
    """Rows under way; a row is known by its slot.

    Attributes:
        past: per layer, (keys, values) of shape (1, heads, P, D) of what all rows begin with, fp32.
        keys, values: per layer (B, heads, S, D) in fp32, in which the kernel is fastest; S as long
            as a row's own tokens can become.
        lengths: own tokens of the row in each live slot.
        before: P, the tokens that stand before all rows.
    """

    past: Past
    before: int
    lengths: list[int]
    keys: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)
    _bias_B11S: torch.Tensor | None = None
    _places: tuple[torch.Tensor, torch.Tensor] | None = None

    @classmethod
    def of(
        cls, model: Any, prompts: Sequence[Sequence[int]], past: Past, before: int, new: int
    ) -> tuple[RowMemory, torch.Tensor]:
        """Run the prompts, merged where they begin alike.

        Args:
            model: one that `keeps_past`.
            prompts: whole prompts, each longer than `before`.
            past: keys and values of their first `before` tokens.
            before: how many tokens all of them begin with.
            new: most tokens that will follow a prompt.

        Returns:
            The memory, a slot per prompt, and logits_BV of the first token of each answer.
        """
        own = [tuple(prompt[before:]) for prompt in prompts]
        whole = tuple((keys.float(), values.float()) for keys, values in past)
        memory = cls(whole, before, [len(row) for row in own])
        slots = sorted(range(len(own)), key=lambda slot: own[slot])
        parts = list(_parts(slots, own))
        logits: list[torch.Tensor] = []
        for part in parts:
            logits.append(memory._run(model, part, own, max(map(len, own)) + new))
        order = torch.tensor([slot for part in parts for slot in part])
        return memory, torch.cat(logits).index_select(0, order.argsort())

    def _run(
        self, model: Any, slots: Sequence[int], own: Sequence[tuple[int, ...]], size: int
    ) -> torch.Tensor:
        """One pass over some prompts; their keys and values go to their slots."""
        batch = collate([Encoded(str(slot), own[slot], (0,)) for slot in slots], before=self.before)
        kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        logits_MV = label_logits(model, batch, self.past, kept)
        for layer in sorted(kept):
            for whole, found in zip((self.keys, self.values), kept.pop(layer), strict=True):
                if layer not in whole:
                    whole[layer] = torch.empty(len(own), found.shape[1], size, found.shape[3])
                for slot, path in zip(slots, batch.paths, strict=True):
                    places = torch.from_numpy(path)
                    whole[layer][slot, :, : len(path)] = found[0].index_select(1, places)
                    whole[layer][slot, :, len(path) :] = 0.0  # hidden, but it must be finite
        return logits_MV.index_select(0, batch.owners.argsort())

    def keep(self, slots: Sequence[int]) -> list[int]:
        """Give up all rows but those in `slots`; which old slot each new one holds."""
        order = list(range(len(slots)))
        going = set(slots)
        free = [slot for slot in order if slot not in going]
        for slot, old in zip(free, (s for s in slots if s >= len(slots)), strict=True):
            order[slot] = old
            for block in (*self.keys.values(), *self.values.values()):
                block[slot] = block[old]
        self.lengths = [self.lengths[old] for old in order]
        return order

    def step(self, model: Any, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; logits_BV of what follows it."""
        lengths_B = torch.tensor(self.lengths)
        width = max(self.lengths) + 1
        self._places = torch.arange(len(tokens)), lengths_B
        seen = np.arange(width) <= np.array(self.lengths)[:, None]
        bias_BS = torch.from_numpy(np.where(seen, 0.0, -np.inf).astype(np.float32))
        self._bias_B11S = bias_BS[:, None, None]
        AttentionInterface.register(NAME, _attend)
        with attention_named(model, NAME):
            out = model(
                input_ids=torch.tensor(tokens)[:, None],
                position_ids=lengths_B[:, None] + self.before,
                attention_mask=None,
                use_cache=False,
                row_memory=self,
            )
        self.lengths = [length + 1 for length in self.lengths]
        logits_BV: torch.Tensor = out.logits[:, -1]
        return logits_BV

    def attend(
        self,
        layer: int,
        q_BHD: torch.Tensor,
        k_BKD: torch.Tensor,
        v_BKD: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """Write the new tokens' keys and values, and let them see all there is: (B, H, D)."""
        assert self._bias_B11S is not None
        assert self._places is not None
        rows, heads, width = q_BHD.shape
        keys_BKSD, values_BKSD = self.keys[layer], self.values[layer]
        slots, ends = self._places
        keys_BKSD[slots, :, ends] = k_BKD.float()
        values_BKSD[slots, :, ends] = v_BKD.float()
        seen = self._bias_B11S.shape[-1]
        grouped_BKGD = q_BHD.view(rows, k_BKD.shape[1], -1, width)
        out, lse = flash(
            grouped_BKGD,
            *(x[:rows, :, :seen] for x in (keys_BKSD, values_BKSD)),
            bias=self._bias_B11S.expand(-1, -1, grouped_BKGD.shape[2], -1),
            scale=scale,
        )
        out_BHD, lse_BH = out.reshape(rows, heads, width), lse.reshape(rows, heads)
        if not self.past:
            return out_BHD
        out, lse = flash(q_BHD.transpose(0, 1)[None], *self.past[layer], scale=scale)
        whole_BH = torch.logaddexp(lse_BH, lse[0].transpose(0, 1))
        own = out_BHD * (lse_BH - whole_BH).exp()[..., None]
        return own + out[0].transpose(0, 1) * (lse[0].transpose(0, 1) - whole_BH).exp()[..., None]


def _parts(slots: Sequence[int], own: Sequence[Sequence[int]]) -> list[list[int]]:
    """Slots whose prompts run in one pass."""
    parts: list[list[int]] = [[]]
    size = 0
    for slot in slots:
        size += len(own[slot])
        if parts[-1] and size > _PASS_TOKENS:
            parts.append([])
            size = len(own[slot])
        parts[-1].append(slot)
    return parts


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    row_memory: RowMemory | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """The attention interface of `transformers`: (B, H, 1, D) in, (B, 1, H, D) out."""
    if row_memory is None or attention_mask is not None or query.shape[2] != 1:
        raise RuntimeError(f"The attention {NAME} needs its memory, one token a row, and no mask.")
    refuse_unknown(others)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    q_BHD, k_BKD, v_BKD = query[:, :, 0].float(), key[:, :, 0], value[:, :, 0]
    with torch.autocast(query.device.type, enabled=False):
        out_BHD = row_memory.attend(layer, q_BHD, k_BKD, v_BKD, scale)
    return out_BHD[:, None].to(query.dtype), None
