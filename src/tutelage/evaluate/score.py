"""Score answer options by log-likelihood, with every shared prompt computed once.

All options of many questions are one prefix tree: a prompt is one branch, its options are leaves of
it, and prompts that begin alike share their beginning. What all rows of a group begin with (chat
opening, instruction, few-shot block) is run once, and its keys and values serve every batch. Scores
equal those of separate passes (tests/parity).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from tutelage.errors import Preempted
from tutelage.kernels.tree_attention import Past
from tutelage.machine.precision import Precision, autocast
from tutelage.models.loss_rows import longest_merged, target_logprobs
from tutelage.models.prefix_attention import keeps_past, past_of
from tutelage.models.rounded_weights import RoundedWeights, roundable
from tutelage.progress import Progress, Quiet
from tutelage.records import Encoded
from tutelage.tokens.batches import Batch, collate
from tutelage.tokens.prefix_tree import shared_length

MIN_SHARED = 8  # tokens; below it a run of its own costs more than it saves
_BATCH_TOKENS = 4096
_BATCH_TARGETS = 1024  # each may need a row of logits


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

    @property
    def longest(self) -> int:
        """Tokens of the prompt and its longest option."""
        return len(self.prompt_ids) + max(map(len, self.options))


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
    with (
        progress.bar(title, len(questions), "rows") as advance,
        autocast(precision, model.device),
        RoundedWeights(roundable(model, precision)).used(),
    ):

        def keep(places: Sequence[int], found: Sequence[tuple[float, ...]]) -> None:
            scores.update(zip(places, found, strict=True))
            advance(len(places))
            if progress.stopping():
                raise Preempted("Stopped while scoring; run the same command to go on.")

        merged = [i for i, q in enumerate(questions) if q.longest <= limit]
        for members in groups(questions, merged):
            group = [questions[i] for i in members]
            shared = shared_beginning(group) if keeps_past(model) else 0
            past = _run(model, group[0].prompt_ids[:shared])
            for part in parts(group, shared):
                batch = question_batch([group[i] for i in part], shared)
                keep([members[i] for i in part], _score(model, batch, past))
        for i, question in enumerate(questions):
            if question.longest > limit:
                keep([i], [_score_apart(model, question)])
    model.train(was_training)
    return [scores[i] for i in range(len(questions))]


def groups(questions: Sequence[Question], places: Sequence[int]) -> Iterator[list[int]]:
    """Places of the questions of each group."""
    ordered = sorted(places, key=lambda i: questions[i].group)
    for _, members in groupby(ordered, key=lambda i: questions[i].group):
        yield list(members)


def shared_beginning(questions: Sequence[Question]) -> int:
    """Tokens that all prompts of a group begin with; a prompt keeps one token of its own."""
    if len(questions) < 2:
        return 0
    prompts = [q.prompt_ids for q in questions]
    shared = min(shared_length(min(prompts), max(prompts)), min(map(len, prompts)) - 1)
    return shared if shared >= MIN_SHARED else 0


def parts(questions: Sequence[Question], shared: int) -> Iterator[list[int]]:
    """Places of the questions of each batch; those that begin alike are neighbours."""
    part: list[int] = []
    size = targets = 0
    for i in sorted(range(len(questions)), key=lambda i: questions[i].prompt_ids):
        question = questions[i]
        own = len(question.prompt_ids) - shared + sum(len(o) - 1 for o in question.options)
        scored = sum(map(len, question.options))
        if part and (size + own > _BATCH_TOKENS or targets + scored > _BATCH_TARGETS):
            yield part
            part, size, targets = [], 0, 0
        part.append(i)
        size += own
        targets += scored
    if part:
        yield part


def question_batch(questions: Sequence[Question], shared: int) -> Batch:
    """Every option behind its prompt, the first `shared` tokens left out."""
    rows = [
        Encoded(f"{number}:{place}", question.prompt_ids[shared:], option)
        for number, question in enumerate(questions)
        for place, option in enumerate(question.options)
    ]
    return collate(rows, before=shared)


def _run(model: Any, ids: tuple[int, ...]) -> Past:
    """Keys and values per layer of what a group begins with."""
    if not ids:
        return ()
    tokens = torch.tensor([ids], device=model.device)
    return past_of(model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values)


def _score(model: Any, batch: Batch, past: Past) -> list[tuple[float, ...]]:
    """Sums over each row's targets, the rows of a question together."""
    logprobs_N = target_logprobs(model, batch.to(model.device), past).cpu().double()
    sums = torch.zeros(len(batch.ids), dtype=torch.float64).index_add_(0, batch.owners, logprobs_N)
    of_question = groupby(zip(batch.ids, sums.tolist(), strict=True), lambda p: p[0].split(":")[0])
    return [tuple(value for _, value in pairs) for _, pairs in of_question]


def _score_apart(model: Any, question: Question) -> tuple[float, ...]:
    """One plain pass per option: the path for rows that the model cannot branch exactly."""
    scores = []
    for tokens in question.options:
        sequence = torch.tensor([(*question.prompt_ids, *tokens)], device=model.device)
        keep = len(tokens) + 1
        out = model(input_ids=sequence, logits_to_keep=keep, use_cache=False)
        logprobs_NV = out.logits[0, :-1].float().log_softmax(-1)
        targets_N1 = sequence[0, -len(tokens) :, None]
        scores.append(float(logprobs_NV.gather(1, targets_N1).cpu().double().sum()))
    return tuple(scores)
