"""Merged rows give the loss and the gradients of padded, masked ones, in every family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from families import FAMILIES, STATEFUL, VOCABULARY, WINDOWED, tiny_model, windowed_model
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_loop import Row, mean_loss

from tutelage.models import prefix_attention, tree_blocks
from tutelage.models.last_layer import last_layer
from tutelage.models.load import load_model
from tutelage.models.loss_rows import (
    label_logits,
    longest_merged,
    loss_and_gradients,
    merges_exactly,
)
from tutelage.records import Encoded
from tutelage.tokens.batches import micro_batches

STOP = 2
SYSTEM = tuple(range(10, 19))
FIRST, SECOND = (*SYSTEM, 30, 31, 32), (*SYSTEM, 40, 41)

CASES: dict[str, list[Row]] = {
    "prefix tree": [
        ((*FIRST, 50, 51), (60, STOP)),
        ((*SECOND, 52, 53, 54), (61, 62, STOP)),
        ((*FIRST, 50, 55, 56, 57), (60, STOP)),
        ((*SECOND, 58), (61, STOP)),
        ((*FIRST, 59), (63, 64, 65, STOP)),
        ((70, 71, 72), (66, STOP)),
    ],
    "identical rows": [((*FIRST, 50), (60, 61, STOP))] * 3 + [((*SECOND, 51), (62, STOP))],
    "one prompt, different completions": [
        (FIRST, (60, STOP)),
        (FIRST, (61, 62, STOP)),
        (FIRST, (60, 63, STOP)),
        (FIRST, (60, STOP, 63, STOP)),
    ],
    "one row": [(FIRST, (60, 61, STOP))],
    "one-token completions": [(FIRST, (60,)), (FIRST, (61,)), (SECOND, (60,)), ((7,), (60,))],
    "one-token prompts": [((7,), (60, STOP)), ((8,), (60, STOP)), ((7,), (61, 62, STOP))],
    "a row inside another": [(SYSTEM, (30, 31)), (FIRST, (60, STOP)), ((10, 11), (12, STOP))],
    "nothing shared, ragged": [
        ((20,), (60, STOP)),
        (tuple(range(30, 70)), (61, STOP)),
        ((90, 91, 92, 93), tuple(range(70, 89))),
    ],
}
WAYS = [(16, True), (40, True), (4096, True), (4096, False)]

Result = tuple[float, dict[str, torch.Tensor]]


def encoded(rows: Sequence[Row]) -> list[Encoded]:
    return [Encoded(str(n), tuple(p), tuple(c)) for n, (p, c) in enumerate(rows)]


def result(model: Any, loss: float) -> Result:
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return loss, gradients


def ours(model: Any, rows: Sequence[Row], budget: int, share: bool) -> Result:
    targets = sum(len(completion) for _, completion in rows)
    total = 0.0
    for batch in micro_batches(encoded(rows), budget, share=share):
        total += loss_and_gradients(model, batch, targets, "fp32")
    return result(model, total)


def theirs(model: Any, rows: Sequence[Row]) -> Result:
    loss = mean_loss(model, rows)
    loss.backward()
    return result(model, loss.item())


def distance(found: Result, expected: Result) -> float:
    """Relative difference of the whole gradient."""
    assert found[1].keys() == expected[1].keys()
    gaps = [(found[1][name] - gradient).norm() for name, gradient in expected[1].items()]
    norms = [gradient.norm() for gradient in expected[1].values()]
    return float(torch.stack(gaps).norm() / torch.stack(norms).norm())


def assert_equal(found: Result, expected: Result) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert distance(found, expected) < 1e-5
    whole = torch.stack([gradient.norm() for gradient in expected[1].values()]).norm()
    for name, gradient in expected[1].items():  # a small matrix may not hide behind a large one
        gap = (found[1][name] - gradient).norm()
        assert gap <= 1e-4 * gradient.norm() + 1e-6 * whole, name


@pytest.fixture(scope="module")
def model_of():
    models = {family: tiny_model(family).train() for family in FAMILIES}
    return models.__getitem__


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_padded_rows(model_of, family: str, case: str) -> None:
    model, rows = model_of(family), CASES[case]
    assert merges_exactly(model, max(len(e) for e in encoded(rows)))
    expected = theirs(model, rows)
    for budget, share in WAYS:
        assert_equal(ours(model, rows, budget, share), expected)


@pytest.mark.parametrize("unit", [0, 6, 40])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", ["llama", "gpt_neox", "qwen3"])
def test_any_size_of_blocks_gives_the_same_gradients(
    model_of, family: str, case: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0: every node's keys are a block of their own; 40: most trees are one masked block."""
    monkeypatch.setattr(tree_blocks, "_UNIT", unit)
    monkeypatch.setattr(tree_blocks, "_TINY", 2)
    model, rows = model_of(family), CASES[case]
    assert_equal(ours(model, rows, 4096, True), theirs(model, rows))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_a_dense_mask_gives_the_same_gradients(
    model_of, family: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What devices without blocks or FlexAttention do."""
    monkeypatch.setattr(prefix_attention, "attends_by_blocks", lambda model: False)
    model, rows = model_of(family), CASES[case]
    assert_equal(ours(model, rows, 4096, True), theirs(model, rows))


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gemma3_text"])
def test_recomputed_layers_give_the_same_gradients(family: str) -> None:
    model = tiny_model(family).train()
    expected = theirs(model, CASES["prefix tree"])
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert_equal(ours(model, CASES["prefix tree"], 4096, True), expected)


def test_flex_attention_takes_the_same_tree() -> None:
    """The mask that CUDA uses, on a CPU, where FlexAttention has a forward pass only."""
    model = tiny_model("llama")
    (batch,) = micro_batches(encoded(CASES["prefix tree"]), 4096)
    expected = label_logits(model, batch)
    model.config._attn_implementation = "flex_attention"
    with torch.no_grad():
        hidden = model.model(
            input_ids=batch.input_ids_1N,
            position_ids=batch.positions_1N,
            attention_mask=prefix_attention.block_mask(batch, model.device),
            use_cache=False,
        ).last_hidden_state
        found = model.lm_head(hidden[0].index_select(0, batch.rows))
    assert torch.allclose(found, expected, atol=1e-4)


def test_the_attention_is_off_outside_its_context_and_refuses_other_callers(model_of) -> None:
    model = model_of("llama")
    (batch,) = micro_batches(encoded(CASES["prefix tree"]), 4096)
    before = model.config._attn_implementation
    with prefix_attention.tree_attention(model, batch):
        assert model.config._attn_implementation == prefix_attention.NAME
        with pytest.raises(RuntimeError, match="needs its tree"):
            model(input_ids=batch.input_ids_1N)
    assert model.config._attn_implementation == before


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("padding", [None, 31])
def test_the_embedding_gets_the_rows_that_were_looked_up(tied: bool, padding: int | None) -> None:
    """Torch gives the padding token's row nothing, whoever looks it up."""
    model = tiny_model("llama", tie_word_embeddings=tied).train()
    model.model.embed_tokens.padding_idx = padding
    rows = CASES["prefix tree"]
    for _ in range(2):  # the second time there are gradients already
        assert_equal(ours(model, rows, 16, True), theirs(model, rows))


def test_frozen_weights_get_nothing(model_of) -> None:
    model = tiny_model("llama").train()
    model.model.embed_tokens.weight.requires_grad_(False)
    rows = CASES["prefix tree"]
    assert_equal(ours(model, rows, 4096, True), theirs(model, rows))


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3", "smollm3"])
def test_the_last_layer_runs_on_labelled_rows(family: str, monkeypatch: Any) -> None:
    model = tiny_model(family).train()
    seen: list[int] = []
    layer = last_layer(model)
    layer.mlp.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape[1]))
    rows = CASES["prefix tree"]
    expected = theirs(model, rows)
    seen.clear()
    found = ours(model, rows, 4096, True)
    assert seen[0] == len({*batch_rows(rows)})
    assert_equal(found, expected)
    assert_equal(theirs(model, rows), expected)  # and the layer is as it was


