"""What answering costs in tokens, before anything is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.evaluate.score import Question, groups, parts, question_batch, shared_beginning


@dataclass(frozen=True, slots=True)
class AnswerCost:
    """Tokens of a number of answers.

    Attributes:
        sent: prompt and longest option, with the whole prompt for every answer.
        shared: what the prompts of a group begin with, once per group.
        own: everything else that scoring computes, beginnings shared within a batch counted once.
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
        for members in groups(questions, range(len(questions))):
            group = [questions[i] for i in members]
            common = shared_beginning(group)
            shared += common
            for part in parts(group, common):
                own += question_batch([group[i] for i in part], common).unique
        return cls(len(questions), sent, shared, own)

    def computed(self, answers: float) -> float:
        """Tokens to compute for so many answers like these, of the same groups."""
        return self.shared + self.own * answers / self.answers
