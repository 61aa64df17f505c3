"""What answering costs in tokens, before anything is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tutelage.evaluate.score import MIN_SHARED, Question, batches
from tutelage.tokens.prefix_tree import shared_length


@dataclass(frozen=True, slots=True)
class AnswerCost:
    """Tokens of a number of answers.

    Attributes:
        sent: prompt and longest option, with the whole prompt for every answer.
        shared: what the prompts of a group begin with, once per group.
        own: everything else that scoring computes, padding included.
    """

    answers: int
    sent: int
    shared: int
    own: int

    @classmethod
    def of(cls, questions: Sequence[Question]) -> AnswerCost:
        """The cost of these questions, their groups shared as `score_options` does."""
        sent = sum(len(q.prompt_ids) + max(map(len, q.options)) for q in questions)
        shared = own = 0
        ordered = sorted(questions, key=lambda q: q.group)
        for _, members in groupby(ordered, key=lambda q: q.group):
            group = list(members)
            common = _common(group)
            shared += common
            places = range(len(group))
            for batch in batches(group, places, common):
                own += len(batch) * max(_own(group[i], common) for i in batch)
        return cls(len(questions), sent, shared, own)

    def computed(self, answers: float) -> float:
        """Tokens to compute for so many answers like these, of the same groups."""
        return self.shared + self.own * answers / self.answers


def _own(question: Question, shared: int) -> int:
    """Tokens of a question beside the shared ones; an option's last token is never an input."""
    return len(question.prompt_ids) - shared + sum(len(o) - 1 for o in question.options)


def _common(questions: Sequence[Question]) -> int:
    """Tokens that all prompts of a group begin with; a prompt keeps one token of its own."""
    if len(questions) < 2:
        return 0
    prompts = [q.prompt_ids for q in questions]
    shared = min(shared_length(min(prompts), max(prompts)), min(map(len, prompts)) - 1)
    return shared if shared >= MIN_SHARED else 0
