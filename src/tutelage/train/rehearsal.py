"""A few steps on throw-away weights: what a step takes in time and memory on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tutelage.machine.memory import (
    ModelShape,
    StepMemory,
    attention_of,
    fused_on,
    peak_bytes,
    reset_peak,
    rounded_on,
    step_memory,
)
from tutelage.records import Encoded
from tutelage.tokens.batches import Batch, micro_batches
from tutelage.tokens.order import SameRows, Stream
from tutelage.train.loop import train_step
from tutelage.train.optim import clip_gradients, make_optimizer
from tutelage.train.plan import Plan
from tutelage.train.preflight import longest_batches

STEPS = 3
_STEP_SECONDS = 6.0  # of a longer step, as many micro-batches as take about that


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the measured steps took.

    Attributes:
        steps: how many were measured.
        unique: tokens that they computed.
        token_seconds: of forward and backward pass, per unique token.
        update_seconds: of clipping and update, per step.
        peak_bytes: measured, beyond what was held before the model was loaded.
        estimate: closed form of the largest micro-batch that was run.
    """

    steps: int
    unique: int
    token_seconds: float
    update_seconds: float
    peak_bytes: int
    estimate: StepMemory

    def step_seconds(self, unique: float) -> float:
        """Seconds of a step of so many unique tokens."""
        return self.token_seconds * unique + self.update_seconds


def rehearse(
    model: Any, train: Sequence[Encoded], plan: Plan, held: int, *, checkpointing: bool = False
) -> Rehearsal:
    """Run the longest micro-batch, then three real steps; the weights are then of no use.

    Args:
        model: as training would get it.
        train: the encoded training examples.
        plan: as made for them.
        held: bytes in use before the model was loaded.
        checkpointing: whether the model keeps only each layer's input.

    Raises:
        NumericsError: a loss or a gradient is not finite.
        torch.OutOfMemoryError, MemoryError: a micro-batch does not fit.
    """
    optimizer = make_optimizer(model, plan.weight_decay, plan.precision)
    longest = max(longest_batches(train, plan), key=_size)
    rate = _warm_up(model, optimizer, longest, plan)
    reset_peak(model.device)
    seconds = 0.0
    ran: list[Batch] = []
    stream = plan.stream(SameRows(train))
    for step in range(STEPS):
        batches = _within(step_batches(stream, plan, step), _STEP_SECONDS / max(rate, 1e-9))
        started = time.perf_counter()
        _train_step(model, optimizer, batches, plan, step)
        seconds += time.perf_counter() - started
        ran += batches
    update = _update_seconds(model, optimizer, plan)
    peak = peak_bytes(model.device) - held
    model.zero_grad(set_to_none=True)
    largest, unique = max(ran, key=_size), sum(batch.unique for batch in ran)
    shape, kind = ModelShape.of(model), model.device.type
    estimate = step_memory(
        shape,
        largest.unique,
        len(largest.targets),
        fp32=plan.precision == "fp32",
        checkpointing=checkpointing,
        weights=plan.weights,
        attention=attention_of(shape, kind, merged=len(largest.ids) > 1),
        fused=fused_on(shape, kind, plan.weights),
        rounded=rounded_on(shape, kind, plan.weights, fp32=plan.precision == "fp32"),
    )
    token_seconds = max(seconds - STEPS * update, 0.0) / unique
    return Rehearsal(STEPS, unique, token_seconds, update, max(0, peak), estimate)


def step_batches(stream: Stream, plan: Plan, step: int) -> list[Batch]:
    """The micro-batches of a step."""
    rows = stream.rows(step)
    return list(micro_batches(rows, plan.micro_batch_tokens, merged=plan.longest_merged))


def _size(batch: Batch) -> tuple[int, int]:
    return batch.unique, len(batch.targets)


def _warm_up(model: Any, optimizer: torch.optim.Optimizer, batch: Batch, plan: Plan) -> float:
    """Make moments and buffers; seconds per unique token."""
    started = time.perf_counter()
    _train_step(model, optimizer, [batch], plan, 0)
    return (time.perf_counter() - started) / batch.unique


def _train_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    plan: Plan,
    step: int,
) -> None:
    model.train()
    rate = plan.rate_at(step)
    train_step(model, optimizer, batches, rate=rate, clip=plan.clip, precision=plan.precision)
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def _update_seconds(model: Any, optimizer: torch.optim.Optimizer, plan: Plan) -> float:
    """Seconds of clipping and one more update with the gradients of the last step."""
    started = time.perf_counter()
    clip_gradients(optimizer, plan.clip)
    optimizer.step()
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter() - started


def _within(batches: Sequence[Batch], tokens: float) -> list[Batch]:
    """Leading micro-batches of at most so many unique tokens, one at least."""
    kept: list[Batch] = []
    for batch in batches:
        if kept and sum(b.unique for b in kept) + batch.unique > tokens:
            break
        kept.append(batch)
    return kept
