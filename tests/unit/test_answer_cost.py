"""Tokens that answering costs, counted before anything is answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tutelage.evaluate import score
from tutelage.evaluate.answer_cost import AnswerCost
from tutelage.evaluate.score import Question, score_options
from tutelage.models.load import load_model

OPENING = tuple(range(1, 21))


def question(number: int, group: str, *own: int) -> Question:
    return Question(str(number), group, (*OPENING, *own), ((5, 9), (6, 7, 9)))


QUESTIONS = [question(n, "a" if n < 3 else "b", n + 1, 40 + n) for n in range(5)]


def test_what_prompts_begin_with_counts_once_per_group() -> None:
    cost = AnswerCost.of(QUESTIONS)
    assert (cost.answers, cost.sent) == (5, 5 * (22 + 3))
    assert cost.shared == 2 * 20
    assert cost.own == 5 * (2 + 1 + 2)  # the rest of the prompt, and options but their last ids
    assert cost.computed(5) == 40 + 25
    assert cost.computed(100) == 40 + 500


def test_a_question_alone_shares_nothing_and_keeps_a_token() -> None:
    assert AnswerCost.of(QUESTIONS[:1]).shared == 0
    same = [question(1, "a", 30), question(2, "a", 30)]
    assert AnswerCost.of(same).shared == 20  # of 21: scoring needs one to start from


def test_scoring_computes_what_was_counted(
    tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens that really enter the model."""
    longer = Question("9", "a", (*OPENING, 1, 2, 3, 4), ((5, 6, 7, 9), (8, 9)))
    entered: list[int] = []
    model = load_model(tiny_model_dir)
    forward = model.forward

    def counting(*, input_ids: torch.Tensor, **how: Any) -> Any:
        entered.append(input_ids.numel())
        return forward(input_ids=input_ids, **how)

    model.forward = counting
    monkeypatch.setattr(score, "longest_merged", lambda _model: float("inf"))
    score_options(model, [*QUESTIONS, longer])
    cost = AnswerCost.of([*QUESTIONS, longer])
    assert sum(entered) == cost.computed(6)
    assert cost.own == AnswerCost.of(QUESTIONS).own + 4 - 1 + 3 + 1  # it begins like the first
