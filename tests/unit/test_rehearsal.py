"""Steps on throw-away weights: what they say about time and memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tutelage.errors import NumericsError
from tutelage.machine.memory import ModelShape, resident_bytes
from tutelage.models.load import load_model
from tutelage.records import Encoded
from tutelage.tokens.batches import micro_batches
from tutelage.tokens.order import SameRows, epoch_order
from tutelage.train import rehearsal
from tutelage.train.config import TrainingConfig
from tutelage.train.plan import Plan, make_plan
from tutelage.train.preflight import longest_batches
from tutelage.train.rehearsal import Rehearsal, rehearse, step_batches

CPU = torch.device("cpu")
# Measured peak over closed form, beyond which the memory of a plan misleads.
FACTOR = 1.35


def rows(count: int, length: int, vocabulary: int = 300) -> list[Encoded]:
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(1, vocabulary, (count, length), generator=draw).tolist()
    return [
        Encoded(f"r{i}", (*range(1, 9), *own[: length - 12 + i % 3]), (7, 2))
        for i, own in enumerate(ids)
    ]


def plan_for(model: Any, train: list[Encoded], **settings: Any) -> Plan:
    return make_plan(
        TrainingConfig.model_validate({"batch_size": 4, **settings}),
        train,
        ModelShape.of(model),
        precision="fp32",
        device_type="cpu",
        available=10**12,
        threads=1,
    )


@pytest.fixture
def tiny(tiny_model_dir: Path) -> Any:
    return load_model(tiny_model_dir)


def test_three_steps_are_measured_and_the_weights_are_spent(tiny: Any) -> None:
    train = rows(12, 30)
    plan = plan_for(tiny, train)
    before = tiny.model.norm.weight.detach().clone()
    found = rehearse(tiny, train, plan, 0)
    assert found.steps == 3
    stream = plan.stream(SameRows(train))
    assert found.unique == sum(b.unique for s in range(3) for b in step_batches(stream, plan, s))
    assert found.token_seconds > 0
    assert found.update_seconds > 0
    assert found.step_seconds(100) == pytest.approx(
        100 * found.token_seconds + found.update_seconds
    )
    assert not torch.equal(before, tiny.model.norm.weight)
    assert all(p.grad is None for p in tiny.parameters())


def test_the_steps_are_those_of_training(tiny: Any) -> None:
    train = rows(10, 30)
    plan = plan_for(tiny, train, micro_batch_tokens=40)
    stream = plan.stream(SameRows(train))
    order = [i for epoch in range(2) for i in epoch_order(plan.seed, epoch, len(train))]
    for step in (0, 2):
        wanted = [train[i].id for i in order[4 * step : 4 * step + 4]]
        batches = step_batches(stream, plan, step)
        assert sorted(i for b in batches for i in b.ids) == sorted(wanted)
        assert len(batches) > 1
    longest = longest_batches(train, plan)
    assert {i for b in longest for i in b.ids} == {
        e.id for e in sorted(train, key=len, reverse=True)[:4]
    }


def test_the_longest_micro_batch_is_the_largest_of_all(tiny: Any) -> None:
    """Those of a step are of equal size, and a step of rows that just fit has a larger one."""
    ids = iter(range(3, 10_000))
    train = [
        Encoded(f"{n}", tuple(next(ids) % 120 for _ in range(size)), (1, 2))
        for n, size in enumerate([*[14] * 4, *[12] * 40])
    ]
    plan = plan_for(tiny, train, micro_batch_tokens=53)
    largest = max(batch.unique for batch in longest_batches(train, plan))
    stream = plan.stream(SameRows(train))
    every = [b.unique for step in range(11) for b in step_batches(stream, plan, step)]
    assert max(every) == 52  # four rows of 12 and an answer token
    assert largest >= 45  # three of the longest; the four of them are two batches of two
    assert largest > max(b.unique for b in micro_batches(train[:4], 53))


def test_a_long_step_is_measured_in_part(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    train = rows(12, 30)
    plan = plan_for(tiny, train, micro_batch_tokens=35)
    monkeypatch.setattr(rehearsal, "_STEP_SECONDS", 1e-9)
    found = rehearse(tiny, train, plan, 0)
    assert found.unique == sum(
        step_batches(plan.stream(SameRows(train)), plan, step)[0].unique for step in range(3)
    )


def test_a_loss_that_is_not_finite_is_said(tiny: Any) -> None:
    with torch.no_grad():
        tiny.model.norm.weight[0] = float("nan")
    train = rows(8, 30)
    with pytest.raises(NumericsError, match="The loss is nan"):
        rehearse(tiny, train, plan_for(tiny, train), 0)


def medium() -> Any:
    """Eight million random weights, so that tensors outweigh what the interpreter holds."""
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=9,
        num_attention_heads=8,
        num_key_value_heads=4,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config).eval()
    model.config.use_cache = False
    return model


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs a peak that resets")
def test_the_closed_form_is_near_the_measured_peak() -> None:
    held = resident_bytes(CPU)
    model = medium()
    train = rows(12, 140, 4000)
    plan = plan_for(model, train, micro_batch_tokens=600)
    assert len(step_batches(plan.stream(SameRows(train)), plan, 0)) == 1
    found = rehearse(model, train, plan, held)
    assert found.estimate.total > 200e6
    assert found.estimate.total / FACTOR < found.peak_bytes < found.estimate.total * FACTOR


def test_a_plan_that_shares_nothing_runs_row_by_row(tiny: Any) -> None:
    train = rows(8, 30)
    plan = replace(plan_for(tiny, train), longest_merged=0)
    stream = plan.stream(SameRows(train))
    assert [len(b.ids) for b in step_batches(stream, plan, 0)] == [1] * 4
    found: Rehearsal = rehearse(tiny, train, plan, 0)
    steps = [stream.rows(step) for step in range(3)]
    assert found.unique == sum(len(e) - 1 for step in steps for e in step)
