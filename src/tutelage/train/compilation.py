"""Whether compiled layers pay for themselves: measured on this run's own rows before step 1."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tutelage.errors import InputError
from tutelage.models.compiled_layers import compiled_layers
from tutelage.models.loss_rows import loss_and_gradients
from tutelage.models.rounded_weights import RoundedWeights, roundable
from tutelage.records import Encoded
from tutelage.tokens.batches import Batch
from tutelage.tokens.order import SameRows
from tutelage.train.plan import Plan
from tutelage.train.preflight import Preflight
from tutelage.train.rehearsal import step_batches

_WORTH_TRYING = 3600.0  # seconds of training; compiling takes about a minute of them
_GAIN = 1.02  # less is within the noise of the measurement
_ROUNDS = 3
_FAILURES = (RuntimeError, TypeError, NotImplementedError, AttributeError)
_ALIKE = {"fp32": 1e-3, "bf16": 1e-1}  # relative; a fused operation rounds fewer times


@dataclass(frozen=True, slots=True)
class Trial:
    """One step's passes plain and compiled: median seconds, and relative differences.

    A difference is None where it is not a finite number.
    """

    compile_seconds: float
    plain_seconds: float
    compiled_seconds: float
    loss_difference: float | None
    gradient_difference: float | None

    @property
    def gain(self) -> float:
        """How many times as long the plain passes take."""
        return self.plain_seconds / self.compiled_seconds


@dataclass(frozen=True, slots=True)
class Compilation:
    """What was decided and why, with the trial where there was one."""

    used: bool
    why: str
    trial: Trial | None = None


def decide_compilation(
    model: Any,
    train: Sequence[Encoded],
    plan: Plan,
    found: Preflight,
    asked: Literal["auto"] | bool,
) -> Compilation:
    """Compile the layers where training is long enough, and keep what is faster.

    Args:
        model: its weights are left as they are.
        train: the encoded training examples.
        plan: of the run.
        found: the measured longest micro-batch, which says how long training takes.
        asked: `True` compiles a short run too, and keeps it where it is no faster; `False` never.

    Raises:
        InputError: it was asked for, and does not compile or computes something else.
    """
    if asked is False:
        return Compilation(used=False, why="training.compile is false")
    batches = step_batches(plan.stream(SameRows(train)), plan, 0)
    expected = plan.steps * sum(b.unique for b in batches) * found.seconds / found.tokens
    if asked == "auto" and expected < _WORTH_TRYING:
        minutes = max(1, round(expected / 60))
        return Compilation(used=False, why=f"about {minutes} min of training do not pay for it")
    trial, failed = _tried(model, batches, plan)
    if failed and asked is True:
        raise InputError(
            f"training.compile is true, but of compiled layers {failed}. Nothing was trained. "
            "On a CPU a C++ compiler has to be there; training.compile=auto goes on without."
        )
    if failed or trial is None:
        return Compilation(used=False, why=failed, trial=trial)
    faster = f"a step's passes take {trial.plain_seconds:.2f} s, and {trial.compiled_seconds:.2f} s"
    return Compilation(asked is True or trial.gain >= _GAIN, f"{faster} compiled", trial)


def still_compiles(model: Any, train: Sequence[Encoded], plan: Plan) -> bool:
    """Whether what was decided on another day, or machine, can be done here; nothing is trained."""
    try:
        batches = step_batches(plan.stream(SameRows(train)), plan, 0)
        _pass(model, batches[:1], plan, RoundedWeights(), compiled_layers(model))
    except _FAILURES:
        return False
    finally:
        model.zero_grad(set_to_none=True)
    return True


def _tried(model: Any, batches: Sequence[Batch], plan: Plan) -> tuple[Trial | None, str]:
    """The trial where there is one, and what speaks against it."""
    try:
        trial = _try(model, batches, plan)
    except torch.OutOfMemoryError:
        return None, "they do not fit into memory"
    except _FAILURES as error:
        return None, f"they do not compile here ({_first_line(error)})"
    finally:
        model.zero_grad(set_to_none=True)
    if _alike(trial, plan):
        return trial, ""
    told = ("no number" if x is None else f"{x:.0e}" for x in _gaps(trial))
    return trial, "they compute something else: loss and gradient differ by " + ", ".join(told)


def _gaps(trial: Trial) -> tuple[float | None, float | None]:
    return trial.loss_difference, trial.gradient_difference


def _try(model: Any, batches: Sequence[Batch], plan: Plan) -> Trial:
    """Plain and compiled passes in turn, after a first one of each that is compared."""
    model.train()
    rounded = RoundedWeights(roundable(model, plan.precision))
    _, loss = _pass(model, batches, plan, rounded, nullcontext())
    gradients = [p.grad for p in model.parameters()]
    compile_seconds, compiled_loss = _pass(model, batches, plan, rounded, compiled_layers(model))
    pairs = [(g, p.grad) for g, p in zip(gradients, model.parameters(), strict=True)]
    gap, norm = (_norm(x) for x in (_differences(pairs), gradients))
    del gradients, pairs
    plain, compiled = [], []
    for _ in range(_ROUNDS):
        plain.append(_pass(model, batches, plan, rounded, nullcontext())[0])
        compiled.append(_pass(model, batches, plan, rounded, compiled_layers(model))[0])
    return Trial(
        compile_seconds,
        statistics.median(plain),
        statistics.median(compiled),
        loss_difference=_finite(abs(compiled_loss - loss) / max(abs(loss), 1e-2)),
        gradient_difference=_finite(gap / max(norm, 1e-12)),
    )


def _finite(difference: float) -> float | None:
    return difference if math.isfinite(difference) else None


def _pass(
    model: Any,
    batches: Sequence[Batch],
    plan: Plan,
    rounded: RoundedWeights,
    how: AbstractContextManager[None],
) -> tuple[float, float]:
    """Seconds and loss of one step's passes; the gradients stay on the model."""
    model.zero_grad(set_to_none=True)
    rounded.clear()
    targets = sum(len(b.targets) for b in batches)
    torch.manual_seed(plan.seed)  # dropout, where a model has it
    started = time.perf_counter()
    with rounded.used(), how:
        parts = [
            loss_and_gradients(model, b.to(model.device), targets, plan.precision) for b in batches
        ]
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    seconds = time.perf_counter() - started
    rounded.add_up()
    return seconds, sum(parts)


def _differences(
    pairs: Sequence[tuple[torch.Tensor | None, torch.Tensor | None]],
) -> list[torch.Tensor | None]:
    return [a if b is None else b if a is None else a.float() - b.float() for a, b in pairs]


def _norm(gradients: Sequence[torch.Tensor | None]) -> float:
    norms = [g.float().norm() for g in gradients if g is not None]
    return float(torch.stack(norms).norm())


def _alike(trial: Trial, plan: Plan) -> bool:
    bound = _ALIKE[plan.precision]
    return all(x is not None and x <= bound for x in _gaps(trial))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
