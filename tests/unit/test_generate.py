"""Greedy generation: the most likely token, until the stop token, which is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tutelage.evaluate.generate import greedy
from tutelage.models.load import load_model, load_tokenizer
from tutelage.tokens.encode import Encoder

NEVER = 0  # a stop token that the tiny model does not say


@pytest.fixture(scope="module")
def model(tiny_model_dir: Path) -> Any:
    return load_model(tiny_model_dir)


@pytest.fixture(scope="module")
def prompt(tiny_model_dir: Path) -> tuple[int, ...]:
    return Encoder(load_tokenizer(tiny_model_dir)).prompt("How does the kettle feel?")


def one_by_one(model: Any, prompt: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The same without a cache: a whole pass for every token."""
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return tuple(ids[len(prompt) :])


def test_each_token_is_the_most_likely_one(model: Any, prompt: tuple[int, ...]) -> None:
    wanted = one_by_one(model, prompt, 12)
    assert NEVER not in wanted
    assert greedy(model, prompt, NEVER, 12) == wanted


def test_the_answer_ends_before_the_stop_token(model: Any, prompt: tuple[int, ...]) -> None:
    tokens = one_by_one(model, prompt, 12)
    for stop in set(tokens):
        assert greedy(model, prompt, stop, 12) == tokens[: tokens.index(stop)]


def test_no_more_than_asked(model: Any, prompt: tuple[int, ...]) -> None:
    assert len(greedy(model, prompt, NEVER, 1)) == 1
