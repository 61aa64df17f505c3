"""Templates of ours from files that are not, rendered in the child process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tutelage.errors import InputError, TutelageError
from tutelage.records import Row
from tutelage.templates.importers.engine import NoResultError
from tutelage.templates.render import render_any
from tutelage.templates.schema import Template


def render(common: Mapping[str, Any], item: Mapping[str, Any], _limit: int) -> dict[str, Any]:
    """Render a row (`row_data`) under a template of ours.

    Args:
        common: `template` as plain data (or None, where each item has its own), `labels`.
        item: a row as plain data; may hold `template` and `labels` of its own.

    Returns:
        `system`, `prompt`, `options`.

    Raises:
        NoResultError: it cannot be rendered; the message is that of `render_row`, the kind is
            `row` where this row is at fault.
    """
    template = Template.model_validate(item.get("template") or common["template"])
    labels = item.get("labels") or common["labels"]
    row = Row(
        id=item["id"],
        fields=item["fields"],
        label=item["label"],
        where=item["where"],
        answers=tuple(item["answers"]),
        choices=tuple(item["choices"]),
    )
    try:
        rendered = render_any(template, row, labels)
    except TutelageError as error:
        raise NoResultError(
            "row" if isinstance(error, InputError) else "error", str(error)
        ) from error
    return {
        "system": rendered.system,
        "prompt": rendered.prompt,
        "options": list(rendered.options),
    }


def row_data(row: Row) -> dict[str, Any]:
    """The part of a row that rendering needs, as plain data."""
    return {
        "id": row.id,
        "fields": dict(row.fields),
        "label": row.label,
        "where": row.where,
        "answers": list(row.answers),
        "choices": list(row.choices),
    }
