"""Score answer options by log-likelihood, with every shared prompt computed once.

One row is one sequence: its prompt followed by all options side by side, each option seeing the
prompt and its own earlier tokens only (a mask makes the branches), positions continuing at the end
of the prompt. What all rows of a group share (chat opening, instruction, few-shot block) is run
once and its key/value cache reused. Scores equal those of separate passes (tests/parity).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from transformers import DynamicCache

from tutelage.errors import Preempted
from tutelage.machine.precision import Precision, autocast
from tutelage.models.loss_rows import longest_merged
from tutelage.progress import Progress, Quiet
from tutelage.tokens.prefix_tree import shared_length

MIN_SHARED = 8  # tokens; below it a cache costs more than it saves
_BATCH_TOKENS = 2048
_CACHE_TOKENS = 16_384  # copied prefix tokens per batch


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and the completions to compare.

    Attributes:
        group: rows of one group are searched for a shared prefix (a template's name).
        options: completion ids of each option, stop token included.
    """

    id: str
    group: str
    prompt_ids: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Prefix:
    """Key/value cache of the tokens that a group's prompts begin with."""

    length: int
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    def repeated(self, rows: int) -> DynamicCache | None:
        """A fresh cache for `rows` sequences; None where nothing is shared."""
        if not self.length:
            return None
        pairs = [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in self.layers]
        return DynamicCache(ddp_cache_data=pairs)


@torch.inference_mode()
def score_options(
    model: Any,
    questions: Sequence[Question],
    *,
    precision: Precision = "fp32",
    progress: Progress | None = None,
    title: str = "Scoring",
) -> list[tuple[float, ...]]:
    """Log-likelihood (nats) of every option of every question, stop token included.

    Returns:
        One tuple per question, in the order given.

    Raises:
        Preempted: the user asked to stop.
    """
    progress = progress or Quiet()
    was_training = model.training
    model.eval()
    limit = longest_merged(model)
    scores: dict[int, tuple[float, ...]] = {}
    order = sorted(range(len(questions)), key=lambda i: questions[i].group)
    with (
        progress.bar(title, len(questions), "rows") as advance,
        autocast(precision, model.device),
    ):
        for _, members in groupby(order, key=lambda i: questions[i].group):
            group = list(members)
            prefix = _shared_prefix(model, [questions[i] for i in group], limit)
            for batch in batches(questions, group, prefix.length):
                if progress.stopping():
                    raise Preempted("Stopped while scoring; run the same command to go on.")
                found = _score_batch(model, [questions[i] for i in batch], prefix, limit)
                scores.update(zip(batch, found, strict=True))
                advance(len(batch))
    model.train(was_training)
    return [scores[i] for i in range(len(questions))]


def _shared_prefix(model: Any, questions: Sequence[Question], limit: float) -> _Prefix:
    """Run what all prompts begin with; at least one prompt token is left to each row."""
    first = min(q.prompt_ids for q in questions)
    last = max(q.prompt_ids for q in questions)
    length = min(shared_length(first, last), min(len(q.prompt_ids) for q in questions) - 1)
    longest = max(len(q.prompt_ids) + sum(map(len, q.options)) for q in questions)
    if len(questions) < 2 or length < MIN_SHARED or longest > limit:
        return _Prefix(0, ())
    ids = torch.tensor([first[:length]], device=model.device)
    cache = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
    return _Prefix(length, tuple((layer.keys, layer.values) for layer in cache.layers))


