"""What the page shows beyond report.json, read from the files of the stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tutelage import config as configuration
from tutelage.evaluate.classic import joined_text
from tutelage.evaluate.comparison import best_baseline
from tutelage.evaluate.metrics import answers, confusion
from tutelage.files import read_json, read_jsonl
from tutelage.pipeline.contrast import answer_contrast
from tutelage.pipeline.remarks import first_remarks
from tutelage.pipeline.samples import sample
from tutelage.pipeline.stage import Context, by_id, read_predictions
from tutelage.pipeline.testing import TUNED
from tutelage.records import Example, Prediction
from tutelage.report.content import (
    Answers,
    Change,
    Changes,
    Confusion,
    Curves,
    Fact,
    Message,
    PageContent,
    Provenance,
    Sample,
    SplitFacts,
    StepRecord,
    Usage,
    ValidationRecord,
)
from tutelage.tasks.source_title import source_title, without_password

_LEDGER_NOTES = {
    "skipped": "no label or no text",
    "conflict": "same input with different labels; kept",
    "truncated": "text cut to fit; the completion never",
    "dropped": "does not fit even when cut",
    "duplicate": "kept in one split with its double",
    "leak": "repeated a row of a later split; removed",
    "benchmark": "quoted a benchmark; removed from training",
}

_QUALITY_NOTES = {
    "label": ("Label in doubt", "a model of the other rows is surer of another label"),
    "empty": ("Hardly any text", "few letters or digits"),
    "language": ("Another script", "than most rows"),
    "duplicate": ("Repeated", "one input several times under one label"),
    "length": ("Length tells the label", "a label that length alone gives away"),
}


def page_content(context: Context, data: dict[str, Any], command: str) -> PageContent:
    """Everything the page and the card show."""
    run = context.run
    test = context.examples("test")
    tuned = read_predictions(run.folder("evaluate") / "tuned.jsonl")
    before_name = _before(data)
    before = read_predictions(run.folder("baseline") / before_name / "test.jsonl")
    title = data["arms"][before_name]["title"]
    summary = read_json(run.folder("prepare") / "summary.json")
    texts = context.kind() == "text"
    task = run.config.task
    return PageContent(
        report=data,
        curves=_curves(context),
        confusion=_confusion(context, before, tuned, title) if context.labels() else None,
        changes=None if texts else _changes(test, before, tuned, title, run.config.report.examples),
        answers=_answers(context, data, test, tuned) if texts else None,
        samples=_samples(context),
        splits=tuple(SplitFacts(name=n, **facts) for n, facts in summary["splits"].items()),
        ledger=tuple(Fact(k, v, _LEDGER_NOTES[k]) for k, v in summary["ledger"].items()),
        quality=tuple(
            Fact(title, summary["quality"]["counts"].get(kind, 0), note)
            for kind, (title, note) in _QUALITY_NOTES.items()
        ),
        leaks=_leaks(context),
        remarks=first_remarks(context),
        data_source=source_title(task.source),
        provenance=_provenance(context),
        usage=_usage(context, test),
        config_yaml=configuration.dump_config(_shown_config(run.config)),
        command=command,
    )


def _before(data: dict[str, Any]) -> str:
    """The arm that stands for "before": the untuned model, else the best baseline."""
    if "zero_shot" in data["arms"]:
        return "zero_shot"
    best: str | None = data["verdict"].get("best_baseline")
    return best or next(name for name in data["arms"] if name != TUNED)


def _shown_config(config: configuration.RunConfig) -> configuration.RunConfig:
    """The configuration as anyone may see it."""
    source = without_password(config.task.source)
    return config.model_copy(update={"task": config.task.model_copy(update={"source": source})})


def _curves(context: Context) -> Curves:
    records = list(read_jsonl(context.run.folder("train") / "log.jsonl"))
    primary = context.metrics()[0]
    summary = read_json(context.run.folder("train") / "summary.json")
    return Curves(
        steps=tuple(
            StepRecord(r["step"], r["loss"], r["rate"]) for r in records if r["kind"] == "step"
        ),
        validations=tuple(
            ValidationRecord(r["step"], r["loss"], r["metrics"][primary])
            for r in records
            if r["kind"] == "validation"
        ),
        metric=primary,
        best_step=summary["best_step"],
    )


def _confusion(
    context: Context, before: Sequence[Prediction], tuned: Sequence[Prediction], title: str
) -> Confusion:
    labels = context.labels()

    def counts(predictions: Sequence[Prediction]) -> tuple[tuple[int, ...], ...]:
        matrix = confusion(answers(predictions, labels))[:, : len(labels)]
        return tuple(tuple(round(float(x)) for x in row) for row in matrix)

    return Confusion(labels, counts(before), counts(tuned), before_title=title)


def _changes(
    test: Sequence[Example],
    before: Sequence[Prediction],
    tuned: Sequence[Prediction],
    title: str,
    shown: int,
) -> Changes:
    """Rows that tuning fixed and broke, the tuned model's surest answers first."""
    old, new = by_id(before), by_id(tuned)

    def margin(example: Example) -> float:
        scores = sorted(new[example.id].scores or (0.0, 0.0), reverse=True)
        return scores[0] - scores[1]

    def change(e: Example) -> Change:
        return Change(
            id=e.id,
            text=joined_text(e),
            gold=e.label,
            before=old[e.id].predicted,
            after=new[e.id].predicted,
            prompt=e.prompt,
            template=e.template,
        )

    ordered = sorted(test, key=lambda e: (-margin(e), e.id))
    was = {e.id: old[e.id].predicted == old[e.id].gold for e in ordered}
    now = {e.id: new[e.id].predicted == new[e.id].gold for e in ordered}
    fixed = [e for e in ordered if now[e.id] and not was[e.id]]
    broken = [e for e in ordered if was[e.id] and not now[e.id]]
    return Changes(
        title,
        tuple(change(e) for e in fixed[:shown]),
        tuple(change(e) for e in broken[:shown]),
        len(fixed),
        len(broken),
    )


