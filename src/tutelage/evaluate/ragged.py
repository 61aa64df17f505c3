"""Greedy generation of rows that differ in length: all take a step at a time.

Where attention is computed by blocks, rows are kept in a `RowMemory`. Elsewhere prompts are padded
on the right and run once without a mask: causality keeps padding from every real token. Then a mask
hides the padded places, and positions go on where each row's prompt ended. Either way scores are
those of a row alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from tutelage.evaluate.ending import Ending, Generated, Ids, check_stop
from tutelage.kernels.tree_attention import Past
from tutelage.models.prefix_attention import past_of
from tutelage.progress import Progress


class Rows(Protocol):
    """What has been read of the rows of a batch, in one order of its own."""

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Go on with some rows only; which of the old ones each of the new ones is."""
        ...

    def step(self, model: Any, tokens: Sequence[int]) -> torch.Tensor:
        """Append a token to each row; logits_BV of what follows it."""
        ...


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

    @property
    def past(self) -> Past:
        """Its keys and values, layer by layer."""
        return past_of(self.cache) if self.cache else ()


@dataclass(slots=True)
class RaggedRows:
    """The rows of one batch while they are answered."""

    prompts: Sequence[Ids]
    ending: Ending
    room: float
    progress: Progress
    answers: dict[int, Generated] = field(default_factory=dict)

    def run(self, model: Any, rows: Rows, logits_BV: torch.Tensor) -> list[Generated]:
        """Answer every row; one that has ended leaves the batch.

        Args:
            model: the model.
            rows: what has read the prompts.
            logits_BV: of the first token of each answer.
        """
        alive = list(range(len(self.prompts)))
        said: list[list[int]] = [[] for _ in alive]
        while True:
            chosen = logits_BV.argmax(dim=-1).tolist()
            going = [p for p, row in enumerate(alive) if self._goes_on(row, said[row], chosen[p])]
            if not going:
                return [self.answers[row] for row in range(len(self.prompts))]
            check_stop(self.progress)
            if len(going) < len(alive):
                alive = [alive[place] for place in rows.keep(going)]
            logits_BV = rows.step(model, [said[row][-1] for row in alive])

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


@dataclass(slots=True)
class CachedRows:
    """Rows in the model's own cache, padded.

    Attributes:
        seen_BS: which cached places hold tokens.
        ends: tokens of each row so far.
    """

    cache: Any
    seen_BS: torch.Tensor
    ends: list[int]

    @classmethod
    def of(
        cls, model: Any, prompts: Sequence[Ids], prefix: Prefix
    ) -> tuple[CachedRows, torch.Tensor]:
        """Run all prompts behind the prefix; also logits_BV of the first tokens."""
        rests = [prompt[prefix.length :] for prompt in prompts]
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
        read = cls(out.past_key_values, seen_BS, [len(prompt) for prompt in prompts])
        return read, out.logits.reshape(rows, -1)

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Copy what some rows have cached; they keep their order."""
        kept = torch.tensor(rows, device=self.seen_BS.device)
        self.cache.reorder_cache(kept)
        self.seen_BS = self.seen_BS.index_select(0, kept)
        self.ends = [self.ends[row] for row in rows]
        return list(rows)

    def step(self, model: Any, tokens: Sequence[int]) -> torch.Tensor:
        """Append a token to each row; logits_BV of what follows it."""
        self.seen_BS = torch.cat([self.seen_BS, self.seen_BS.new_ones(len(tokens), 1)], dim=1)
        out = model(
            input_ids=torch.tensor(tokens, device=model.device)[:, None],
            attention_mask=self.seen_BS,
            position_ids=torch.tensor(self.ends, device=model.device)[:, None],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.ends = [end + 1 for end in self.ends]
        logits_BV: torch.Tensor = out.logits[:, -1]
        return logits_BV