def batches(
    questions: Sequence[Question], members: Sequence[int], shared: int
) -> Iterable[list[int]]:
    """Rows of similar length, bounded in padded tokens and in copied prefix tokens."""

    def own(i: int) -> int:
        q = questions[i]
        return len(q.prompt_ids) - shared + sum(len(o) - 1 for o in q.options)

    ordered = sorted(members, key=lambda i: (-own(i), i))
    start = 0
    while start < len(ordered):
        count = max(1, _BATCH_TOKENS // own(ordered[start]))
        if shared:
            count = max(1, min(count, _CACHE_TOKENS // shared))
        yield ordered[start : start + count]
        start += count


def _score_batch(
    model: Any, questions: Sequence[Question], prefix: _Prefix, limit: float
) -> list[tuple[float, ...]]:
    longest = max(len(q.prompt_ids) + sum(map(len, q.options)) for q in questions)
    if longest > limit:
        return [_score_apart(model, q) for q in questions]
    layout = _Layout.of(questions, prefix.length)
    device = model.device
    out = model(
        input_ids=layout.input_ids_BT.to(device),
        attention_mask=layout.mask_B1TS.to(device),
        position_ids=layout.positions_BT.to(device),
        past_key_values=prefix.repeated(len(questions)),
        use_cache=bool(prefix.length),
        logits_to_keep=layout.keep_BT.to(device),
    )
    logprobs_NV = out.logits.reshape(-1, out.logits.shape[-1]).float().log_softmax(-1)
    picked_M = logprobs_NV[layout.rows.to(device), layout.targets.to(device)]
    sums = torch.zeros(layout.options, dtype=torch.float64)
    sums.index_add_(0, layout.option_of, picked_M.double().cpu())
    flat = sums.tolist()
    result: list[tuple[float, ...]] = []
    for q in questions:
        result.append(tuple(flat[: len(q.options)]))
        flat = flat[len(q.options) :]
    return result


@dataclass(frozen=True, slots=True)
class _Layout:
    """Tensors of one branching batch; S counts the shared prefix and T own tokens."""

    input_ids_BT: torch.Tensor
    positions_BT: torch.Tensor
    mask_B1TS: torch.Tensor
    keep_BT: torch.Tensor
    rows: torch.Tensor  # index into kept rows, one per (row, target) pair
    targets: torch.Tensor
    option_of: torch.Tensor
    options: int

    @classmethod
    def of(cls, questions: Sequence[Question], shared: int) -> _Layout:
        """Lay every question out as prompt remainder plus options side by side."""
        width = max(
            len(q.prompt_ids) - shared + sum(len(o) - 1 for o in q.options) for q in questions
        )
        rows = len(questions)
        ids_BT = torch.zeros(rows, width, dtype=torch.int64)
        positions_BT = torch.zeros(rows, width, dtype=torch.int64)
        own_BTT = torch.eye(width, dtype=torch.bool).repeat(rows, 1, 1)  # padding sees itself
        keep_BT = torch.zeros(rows, width, dtype=torch.bool)
        pairs: list[tuple[int, int, int]] = []  # (flat row, target, option number)
        option = 0
        for b, q in enumerate(questions):
            rest = q.prompt_ids[shared:]
            end = len(rest)
            ids_BT[b, :end] = torch.tensor(rest)
            positions_BT[b, :end] = torch.arange(shared, shared + end)
            own_BTT[b, :end, :end] = torch.ones(end, end, dtype=torch.bool).tril()
            start = end
            for tokens in q.options:
                inner = len(tokens) - 1
                stop = start + inner
                ids_BT[b, start:stop] = torch.tensor(tokens[:-1], dtype=torch.int64)
                positions_BT[b, start:stop] = torch.arange(shared + end, shared + end + inner)
                own_BTT[b, start:stop, :end] = True
                own_BTT[b, start:stop, start:stop] = torch.ones(
                    inner, inner, dtype=torch.bool
                ).tril()
                sources = [end - 1, *range(start, stop)]
                pairs += [(b * width + s, t, option) for s, t in zip(sources, tokens, strict=True)]
                start, option = stop, option + 1
        flat = torch.tensor([p[0] for p in pairs])
        keep_BT.view(-1)[flat] = True
        kept = torch.unique(flat)
        seen_BTS = torch.ones(rows, width, shared, dtype=torch.bool)
        return cls(
            ids_BT,
            positions_BT,
            torch.cat([seen_BTS, own_BTT], dim=2)[:, None],
            keep_BT,
            torch.searchsorted(kept, flat),
            torch.tensor([p[1] for p in pairs]),
            torch.tensor([p[2] for p in pairs]),
            option,
        )


def _score_apart(model: Any, question: Question) -> tuple[float, ...]:
    """One plain pass per option: the path for rows that the model cannot branch exactly."""
    scores = []
    for tokens in question.options:
        sequence = torch.tensor([(*question.prompt_ids, *tokens)], device=model.device)
        keep = len(tokens) + 1
        out = model(input_ids=sequence, logits_to_keep=keep, use_cache=False)
        logprobs_NV = out.logits[0, :-1].float().log_softmax(-1)
        targets_N1 = sequence[0, -len(tokens) :, None]
        scores.append(float(logprobs_NV.gather(1, targets_N1).double().sum()))
    return tuple(scores)
