"""Rows, our gradients on them, the reference's, and how they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from reference_loop import Row, mean_loss

from tutelage.models.loss_rows import loss_and_gradients
from tutelage.records import Encoded
from tutelage.tokens.batches import ALL, micro_batches

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
    for batch in micro_batches(encoded(rows), budget, merged=ALL if share else 0):
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
