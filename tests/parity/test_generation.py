"""Answers of a batch are those of the model's own greedy loop, row by row."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from families import FAMILIES, STATEFUL, VOCABULARY, WINDOWED, tiny_model, windowed_model
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.evaluate import generate
from tutelage.evaluate.generate import generate_answers, greedy
from tutelage.models.load import load_model

STOP = 2
LENGTHS = (1, 1, 3, 5, 5, 5, 9, 20, 21, 30, 60, 61)


def spelled(ids: Sequence[int]) -> str:
    return " ".join(map(str, ids))


def prompts(shared: int, lengths: Sequence[int] = LENGTHS, seed: int = 0) -> list[tuple[int, ...]]:
    """Prompts of `shared` common tokens and as many of their own as `lengths` says."""
    rng = random.Random(seed)
    start = tuple(rng.choices(range(3, VOCABULARY), k=shared))
    rows = [start + tuple(rng.choices(range(3, VOCABULARY), k=own)) for own in lengths]
    rng.shuffle(rows)
    return rows


def check(model: Any, rows: list[tuple[int, ...]], new: int = 12, **changes: Any) -> list[Any]:
    found = generate_answers(model, rows, STOP, max_new_tokens=new, decode=spelled, **changes)
    wanted = [greedy(model, row, STOP, new) for row in rows]
    assert [answer.ids for answer in found] == wanted
    assert [answer.finished for answer in found] == [len(ids) < new for ids in wanted]
    assert [answer.text for answer in found] == [spelled(ids) for ids in wanted]
    return found


@pytest.fixture(scope="module")
def model_of():
    models = {family: tiny_model(family) for family in FAMILIES}
    return models.__getitem__


@pytest.mark.parametrize("shared", [0, 40])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_single_rows(model_of, family: str, shared: int) -> None:
    check(model_of(family), prompts(shared))


@pytest.mark.parametrize("family", WINDOWED)
@pytest.mark.parametrize("window", [8, 60])
def test_rows_longer_than_the_window(family: str, window: int) -> None:
    check(windowed_model(family, window), prompts(20))


@pytest.mark.parametrize("family", STATEFUL)
@pytest.mark.parametrize("shared", [0, 40])
def test_layers_with_a_state(family: str, shared: int) -> None:
    check(tiny_model(family), prompts(shared, LENGTHS[:8]))


@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=10),
    shared=st.integers(0, 40),
    new=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_any_mixture_of_lengths(
    model_of, lengths: list[int], shared: int, new: int, seed: int
) -> None:
    for family in ("llama", "gpt_neox", "gemma3_text"):
        check(model_of(family), prompts(shared, lengths, seed), new)


def test_rows_that_stop_leave_and_the_others_go_on(model_of) -> None:
    """A row's own tokens, each taken as the stop token in turn, end rows at every length."""
    model, rows = model_of("qwen3"), prompts(10, LENGTHS[2:9])
    lengths = set()
    for stop in {ids[5] for row in rows for ids in [greedy(model, row, STOP, 12)] if len(ids) > 5}:
        found = generate_answers(model, rows, stop, max_new_tokens=12, decode=spelled)
        assert [a.ids for a in found] == [greedy(model, row, stop, 12) for row in rows]
        lengths |= {len(a.ids) for a in found}
    assert len(lengths) > 3


def test_small_batches_and_several_families(model_of, monkeypatch) -> None:
    rows = [p for seed in range(3) for p in prompts(40, LENGTHS[:9], seed)]
    whole = check(model_of("llama"), rows)
    monkeypatch.setattr(generate, "_FAMILY_COST", 10)
    monkeypatch.setattr(generate, "_BATCH_ROWS", 3)
    monkeypatch.setattr(generate, "_CACHE_TOKENS", 80)
    monkeypatch.setattr(generate, "_RAGGED_SPREAD", 30)
    prefixes, batches = [], []
    shared_prefix, run = generate._shared_prefix, generate.RaggedRows.run

    def seen(model, members):
        prefixes.append(shared_prefix(model, members))
        return prefixes[-1]

    def counted(rows, *rest):
        batches.append(len(rows.prompts))
        return run(rows, *rest)

    monkeypatch.setattr(generate, "_shared_prefix", seen)
    monkeypatch.setattr(generate.RaggedRows, "run", counted)
    assert check(model_of("llama"), rows) == whole
    assert sorted(p.length for p in prefixes) == [40, 40, 40]
    assert max(batches) == 3
    assert len(batches) > 9


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gemma3_text"])
def test_all_ways_give_the_same_answers(model_of, monkeypatch, family: str) -> None:
    """Rows in slots, padded rows under a mask, and rows of equal length without one."""
    rows, model = prompts(20), model_of(family)
    slots = check(model, rows)
    monkeypatch.setattr(generate, "keeps_past", lambda _: False)
    monkeypatch.setattr(generate, "RowMemory", None)
    assert check(model, rows) == slots
    monkeypatch.setattr(generate, "longest_merged", lambda _: 0)
    monkeypatch.setattr(generate, "CachedRows", None)
    assert check(model, rows) == slots


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_memory_that_was_never_written_is_never_read(model_of, precision: Any) -> None:
    """It is filled with what is no number: one read of it would spread to every later token."""
    rows, model = prompts(20), model_of("llama")
    wanted = generate_answers(
        model, rows, STOP, max_new_tokens=12, decode=spelled, precision=precision
    )
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.utils.deterministic.fill_uninitialized_memory
        assert torch.empty(8).isnan().all()
        found = generate_answers(
            model, rows, STOP, max_new_tokens=12, decode=spelled, precision=precision
        )
    finally:
        torch.use_deterministic_algorithms(False)
    assert found == wanted


def test_the_same_prompt_many_times_and_one_row(model_of) -> None:
    row = prompts(40)[0]
    check(model_of("llama"), [row] * 5)
    check(model_of("llama"), [row])


def test_a_model_in_training(tiny_model_dir) -> None:
    """Answers while training: the mode comes back, and a cache works though training wants none."""
    model = load_model(tiny_model_dir)
    model.config.use_cache = False
    rows = prompts(20)
    model.train()
    found = generate_answers(model, rows, STOP, max_new_tokens=6, decode=spelled)
    assert model.training
    model.eval()
    assert [a.ids for a in found] == [greedy(model, row, STOP, 6) for row in rows]


def test_bf16_stays_bf16(model_of) -> None:
    rows = prompts(20)
    model = model_of("llama")
    found = generate_answers(model, rows, STOP, max_new_tokens=4, decode=spelled, precision="bf16")
    with torch.autocast("cpu", torch.bfloat16):
        wanted = [greedy(model, row, STOP, 4) for row in rows]
    same = sum(a.ids == ids for a, ids in zip(found, wanted, strict=True))
    assert same >= len(rows) - 2  # rounding may break ties
    assert all(p.dtype == torch.float32 for p in model.parameters())
