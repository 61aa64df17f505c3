"""Tables as users have them, in a working directory of their own, for `tutelage init`."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tutelage.config import RunConfig, load_config
from tutelage.starter.start import Started, start_task
from tutelage.tasks.catalog import Catalog
from tutelage.tasks.rows import load_rows
from tutelage.templates.library import select
from tutelage.templates.render import held_out_templates, render_row, training_templates

Rows = Sequence[dict[str, Any]]
ROWS = 24
WORDS = [
    "river",
    "stone",
    "paper",
    "lamp",
    "green",
    "seven",
    "winter",
    "garden",
    "music",
    "window",
    "letter",
    "bread",
]


def words(row: int, count: int) -> str:
    """A sentence that differs from row to row."""
    return " ".join(WORDS[(row * 5 + place * (row + 3)) % len(WORDS)] for place in range(count)) + (
        f" {row}."
    )


def pick(row: int, *values: str) -> str:
    return values[row % len(values)]


def csv_file(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load(path: Path) -> RunConfig:
    return load_config(str(path), catalog=Catalog())[0]


def start(rows: Rows, name: str = "data.csv", *, usable: bool = True) -> tuple[Started, RunConfig]:
    """What `init` makes of a table; `usable`: its rows render under every wording it names."""
    write = csv_file if name.endswith(".csv") else jsonl
    started = start_task(write(Path(name), rows))
    config = load(started.task)
    if usable:
        loaded = load_rows(config.task, config.split)
        assert len(loaded.rows) == len(rows)
        templates = select(config.task.templates, loaded.labels)
        for template in (*training_templates(templates), *held_out_templates(templates)):
            for row in loaded.rows:
                render_row(template, row, loaded.labels)
    return started, config


def rows_of(**columns: Any) -> list[dict[str, Any]]:
    """A table; a column is a function of the row's number."""
    return [{name: make(row) for name, make in columns.items()} for row in range(ROWS)]


def text(row: int) -> str:
    return words(row, 12)


def brief(row: int) -> str:
    return words(row + 40, 4)


def talk(row: int) -> str:
    return "\n".join(f"{pick(turn, 'Ann', 'Bo')}: {words(row + turn, 6)}" for turn in range(5))


CLASSES = {
    "sentiment": rows_of(
        review_id=lambda i: f"r{i}",
        review=text,
        author=lambda i: f"user {i % 7}",
        sentiment=lambda i: pick(i, "negative", "neutral", "positive"),
    ),
    "topic": rows_of(body=text, topic=lambda i: pick(i, "sports", "world", "no")),
    "intent": rows_of(utterance=brief, intent=lambda i: pick(i, "card_lost", "pay in", "hello")),
    "classification": rows_of(text=text, spam=lambda i: pick(i, "yes", "no")),
    "nli": rows_of(
        premise=lambda i: text(i // 3),
        hypothesis=brief,
        label=lambda i: pick(i, "entailment", "neutral", "contradiction"),
    ),
    "paraphrase": rows_of(question1=text, question2=brief, duplicate=lambda i: pick(i, "0", "1")),
}
