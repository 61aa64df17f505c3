"""Train: the plan, the preflight, the loop, and the best model handed over."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import torch

from tutelage.errors import OutOfMemoryError
from tutelage.evaluate.predict import questions_for
from tutelage.files import read_json, whole_directory, write_json, write_jsonl, write_manifest
from tutelage.kernels.library import Library, kernels
from tutelage.machine.allocator import give_back
from tutelage.machine.memory import ModelShape, available_bytes, own_bytes, weight_bytes
from tutelage.models.compiled_layers import compiled_layers
from tutelage.models.export import export_model
from tutelage.models.load import load_model
from tutelage.models.lora import add_lora, merge_lora
from tutelage.models.loss_rows import trained_merged
from tutelage.pipeline.stage import Context, decide_precision, measured, record
from tutelage.pipeline.wordings import Wordings
from tutelage.records import Encoded
from tutelage.train.checkpoint import State, load_best
from tutelage.train.compilation import Compilation, decide_compilation, still_compiles
from tutelage.train.loop import fit
from tutelage.train.plan import Plan, make_plan
from tutelage.train.preflight import Preflight, check_room, preflight
from tutelage.train.selftest import self_test
from tutelage.train.validation import TextValidator, Validation, Validator


def train(context: Context) -> None:
    """Tune the model, keep the best by the task metric on validation, write `model/`."""
    run = context.run
    folder = run.folder("train")
    folder.mkdir(parents=True, exist_ok=True)
    with measured(context.device) as spent:
        wordings = Wordings(context, folder / "tokens")
        encoded = wordings[0]
        give_back()
        held = own_bytes()
        model = adapted(context, _load(context))
        plan = _plan(context, model, encoded)
        check_room(model, plan, folder)
        _self_test(context, model, encoded, plan, _compiled_kernels(context))
        found = _preflight(context, model, encoded, plan)
        how = _compilation(context, model, encoded, plan, found)
        give_back()
        with compiled_layers(model) if how.used else nullcontext():
            state = _fit(context, model, wordings, plan, held)
        context.progress.say(
            f"{state.examples} examples in {state.seconds:.0f} s; shared beginnings, computed "
            f"once, saved {100 * _shared(state):.0f} % of their tokens."
        )
        _hand_over(context, model, state)
    write_json(folder / "summary.json", _summary(context, model, plan, state, encoded))
    record(run, "train", spent)
    shutil.rmtree(folder / "tokens", ignore_errors=True)  # made of data/ again in no time
    write_manifest(folder, stage="train", key=run.key("train"), skip=("checkpoints",))


def _fit(context: Context, model: Any, wordings: Wordings, plan: Plan, held: int) -> State:
    try:
        return fit(
            model,
            wordings,
            plan,
            _validator(context, plan),
            context.metrics()[0],
            context.run.folder("train"),
            context.run.key("train"),
            context.progress,
            held,
        )
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"Out of memory in training ({error}). The last checkpoint is whole; run again "
            f"with --set training.micro_batch_tokens={plan.micro_batch_tokens // 2} --new."
        ) from error


def _load(context: Context) -> Any:
    source, weights = context.source, context.run.config.training.weights
    return load_model(source.folder, context.device, weights)


def _validator(context: Context, plan: Plan) -> Callable[[Any], Validation]:
    """By options, or by generated answers in bounded time."""
    examples, metrics = context.examples("validation"), context.metrics()
    if context.kind() != "text":
        questions = questions_for(context.encoder, examples)
        return Validator(examples, questions, metrics, plan.precision, context.progress)
    config = context.run.config
    return TextValidator(
        examples,
        context.encoder,
        config.task.answers,
        metrics,
        plan.precision,
        context.progress,
        note=context.run.folder("train") / "validated.json",
        seconds=config.training.validation_seconds,
        seed=config.training.seed,
    )


def adapted(context: Context, model: Any) -> Any:
    """The model with all weights trainable, or frozen under adapters."""
    config = context.run.config.training
    model.config.use_cache = False
    if config.method == "lora":
        lora = config.lora
        model = add_lora(
            model,
            rank=lora.rank,
            alpha=lora.alpha,
            dropout=lora.dropout,
            targets=lora.targets,
            seed=config.seed,
        )
    if config.activation_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def _plan(context: Context, model: Any, encoded: Sequence[Encoded]) -> Plan:
    """The plan of an earlier start where there is one, else a new one, written down."""
    path = context.run.folder("train") / "plan.json"
    key = context.run.key("train")
    threads = torch.get_num_threads()
    if path.exists() and (held := read_json(path))["key"] == key:
        plan = Plan.from_json(held["plan"])
        if plan.threads != threads:
            context.progress.say(
                f"This run started on {plan.threads} threads and goes on with {threads}: "
                "the result will be equal in quality, not byte for byte."
            )
        return plan
    shape, training = ModelShape.of(model), context.run.config.training
    plan = make_plan(
        training,
        encoded,
        shape,
        precision=decide_precision(context, model),
        device_type=context.device.type,
        available=available_bytes(context.device) + weight_bytes(shape, training.weights),
        threads=threads,
        longest_merged=trained_merged(model),
        tasks=len(context.families()),
    )
    write_json(path, {"key": key, "plan": plan.to_json()})
    return plan


def _compiled_kernels(context: Context) -> dict[str, bool]:
    """Which there are; says what a compiler would change, and if a run goes on with others."""
    path, key = context.run.folder("train") / "kernels.json", context.run.key("train")
    on_cpu = context.device.type == "cpu"
    found = kernels() if on_cpu else Library(None, why="they are for CPUs")
    here = {"available": found.functions is not None, "tiles": found.tiles}
    if found.repairable:
        context.progress.say(
            f"Attention, layers and updates run on torch's kernels: {found.why}. "
            "With g++ or clang++ (or CXX) training would be faster."
        )
    if path.exists() and (held := read_json(path))["key"] == key:
        before = {name: bool(held.get(name)) for name in here}
        if before != here:
            context.progress.say(
                f"This run started with {_named(**before)} and goes on with {_named(**here)}: "
                "the result will be equal in quality, not byte for byte."
            )
    else:
        write_json(path, {"key": key, **here, "why": found.why})
    return here


def _named(*, available: bool, tiles: bool) -> str:
    if not available:
        return "torch's kernels"
    return "compiled kernels for AMX" if tiles else "compiled kernels for AVX-512"


def _self_test(
    context: Context,
    model: Any,
    encoded: Sequence[Encoded],
    plan: Plan,
    kernels_here: dict[str, bool],
) -> None:
    """Once per plan and its kernels; a run that goes on has passed it."""
    path = context.run.folder("train") / "selftest.json"
    key = context.run.key("train")
    about = {"key": key, "kernels": kernels_here}
    if path.exists() and about.items() <= read_json(path).items():
        return
    found = self_test(model, encoded, plan)
    context.progress.say(
        f"Self-test of the loss on {found.rows} rows: merged and separate rows agree to "
        f"{found.worst:.0e}."
    )
    write_json(path, {**about, **asdict(found)})


def _preflight(context: Context, model: Any, encoded: Sequence[Encoded], plan: Plan) -> Preflight:
    path = context.run.folder("train") / "preflight.json"
    found = preflight(model, encoded, plan)
    context.progress.say(
        f"{plan.steps} steps of {plan.batch_size} examples, learning rate {plan.learning_rate:g}, "
        f"{plan.precision}; the longest micro-batch ({found.tokens} tokens) took "
        f"{found.seconds:.1f} s and {found.peak_bytes / 1e9:.1f} GB "
        f"(estimate {found.estimated_bytes / 1e9:.1f} GB)."
    )
    write_json(path, asdict(found))
    return found


def _compilation(
    context: Context, model: Any, encoded: Sequence[Encoded], plan: Plan, found: Preflight
) -> Compilation:
    """Decided once per plan: a run that goes on computes as it began."""
    path, key = context.run.folder("train") / "compilation.json", context.run.key("train")
    if path.exists() and (held := read_json(path))["key"] == key:
        decided = Compilation(held["used"], held["why"])
        if not decided.used or still_compiles(model, encoded, plan):
            return decided
        decided = Compilation(used=False, why="they do not compile here, where the run goes on")
    else:
        asked = context.run.config.training.compile
        decided = decide_compilation(model, encoded, plan, found, asked)
    context.progress.say(f"Layers {'' if decided.used else 'not '}compiled: {decided.why}.")
    write_json(path, {"key": key, **asdict(decided)})
    return decided


def _hand_over(context: Context, model: Any, state: State) -> None:
    """Write the best model as a plain Hugging Face folder, adapters merged (and kept beside)."""
    folder = context.run.folder("train")
    assert state.best_step is not None, "the last step is always validated"
    best = load_best(folder / "checkpoints", model, state.best_step)
    write_jsonl(folder / "validation.jsonl", (p.to_json() for p in best))
    with whole_directory(context.run.model) as temporary:
        if context.run.config.training.method == "lora":
            model.save_pretrained(temporary / "adapter")
            model = merge_lora(model.float())  # bf16 would round a small update away
        model.config.use_cache = True
        export_model(model, context.encoder.tokenizer, context.encoder.stop_id, temporary)
        write_manifest(temporary, stage="train", key=context.run.key("train"))


def _shared(state: State) -> float:
    """Share of all rows' tokens that were not computed, because a beginning was held once."""
    return 1 - state.unique / state.tokens if state.tokens else 0.0


