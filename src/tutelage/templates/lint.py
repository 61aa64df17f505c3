"""The linter: faults of templates, by themselves and on rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tutelage.records import Row
from tutelage.templates.lint_finding import Finding
from tutelage.templates.lint_rows import Renderer, lint_rows
from tutelage.templates.lint_schema import lint_schema, usable
from tutelage.templates.render import render_any
from tutelage.templates.schema import Template


def lint(
    templates: Sequence[Template],
    rows: Sequence[Row] = (),
    labels: Sequence[str] = (),
    token_ids: Callable[[str], Sequence[int]] | None = None,
    context: int | None = None,
    renderer: Renderer = render_any,
    again: Renderer | None = None,
    clock: Callable[[], float] = time.process_time,
) -> list[Finding]:
    """All findings, errors first, in the order of the templates.

    Args:
        templates: what is checked, each by itself and against the others.
        rows: real rows of the task; without any, only the wording is checked.
        labels: the labels of a classification task, in order.
        token_ids: the ids of a text; where the stop token is scored with an option, as in
            Tutelage's own scoring, they should end in it.
        context: tokens that prompt and longest option may take together.
        renderer: how a row is rendered; another one is for templates of another engine.
        again: how it is rendered the second time, such as in another process; default: as the
            first time.
        clock: processor time in seconds, which tells slow templates.
    """
    fields = {name for row in rows for name in row.fields}
    found = list(lint_schema(templates, fields))
    if rows:
        found += lint_rows(
            usable(templates), rows, labels, token_ids, context, renderer, again, clock
        )
    place = {template.id: index for index, template in enumerate(templates)}
    return sorted(found, key=lambda f: (f.severity != "error", place.get(f.template, -1)))
