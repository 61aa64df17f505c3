"""The plan: what `auto` becomes, and the learning rate from the first step to the last."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tutelage.machine.memory import ModelShape, training_bytes
from tutelage.records import Encoded
from tutelage.tokens.batches import micro_batches
from tutelage.train.config import TrainingConfig
from tutelage.train.plan import Plan, make_plan

# SmolLM2-135M
SHAPE = ModelShape(
    total=134_515_008,
    trained=134_515_008,
    layers=30,
    width=576,
    inner=1536,
    heads=9,
    kv_width=192,
    vocabulary=49_152,
)
ROWS = [Encoded(str(i), (1,) * 60, (2,) * 2) for i in range(4800)]
PLENTY = 10**12


def plan(rows: int | list[Encoded] = 4800, shape: ModelShape = SHAPE, **settings: Any) -> Plan:
    given = {"precision": "fp32", "device_type": "cpu", "available": PLENTY, "threads": 2}
    given |= {key: settings.pop(key) for key in list(settings) if key in given}
    encoded = ROWS[:rows] if isinstance(rows, int) else rows
    return make_plan(TrainingConfig(**settings), encoded, shape, **given)


# --- auto ---


@pytest.mark.parametrize(
    ("rows", "epochs", "steps"),
    [(4800, 1, 300), (2594, 2, 324), (1600, 3, 300), (300, 10, 188), (160, 10, 100), (100, 10, 62)],
)
def test_small_data_is_passed_over_more_often(rows: int, epochs: int, steps: int) -> None:
    made = plan(rows)
    assert (made.epochs, made.steps, made.batch_size) == (epochs, steps, 16)


@given(rows=st.integers(160, 2600), batch=st.sampled_from([4, 8, 16]))
def test_about_a_hundred_steps_or_more(rows: int, batch: int) -> None:
    assert plan(rows, batch_size=batch).steps >= 100


def rate(total: int, method: str = "full") -> float:
    return plan(shape=replace(SHAPE, total=total), method=method).learning_rate


def test_the_learning_rate_falls_with_the_size_of_the_model() -> None:
    reference = rate(135_000_000)
    assert 2e-5 <= reference <= 2e-4
    assert rate(4 * 135_000_000) == pytest.approx(reference / 2, rel=0.02)
    assert reference <= rate(30_000_000) <= 2 * reference
    assert rate(10**12) == 1e-5
    sizes = [10**6, 10**7, 10**8, 10**9, 10**10, 10**11]
    rates = [rate(size) for size in sizes]
    assert rates == sorted(rates, reverse=True)


def test_adapters_learn_ten_times_as_fast() -> None:
    assert rate(135_000_000, "lora") == pytest.approx(10 * rate(135_000_000))


def test_what_is_given_is_taken() -> None:
    made = plan(
        200,
        epochs=3,
        learning_rate=1e-3,
        batch_size=8,
        warmup=0.0,
        micro_batch_tokens=100,
        checkpoint_every=7,
        keep_checkpoints=3,
        early_stopping=2,
        weight_decay=0.1,
        clip=0.5,
        seed=9,
        schedule="cosine",
    )
    assert (made.epochs, made.steps, made.batch_size) == (3.0, 75, 8)
    assert (made.learning_rate, made.warmup_steps, made.schedule) == (1e-3, 0, "cosine")
    assert (made.micro_batch_tokens, made.checkpoint_every, made.keep_checkpoints) == (100, 7, 3)
    assert (made.early_stopping, made.weight_decay, made.clip, made.seed) == (2, 0.1, 0.5, 9)
    assert (made.precision, made.threads, made.longest) == ("fp32", 2, 62)


@settings(max_examples=60)
@given(
    rows=st.integers(1, 400),
    epochs=st.floats(0.1, 4),
    batch=st.integers(1, 32),
    validations=st.integers(1, 50),
)
def test_validation_is_spread_evenly_and_ends_at_the_last_step(
    rows: int, epochs: float, batch: int, validations: int
) -> None:
    made = plan(rows, epochs=epochs, batch_size=batch, validations=validations)
    at = made.validate_at
    assert at[-1] == made.steps
    assert list(at) == sorted(set(at))
    assert at[0] >= 1
    assert len(at) == min(validations, made.steps)
    gaps = [b - a for a, b in zip((0, *at), at, strict=False)]
    assert max(gaps) - min(gaps) <= 1
    assert made.checkpoint_every is None, "by the clock"


# --- learning rate ---


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_warm_up_ends_at_the_peak_and_decay_at_zero(schedule: str) -> None:
    made = plan(schedule=schedule, learning_rate=1.0, warmup=0.1)
    warm = made.warmup_steps
    assert warm == math.ceil(0.1 * made.steps) == 30
    rates = [made.rate_at(step) for step in range(made.steps)]
    assert rates[:warm] == pytest.approx([(step + 1) / warm for step in range(warm)])
    assert rates[warm] == max(rates) == 1.0
    assert all(a > b > 0 for a, b in zip(rates[warm:], rates[warm + 1 :], strict=False))
    assert rates[-1] < 0.01
    assert made.rate_at(made.steps) == pytest.approx(0, abs=1e-12)


def test_halfway_down() -> None:
    half = {
        name: plan(1600, epochs=1, schedule=name, learning_rate=1.0, warmup=0.0)
        for name in ("linear", "cosine")
    }
    assert half["linear"].rate_at(50) == pytest.approx(0.5)
    assert half["cosine"].rate_at(50) == pytest.approx(0.5)
    assert half["linear"].rate_at(25) == pytest.approx(0.75)
    assert half["cosine"].rate_at(25) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_a_single_step_trains_at_the_peak() -> None:
    made = plan(3, epochs=1, learning_rate=1e-3)
    assert (made.steps, made.warmup_steps, made.validate_at) == (1, 1, (1,))
    assert made.rate_at(0) == 1e-3


# --- memory ---


def test_the_micro_batch_halves_until_it_fits() -> None:
    roomy = plan()
    assert roomy.micro_batch_tokens == 2048
    sizes = []
    for share in (0.9, 0.7, 0.5, 0.1):
        made = plan(available=int(share * roomy.estimated_bytes))
        sizes.append(made.micro_batch_tokens)
        assert made.estimated_bytes <= roomy.estimated_bytes
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] < 2048
    assert sizes[-1] == 32  # never far below the longest row, which must be run anyway
    assert all(2048 % size == 0 for size in sizes)


def test_the_budget_is_the_devices() -> None:
    assert plan(device_type="cuda").micro_batch_tokens == 8192
    assert plan(device_type="mps").micro_batch_tokens == 1024


def test_rows_behind_a_long_beginning_still_share_it() -> None:
    """A budget of 2,048 would run 2,500 tokens for every row of the step."""
    stem = (1,) * 2500
    rows = [Encoded(str(n), (*stem, *range(10 * n + 2, 10 * n + 40)), (1, 2)) for n in range(16)]
    (batch,) = micro_batches(rows, plan(rows).micro_batch_tokens)
    assert batch.unique == 2500 + 16 * 39
    tight = plan(rows, available=int(0.9 * plan(rows).estimated_bytes))
    assert len(list(micro_batches(rows, tight.micro_batch_tokens))) == 16


def test_the_estimate_counts_the_longest_row_where_the_budget_is_smaller() -> None:
    rows = [*ROWS[:200], Encoded("long", (1,) * 2000, (2, 2))]
    made = plan(rows, micro_batch_tokens=64)
    assert made.longest == 2002
    assert made.estimated_bytes == training_bytes(
        SHAPE, 2002, 2 * (2002 // 62), fp32=True, checkpointing=False
    )


def test_checkpointing_lets_more_tokens_in() -> None:
    tight = int(0.9 * plan().estimated_bytes)
    plain = plan(available=tight)
    saving = plan(available=tight, activation_checkpointing=True)
    assert saving.micro_batch_tokens > plain.micro_batch_tokens


def test_a_plan_comes_back_from_json() -> None:
    made = plan(early_stopping=3)
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_bf16_weights_compute_in_bf16() -> None:
    assert TrainingConfig(weights="bf16").named_precision == "bf16"
    assert TrainingConfig(precision="fp32").named_precision == "fp32"
    assert TrainingConfig().named_precision == "auto"
    with pytest.raises(ValidationError, match="bf16 weights compute in bf16"):
        TrainingConfig(weights="bf16", precision="fp32")
