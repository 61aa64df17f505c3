"""Before training: is the fast loss the plain one, on this model and on this run's own rows?

The shortest rows of the first optimiser batch go three ways, in fp32: each alone through the model
as anyone would call it (own attention, logits of every position), all merged into one batch, and
in several micro-batches. Losses and whole gradients are compared. Merged rows go once more in the
run's own precision, whose kernels are others; what rounding makes of them is let pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tutelage.errors import NumericsError
from tutelage.machine.precision import Precision
from tutelage.models.full_precision import in_fp32
from tutelage.models.loss_rows import loss_and_gradients
from tutelage.models.rounded_weights import RoundedWeights, roundable
from tutelage.records import Encoded
from tutelage.tokens.batches import Batch, micro_batches
from tutelage.tokens.order import SameRows
from tutelage.train.plan import Plan

_TOKENS = 160  # of the plain rows together
_PROMPT, _ANSWER = 80, 40  # tokens of a long row that are kept: this is no test of memory
_FLOOR = 1e-2  # nats; differences of a smaller loss are taken relative to this
TOLERANCE = 1e-3  # relative; what rounding makes of it is near 1e-6, of bf16 weights near 1e-4
ROUNDED = 0.5  # relative; bf16 makes it a few hundredths, something else about one

Gradients = list[torch.Tensor | None]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Relative differences to the plain path in fp32, of the loss and of the gradient.

    Those called rounded are of the run's own precision, where it is bf16.
    """

    rows: int
    tokens: int
    loss: float
    merged_loss: float
    merged_gradient: float
    accumulated_loss: float
    accumulated_gradient: float
    rounded_loss: float | None
    rounded_gradient: float | None
    seconds: float

    @property
    def worst(self) -> float:
        """The largest of the differences; not a number where one is not."""
        found = (
            self.merged_loss,
            self.merged_gradient,
            self.accumulated_loss,
            self.accumulated_gradient,
        )
        return math.nan if any(map(math.isnan, found)) else max(found)


def self_test(model: Any, train: Sequence[Encoded], plan: Plan) -> SelfTest:
    """Compare the paths; the model is left as it was.

    Weights in bf16 are fp32 meanwhile, because rounding would hide what is looked for; their
    gradients are rounded afterwards on both sides, so that no more memory is taken than later.

    Raises:
        NumericsError: they differ by more than rounding may; nothing was trained.
    """
    started = time.perf_counter()
    rows = _rows(train, plan)
    targets = sum(sum(e.trained) if e.trained else len(e.completion_ids) for e in rows)
    was_training = model.training
    model.train(plan.longest_merged > 0)  # where it is 0, dropout may differ from path to path
    try:
        dtypes = [p.dtype for p in model.parameters() if p.requires_grad]
        with in_fp32(model):
            plain = sum(_plain(model, e, targets) for e in rows)
            expected = _taken(model, dtypes)
            budgets = (sum(map(len, rows)), max(map(len, rows)))
            found = [
                _merged(model, rows, targets, b, plan.longest_merged, "fp32", plain, expected)
                for b in budgets
            ]
            rounded: tuple[float | None, float | None] = (None, None)
            if plan.precision != "fp32":
                limit, how = plan.longest_merged, plan.precision
                rounded = _merged(model, rows, targets, budgets[0], limit, how, plain, expected)
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)
    seconds = time.perf_counter() - started
    size = sum(map(len, rows))
    result = SelfTest(len(rows), size, plain, *found[0], *found[1], *rounded, seconds)
    _check(result, plan.precision, rows)
    return result


