"""Each technique of the engine alone gives the gradients of padded, masked rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from families import FAMILIES, tiny_model
from gradient_cases import CASES, assert_equal, encoded, ours, theirs
from reference_loop import Row

from tutelage.models import chunked_head, loss_rows, prefix_attention, tree_blocks
from tutelage.models.chunked_head import has_plain_head
from tutelage.models.last_layer import last_layer
from tutelage.models.loss_rows import label_logits
from tutelage.tokens.batches import micro_batches


@pytest.fixture(scope="module")
def model_of():
    models = {family: tiny_model(family).train() for family in FAMILIES}
    return models.__getitem__


@pytest.mark.parametrize("unit", [0, 6, 40])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_any_size_of_blocks_gives_the_same_gradients(
    model_of, family: str, case: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0: every node's keys are a block of their own; 40: most trees are one masked block."""
    monkeypatch.setattr(prefix_attention, "kernel_takes", lambda width: False)
    monkeypatch.setattr(tree_blocks, "SMALL", unit)
    monkeypatch.setattr(tree_blocks, "_TINY", 2)
    model, rows = model_of(family), CASES[case]
    assert_equal(ours(model, rows, 4096, True), theirs(model, rows))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_dense_mask_gives_the_same_gradients(
    model_of, family: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What devices without blocks or FlexAttention do."""
    monkeypatch.setattr(prefix_attention, "attends_by_blocks", lambda model: False)
    model, rows = model_of(family), CASES[case]
    assert_equal(ours(model, rows, 4096, True), theirs(model, rows))


@pytest.mark.parametrize("family", FAMILIES)
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


@pytest.mark.parametrize("chunk", [1, 3, 4, 7])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tied", [True, False])
def test_the_head_in_chunks(case: str, chunk: int, tied: bool, monkeypatch: Any) -> None:
    model = tiny_model("llama", tie_word_embeddings=tied).train()
    expected = theirs(model, CASES[case])
    sizes: list[int] = []
    head = model.lm_head
    head.register_forward_hook(lambda _m, _i, out: sizes.append(len(out.reshape(-1, 128))))
    for module in (loss_rows, chunked_head):
        monkeypatch.setattr(module, "CHUNK", chunk)
    assert_equal(ours(model, CASES[case], 4096, True), expected)
    assert max(sizes) <= chunk


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_in_chunks_of_every_family(model_of, family: str, monkeypatch: Any) -> None:
    """Where the head is one matrix behind the core; others keep theirs whole."""
    model, rows = model_of(family), CASES["prefix tree"]
    expected, calls = theirs(model, rows), list[int]()
    for module in (loss_rows, chunked_head):
        monkeypatch.setattr(module, "CHUNK", 2)
    handle = model.get_output_embeddings().register_forward_hook(lambda *_: calls.append(1))
    try:
        assert_equal(ours(model, rows, 4096, True), expected)
    finally:
        handle.remove()
    assert (len(calls) > 1) == has_plain_head(model)


def batch_rows(rows: Sequence[Row]) -> list[int]:
    (batch,) = micro_batches(encoded(rows), 4096)
    return batch.rows.tolist()


def test_other_families_keep_their_last_layer() -> None:
    assert last_layer(tiny_model("gemma3_text")) is None
    assert last_layer(tiny_model("gpt_neox")) is None
