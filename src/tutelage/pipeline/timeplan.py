"""How long a run would take on this machine, part by part, from short measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tutelage.errors import TutelageError
from tutelage.evaluate.answer_cost import AnswerCost
from tutelage.evaluate.config import BaselinesConfig
from tutelage.evaluate.score import score_options
from tutelage.machine.precision import Precision
from tutelage.pipeline.baseline import ANSWERED, cheap_arms, prompted_arms
from tutelage.pipeline.dataplan import Data
from tutelage.pipeline.dry import DryContext
from tutelage.pipeline.rundir import StageName
from tutelage.pipeline.shotplan import ShotBook, all_queries, cost_of, questions, spread
from tutelage.records import Example
from tutelage.train.plan import Plan
from tutelage.train.rehearsal import Rehearsal

_ANSWERS = 24  # that scoring is timed on, or fewer where they are slow
_FIRST = 4  # answers that say how many more fit the time
_ARM_SECONDS = 5.0
_TEMPLATES = 2  # that they are worded by
_FITTED_ROWS = 2_000  # that arms without a language model are timed on
_CHECKPOINT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a run's time, and what the number stands on."""

    stage: StageName
    what: str
    seconds: float
    how: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "seconds": round(self.seconds, 2)}


@dataclass(frozen=True, slots=True)
class ArmTime:
    """An arm timed on a few rows: seconds per token that scoring computes, or per text answer."""

    k: int
    title: str
    seconds: float
    rows: int
    cost: AnswerCost
    text: bool

    def of(self, queries: Sequence[Example], cost: AnswerCost, factor: float) -> float:
        """Seconds for `factor` times as many answers as `queries`, of which `cost` is known."""
        answers = len(queries) * factor
        if self.text:
            return self.seconds * answers / self.rows
        return self.seconds * cost.computed(answers) / self.cost.computed(self.rows)


def time_arms(book: ShotBook, model: Any, precision: Precision) -> list[ArmTime]:
    """Time zero-shot and every k-shot arm on a few queries of the commonest wordings."""
    context = book.context
    ks = sorted({0, *context.run.config.baselines.shots})
    config = context.run.config.model_copy(update={"baselines": BaselinesConfig(shots=ks)})
    asking = replace(context, run=replace(context.run, config=config))
    asked = {name: found for name in ANSWERED if (found := context.examples(name))}
    train = context.examples("train")
    arms = prompted_arms(asking, model, precision, train, asked)
    sample = _sample(book.queries)
    text = context.kind() == "text"
    timed = []
    for k, arm in zip(ks, arms, strict=True):
        seconds, rows = _timed(arm.predict, sample)
        cost = cost_of(context, rows, book[k])
        timed.append(ArmTime(k, arm.title, seconds, len(rows), cost, text))
    return timed


def time_loss(context: DryContext, model: Any, precision: Precision) -> ArmTime:
    """Time the loss of gold answers, which a validation of text answers begins with."""
    sample = _sample(context.examples("validation"))

    def score(rows: Sequence[Example]) -> None:
        score_options(model, questions(context.encoder, rows, {}), precision=precision)

    seconds, rows = _timed(score, sample)
    cost = cost_of(context, rows, {})
    return ArmTime(0, "Loss of gold answers", seconds, len(rows), cost, text=False)


def arm_parts(book: ShotBook, data: Data, timed: Sequence[ArmTime]) -> list[Part]:
    """The time of every prompted arm that is asked for, on validation and test."""
    context, queries, factor = book.context, book.queries, data.source.factor
    parts = []
    for arm in timed:
        if arm.k in context.run.config.baselines.shots:
            answers = f"{round(len(queries) * factor):,} answers, timed on {arm.rows}"
            cost = cost_of(context, queries, book[arm.k])
            parts.append(Part("baseline", arm.title, arm.of(queries, cost, factor), answers))
    return parts


