"""Weights rounded once give what autocast gives, bit for bit, and are never out of date."""

from __future__ import annotations

import gc
import shutil
import weakref
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
import torch
from families import FAMILIES, tiny_model
from gradient_cases import CASES, Result, encoded, result
from kernel_cases import needs_bf16

from tutelage.evaluate.generate import generate_answers
from tutelage.evaluate.score import Question, score_options
from tutelage.models import chunked_head, loss_rows
from tutelage.models.compiled_layers import compiled_layers
from tutelage.models.lora import add_lora
from tutelage.models.loss_rows import label_logits, loss_and_gradients
from tutelage.models.rounded_weights import RoundedWeights, roundable
from tutelage.records import Encoded
from tutelage.tokens.batches import collate, micro_batches
from tutelage.train.loop import train_step
from tutelage.train.optim import make_optimizer

pytestmark = needs_bf16
ROWS = encoded(CASES["prefix tree"])


def batch_of(rows: list[Encoded]) -> Any:
    (batch,) = micro_batches(rows, 4096)
    return batch


def of_autocast(model: Any, budget: int) -> Result:
    parts = list(micro_batches(ROWS, budget))
    targets = sum(len(b.targets) for b in parts)
    return result(model, sum(loss_and_gradients(model, b, targets, "bf16") for b in parts))


def rounded_once(model: Any, budget: int) -> Result:
    rounded = RoundedWeights(roundable(model, "bf16"))
    parts = list(micro_batches(ROWS, budget))
    targets = sum(len(b.targets) for b in parts)
    loss = 0.0
    for batch in parts:
        with rounded.used():
            loss += loss_and_gradients(model, batch, targets, "bf16")
        rounded.add_up()
    return result(model, loss)


