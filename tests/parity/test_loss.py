"""Merged rows give the loss and the gradients of padded, masked ones, in every family."""

from __future__ import annotations

import math
import statistics
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
import torch
from families import (
    FAMILIES,
    STATEFUL,
    VOCABULARY,
    WINDOWED,
    in_bf16,
    tiny_model,
    windowed_model,
)
from gradient_cases import (
    CASES,
    WAYS,
    assert_equal,
    distance,
    encoded,
    ours,
    result,
    theirs,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_loop import Row

from tutelage.models import prefix_attention, tree_blocks
from tutelage.models.load import load_model
from tutelage.models.loss_rows import (
    longest_merged,
    loss_and_gradients,
    trained_merged,
    window,
)
from tutelage.tokens.batches import micro_batches


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_padded_rows(model_of, family: str, case: str) -> None:
    model, rows = model_of(family), CASES[case]
    assert max(len(e) for e in encoded(rows)) <= trained_merged(model)
    expected = theirs(model, rows)
    for budget, share in WAYS:
        assert_equal(ours(model, rows, budget, share), expected)


def test_the_cases_merge_tokens_and_make_several_micro_batches() -> None:
    for case in ("prefix tree", "one prompt, different completions"):
        rows = encoded(CASES[case])
        (whole,) = micro_batches(rows, 4096)
        assert whole.unique < whole.tokens
        assert len(list(micro_batches(rows, whole.unique))) == 1
        assert len(list(micro_batches(rows, 16))) > 1


def test_the_comparison_notices_one_wrong_position(model_of) -> None:
    model, rows = model_of("llama"), CASES["prefix tree"]
    expected = theirs(model, rows)
    (batch,) = micro_batches(encoded(rows), 4096)
    batch.positions_1N[0, -3] += 1
    loss = loss_and_gradients(model, batch, len(batch.targets), "fp32")
    assert distance(result(model, loss), expected) > 1e-3


def test_the_saved_tiny_model_too(tiny_model_dir) -> None:
    model = load_model(tiny_model_dir).train()
    expected = theirs(model, CASES["prefix tree"])
    assert_equal(ours(model, CASES["prefix tree"], 4096, True), expected)


tokens = st.integers(3, VOCABULARY - 1)


@st.composite
def row_sets(draw: st.DrawFn) -> list[Row]:
    """Rows that begin with one of a few stems, or with a part of it, or with nothing of it.

    Some stand there again as they are, or with another answer to the same prompt.
    """
    stems = draw(st.lists(st.lists(tokens, min_size=1, max_size=12), min_size=1, max_size=3))
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        stem = draw(st.sampled_from(stems))
        prompt = stem[: draw(st.integers(0, len(stem)))] + draw(st.lists(tokens, max_size=5))
        prompt = prompt or [draw(tokens)]
        rows.append((tuple(prompt), tuple(draw(st.lists(tokens, min_size=1, max_size=4)))))
    rows += draw(st.lists(st.sampled_from(rows), max_size=2))
    for prompt, _ in draw(st.lists(st.sampled_from(rows), max_size=3)):
        rows.append((prompt, tuple(draw(st.lists(tokens, min_size=1, max_size=4)))))
    return rows


@settings(max_examples=60, deadline=None)
@given(
    family=st.sampled_from(["llama", "gpt_neox", "gemma3_text", "qwen3"]),
    rows=row_sets(),
    budget=st.sampled_from([1, 16, 32, 4096]),
    share=st.booleans(),
    unit=st.sampled_from([None, 0, 6, 128]),
)
def test_any_rows_in_any_micro_batches(
    model_of, family: str, rows: list[Row], budget: int, share: bool, unit: int | None
) -> None:
    """By the kernel, where there is one, and by torch's in blocks of several sizes.

    In small ones, nodes of these small trees are merged by log-sum-exp.
    """
    model = model_of(family)
    with ExitStack() as changed:
        if unit is not None:
            changed.enter_context(patch.object(prefix_attention, "kernel_takes", lambda _: False))
            changed.enter_context(patch.object(tree_blocks, "SMALL", unit))
            changed.enter_context(patch.object(tree_blocks, "_TINY", 2))
        assert_equal(ours(model, rows, budget, share), theirs(model, rows))


@settings(max_examples=60, deadline=None)
@given(rows=row_sets(), budget=st.sampled_from([1, 8, 16, 4096]))
def test_micro_batches_hold_every_row_once_within_the_budget(rows: list[Row], budget: int) -> None:
    batches = list(micro_batches(encoded(rows), budget))
    assert sorted(i for b in batches for i in b.ids) == sorted(e.id for e in encoded(rows))
    assert all(batch.unique <= budget or len(batch.ids) == 1 for batch in batches)
    found = sorted(t for batch in batches for t in batch.targets.tolist())
    assert found == sorted(t for _, completion in rows for t in completion)


# --- weights in bf16 ---


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_weights_merge_where_fp32_weights_do(model_of, family: str) -> None:
    """Gradients stay as near those of the same weights in fp32 as plain bf16 gradients do.

    In the mean of some draws of the weights: one draw's distances differ by chance, by a half.
    """
    rows, low = CASES["prefix tree"], in_bf16(model_of(family))
    assert longest_merged(low) == longest_merged(model_of(family))
    ratios = []
    for seed in range(6):
        low = in_bf16(_drawn_anew(low, seed))
        exact = theirs(low.float(), rows)
        low = in_bf16(low)
        plain = distance(theirs(low, rows), exact)
        assert 1e-4 < plain < 0.1
        ratios.append(distance(ours(low, rows, 4096, share=True), exact) / plain)
    assert max(ratios) < 1.5
    assert statistics.mean(ratios) < 1.15


@torch.no_grad()
def _drawn_anew(model: Any, seed: int) -> Any:
    """Matrices with other numbers of the same spread."""
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        if p.ndim > 1:
            drawn = torch.randn(p.shape, generator=generator) * p.float().std()
            p.copy_(drawn)
    return model


def test_rounding_in_a_deep_model_keeps_no_rows_apart() -> None:
    """In bf16 the logits of its rows differ by more than a twentieth of their spread."""
    for seed in range(4):
        torch.manual_seed(seed)
        deep = in_bf16(tiny_model("llama", num_hidden_layers=24, initializer_range=0.05))
        assert longest_merged(deep) == math.inf
        assert {p.dtype for p in deep.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("family", STATEFUL)
def test_a_state_is_seen_in_bf16_too(family: str) -> None:
    assert longest_merged(in_bf16(tiny_model(family))) == 0


# --- where merging would be wrong ---

LONG = CASES["prefix tree"]
LONGEST = max(len(prompt) + len(completion) for prompt, completion in LONG)


@pytest.mark.parametrize("family", WINDOWED)
def test_rows_longer_than_the_window_are_kept_apart(family: str) -> None:
    model = windowed_model(family, 12).train()
    assert longest_merged(model) == 12
    assert trained_merged(model) < LONGEST
    expected = theirs(model, LONG)
    assert_equal(ours(model, LONG, 4096, share=False), expected)
    assert distance(ours(model, LONG, 4096, share=True), expected) > 1e-3


@pytest.mark.parametrize("family", WINDOWED)
def test_rows_within_the_window_are_merged_beside_longer_ones(family: str) -> None:
    model = windowed_model(family, 16).train()
    limit = trained_merged(model)
    batches = list(micro_batches(encoded(LONG), 4096, merged=limit))
    alone = {b.ids[0] for b in batches if len(b.ids) == 1}
    assert {e.id for e in encoded(LONG) if len(e) > limit} == alone
    assert any(len(b.ids) > 1 for b in batches)
    targets = sum(len(completion) for _, completion in LONG)
    loss = sum(loss_and_gradients(model, b, targets, "fp32") for b in batches)
    assert_equal(result(model, loss), theirs(model, LONG))


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_rows_are_kept_apart_where_frequencies_follow_the_longest(kind: str) -> None:
    model = tiny_model("llama")
    assert window(model) == math.inf
    model.config.rope_parameters = {"rope_type": kind, "original_max_position_embeddings": 40}
    assert longest_merged(model) == 40


def test_an_attention_that_takes_no_tree_keeps_rows_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Q/K/V should have the same head size")

    model = tiny_model("llama").train()
    monkeypatch.setattr(prefix_attention, "attend", refuse)
    assert longest_merged(model) == 0
    assert model.training


def test_what_an_attention_sees_by_a_tensor_of_its_own_keeps_rows_apart() -> None:
    """Sinks and chosen blocks come as arguments that the tree would not heed."""
    model = tiny_model("llama").train()
    assert longest_merged(model) == math.inf
    attend = type(model.model.layers[0].self_attn).forward

    def with_sinks(self: Any, *args: Any, **kwargs: Any) -> Any:
        return attend(self, *args, **kwargs, s_aux=torch.ones(4))

    for layer in model.model.layers:
        layer.self_attn.forward = with_sinks.__get__(layer.self_attn)
    assert longest_merged(model) == 0


@pytest.mark.parametrize("family", WINDOWED)
def test_rows_as_long_as_the_window_are_merged(family: str) -> None:
    model = windowed_model(family, LONGEST).train()
    assert trained_merged(model) >= LONGEST
    assert trained_merged(model) == LONGEST
    assert_equal(ours(model, LONG, 4096, share=True), theirs(model, LONG))


@pytest.mark.parametrize("family", STATEFUL)
def test_layers_with_a_state_keep_rows_apart(family: str) -> None:
    """They follow the layout, whatever the mask says: merged, a row begins with its neighbour."""
    model = tiny_model(family).train()
    assert trained_merged(model) == 0
    assert model.training
    expected = theirs(model, LONG)
    assert_equal(ours(model, LONG, 4096, share=False), expected)
    assert distance(ours(model, LONG, 4096, share=True), expected) > 1e-3


@pytest.mark.parametrize("family", STATEFUL)
def test_a_state_is_seen_in_a_model_that_has_learned_nothing(family: str) -> None:
    """Its losses are the logarithm of the vocabulary, whatever it reads."""
    model = tiny_model(family)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e-4)
    assert longest_merged(model) == 0


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"attention_dropout": 0.1}),
        ("gpt_neox", {"hidden_dropout": 0.1}),
        ("phi3", {"resid_pdrop": 0.1}),
    ],
)
def test_active_dropout_keeps_rows_apart(family: str, changes: dict[str, float]) -> None:
    assert trained_merged(tiny_model(family, **changes)) == 0
