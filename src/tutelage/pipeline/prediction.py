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

from tutelage.errors import ConfigError, InputError, nearest
from tutelage.evaluate.score import Question, score_options
from tutelage.files import read_json, write_text
from tutelage.machine.device import choose_device
from tutelage.machine.precision import Precision
from tutelage.models.load import load_model, load_tokenizer
from tutelage.pipeline.rundir import existing
from tutelage.progress import Progress
from tutelage.tasks.table import Table, read_table
from tutelage.templates.library import select
from tutelage.templates.render import render
from tutelage.templates.schema import Template
from tutelage.tokens.encode import Encoder
from tutelage.tokens.fitting import fit_fields


@dataclass(frozen=True, slots=True)
class Answer:
    """A label, its probability among the labels, and every label's log-likelihood."""

    label: str
    probability: float
    scores: tuple[float, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Predictor:
    """A finished run's model, ready to answer under the task's first template."""

    model: Any
    encoder: Encoder
    template: Template
    labels: tuple[str, ...]
    fields: dict[str, str]
    limit: int
    precision: Precision
    progress: Progress

    @classmethod
    def open(cls, path: Path, device: str, progress: Progress) -> Predictor:
        """Load the tuned model of a run.

        Raises:
            ConfigError: the run has no tuned model yet.
        """
        run = existing(path)
        if not (run.model / "config.json").is_file():
            raise ConfigError(f"{path}: has no tuned model yet; run `tutelage run {path}` first.")
        summary = read_json(run.folder("prepare") / "summary.json")
        labels = tuple(summary["labels"])
        precision: Precision = read_json(run.path / "measured.json")["precision"]
        return cls(
            model=load_model(run.model, choose_device(device)),
            encoder=Encoder(load_tokenizer(run.model)),
            template=select(run.config.task.templates, labels)[0],
            labels=labels,
            fields=summary["fields"],
            limit=summary["max_length"],
            precision=precision,
            progress=progress,
        )

    def predict(self, rows: Sequence[Mapping[str, str]]) -> list[Answer]:
        """Answer rows given by field name; text that is too long is cut as in training."""
        questions, cuts = [], []
        for number, fields in enumerate(rows, 1):
            question, cut = self._question(fields, f"row {number}")
            questions.append(question)
            cuts.append(cut)
        scores = score_options(
            self.model,
            questions,
            precision=self.precision,
            progress=self.progress,
            title="Predicting",
        )
        return [self._answer(row, cut) for row, cut in zip(scores, cuts, strict=True)]

    def _question(self, fields: Mapping[str, str], where: str) -> tuple[Question, bool]:
        def count(kept: Mapping[str, str]) -> int:
            filled = {k: v or "\u2026" for k, v in kept.items()}
            prompt, options = render(self.template, filled, self.labels, where)
            longest = max(len(self.encoder.completion(o)) for o in options)
            return len(self.encoder.prompt(prompt)) + longest

        fitted = fit_fields(fields, count, self.limit)
        if fitted is None:
            raise InputError(f"{where}: does not fit {self.limit} tokens even when cut.")
        kept, cut = fitted
        prompt, options = render(self.template, kept, self.labels, where)
        ids = tuple(self.encoder.completion(o) for o in options)
        return Question(where, self.template.id, self.encoder.prompt(prompt), ids), bool(cut)

    def _answer(self, scores: tuple[float, ...], cut: bool) -> Answer:
        best = max(range(len(scores)), key=scores.__getitem__)
        total = sum(math.exp(s - scores[best]) for s in scores)
        return Answer(self.labels[best], 1 / total, scores, cut)


def predict_file(predictor: Predictor, path: Path, out: Path | None) -> str:
    """The file's rows with `predicted` and `probability` added, in the file's own format.

    Raises:
        InputError: the file cannot be read, or lacks a column the task needs.
    """
    table = read_table(path)
    missing = [c for c in predictor.fields.values() if c not in table.columns]
    if missing:
        hints = "; ".join(f"{c!r}.{nearest(c, table.columns)}" for c in missing)
        raise InputError(
            f"{path}: has no column {hints} Its columns are {', '.join(table.columns)}."
        )
    rows = [
        {name: record.cells[column] for name, column in predictor.fields.items()}
        for record in table.records
    ]
    text = _formatted(table, predictor.predict(rows), path.suffix.lower())
    if out is not None:
        write_text(out, text)
    return text


def _formatted(table: Table, answers: Sequence[Answer], suffix: str) -> str:
    names = [_free(name, table.columns) for name in ("predicted", "probability")]
    added = [dict(zip(names, (a.label, f"{a.probability:.4f}"), strict=True)) for a in answers]
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