@pytest.mark.parametrize("budget", [4096, 40, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_autocast(family: str, budget: int) -> None:
    """To the bit; a tied head adds to its embedding's rows in another order."""
    model = tiny_model(family).train()
    assert roundable(model, "bf16")
    found, expected = rounded_once(model, budget), of_autocast(model, budget)
    assert found[0] == expected[0]
    assert found[1].keys() == expected[1].keys()
    tied = model.get_input_embeddings().weight
    names = {name for name, p in model.named_parameters() if p is tied}
    for name, gradient in expected[1].items():
        if name in names:
            assert torch.allclose(found[1][name], gradient, rtol=1e-5, atol=1e-7), name
        else:
            assert torch.equal(found[1][name], gradient), name


@pytest.mark.parametrize("chunk", [1, 3])
@pytest.mark.parametrize("tied", [True, False])
def test_the_head_in_chunks_adds_up_in_fp32(tied: bool, chunk: int, monkeypatch: Any) -> None:
    """Each chunk has a backward pass of its own; in bf16 its sums would be off by 1e-3."""
    model = tiny_model("llama", tie_word_embeddings=tied).train()
    for module in (loss_rows, chunked_head):
        monkeypatch.setattr(module, "CHUNK", chunk)
    found, expected = rounded_once(model, 4096), of_autocast(model, 4096)
    for name, gradient in expected[1].items():
        assert float((found[1][name] - gradient).norm()) <= 1e-6 * float(gradient.norm()), name


@pytest.mark.parametrize("budget", [4096, 40])
def test_layers_that_are_recomputed(budget: int) -> None:
    model = tiny_model("llama").train()
    expected = rounded_once(model, budget)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    found = rounded_once(model, budget)
    assert found[0] == expected[0]
    assert all(torch.equal(found[1][name], g) for name, g in expected[1].items())


@pytest.mark.parametrize("budget", [4096, 40])
def test_adapters_over_frozen_weights(budget: int) -> None:
    model = add_lora(
        tiny_model("llama"), rank=4, alpha=8, dropout=0.0, targets="all-linear", seed=0
    ).train()
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert len(roundable(model, "bf16")) > len(frozen) // 2
    found, expected = rounded_once(model, budget), of_autocast(model, budget)
    assert found[0] == expected[0]
    assert found[1].keys() == expected[1].keys()
    assert all(torch.equal(found[1][name], g) for name, g in expected[1].items())
    assert all(p.grad is None for p in frozen)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_layers_train_with_them() -> None:
    """Their own linear layers go by autocast, the head by its copy: no gradient is lost."""
    plain, compiled = tiny_model("llama").train(), tiny_model("llama").train()
    compiled.load_state_dict(plain.state_dict())
    optimizers = [make_optimizer(m, 0.0, "bf16") for m in (plain, compiled)]
    parts = list(micro_batches(ROWS, 40))
    for step in range(2):
        given = {"rate": 1e-3, "clip": 1.0, "precision": "bf16"}
        one = train_step(plain, optimizers[0], parts, **given)
        with compiled_layers(compiled):
            other = train_step(compiled, optimizers[1], parts, **given)
        assert other.loss == pytest.approx(one.loss, rel=2e-2), step
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=5e-2), step
    layer = compiled.model.layers[0].mlp.up_proj.weight
    assert optimizers[1].rounded.copy(layer) is None  # nor is memory taken that nobody reads
    assert optimizers[1].rounded.copy(compiled.lm_head.weight) is not None


def test_scores_and_answers_are_those_of_autocast() -> None:
    model = tiny_model("llama").eval()
    asked = [Question(e.id, "g", e.prompt_ids, (e.completion_ids, (60, 61))) for e in ROWS]
    prompts = [e.prompt_ids for e in ROWS]

    def both() -> Any:
        answers = generate_answers(
            model, prompts, 2, max_new_tokens=6, decode=str, precision="bf16"
        )
        return score_options(model, asked, precision="bf16"), answers

    with (
        patch("tutelage.evaluate.score.roundable", lambda *_: []),
        patch("tutelage.evaluate.generate.roundable", lambda *_: []),
    ):
        expected = both()
    calls = list[Any]()
    real = RoundedWeights.of
    with patch.object(RoundedWeights, "of", lambda self, w: calls.append(w) or real(self, w)):
        assert both() == expected
    assert len(calls) > 100


def test_copies_are_used_and_layers_are_left_as_they_were() -> None:
    model = tiny_model("llama").train()
    rounded = RoundedWeights(roundable(model, "bf16"))
    weight = model.model.layers[0].mlp.up_proj.weight
    with rounded.used():
        loss_and_gradients(model, batch_of(ROWS), 9, "bf16")
    assert weight.grad is None
    assert rounded.gradient(weight) is not None
    rounded.clear()
    assert rounded.gradient(weight) is None
    with rounded.used():
        loss_and_gradients(model, batch_of(ROWS), 9, "fp32")  # nothing is rounded there
    assert weight.grad is not None
    assert not any("forward" in vars(m) for m in model.modules())


def test_a_weight_that_others_changed_is_rounded_anew() -> None:
    """By an optimiser, by what is loaded, or by other storage."""
    model = tiny_model("llama").eval()
    rounded = RoundedWeights(roundable(model, "bf16"))
    weight = model.model.layers[0].mlp.up_proj.weight
    batch = batch_of(ROWS)

    def changes() -> list[Any]:
        state = {k: v * 1.5 for k, v in model.state_dict().items()}
        return [
            lambda: torch.optim.SGD([weight], lr=1.0).step(),
            lambda: model.load_state_dict(state),
            lambda: setattr(weight, "data", weight.data * -1),
        ]

    weight.grad = torch.ones_like(weight)
    seen = []
    for change in [lambda: None, *changes()]:
        change()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            expected = label_logits(model, batch)
            with rounded.used():
                found = label_logits(model, batch)
        assert torch.equal(found, expected)
        seen.append(found)
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_copies_made_while_answering_are_trained_with() -> None:
    model = tiny_model("llama")
    rounded = RoundedWeights(roundable(model, "bf16"))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), rounded.used():
        label_logits(model.eval(), batch_of(ROWS))
    with rounded.used():
        loss_and_gradients(model.train(), batch_of(ROWS), 9, "bf16")
    assert rounded.gradient(model.model.layers[0].mlp.up_proj.weight) is not None