def batch_rows(rows: Sequence[Row]) -> list[int]:
    (batch,) = micro_batches(encoded(rows), 4096)
    return batch.rows.tolist()


def test_other_families_keep_their_last_layer() -> None:
    assert last_layer(tiny_model("gemma3_text")) is None
    assert last_layer(tiny_model("gpt_neox")) is None


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
    """Rows that begin with one of a few stems, or with a part of it."""
    stems = draw(st.lists(st.lists(tokens, min_size=1, max_size=12), min_size=1, max_size=3))
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        stem = draw(st.sampled_from(stems))
        prompt = stem[: draw(st.integers(1, len(stem)))] + draw(st.lists(tokens, max_size=5))
        rows.append((tuple(prompt), tuple(draw(st.lists(tokens, min_size=1, max_size=4)))))
    return rows


@settings(max_examples=25, deadline=None)
@given(rows=row_sets(), budget=st.sampled_from([1, 16, 32, 4096]), share=st.booleans())
def test_any_rows_in_any_micro_batches(model_of, rows: list[Row], budget: int, share: bool) -> None:
    model = model_of("llama")
    assert_equal(ours(model, rows, budget, share), theirs(model, rows))


@settings(max_examples=60, deadline=None)
@given(rows=row_sets(), budget=st.sampled_from([1, 8, 16, 4096]))
def test_micro_batches_hold_every_row_once_within_the_budget(rows: list[Row], budget: int) -> None:
    batches = list(micro_batches(encoded(rows), budget))
    assert sorted(i for b in batches for i in b.ids) == sorted(e.id for e in encoded(rows))
    assert all(batch.unique <= budget or len(batch.ids) == 1 for batch in batches)
    found = sorted(t for batch in batches for t in batch.targets.tolist())
    assert found == sorted(t for _, completion in rows for t in completion)


# --- where merging would be wrong ---

LONG = CASES["prefix tree"]
LONGEST = max(len(prompt) + len(completion) for prompt, completion in LONG)


@pytest.mark.parametrize("family", WINDOWED)
def test_rows_longer_than_the_window_are_kept_apart(family: str) -> None:
    model = windowed_model(family, 12).train()
    assert longest_merged(model) == 12
    assert not merges_exactly(model, LONGEST)
    expected = theirs(model, LONG)
    assert_equal(ours(model, LONG, 4096, share=False), expected)
    assert distance(ours(model, LONG, 4096, share=True), expected) > 1e-3


@pytest.mark.parametrize("family", WINDOWED)
def test_rows_as_long_as_the_window_are_merged(family: str) -> None:
    model = windowed_model(family, LONGEST).train()
    assert merges_exactly(model, LONGEST)
    assert not merges_exactly(model, LONGEST + 1)
    assert_equal(ours(model, LONG, 4096, share=True), theirs(model, LONG))


@pytest.mark.parametrize("family", STATEFUL)
def test_layers_with_a_state_keep_rows_apart(family: str) -> None:
    """They follow the layout, whatever the mask says: merged, a row begins with its neighbour."""
    model = tiny_model(family).train()
    assert not merges_exactly(model, 2)
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
    assert not merges_exactly(tiny_model(family, **changes), LONGEST)
