"""Greedy generation, many rows at a time.

What all prompts of a family begin with (chat opening, instruction, few-shot examples) runs once.
Rows of one batch may differ in length (`ragged`) where the model goes by masks and positions. Where
it does not (layers with a state, a window shorter than the rows), rows are of equal length at every
step: the prompts run together as far as the shortest one goes; from there each step feeds a row
the next token of its prompt, where it still has one, else its answer's latest. So such a model
sees no padding and no mask of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import torch

from tutelage.evaluate.ending import Decode, Ending, Generated, Ids, check_stop
from tutelage.evaluate.ragged import CachedRows, Prefix, RaggedRows, Rows
from tutelage.machine.allocator import give_back
from tutelage.machine.memory import ModelShape
from tutelage.machine.precision import Precision, autocast
from tutelage.models.loss_rows import longest_merged
from tutelage.models.prefix_attention import keeps_past
from tutelage.models.rounded_weights import RoundedWeights, roundable
from tutelage.models.row_memory import RowMemory
from tutelage.progress import Progress, Quiet
from tutelage.tokens.prefix_tree import shared_length

_SPREAD = 32  # tokens that the longest prompt of a batch may have above the shortest
_RAGGED_SPREAD = 512  # the same, where a batch may be padded
_BATCH_ROWS = 32
_CACHE_TOKENS = 24_576  # cached tokens of one batch, answers included
_CACHE_BYTES = 2 * 2**30  # and what they may take, in fp32
_MIN_SHARED = 8  # tokens; below it a cache costs more than it saves
_FAMILY_COST = 2_000  # tokens; what a family of its own costs by making batches smaller


@torch.inference_mode()
def generate_answers(
    model: Any,
    prompts: Sequence[Ids],
    stop_id: int,
    *,
    max_new_tokens: int,
    decode: Decode,
    stop_texts: Sequence[str] = (),
    precision: Precision = "fp32",
    progress: Progress | None = None,
    title: str = "Generating",
) -> list[Generated]:
    """The most likely next token, again and again, for every prompt; in the order given.

    Equals the model's own greedy `generate` row by row (tests/parity), up to ties of the numbers.
    A row whose context is full ends there, unfinished.

    Raises:
        Preempted: the user asked to stop.
    """
    progress = progress or Quiet()
    ending = Ending(stop_id, max_new_tokens, decode, tuple(stop_texts))
    was_training = model.training
    model.eval()
    longest = max(map(len, prompts), default=0) + max_new_tokens
    shares = longest <= longest_merged(model)
    found: dict[int, Generated] = {}
    with (
        progress.bar(title, len(prompts), "answers") as advance,
        autocast(precision, model.device),
        RoundedWeights(roundable(model, precision)).used(),
    ):
        for members in _families(prompts) if shares else [list(range(len(prompts)))]:
            prefix = _shared_prefix(model, [prompts[i] for i in members]) if shares else Prefix()
            spread = _RAGGED_SPREAD if shares else _SPREAD
            once = prefix.length if keeps_past(model) else 0
            room = _cache_tokens(model)
            for batch in _batches(prompts, members, max_new_tokens - once, room, spread):
                asked = [prompts[i] for i in batch]
                check_stop(progress)
                if shares:  # what has read a batch must not outlive it
                    rows = RaggedRows(asked, ending, _room(model), progress)
                    answers = rows.run(model, *_read(model, asked, prefix, max_new_tokens))
                else:
                    answers = _Rows(asked, ending, _room(model), progress).run(model, prefix)
                found.update(zip(batch, answers, strict=True))
                give_back()  # the next batch has other shapes
                advance(len(batch))
    model.train(was_training)
    return [found[i] for i in range(len(prompts))]


@torch.inference_mode()
def greedy(model: Any, prompt_ids: Sequence[int], stop_id: int, max_new_tokens: int) -> Ids:
    """Most likely next tokens until the stop token, which is left out; by the model's own loop."""
    ids = torch.tensor([list(prompt_ids)], device=model.device)
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=stop_id,
        pad_token_id=stop_id,
        use_cache=True,
    )
    answer = out[0, len(prompt_ids) :].tolist()
    return tuple(answer[: answer.index(stop_id)] if stop_id in answer else answer)


# --- which rows run together ---


def _families(prompts: Sequence[Ids]) -> list[list[int]]:
    """Rows by equal beginnings of a length that leaves the fewest tokens to run.

    Few-shot blocks differ from template to template: apart, each runs once.
    """
    order = sorted(range(len(prompts)), key=lambda i: prompts[i])
    lengths = [0, *(2**n for n in range(3, 18) if 2**n < max(map(len, prompts), default=0))]
    return min((_split(prompts, order, n) for n in lengths), key=lambda f: _cost(prompts, f))


def _split(prompts: Sequence[Ids], order: Sequence[int], length: int) -> list[list[int]]:
    return [list(members) for _, members in groupby(order, key=lambda i: prompts[i][:length])]