def _answers(
    context: Context, data: dict[str, Any], test: Sequence[Example], tuned: Sequence[Prediction]
) -> Answers:
    """Text answers beside those of the verdict's baseline, the best one by validation."""
    primary = context.metrics()[0]
    best = data["verdict"].get("best_baseline") or best_baseline(
        {
            name: arm["validation"][primary]
            for name, arm in data["arms"].items()
            if name != TUNED and not arm["reference"]
        }
    )
    return answer_contrast(
        test,
        tuned,
        read_predictions(context.run.folder("baseline") / best / "test.jsonl"),
        primary,
        title=data["arms"][best]["title"],
        shown=context.run.config.report.examples,
    )


def _samples(context: Context) -> tuple[Sample, ...]:
    """One training example per template, as the model saw it."""
    first: dict[str, Example] = {}
    for example in context.examples("train"):
        first.setdefault(example.template, example)
    return tuple(sample(context.encoder, e) for _, e in sorted(first.items())[:3])


def _leaks(context: Context) -> tuple[Fact, ...]:
    leaks = read_json(context.run.folder("prepare") / "leaks.json")
    return (
        Fact("Exact duplicate pairs", leaks["exact_pairs"], "kept in one split"),
        Fact("Near-duplicate pairs", leaks["near_pairs"], leaks["method"]),
        Fact("Split groups", leaks["groups"], "rows that stay together"),
        Fact("Pairs across splits", leaks["pairs_across_splits"], "searched again after the split"),
    )


def _provenance(context: Context) -> Provenance:
    source = context.source
    return Provenance(
        name=source.title,
        base_model=source.name if source.on_hub else None,
        licence=source.licence,
        source=source.name,
        quantisation=source.quantisation,
    )


def _usage(context: Context, test: Sequence[Example]) -> Usage:
    """The shortest prompt of the test with all turns before it, as the model was sent it."""

    def length(example: Example) -> int:
        return len(example.prompt) + sum(len(turn.content) for turn in example.turns)

    encoder = context.encoder
    example = min(test, key=lambda e: (length(e), e.id))
    messages = encoder.messages(example.prompt, (), example.turns)
    return Usage(
        messages=tuple(Message(role, content) for role, content in messages),
        template=example.template,
        chat=encoder.form == "chat",
        max_new_tokens=context.run.config.task.answers.max_tokens
        if example.answers
        else max(len(option) for option in encoder.options(example)),
    )
