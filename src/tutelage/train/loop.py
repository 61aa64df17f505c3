"""The training loop: `train_step` is the whole of one step, `fit` is all of them in order."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tutelage.errors import NumericsError, Preempted
from tutelage.evaluate.metrics import Metric
from tutelage.files import write_text
from tutelage.machine.allocator import give_back
from tutelage.machine.memory import own_bytes
from tutelage.machine.precision import Precision
from tutelage.models.loss_rows import loss_and_gradients
from tutelage.progress import Progress
from tutelage.tokens.batches import Batch, micro_batches
from tutelage.tokens.order import Epochs, Stream
from tutelage.train.checkpoint import State, resume, save_best, save_checkpoint
from tutelage.train.optim import clip_gradients, make_optimizer, rounded_weights, set_rate
from tutelage.train.plan import Plan
from tutelage.train.validation import Validation

_CHECKPOINT_SECONDS = 300.0  # what a killed run repeats at most


@dataclass(frozen=True, slots=True)
class StepResult:
    """Loss in nats per target; targets; tokens of all rows, and those that were computed."""

    loss: float
    grad_norm: float
    labelled: int
    tokens: int
    unique: int


def train_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    *,
    rate: float,
    clip: float,
    precision: Precision,
) -> StepResult:
    """One optimiser step: loss = sum over targets / targets of the whole step.

    Raises:
        NumericsError: no target, or a loss or gradient that is not finite; the weights are not
            touched then, and the examples are named.
    """
    labelled = sum(len(b.targets) for b in batches)
    if labelled == 0:
        raise NumericsError(f"A step without a trained token: examples {_names(batches)}.")
    optimizer.zero_grad(set_to_none=True)
    total, rounded = 0.0, rounded_weights(optimizer)
    for batch in batches:
        with rounded.used():
            value = loss_and_gradients(model, batch.to(model.device), labelled, precision)
        if not math.isfinite(value):
            raise NumericsError(
                f"The loss is {value} on examples {_names([batch])}. Look at these rows; "
                f"else lower training.learning_rate{_in_fp32(precision)}."
            )
        total += value
    norm = clip_gradients(optimizer, clip)
    if not torch.isfinite(norm):
        raise NumericsError(
            f"The gradient is not finite on examples {_names(batches)}. "
            f"Lower training.learning_rate{_in_fp32(precision)}."
        )
    set_rate(optimizer, rate)
    optimizer.step()
    tokens, unique = sum(b.tokens for b in batches), sum(b.unique for b in batches)
    return StepResult(total, float(norm), labelled, tokens, unique)


def fit(
    model: Any,
    train: Epochs,
    plan: Plan,
    validate: Callable[[Any], Validation],
    primary: Metric,
    folder: Path,
    key: str,
    progress: Progress,
    held: int = 0,
) -> State:
    """Train from the newest checkpoint in `folder` to the end of the plan.

    `train[epoch]` holds the examples of an epoch: the same rows in the same order, worded anew.
    With the same plan and thread count the result is byte-identical however often the run was
    interrupted: data order and dropout are functions of seed and step. `held` are the bytes that
    the process had before the model was loaded.

    Raises:
        Preempted: the user asked to stop; a checkpoint of this moment was written.
    """
    checkpoints = folder / "checkpoints"
    optimizer = make_optimizer(model, plan.weight_decay, plan.precision)
    state = resume(checkpoints, model, optimizer, key, progress)
    log = _Log(folder / "log.jsonl", state)
    stream = plan.stream(train)
    saved, saved_at = state.step, time.monotonic()
    with progress.bar("Training", plan.steps, "steps") as advance:
        advance(state.step)
        while True:
            try:
                with rounded_weights(optimizer).used():
                    _validate(model, plan, validate, primary, checkpoints, state, log, progress)
            except Preempted:
                save_checkpoint(checkpoints, model, optimizer, state, plan.keep_checkpoints)
                raise
            ended = state.step >= plan.steps or _early(plan, state)
            due = state.step in plan.validate_at or _checkpoint_due(plan, state, saved_at)
            stopping = progress.stopping()
            if state.step > saved and (due or ended or stopping):
                save_checkpoint(checkpoints, model, optimizer, state, plan.keep_checkpoints)
                saved, saved_at = state.step, time.monotonic()
                give_back()  # nor is what writing took
            if ended:
                return state
            if stopping:
                raise Preempted(f"Stopped at step {state.step} of {plan.steps}; run it again.")
            _step(model, optimizer, stream, plan, state, log)
            if _has_holes(model, plan.estimated_bytes + held):
                give_back()
            advance(1)


def _step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    stream: Stream,
    plan: Plan,
    state: State,
    log: _Log,
) -> None:
    started = time.perf_counter()
    rows = stream.rows(state.step)
    batches = list(micro_batches(rows, plan.micro_batch_tokens, merged=plan.longest_merged))
    torch.manual_seed(plan.seed * 1_000_003 + state.step)  # dropout, where a model has it
    rate = plan.rate_at(state.step)
    model.train()
    result = train_step(
        model, optimizer, batches, rate=rate, clip=plan.clip, precision=plan.precision
    )
    state.step += 1
    seconds = time.perf_counter() - started
    state.seconds += seconds
    state.tokens += result.tokens
    state.unique += result.unique
    state.examples += len(rows)
    log.write("step", state.step, rate=rate, seconds=round(seconds, 4), **asdict(result))


def _validate(
    model: Any,
    plan: Plan,
    validate: Callable[[Any], Validation],
    primary: Metric,
    folder: Path,
    state: State,
    log: _Log,
    progress: Progress,
) -> None:
    """Validate where it is due and keep the best weights, as `_better` says."""
    if state.step not in plan.validate_at or state.validated >= state.step:
        return
    model.zero_grad(set_to_none=True)  # scoring has other uses for their memory
    found = validate(model)
    value = found.metrics[primary]
    better = _better(found, value, state.best)
    top = max(value, state.best.get("top", value))
    if better:
        save_best(folder, model, state.step, found.predictions)
        state.best_step, state.best = state.step, {"value": value, "loss": found.loss}
    state.best["top"] = top
    state.stale = 0 if better else state.stale + 1
    state.validated = state.step
    log.write("validation", state.step, loss=found.loss, metrics=found.metrics, best=better)
    mark = " (best so far)" if better else ""
    progress.say(
        f"step {state.step}: validation loss {found.loss:.4f}, {primary} {value:.4f}{mark}"
    )
    give_back()  # what scoring took is not what a step asks for


def _better(found: Validation, value: float, best: Mapping[str, float]) -> bool:
    """By task metric; by loss where the metric cannot tell, being equal or within its noise.

    A part of the rows is answered where answers are generated: the loss is of all of them. What
    is chosen is never more than one standard error below the highest metric that was seen, as
    Breiman et al. (1984) choose a tree.
    """
    if not best:
        return True
    gap = value - best.get("top", best["value"])
    return found.loss < best["loss"] if abs(gap) <= found.noise else gap > 0


def _checkpoint_due(plan: Plan, state: State, saved_at: float) -> bool:
    if plan.checkpoint_every is None:
        return time.monotonic() - saved_at > _CHECKPOINT_SECONDS
    return state.step % plan.checkpoint_every == 0


def _has_holes(model: Any, needed: int) -> bool:
    """Whether the process holds more than a step needs; on a CPU, whose heap this is about.

    Steps of many shapes leave ever more holes between blocks that are kept for reuse. To give
    them back is dear: the next step has to ask for its memory page by page.
    """
    on_cpu = model.device.type == "cpu"
    return on_cpu and own_bytes() > needed


def _early(plan: Plan, state: State) -> bool:
    return plan.early_stopping is not None and state.stale >= plan.early_stopping


class _Log:
    """`log.jsonl`: one record per step and validation; what a resumed run repeats is dropped."""

    def __init__(self, path: Path, state: State) -> None:
        self._path = path
        if path.exists():
            reached = {"step": state.step, "validation": state.validated}
            kept = []
            for line in path.read_text(encoding="utf-8").split("\n"):
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # the torn last line of a killed run
                if record["step"] <= reached[record["kind"]]:
                    kept.append(line + "\n")
            write_text(path, "".join(kept))

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one record."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")


def _in_fp32(precision: Precision) -> str:
    return "" if precision == "fp32" else ", or set training.precision and training.weights to fp32"


def _names(batches: Sequence[Batch]) -> str:
    ids = [i for b in batches for i in b.ids]
    more = f" and {len(ids) - 8} more" if len(ids) > 8 else ""
    return ", ".join(repr(i) for i in ids[:8]) + more
