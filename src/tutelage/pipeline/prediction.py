"""Predict: the tuned model on new rows."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutelage.data.ledger import Ledger
from tutelage.errors import ConfigError, InputError, nearest
from tutelage.files import read_json, write_text
from tutelage.machine.device import choose_device
from tutelage.machine.precision import Precision
from tutelage.models.load import load_model, load_tokenizer
from tutelage.pipeline.answering import Answerer
from tutelage.pipeline.examples import ExampleMaker
from tutelage.pipeline.families import read_facts, task_families
from tutelage.pipeline.rundir import existing
from tutelage.progress import Progress
from tutelage.records import Example, Prediction, Row
from tutelage.tasks.mixture import TaskFacts
from tutelage.tasks.options import Options
from tutelage.tasks.schema import Kind, TaskSpec
from tutelage.tasks.table import Table, read_table
from tutelage.templates.render import training_templates
from tutelage.templates.renderer import SafeRenderer
from tutelage.templates.schema import Template
from tutelage.tokens.encode import Encoder


@dataclass(frozen=True, slots=True)
class Answer:
    """A label or a text; of labels their probabilities among them and their log-likelihoods.

    `cut` says that the input was too long and was shortened.
    """

    label: str
    probability: float | None
    scores: tuple[float, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Predictor:
    """A finished run's model, ready to answer under the task's first wording of training.

    `fields` maps template variables to columns; `choices` are the columns with a row's options.
    `options` are those of every row: the labels of a task in a mixture, where they are no classes.
    """

    answerer: Answerer
    maker: ExampleMaker
    template: Template
    kind: Kind
    fields: dict[str, str]
    choices: tuple[str, ...]
    options: tuple[str, ...] = ()

    @classmethod
    def open(
        cls, path: Path, device: str, progress: Progress, task: str | None = None
    ) -> Predictor:
        """Load the tuned model of a run; of a mixture for one of its tasks, by default the first.

        Raises:
            ConfigError: the run has no tuned model yet, or no such task.
        """
        run = existing(path)
        if not (run.model / "config.json").is_file():
            raise ConfigError(f"{path}: has no tuned model yet; run `tutelage run {path}` first.")
        summary = read_json(run.folder("prepare") / "summary.json")
        precision: Precision = read_json(run.path / "measured.json")["precision"]
        encoder = Encoder(load_tokenizer(run.model))
        model = load_model(run.model, choose_device(device))
        facts = read_facts(summary)
        name = _task_name(facts, task, path)
        known, own = facts[name], _own_spec(run.config.task, name)
        named = [own.choices] if isinstance(own.choices, str) else own.choices or []
        fixed = known.kind == "classification" and summary["kind"] != "classification"
        return cls(
            answerer=Answerer(model, encoder, precision, run.config.task.answers, progress),
            maker=ExampleMaker(
                encoder,
                tuple(summary["labels"]),
                int(summary["max_length"]),
                tuple(run.config.task.truncate),
                SafeRenderer(),
            ),
            template=training_templates(task_families(run.config, facts)[name])[0],
            kind=summary["kind"],
            fields=dict(known.columns or summary["fields"]),
            choices=tuple(named),
            options=known.labels if fixed else (),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels; none where rows bring options or texts are asked for."""
        return self.maker.labels

    def predict(
        self, rows: Sequence[Mapping[str, Any]], choices: Sequence[Sequence[str]] = ()
    ) -> list[Answer]:
        """Answer rows given by field name; text that is too long is cut as in training.

        `choices` are the options of each row, where rows have their own.
        """
        ledger = Ledger()
        own_choices = choices or [()] * len(rows)
        examples = [
            self._example(fields, f"row {number}", tuple(own), ledger)
            for number, (fields, own) in enumerate(zip(rows, own_choices, strict=True), 1)
        ]
        cut = {entry.id for entry in ledger.entries if entry.reason == "truncated"}
        found = self.answerer(examples, title="Predicting")
        return [_answer(prediction, prediction.id in cut) for prediction in found]

    def prompt(self, text: str) -> Example:
        """The example that a text typed by a person makes."""
        return self._example(dict.fromkeys(self.fields, text), "what you typed", (), Ledger())

    def _example(
        self, fields: Mapping[str, Any], where: str, choices: tuple[str, ...], ledger: Ledger
    ) -> Example:
        choices = choices or self.options
        if self.kind == "choice" and len(choices) < 2:
            raise InputError(
                f"{where}: has no options to choose from. Give a file with the column "
                f"{' or '.join(self.choices) or 'of choices'}."
            )
        blank = "\u2026"  # stands for the answer that is asked for
        label = (choices or self.labels or (blank,))[0]
        row = Row(
            id=where,
            fields=fields,
            label=label,
            where=where,
            answers=(label,) if self.kind == "text" else (),
            choices=choices,
        )
        example = self.maker.make(row, where, self.template, (), ledger)
        if example is None:
            raise InputError(f"{where}: does not fit {self.maker.limit} tokens even when cut.")
        return example