def cheap_parts(context: DryContext, data: Data) -> list[Part]:
    """The arms without a language model, timed on some of the training rows."""
    train = context.examples("train")
    some = spread(train, _FITTED_ROWS)
    queries = spread(all_queries(context), _FITTED_ROWS)
    scale = data.source.factor * len(train) / len(some)
    parts = []
    for arm in cheap_arms(context, some):
        try:
            # it answers two splits, each fitted anew
            seconds = 2 * scale * _seconds(arm.predict, queries)
        except (ModuleNotFoundError, TutelageError):
            continue  # the run leaves the arm out, and says so
        how = f"fitted on {len(some):,} of {data.count('train'):,} rows"
        parts.append(Part("baseline", arm.title, seconds, how))
    return parts


def training_parts(
    plan: Plan, rehearsed: Rehearsal, unique: float, written: int, rate: float
) -> list[Part]:
    """Steps and checkpoints.

    Args:
        plan: of the run.
        rehearsed: the measured steps.
        unique: computed tokens of a step, on average.
        written: bytes of a checkpoint.
        rate: bytes per second that the disk takes.
    """
    seconds = plan.steps * rehearsed.step_seconds(unique)
    how = (
        f"{plan.steps:,} steps of {rehearsed.step_seconds(unique):.2f} s, from {rehearsed.steps} "
        f"measured ones ({rehearsed.unique:,} tokens)"
    )
    clock = seconds / _CHECKPOINT_SECONDS if plan.checkpoint_every is None else 0
    every = plan.steps / plan.checkpoint_every if plan.checkpoint_every else 0
    count = round(len(plan.validate_at) + clock + every)
    writing = count * written / rate
    return [
        Part("train", "Steps", seconds, how),
        Part("train", "Checkpoints", writing, f"{count} at {rate / 1e6:.0f} MB/s, measured"),
    ]


def scoring_parts(
    context: DryContext,
    data: Data,
    plan: Plan,
    zero: ArmTime,
    loss: ArmTime | None,
    test: Mapping[str, Sequence[Example]],
) -> list[Part]:
    """Validation while training, and the sealed test: the zero-shot prompts of the tuned model.

    A validation of text answers scores the gold ones (`loss`), then generates in bounded time.
    """
    validation = context.examples("validation")
    factor = data.source.factor
    cost = cost_of(context, validation, {})
    once = zero.of(validation, cost, factor)
    if loss is not None:
        bound = context.run.config.training.validation_seconds
        once = min(bound, once) + loss.of(validation, cost, factor)
    times = len(plan.validate_at)
    parts = [Part("train", "Validation", times * once, f"{times} times {once:.1f} s")]
    for what, rows in test.items():
        seconds = zero.of(rows, cost_of(context, rows, {}), factor)
        how = f"{round(len(rows) * factor):,} answers, at the zero-shot arm's speed"
        parts.append(Part("evaluate", what, seconds, how))
    return parts


def _timed(
    answer: Callable[[Sequence[Example]], Any], sample: Sequence[Example]
) -> tuple[float, list[Example]]:
    """Seconds for as many rows of the sample as take about a bounded time, and those rows.

    Where a few rows alone take that long, as long answers do, they are not answered again: what
    is only done once is then little of it.
    """
    first = spread(sample, _FIRST)
    spent = _seconds(answer, first)
    if spent >= _ARM_SECONDS:
        return spent, first
    each = spent / len(first)
    rows = spread(sample, max(_FIRST, min(len(sample), int(_ARM_SECONDS / max(each, 1e-9)))))
    return _seconds(answer, rows), rows


def _seconds(answer: Callable[[Sequence[Example]], Any], rows: Sequence[Example]) -> float:
    started = time.perf_counter()
    answer(rows)
    return time.perf_counter() - started


def _sample(queries: Sequence[Example]) -> list[Example]:
    """Queries of all lengths, under the commonest wordings only: each has a shared beginning."""
    by_template: dict[str, list[Example]] = {}
    for query in queries:
        by_template.setdefault(query.template, []).append(query)
    commonest = sorted(by_template.values(), key=len, reverse=True)[:_TEMPLATES]
    return spread([query for part in commonest for query in part], _ANSWERS)