def _cost(prompts: Sequence[Ids], families: Iterable[Sequence[int]]) -> int:
    """Tokens to run, and a charge per family."""
    total = 0
    for members in families:
        shared = shared_length(prompts[members[0]], prompts[members[-1]])
        total += _FAMILY_COST - (len(members) - 1) * shared
    return total


def _cache_tokens(model: Any) -> int:
    """Cached tokens of one batch; a function of the model alone, so that batches repeat."""
    shape = ModelShape.of(model)
    return min(_CACHE_TOKENS, _CACHE_BYTES // (2 * shape.layers * shape.kv_width * 4))


def _batches(
    prompts: Sequence[Ids],
    members: Sequence[int],
    more: int,
    cache_tokens: int,
    spread: int,
) -> Iterator[list[int]]:
    """Rows of nearly equal length, longest last within a batch, bounded in cached tokens.

    `more` is what a row holds beyond its prompt: new tokens, less those held once for all rows.
    """
    ordered = sorted(members, key=lambda i: (len(prompts[i]), i))
    batch: list[int] = []
    for i in ordered:
        length = len(prompts[i])
        full = (len(batch) + 1) * (length + more) > cache_tokens
        wide = batch and length - len(prompts[batch[0]]) > spread
        if batch and (full or wide or len(batch) == _BATCH_ROWS):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


# --- one batch ---


def _shared_prefix(model: Any, prompts: Sequence[Ids]) -> Prefix:
    """Run what all prompts begin with; at least one prompt token is left to each row."""
    first, last = min(prompts), max(prompts)
    length = min(shared_length(first, last), min(map(len, prompts)) - 1)
    if len(prompts) < 2 or length < _MIN_SHARED:
        return Prefix()
    ids_1T = torch.tensor([first[:length]], device=model.device)
    return Prefix(length, _forward(model, ids_1T, 0, None).past_key_values)


def _read(
    model: Any, prompts: Sequence[Ids], prefix: Prefix, new: int
) -> tuple[Rows, torch.Tensor]:
    """Run the prompts of a batch; what has read them, and logits_BV of the first tokens."""
    if keeps_past(model):
        return RowMemory.of(model, prompts, prefix.past, prefix.length, new)
    return CachedRows.of(model, prompts, prefix)


def _forward(model: Any, ids_BT: torch.Tensor, start: int, cache: Any) -> Any:
    """One pass over tokens that stand at `start` in every row.

    The mask of ones is needed: without it some attention functions take the new tokens for the
    first ones, and cut the cached keys.
    """
    rows, new = ids_BT.shape
    seen_BS = torch.ones(rows, start + new, dtype=torch.int64, device=ids_BT.device)
    positions_BT = torch.arange(start, start + new, device=ids_BT.device).expand(rows, -1)
    return model(
        input_ids=ids_BT,
        attention_mask=seen_BS,
        position_ids=positions_BT,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )


def _room(model: Any) -> float:
    """Tokens that fit the model's context; positions beyond it do not exist in some models."""
    size = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return float(size) if size else float("inf")


@dataclass(slots=True)
class _Rows:
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
        cache = prefix.repeated(len(alive), model.device)
        shortest = min(map(len, self.prompts))
        new = [list(prompt[prefix.length : shortest]) for prompt in self.prompts]
        at = prefix.length
        while alive:
            check_stop(self.progress)
            out = _forward(model, torch.tensor(new, device=model.device), at, cache)
            at, cache = at + len(new[0]), getattr(out, "past_key_values", None)
            if cache is None:
                return [self._alone(model, prompt) for prompt in self.prompts]
            chosen = out.logits[:, -1].argmax(dim=-1).tolist()
            going, new = [], []
            for place, row in enumerate(alive):
                token = self._next(row, said[row], chosen[place], at)
                if token is not None:
                    going.append(place)
                    new.append([token])
            if 0 < len(going) < len(alive):
                cache.reorder_cache(torch.tensor(going, device=model.device))
            alive = [alive[place] for place in going]
        return [self.answers[row] for row in range(len(self.prompts))]

    def _next(self, row: int, said: list[int], chosen: int, at: int) -> int | None:
        """The token that a row goes on with, its own prompt's first; None where it ends."""
        prompt = self.prompts[row]
        if at < len(prompt):
            return prompt[at]
        ended = chosen == self.ending.stop_id
        if not ended:
            said.append(chosen)
            ended = self.ending.reached(said)
        if ended or len(said) >= self.ending.max_new_tokens or at >= self.room:
            self.answers[row] = self.ending.answer(said, finished=ended)
            return None
        return chosen

    def _alone(self, model: Any, prompt: Ids) -> Generated:
        """The path of models that keep their state elsewhere: the model's own loop, row by row."""
        ids = greedy(model, prompt, self.ending.stop_id, self.ending.max_new_tokens)
        answer = self.ending.answer(ids, finished=len(ids) < self.ending.max_new_tokens)
        return replace(answer, finished=answer.finished or answer.text != self.ending.decode(ids))