def _check(result: SelfTest, precision: Precision, rows: Sequence[Encoded]) -> None:
    names = ", ".join(e.id for e in rows)
    if not result.worst <= TOLERANCE:
        raise NumericsError(
            f"The self-test of the loss failed on {len(rows)} rows ({names}"
            f"): merged rows differ from separate ones by {result.merged_loss:.1e} in the loss and "
            f"{result.merged_gradient:.1e} in the gradient, micro-batches by "
            f"{result.accumulated_loss:.1e} and {result.accumulated_gradient:.1e}; {TOLERANCE:g} "
            "is allowed. Nothing was trained. Please report the model and the versions; "
            "another model, or another version of transformers, may work."
        )
    rounded = [x for x in (result.rounded_loss, result.rounded_gradient) if x is not None]
    if not all(x <= ROUNDED for x in rounded):
        raise NumericsError(
            f"The self-test of the loss failed in {precision} on {len(rows)} rows ({names}): loss "
            f"and gradient differ from those in fp32 by {rounded[0]:.1e} and {rounded[1]:.1e}, far "
            "more than rounding. Nothing was trained. Please report the processor and the "
            "versions; training.precision=fp32 goes on without."
        )


def _rows(train: Sequence[Encoded], plan: Plan) -> list[Encoded]:
    """The shortest of the first batch within the token limit, two at least; long ones are cut."""
    first = plan.stream(SameRows(train)).rows(0)
    kept: list[Encoded] = []
    for e in sorted(first, key=lambda e: (len(e), e.id)):
        if len(kept) >= 2 and sum(map(len, kept)) + len(e) > _TOKENS:
            break
        kept.append(
            replace(
                e,
                prompt_ids=e.prompt_ids[:_PROMPT],
                completion_ids=e.completion_ids[:_ANSWER],
                trained=e.trained[:_ANSWER],
            )
        )
    return kept


def _plain(model: Any, e: Encoded, targets: int) -> float:
    """Add a row's share of the gradient by the model's own forward pass; its share of the loss."""
    ids_1N = torch.tensor([[*e.prompt_ids, *e.completion_ids]], device=model.device)
    logits_NV = model(input_ids=ids_1N[:, :-1], use_cache=False).logits[0]
    wanted_N = ids_1N[0, 1:].clone()
    wanted_N[: len(e.prompt_ids) - 1] = -100
    if e.trained:
        said = torch.tensor(e.trained, device=model.device)
        wanted_N[len(e.prompt_ids) - 1 :][~said] = -100
    loss = cross_entropy(logits_NV.float(), wanted_N, ignore_index=-100, reduction="sum") / targets
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _merged(
    model: Any,
    rows: Sequence[Encoded],
    targets: int,
    budget: int,
    merged: int,
    precision: Precision,
    plain: float,
    expected: Gradients,
) -> tuple[float, float]:
    """Relative differences of loss and gradient under a token budget."""
    loss = _passes(model, list(micro_batches(rows, budget, merged=merged)), targets, precision)
    dtypes = [torch.float32 if g is None else g.dtype for g in expected]
    gap = _norm(
        a if b is None else b if a is None else a - b
        for a, b in zip(expected, _taken(model, dtypes), strict=True)
    )
    # A model that is already sure has a loss near the spacing of fp32: the floor is what counts.
    floor = max(plain, _FLOOR) / max(plain, 1e-12)
    return abs(loss - plain) / max(plain, _FLOOR), gap / max(_norm(expected) * floor, 1e-12)


def _passes(model: Any, batches: Sequence[Batch], targets: int, precision: Precision) -> float:
    """Add the gradients as training does; their loss."""
    loss, rounded = 0.0, RoundedWeights(roundable(model, precision))
    for batch in batches:
        with rounded.used():
            loss += loss_and_gradients(model, batch.to(model.device), targets, precision)
    rounded.add_up()
    return loss


def _taken(model: Any, dtypes: Sequence[torch.dtype]) -> Gradients:
    """The gradients, taken off the model."""
    trained = [p for p in model.parameters() if p.requires_grad]
    found = [
        None if p.grad is None else p.grad.to(dtype)
        for p, dtype in zip(trained, dtypes, strict=True)
    ]
    model.zero_grad(set_to_none=True)
    return found


def _norm(gradients: Any) -> float:
    norms = [g.float().norm() for g in gradients if g is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