def _task_name(facts: Mapping[str, TaskFacts], asked: str | None, path: Path) -> str:
    """The task that is asked for, or the first."""
    if asked is None:
        return next(iter(facts))
    if asked not in facts:
        tasks = ", ".join(name for name in facts if name) or "no task of a mixture"
        raise ConfigError(f"--task {asked}: {path} has {tasks}.{nearest(asked, facts)}")
    return asked


def _own_spec(task: TaskSpec, name: str) -> TaskSpec:
    """What the configuration says of one task."""
    mixture = task.source.mixture
    parts = mixture.tasks if mixture is not None else []
    return next((part.task for part in parts if part.task.name == name), task)


def _answer(prediction: Prediction, cut: bool) -> Answer:
    scores = prediction.scores
    if scores is None:
        return Answer(prediction.text or prediction.predicted, None, (), cut)
    total = sum(math.exp(s - max(scores)) for s in scores)
    return Answer(prediction.predicted, 1 / total, scores, cut)


def predict_file(predictor: Predictor, path: Path, out: Path | None) -> str:
    """The file's rows with `predicted` and `probability` added, in the file's own format.

    Raises:
        InputError: the file cannot be read, or lacks a column the task needs.
    """
    table = read_table(path)
    needed = (*predictor.fields.values(), *predictor.choices)
    missing = [column for column in needed if column not in table.columns]
    if missing:
        hints = "; ".join(f"{c!r}.{nearest(c, table.columns)}" for c in missing)
        raise InputError(
            f"{path}: has no column {hints} Its columns are {', '.join(table.columns)}."
        )
    rows = [
        {name: record.cells[column] for name, column in predictor.fields.items()}
        for record in table.records
    ]
    choices = [
        Options(predictor.choices).texts(r.cells) for r in table.records if predictor.choices
    ]
    text = _formatted(table, predictor.predict(rows, choices), path.suffix.lower())
    if out is not None:
        write_text(out, text)
    return text


def _formatted(table: Table, answers: Sequence[Answer], suffix: str) -> str:
    scored = any(answer.probability is not None for answer in answers)
    wanted = ("predicted", "probability") if scored else ("predicted",)
    names = [_free(name, table.columns) for name in wanted]
    added = [
        dict(zip(names, (a.label, f"{a.probability or 0:.4f}"), strict=False)) for a in answers
    ]
    rows = [{**r.cells, **a} for r, a in zip(table.records, added, strict=True)]
    if suffix == ".json":
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    if suffix in (".jsonl", ".ndjson"):
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    stream = io.StringIO()
    delimiter = "\t" if suffix in (".tsv", ".tab") else ","
    writer = csv.DictWriter(
        stream, [*table.columns, *names], delimiter=delimiter, lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _free(name: str, taken: Sequence[str]) -> str:
    """The name, or the first of `name_1`, `name_2`, … that no column has."""
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