def _summary(
    context: Context, model: Any, plan: Plan, state: State, encoded: Sequence[Encoded]
) -> dict[str, Any]:
    """The `training` part of report.json."""
    seconds = max(state.seconds, 1e-9)
    return {
        "method": context.run.config.training.method,
        "steps": state.step,
        "planned_steps": plan.steps,
        "epochs": plan.epochs,
        "best_step": state.best_step,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "warmup_steps": plan.warmup_steps,
        "schedule": plan.schedule,
        "examples_per_second": round(state.examples / seconds, 4),
        "tokens_per_second": round(state.tokens / seconds, 2),
        "unique_tokens_per_second": round(state.unique / seconds, 2),
        "tokens_shared": round(_shared(state), 4),
        "rows_of_a_template_together": plan.together,
        "labelled_tokens": sum(sum(e.trained) or len(e.completion_ids) for e in encoded),
        "tokens": sum(len(e) for e in encoded),
        "training_seconds": round(state.seconds, 2),
        "precision": plan.precision,
        "weights": plan.weights,
        "micro_batch_tokens": plan.micro_batch_tokens,
        "threads": plan.threads,
        "estimated_bytes": plan.estimated_bytes,
        "self_test": read_json(context.run.folder("train") / "selftest.json"),
        "preflight": read_json(context.run.folder("train") / "preflight.json"),
        "compilation": read_json(context.run.folder("train") / "compilation.json"),
        "kernels": read_json(context.run.folder("train") / "kernels.json"),
        "parameters": ModelShape.of(model).total,
        "parameters_trained": ModelShape.of(model).trained,
    }