def test_what_is_frozen_stays_so() -> None:
    model = tiny_model("llama").train()
    frozen = model.model.layers[0].mlp.up_proj.weight.requires_grad_(False)
    rounded = RoundedWeights(roundable(model, "bf16"))
    with rounded.used():
        loss_and_gradients(model, batch_of(ROWS), 9, "bf16")
    assert rounded.gradient(frozen) is None
    assert frozen.grad is None


def test_where_there_is_nothing_to_round() -> None:
    model = tiny_model("llama")
    assert roundable(model, "fp32") == []
    assert roundable(model.bfloat16(), "bf16") == []
    with patch("tutelage.models.rounded_weights.kernels", lambda: type("No", (), {"bf16": False})):
        assert roundable(model.float(), "bf16") == []


@pytest.mark.parametrize("budget", [4096, 40])
def test_steps_are_those_of_torch_s_optimiser_under_autocast(budget: int) -> None:
    """Several, so that memory kept for sums and for the embedding is written over, too."""
    ours, plain = tiny_model("llama").train(), tiny_model("llama").train()
    plain.load_state_dict(ours.state_dict())
    optimizers = (
        make_optimizer(ours, 0.0, "bf16"),
        torch.optim.AdamW(plain.parameters(), lr=0.0, weight_decay=0.0, fused=True),
    )
    parts = list(micro_batches(ROWS, budget))
    few = [collate([ROWS[2]])]
    gaps = []
    for batches in (parts, few, parts, few):
        results = [
            train_step(model, optimizer, batches, rate=1e-3, clip=0.5, precision="bf16")
            for model, optimizer in zip((ours, plain), optimizers, strict=True)
        ]
        gaps.append(abs(results[0].loss - results[1].loss) / results[1].loss)
        assert results[0].grad_norm == pytest.approx(results[1].grad_norm, rel=0.02)
    assert gaps[0] == 0
    assert max(gaps) < 1e-2  # from the second step on a weight may be rounded to the other side
    moved = [dict(m.named_parameters()) for m in (ours, plain, tiny_model("llama"))]
    for name in moved[0]:
        here, there, before = (m[name].detach() for m in moved)
        assert float((here - there).norm()) < 0.05 * float((there - before).norm()), name


def test_memory_is_given_back_at_once() -> None:
    """Not when the interpreter next looks for cycles: it does not know how large they are."""
    model = tiny_model("llama").train()
    layer = model.model.layers[0].mlp.up_proj
    gc.disable()
    try:
        rounded = RoundedWeights(roundable(model, "bf16"))
        with rounded.used():
            loss_and_gradients(model, batch_of(ROWS), 9, "bf16")
        copy = rounded.copy(layer.weight)
        assert copy is not None
        held = weakref.ref(copy)
        del copy, rounded
        assert held() is None
        optimizer = make_optimizer(model, 0.0, "bf16")
        train_step(model, optimizer, [batch_of(ROWS)], rate=1e-3, clip=1.0, precision="bf16")
        held = weakref.ref(optimizer.rounded.copy(layer.weight))
        assert held() is not None
        del optimizer
        gc.collect()  # frames of an import hold the first optimiser that torch makes
        assert held() is None
    finally:
        gc.enable()


def test_an_error_inside_leaves_nothing_changed() -> None:
    model = tiny_model("llama")
    rounded = RoundedWeights(roundable(model, "bf16"))
    with pytest.raises(ZeroDivisionError), rounded.used():
        raise ZeroDivisionError
    assert not any("forward" in vars(m) for m in model.modules())
