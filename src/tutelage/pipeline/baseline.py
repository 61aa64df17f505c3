"""Baselines: every arm that needs no training, on the same rows and prompts as the tuned model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutelage.data.shots import choose_shots
from tutelage.errors import Preempted
from tutelage.evaluate.classic import majority, tfidf_logreg
from tutelage.evaluate.classic_choice import option_overlap
from tutelage.evaluate.classic_text import lead, lead_fits, most_frequent, nearest_neighbour
from tutelage.evaluate.references import human_rater, vader
from tutelage.files import read_json, write_json, write_jsonl, write_manifest
from tutelage.machine.precision import Precision
from tutelage.models.load import context_length, load_model
from tutelage.pipeline.answering import Answerer
from tutelage.pipeline.stage import UNSEEN_TASKS, Context, decide_precision, measured, record
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import RatingRule
from tutelage.tokens.encode import Shot

Predict = Callable[[Sequence[Example]], list[Prediction]]
ANSWERED = ("validation", "test", UNSEEN_TASKS)


@dataclass(frozen=True, slots=True)
class Arm:
    """One alternative: its name, how it is shown, and how it answers."""

    name: str
    title: str
    predict: Predict
    reference: bool = False
    shots: dict[str, Any] | None = None


def baseline(context: Context) -> None:
    """Write `baselines/<arm>/{validation,test}.jsonl`; arms already there are kept."""
    run = context.run
    folder = run.folder("baseline")
    with measured(context.device) as spent:
        train = context.examples("train")
        found = {name: context.examples(name) for name in ANSWERED}
        rows = {name: examples for name, examples in found.items() if examples}
        for arm in cheap_arms(context, train):
            _write_arm(context, folder, arm, rows)
        if run.config.baselines.shots:
            model = load_model(context.source.folder, context.device)
            precision = decide_precision(context, model)
            for arm in prompted_arms(context, model, precision, train, rows):
                _write_arm(context, folder, arm, rows)
    record(run, "baseline", spent)
    write_manifest(folder, stage="baseline", key=run.key("baseline"))


def cheap_arms(context: Context, train: Sequence[Example]) -> list[Arm]:
    """Arms without a language model, references last."""
    config = context.run.config
    kind, after = context.kind(), config.task.answers.after
    if kind == "text":
        return _text_arms(train, after, classic=config.baselines.classic)
    arms = [Arm("majority", "Most frequent label", lambda rows: majority(train, rows))]
    if config.baselines.classic and kind == "choice":
        title = "Option nearest to the input"
        arms.append(Arm("option_overlap", title, lambda rows: option_overlap(train, rows)))
    if config.baselines.classic and kind == "classification":
        seed = config.training.seed
        arms.append(
            Arm(
                "tfidf_logreg",
                "TF-IDF + logistic regression",
                lambda rows: tfidf_logreg(train, rows, seed),
            )
        )
    rule = config.task.rating_rule
    if rule is not None:
        arms += [_reference(name, rule) for name in config.task.references]
    return arms


def _text_arms(train: Sequence[Example], after: str | None, *, classic: bool) -> list[Arm]:
    """Answers found without a language model."""
    arms = [Arm("majority", "Most frequent answer", lambda rows: most_frequent(train, rows, after))]
    if classic:
        title = "Answer of the nearest training row"
        arms.append(
            Arm("nearest_neighbour", title, lambda rows: nearest_neighbour(train, rows, after))
        )
        if lead_fits(train):
            title = "First sentences of the input"
            arms.append(Arm("lead", title, lambda rows: lead(train, rows, after)))
    return arms


def _reference(name: str, rule: RatingRule) -> Arm:
    if name == "human_rater":
        return Arm(
            name,
            "One human rater against the others",
            lambda rows: human_rater(rows, rule),
            reference=True,
        )
    return Arm(name, "VADER lexicon", lambda rows: vader(rows, rule), reference=True)


def prompted_arms(
    context: Context,
    model: Any,
    precision: Precision,
    train: Sequence[Example],
    rows: Mapping[str, Sequence[Example]],
) -> list[Arm]:
    """Zero-shot and k-shot arms of the untuned model."""
    answers = context.run.config.task.answers
    answerer = Answerer(model, context.encoder, precision, answers, context.progress)
    arms = []
    for k in context.run.config.baselines.shots:
        shots = fitting_shots(
            context, train, [e for examples in rows.values() for e in examples], k
        )
        fitted = min((len(s) for s in shots.values()), default=0)
        if fitted < k:
            context.progress.say(
                f"Of {k} examples in the prompt, {fitted} fit the context or are there to be shown."
            )
        name = "zero_shot" if k == 0 else f"few_shot_{k}"
        title = "Zero-shot" if k == 0 else f"{k} example{'s' if k > 1 else ''} in the prompt"

        def predict(
            part: Sequence[Example], shots: Mapping[str, Sequence[Shot]] = shots, title: str = title
        ) -> list[Prediction]:
            return answerer(part, shots, title)

        counts = {name: len(found) for name, found in sorted(shots.items())}
        asked = {"asked": k, "fitted": counts} if k else None
        arms.append(Arm(name, title, predict, shots=asked))
    return arms


def fitting_shots(
    context: Context, train: Sequence[Example], queries: Sequence[Example], k: int
) -> dict[str, list[Shot]]:
    """Per template, as many of `k` examples as leave every query uncut in the model's context.

    They are training rows of the tasks that a template words: rows of another task of a mixture
    may have other fields.
    """
    if k == 0:
        return {}
    encoder, maker = context.encoder, context.maker()
    alone = [e for e in train if not any(turn.role != "system" for turn in e.turns)]
    labels, seed = context.labels(), context.run.config.training.seed
    templates = {t.id: t for family in context.families().values() for t in family}
    limit = context_length(context.source.folder)
    found: dict[str, list[Shot]] = {}
    for name in sorted({q.template for q in queries}):
        own = [q for q in queries if q.template == name]
        tasks = {q.task for q in own}
        chosen = choose_shots([e for e in alone if e.task in tasks], labels, k, seed)
        worded = [maker.again(e, templates[e.template], templates[name]) for e in chosen]
        shots = [(e.prompt, e.completion) for e in worded]
        longest = max(own, key=lambda q: len(encoder.prompt(q.prompt, (), q.turns)))
        answer = max(len(o) for o in encoder.options(longest))
        if longest.answers:
            answer = max(answer, context.run.config.task.answers.max_tokens)
        while shots and len(encoder.prompt(longest.prompt, shots, longest.turns)) + answer > limit:
            shots.pop()
        found[name] = shots
    return found


def _write_arm(
    context: Context, folder: Path, arm: Arm, rows: Mapping[str, Sequence[Example]]
) -> None:
    """Predict both splits and write them; the arm's facts are written last."""
    home = folder / arm.name
    key = context.run.key("baseline")
    if (home / "arm.json").exists() and read_json(home / "arm.json").get("key") == key:
        return
    if context.progress.stopping():
        raise Preempted("Stopped between two baselines; run the same command to go on.")
    started = time.perf_counter()
    for name, examples in rows.items():
        try:
            predictions = arm.predict(examples)
        except ModuleNotFoundError as error:
            context.progress.say(f"{arm.title}: left out ({error}).")
            return
        write_jsonl(home / f"{name}.jsonl", (p.to_json() for p in predictions))
    write_json(
        home / "arm.json",
        {
            "key": key,
            "title": arm.title,
            "reference": arm.reference,
            "shots": arm.shots,
            "seconds": round(time.perf_counter() - started, 3),
        },
    )
