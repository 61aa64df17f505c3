"""The model side of a plan: steps, memory, disk and time, with all that would stop them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from tutelage.errors import OutOfMemoryError
from tutelage.files import read_json
from tutelage.machine.disk import nearest_folder, write_rate
from tutelage.machine.memory import (
    ModelShape,
    attention_of,
    available_bytes,
    checkpoint_bytes,
    fused_on,
    resident_bytes,
    rounded_on,
    step_memory,
)
from tutelage.machine.precision import Precision, probe
from tutelage.models.load import load_model
from tutelage.models.loss_rows import trained_merged
from tutelage.models.skeleton import skeleton
from tutelage.pipeline.dataplan import Data
from tutelage.pipeline.dry import DryContext
from tutelage.pipeline.problems import Problems
from tutelage.pipeline.shotplan import ShotBook
from tutelage.pipeline.stage import HELD_OUT, UNSEEN_TASKS
from tutelage.pipeline.timeplan import (
    Part,
    arm_parts,
    cheap_parts,
    scoring_parts,
    time_arms,
    time_loss,
    training_parts,
)
from tutelage.pipeline.training import adapted
from tutelage.tokens.order import SameRows
from tutelage.tokens.token_trie import Sharing
from tutelage.train.config import TrainingConfig
from tutelage.train.plan import Plan, make_plan
from tutelage.train.preflight import advice, check_disk, longest_batches
from tutelage.train.rehearsal import STEPS, Rehearsal, rehearse, step_batches

_SAMPLED_STEPS = 20


@dataclass(slots=True)
class ModelPlan:
    """Sections of the plan, and the parts of its time; None where they could not be made."""

    training: dict[str, Any]
    sharing: dict[str, Any]
    memory: dict[str, Any]
    parts: list[Part] | None = None


def plan_model(
    book: ShotBook, data: Data, problems: Problems, *, measure: bool
) -> ModelPlan | None:
    """Plan the steps, then load the model and, with `measure`, rehearse on it.

    The model is not loaded where its training would not fit into memory.
    """
    context = book.context
    config = context.run.config.training
    frame = problems.attempt("baseline", lambda: adapted(context, skeleton(context.source.folder)))
    if frame is None:
        return None
    shape = ModelShape.of(frame)
    precision = problems.attempt("baseline", lambda: _precision(context, frame))
    if precision is None:
        return None
    train = data.training()
    available = available_bytes(context.device)
    planned = partial(
        make_plan,
        config,
        train,
        shape,
        precision=precision,
        device_type=context.device.type,
        available=available,
        threads=torch.get_num_threads(),
        tasks=len(context.families()),
    )
    plan = planned()
    folder = nearest_folder(context.run.path)
    problems.attempt("train", lambda: check_disk(shape, plan, folder))
    rate = problems.attempt("configuration", lambda: write_rate(folder))
    fits = plan.estimated_bytes <= available
    if not fits:
        problems.add("train", OutOfMemoryError(advice(plan, available)))
    held, started = resident_bytes(context.device), time.perf_counter()
    model = None
    if fits:
        model = problems.attempt(
            "baseline", lambda: load_model(context.source.folder, context.device)
        )
    loading = time.perf_counter() - started
    if model is not None:
        plan = planned(longest_merged=trained_merged(model))
    steps = _steps_sharing(train, plan)
    found = ModelPlan(
        training=_training(plan, shape, config.method),
        sharing=_sharing(data, steps),
        memory=_memory(plan, shape, train, config, context.device.type),
    )
    found.memory["available_bytes"] = available
    if model is None or not measure:
        return found
    _measure(book, data, problems, found, model, plan, held, steps, loading, rate)
    return found


def _measure(
    book: ShotBook,
    data: Data,
    problems: Problems,
    found: ModelPlan,
    model: Any,
    plan: Plan,
    held: int,
    steps: tuple[Sharing, int],
    loading: float,
    rate: float | None,
) -> None:
    """Time scoring, then steps on weights that are thrown away; fills in memory and parts."""
    context = book.context
    context.progress.say("Timing the baselines on a few answers.")
    timed = problems.attempt("baseline", lambda: time_arms(book, model, plan.precision))
    loss = None
    if timed is not None and context.kind() == "text":
        loss = problems.attempt("train", lambda: time_loss(context, model, plan.precision))
    parts = [Part("prepare", "Rows to proof", data.seconds, "all of it was done just now")]
    parts.append(Part("baseline", "Loading the model", loading, "measured; each stage loads it"))
    parts += cheap_parts(context, data)
    context.progress.say(f"Timing {STEPS} steps on throw-away weights.")
    if plan.weights == "bf16":  # what is timed above is held in fp32 by a run, too
        for parameter in model.parameters():
            parameter.data = parameter.data.bfloat16()
    rehearsed = _rehearsed(
        problems,
        lambda: rehearse(
            adapted(context, model),
            data.training(),
            plan,
            held,
            checkpointing=context.run.config.training.activation_checkpointing,
        ),
    )
    if timed is None or rehearsed is None or rate is None:
        return
    sharing, sampled = steps
    written = found.training["checkpoint_bytes"]
    parts += arm_parts(book, data, timed)
    parts += training_parts(plan, rehearsed, sharing.unique / sampled, written, rate)
    titles = {"test": "Sealed test", HELD_OUT: "Unseen wordings", UNSEEN_TASKS: "Unseen tasks"}
    tests = {what: rows for name, what in titles.items() if (rows := context.examples(name))}
    parts += scoring_parts(context, data, plan, timed[0], loss, tests)
    found.parts = parts
    found.memory["measured"] = {
        "peak_bytes": rehearsed.peak_bytes,
        "estimated_bytes": rehearsed.estimate.total,
        "ratio": round(rehearsed.peak_bytes / rehearsed.estimate.total, 3),
    }


def _rehearsed(problems: Problems, run: Callable[[], Rehearsal]) -> Rehearsal | None:
    def guarded() -> Rehearsal:
        try:
            return run()
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"A measured step ran out of memory ({error}). Use "
                "--set training.micro_batch_tokens or a smaller training.max_length."
            ) from error

    return problems.attempt("train", guarded)


def _precision(context: DryContext, model: Any) -> Precision:
    """As decided by an earlier start of this run, named, or probed now."""
    path = context.run.path / "measured.json"
    if path.exists():
        held: Precision = read_json(path)["precision"]
        return held
    named = context.run.config.training.named_precision
    if named != "auto":
        return named
    config = model.config.get_text_config()
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    return probe(context.device, int(config.hidden_size), int(inner)).faster


def _steps_sharing(train: list[Any], plan: Plan) -> tuple[Sharing, int]:
    """What the micro-batches of steps spread over the run compute, and how many steps those are."""
    count = min(_SAMPLED_STEPS, plan.steps)
    steps = [i * plan.steps // count for i in range(count)]
    stream = plan.stream(SameRows(train))
    batches = [batch for step in steps for batch in step_batches(stream, plan, step)]
    return Sharing.of_batches(batches), count


def _sharing(data: Data, steps: tuple[Sharing, int]) -> dict[str, Any]:
    whole, (real, count) = Sharing.of_set(data.encoded), steps
    return {
        "trie": {**asdict(whole), "saved": round(whole.saved, 4)},
        "steps": {**asdict(real), "saved": round(real.saved, 4), "sampled": count},
    }


def _training(plan: Plan, shape: ModelShape, method: str) -> dict[str, Any]:
    return {
        "method": method,
        "parameters": shape.total,
        "parameters_trained": shape.trained,
        "steps": plan.steps,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "precision": plan.precision,
        "weights": plan.weights,
        "checkpoint_bytes": checkpoint_bytes(shape, plan.weights),
        "micro_batch_tokens": plan.micro_batch_tokens,
        "share_prefixes": plan.longest_merged > 0,
        "rows_of_a_template_together": plan.together,
        "validations": len(plan.validate_at),
        "threads": plan.threads,
        "cores": os.cpu_count(),
    }


def _memory(
    plan: Plan,
    shape: ModelShape,
    train: list[Any],
    config: TrainingConfig,
    device_type: str,
) -> dict[str, Any]:
    """The closed form of the largest micro-batch, part by part, and the plan's own bound."""
    largest = max(longest_batches(train, plan), key=lambda b: (b.unique, len(b.targets)))
    estimate = step_memory(
        shape,
        largest.unique,
        len(largest.targets),
        fp32=plan.precision == "fp32",
        checkpointing=config.activation_checkpointing,
        weights=plan.weights,
        attention=attention_of(shape, device_type, merged=len(largest.ids) > 1),
        fused=fused_on(shape, device_type, plan.weights),
        rounded=rounded_on(shape, device_type, plan.weights, fp32=plan.precision == "fp32"),
    )
    return {
        "tokens": largest.unique,
        "labelled": len(largest.targets),
        "estimate": {**asdict(estimate), "total": estimate.total},
        "bound_bytes": plan.estimated_bytes,
    }
