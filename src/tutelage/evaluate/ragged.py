"""Greedy generation of rows that differ in length.

Prompts are padded on the right and run once without a mask: causality keeps padding from every
real token. Then all rows take a step at a time; a mask hides the padded places, and positions go
on where each row's prompt ended, so scores are those of a row alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tutelage.errors import Preempted
from tutelage.evaluate.ending import Ending, Generated, Ids
from tutelage.progress import Progress


@dataclass(frozen=True, slots=True)
class Prefix:
    """The model's own cache of what the prompts of a family begin with, for one row."""

    length: int = 0
    cache: Any = None

    def repeated(self, rows: int, device: torch.device) -> Any:
        """A cache of its own for `rows` rows."""
        if self.cache is None:
            return None
        cache = copy.deepcopy(self.cache)
        cache.reorder_cache(torch.zeros(rows, dtype=torch.int64, device=device))
        return cache


@dataclass(slots=True)
class RaggedRows:
    """The rows of one batch while they are answered."""

    prompts: Sequence[Ids]
    ending: Ending
    room: float
    progress: Progress
    answers: dict[int, Generated] = field(default_factory=dict)

    def run(self, model: Any, prefix: Prefix) -> list[Generated]:
        """Answer every row; one that has ended leaves the batch."""
        alive = list(range(len(self.prompts)))
        said: list[list[int]] = [[] for _ in alive]
        seen_BS, out = self._prompts(model, prefix)
        cache = out.past_key_values
        chosen = out.logits.reshape(len(alive), -1).argmax(dim=-1).tolist()
        while True:
            going = [p for p, row in enumerate(alive) if self._goes_on(row, said[row], chosen[p])]
            if not going:
                return [self.answers[row] for row in range(len(self.prompts))]
            if self.progress.stopping():
                raise Preempted("Stopped while generating; run the same command to go on.")
            if len(going) < len(alive):
                kept = torch.tensor(going, device=model.device)
                cache.reorder_cache(kept)
                seen_BS = seen_BS.index_select(0, kept)
                alive = [alive[place] for place in going]
            seen_BS = torch.cat([seen_BS, seen_BS.new_ones(len(alive), 1)], dim=1)
            places = [[len(self.prompts[row]) + len(said[row]) - 1] for row in alive]
            out = model(
                input_ids=torch.tensor([[said[row][-1]] for row in alive], device=model.device),
                attention_mask=seen_BS,
                position_ids=torch.tensor(places, device=model.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = out.logits[:, -1].argmax(dim=-1).tolist()

    def _prompts(self, model: Any, prefix: Prefix) -> tuple[torch.Tensor, Any]:
        """Run all prompts behind the prefix; which cached places hold tokens, and the output."""
        rests = [prompt[prefix.length :] for prompt in self.prompts]
        rows, width = len(rests), max(map(len, rests))
        ids_BT = torch.zeros(rows, width, dtype=torch.int64)
        for place, rest in enumerate(rests):
            ids_BT[place, : len(rest)] = torch.tensor(rest)
        ends_B1 = torch.tensor([[len(rest)] for rest in rests])
        real_BT = torch.arange(width) < ends_B1
        before_BP = torch.ones(rows, prefix.length, dtype=torch.bool)
        seen_BS = torch.cat([before_BP, real_BT], dim=1).to(device=model.device, dtype=torch.int64)
        positions_T = torch.arange(prefix.length, prefix.length + width, device=model.device)
        out = model(
            input_ids=ids_BT.to(model.device),
            # Behind a cache some attention functions need a mask, or they cut the cached keys.
            attention_mask=torch.ones_like(seen_BS),
            position_ids=positions_T.expand(rows, -1),
            past_key_values=prefix.repeated(rows, model.device),
            use_cache=True,
            logits_to_keep=(torch.arange(width) == ends_B1 - 1).to(model.device),
        )
        return seen_BS, out

    def _goes_on(self, row: int, said: list[int], chosen: int) -> bool:
        """Take a row's next token; whether another one follows."""
        ended = chosen == self.ending.stop_id
        if not ended:
            said.append(chosen)
            ended = self.ending.reached(said)
        full = len(self.prompts[row]) + len(said) > self.room
        if ended or len(said) >= self.ending.max_new_tokens or full:
            self.answers[row] = self.ending.answer(said, finished=ended)
            return False
        return True
