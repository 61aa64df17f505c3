"""Option scores from one branching pass equal those of a plain pass per option."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch
from families import (
    FAMILIES,
    STATEFUL,
    VOCABULARY,
    WINDOWED,
    bigram_model,
    tiny_model,
    windowed_model,
)

from tutelage.evaluate import score
from tutelage.evaluate.score import Question, score_options
from tutelage.models import prefix_attention
from tutelage.models.load import load_model

STOP = 2
OPTIONS = ((60, STOP), (60, 61, STOP), (62, 63, 64, STOP), (65, 61, STOP))
SHOTS = tuple(random.Random(5).choices(range(3, VOCABULARY), k=50))


@torch.inference_mode()
def plain_scores(model: Any, question: Question) -> tuple[float, ...]:
    """One pass over prompt and option, for every option."""
    found = []
    for option in question.options:
        ids = torch.tensor([[*question.prompt_ids, *option]])
        chances = model(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
        first = len(question.prompt_ids) - 1
        found.append(sum(chances[first + n, token].item() for n, token in enumerate(option)))
    return tuple(found)


def questions(
    prefixes: dict[str, tuple[int, ...]], *, rows: int = 8, longest: int = 20, seed: int = 0
) -> list[Question]:
    """Rows of every group, in mixed order, each with the group's prefix and options of its own."""
    rng = random.Random(seed)
    made = []
    for number in range(rows * len(prefixes)):
        group = list(prefixes)[number % len(prefixes)]
        own = tuple(rng.choices(range(3, VOCABULARY), k=rng.randint(1, longest)))
        options = tuple(rng.sample(OPTIONS, rng.randint(2, len(OPTIONS))))
        made.append(Question(str(number), group, prefixes[group] + own, options))
    rng.shuffle(made)
    return made


def assert_equal(found, expected, tolerance: float = 1e-4) -> None:
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=tolerance)


def check(model: Any, asked: list[Question]) -> None:
    assert_equal(score_options(model, asked), [plain_scores(model, q) for q in asked])


GROUPS = {
    "nothing shared": {"a": (), "b": ()},
    "too little shared for a cache": {"a": SHOTS[:4]},
    "a system prompt": {"a": SHOTS[:10], "b": SHOTS[5:20]},
    "examples in the prompt": {"a": SHOTS, "b": SHOTS[::-1], "c": ()},
}


@pytest.fixture(scope="module")
def model_of():
    models = {family: tiny_model(family) for family in FAMILIES}
    return models.__getitem__


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("gemma3_text", "mistral")])
def test_scores_are_those_of_separate_passes(model_of, family: str, groups: str) -> None:
    check(model_of(family), questions(GROUPS[groups]))


@pytest.mark.parametrize("family", ["gemma3_text", "mistral"])
@pytest.mark.parametrize("groups", GROUPS)
def test_scores_under_a_window_that_holds_every_row(family: str, groups: str) -> None:
    check(tiny_model(family, sliding_window=100), questions(GROUPS[groups]))


@pytest.mark.parametrize("family", WINDOWED)
@pytest.mark.parametrize("window", [8, 24, 60])
def test_scores_of_rows_longer_than_the_window(family: str, window: int) -> None:
    """In every group some rows fit the window and some do not, or none does."""
    prefixes = {"short": SHOTS[:10], "long": SHOTS, "none": ()}
    check(windowed_model(family, window), questions(prefixes, rows=6, longest=30))


@pytest.mark.parametrize("family", STATEFUL)
@pytest.mark.parametrize("groups", ["nothing shared", "examples in the prompt"])
def test_scores_of_layers_with_a_state(family: str, groups: str) -> None:
    check(tiny_model(family), questions(GROUPS[groups]))


def test_small_batches_share_the_same_prefix(model_of, monkeypatch) -> None:
    asked = questions(GROUPS["examples in the prompt"])
    whole = score_options(model_of("llama"), asked)
    monkeypatch.setattr(score, "_BATCH_TOKENS", 40)
    sizes = []
    scored = score._score

    def counted(model, batch, past):
        sizes.append(len(batch.ids))
        assert batch.unique <= 60  # a question may be longer than the budget
        return scored(model, batch, past)

    monkeypatch.setattr(score, "_score", counted)
    check(model_of("llama"), asked)
    assert len(sizes) > 8
    assert_equal(score_options(model_of("llama"), asked), whole)


def test_without_blocks_every_batch_holds_the_prefix(model_of, monkeypatch) -> None:
    """What devices do that have no blocks of flash attention."""
    asked = questions(GROUPS["examples in the prompt"])
    whole = score_options(model_of("llama"), asked)
    monkeypatch.setattr(prefix_attention, "attends_by_blocks", lambda model: False)
    assert_equal(score_options(model_of("llama"), asked), whole)


def test_identical_prompts_and_one_row(model_of) -> None:
    one = questions({"a": SHOTS})[0]
    check(model_of("llama"), [one] * 5)
    check(model_of("llama"), [one])


def test_the_saved_tiny_model_in_training(tiny_model_dir) -> None:
    """Scores while training: the mode comes back, and a cache works though training wants none."""
    model = load_model(tiny_model_dir)
    model.config.use_cache = False
    asked = questions(GROUPS["examples in the prompt"])
    expected = [plain_scores(model, q) for q in asked]
    model.train()
    assert_equal(score_options(model, asked), expected)
    assert model.training


@pytest.mark.parametrize("groups", GROUPS)
def test_bf16_stays_near(model_of, groups: str) -> None:
    asked = questions(GROUPS[groups])
    model = model_of("llama")
    found = score_options(model, asked, precision="bf16")
    expected = [plain_scores(model, q) for q in asked]
    assert_equal(found, expected, tolerance=0.5)
    assert found != score_options(model, asked)
    assert all(p.dtype == torch.float32 for p in model.parameters())


# --- the stop token decides between `no` and `not sure` ---

START, NO, SURE, END = range(4)


@pytest.mark.parametrize("goes_on", [0.9, 0.2])
def test_an_option_that_begins_another_pays_for_stopping(goes_on: float) -> None:
    """After `no`, the model says `sure` with the chance `goes_on` and else stops."""
    rest = (1 - goes_on) / 3
    chances = [
        [0.1, 0.7, 0.1, 0.1],
        [rest, rest, goes_on, rest],
        [0.1, 0.1, 0.1, 0.7],
        [0.25, 0.25, 0.25, 0.25],
    ]
    asked = [Question("row", "group", (START,), ((NO, END), (NO, SURE, END)))]
    model = bigram_model(chances)
    ((no, not_sure),) = score_options(model, asked)
    assert no == pytest.approx(math.log(0.7 * rest), abs=1e-4)
    assert not_sure == pytest.approx(math.log(0.7 * goes_on * 0.7), abs=1e-4)
    assert (no > not_sure) == (goes_on == 0.2)
    bare = [Question("row", "group", (START,), ((NO,), (NO, SURE)))]
    ((no, not_sure),) = score_options(model, bare)
    assert no > not_sure  # without the stop token the shorter one always wins
