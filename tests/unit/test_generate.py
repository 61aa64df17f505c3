"""Greedy generation: the most likely token, until the stop token, a stop text or a limit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tutelage.errors import Preempted
from tutelage.evaluate import generate
from tutelage.evaluate.generate import (
    Generated,
    _batches,
    _families,
    generate_answers,
    greedy,
)
from tutelage.models.load import load_model, load_tokenizer
from tutelage.progress import Quiet
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


# --- many rows ---


def spelled(ids: Sequence[int]) -> str:
    return "".join(f"<{i}>" for i in ids)


def answers(model: Any, prompts: list[tuple[int, ...]], **changes: Any) -> list[Generated]:
    settings = {"stop_id": NEVER, "max_new_tokens": 8, "decode": spelled, **changes}
    return generate_answers(model, prompts, **settings)


def test_no_prompts(model: Any) -> None:
    assert answers(model, []) == []


def test_a_row_that_never_stops_is_unfinished(model: Any, prompt: tuple[int, ...]) -> None:
    wanted = one_by_one(model, prompt, 8)
    (found,) = answers(model, [prompt])
    assert found == Generated(wanted, spelled(wanted), finished=False)
    (found,) = answers(model, [prompt], stop_id=wanted[-1])
    assert found.finished
    assert found.ids == wanted[: wanted.index(wanted[-1])]


def test_a_stop_text_ends_the_answer_and_is_cut_off(model: Any, prompt: tuple[int, ...]) -> None:
    tokens = one_by_one(model, prompt, 8)
    stop = f"{tokens[2]}><{tokens[3]}"
    first = spelled(tokens).index(stop)
    (found,) = answers(model, [prompt], stop_texts=["never said", stop, "x"])
    assert found.finished
    assert found.text == spelled(tokens)[:first]
    assert spelled(found.ids).endswith(stop + ">")
    assert len(found.ids) <= 4


def test_rows_end_at_stop_texts_of_their_own(model: Any, prompt: tuple[int, ...]) -> None:
    rows = [prompt[: len(prompt) - n] for n in range(6)]
    whole = answers(model, rows)
    stop = spelled(whole[0].ids[:1])
    for found, plain in zip(answers(model, rows, stop_texts=[stop]), whole, strict=True):
        assert found.text == plain.text.partition(stop)[0]
        assert found.finished == (stop in plain.text)


def test_the_context_is_a_limit_too(model: Any) -> None:
    size = model.config.max_position_embeddings
    long, short = tuple([5] * (size - 3)), (5, 6, 7)
    found = answers(model, [long, short])
    assert [len(a.ids) for a in found] == [4, 8]
    assert not found[0].finished


def test_a_wish_to_stop_is_heard(model: Any, prompt: tuple[int, ...]) -> None:
    class Stop(Quiet):
        polls = 3

        def stopping(self) -> bool:
            self.polls -= 1
            return self.polls < 0

    with pytest.raises(Preempted, match="Stopped while generating; run the same command"):
        answers(model, [prompt], progress=Stop())


def test_the_bar_counts_answers(model: Any, prompt: tuple[int, ...]) -> None:
    class Counted(Quiet):
        done = 0

        @contextmanager
        def bar(self, title: str, total: int, unit: str) -> Iterator[Any]:
            assert (title, total, unit) == ("Test", 3, "answers")

            def advance(n: int) -> None:
                self.done += n

            yield advance

    progress = Counted()
    answers(model, [prompt, prompt[:-40], prompt[:-1]], progress=progress, title="Test")
    assert progress.done == 3


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=20).map(tuple), max_size=12))
def test_families_hold_every_row_once(prompts: list[tuple[int, ...]]) -> None:
    for families in (_families(prompts), [list(range(len(prompts)))]):
        assert sorted(i for f in families for i in f) == list(range(len(prompts)))
        batches = [b for members in families for b in _batches(prompts, members, 5, 40, 32)]
        assert sorted(i for b in batches for i in b) == list(range(len(prompts)))


def test_few_shot_blocks_make_families_and_chance_beginnings_do_not() -> None:
    rng = random.Random(0)
    blocks = [tuple(rng.choices(range(9), k=900)) for _ in range(3)]
    own = [tuple(rng.choices(range(9), k=60)) for _ in range(30)]
    few_shot = [(1, 2, 3) + blocks[i % 3] + own[i] for i in range(30)]
    assert sorted(map(sorted, _families(few_shot))) == [list(range(k, 30, 3)) for k in range(3)]
    assert [sorted(f) for f in _families(own)] == [list(range(30))]


def test_rows_of_a_batch_are_of_nearly_equal_length() -> None:
    prompts = [(1,) * n for n in range(1, 400, 7)]
    batches = list(_batches(prompts, range(len(prompts)), 10, 24_000, 32))
    spreads = [len(prompts[b[-1]]) - len(prompts[b[0]]) for b in batches]
    assert max(spreads) <= 32
    assert max(map(len, batches)) == 5
    heavy = list(_batches([(1,) * 9_000] * 5, range(5), 1_000, 24_000, 32))
    assert [len(b) for b in heavy] == [2, 2, 1]


def test_large_models_answer_fewer_rows_at_a_time(model: Any, monkeypatch) -> None:
    per_token = 2 * 2 * 16 * 4  # keys and values of two layers, 16 wide, in fp32
    monkeypatch.setattr(generate, "_CACHE_BYTES", 100 * per_token)
    assert generate._cache_tokens(model) == 100
    monkeypatch.setattr(generate, "_CACHE_BYTES", 2**40)
    assert generate._cache_tokens(model) == generate._CACHE_TOKENS
