"""The library's wordings under the linter on real rows of the tasks that they are for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tutelage.config import load_config
from tutelage.errors import StorageError
from tutelage.records import Row
from tutelage.tasks.catalog import Catalog
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import TaskSpec
from tutelage.templates.library import family
from tutelage.templates.lint import lint
from tutelage.templates.lint_finding import Finding

SHARED = Path(os.environ.get("TUTELAGE_SHARED", Path(__file__).parents[3] / "shared")) / "data"
COUNT = 250


def checked(name: str, loaded: Rows, added: Sequence[Any] = ()) -> list[Finding]:
    """What the linter says of a family on rows spread over the data."""
    step = max(1, len(loaded.rows) / COUNT)
    rows: list[Row] = [loaded.rows[int(i * step)] for i in range(COUNT)]
    assert len({row.id for row in rows}) == COUNT
    ends = [*family(name), *added]
    return lint(ends, rows, loaded.labels, token_ids=lambda text: [*text.encode(), 0])


@pytest.mark.real_model
@pytest.mark.parametrize("task", ["reviews", "movies", "editorials", "tweets"])
def test_sentences_with_a_sentiment(task: str) -> None:
    config, _ = load_config(task, catalog=Catalog())
    try:
        loaded = load_rows(config.task)
    except StorageError as error:
        pytest.skip(f"the data are not there: {error}")
    for name in ("sentiment", "classification"):
        assert checked(name, loaded) == []


SHARED_TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "dialogue-summarisation": (
        "dialogsum/dev.jsonl",
        {"id": "fname", "fields": {"dialogue": "dialogue"}, "answer": ["summary"]},
    ),
    "math": ("gsm8k/test.jsonl", {"fields": {"question": "question"}, "answer": "answer"}),
    "open-qa": ("gsm8k/test.jsonl", {"fields": {"question": "question"}, "answer": "answer"}),
    "summarisation": (
        "dialogsum/dev.jsonl",
        {"id": "fname", "fields": {"text": "dialogue"}, "answer": ["summary"]},
    ),
}


@pytest.mark.parametrize("name", SHARED_TASKS)
def test_tasks_with_text_answers(name: str) -> None:
    loaded = shared_rows(name)
    assert checked(name, loaded) == []


def test_a_copy_of_a_wording_is_found_on_long_rows() -> None:
    """So that an empty list above means something."""
    loaded = shared_rows("dialogue-summarisation")
    first = family("dialogue-summarisation")[0]
    copy = {"id": "dialogue-summarisation/copy", "name": "copy", "prompt": f"{first.prompt}."}
    found = checked("dialogue-summarisation", loaded, [first.model_copy(update=copy)])
    assert {(f.rule, f.template) for f in found} == {
        ("similar", "dialogue-summarisation/copy"),
        ("near-render", "dialogue-summarisation/copy"),
    }


def shared_rows(name: str) -> Rows:
    file, keys = SHARED_TASKS[name]
    if not (SHARED / file).exists():
        pytest.skip(f"{file} is not there")
    source = {"path": str(SHARED / file)}
    return load_rows(TaskSpec.model_validate({"name": "rows", "source": source, **keys}))
