"""Rows of a task under a template that is not ours, rendered in the child process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from tutelage.records import Row
from tutelage.templates.child import Child, Failure
from tutelage.templates.importers.foreign import engine_of, is_foreign
from tutelage.templates.importers.house import row_data
from tutelage.templates.render import Rendered, row_kind
from tutelage.templates.schema import Template


def render_rows(
    child: Child, template: Template, rows: Sequence[Row], labels: Sequence[str], seed: int = 0
) -> list[Rendered | Failure]:
    """Render every row as `render_row` would, in the limited child process.

    A template in the language of another project is told the answer through the variable that
    `extra.gold` names: as the label's number in `labels` (`gold_kind: index`, plus `gold_offset`)
    or as its text. A classification row is rendered once per label, and its prompt must be the
    same each time. A row with choices must give as many choices as it has. Random filters draw
    from (seed, template id, row id).

    Returns:
        Per row, in order, the rendering, or why there is none.
    """
    if not is_foreign(template):
        common = {"template": template.model_dump(mode="json"), "labels": list(labels)}
        got = child.run("house", common, [row_data(row) for row in rows])
        return [
            r if isinstance(r, Failure) else Rendered(r["system"], r["prompt"], tuple(r["options"]))
            for r in got
        ]
    items: list[dict[str, Any]] = []
    counts: list[int] = []
    for row in rows:
        told = _told(template, row, labels)
        counts.append(len(told))
        items += [{"id": row.id, "fields": fields} for fields in told]
    got = child.run("render", {"template": engine_of(template), "seed": seed}, items)
    results = iter(got)
    return [_joined(r, list(islice(results, n))) for r, n in zip(rows, counts, strict=True)]


def _told(template: Template, row: Row, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The row's fields, once per answer that is rendered, each with its answer."""
    gold, kind = template.extra.get("gold"), template.extra.get("gold_kind", "text")
    offset = int(template.extra.get("gold_offset", 0))
    fields = dict(row.fields)
    if gold is None or (row.choices and gold in fields):
        return [fields]
    if row_kind(row) == "text" and not row.choices:
        return [{**fields, gold: row.label}]
    known = row.choices or tuple(labels)
    answers = (row.label,) if row.choices else known
    return [
        {**fields, gold: known.index(answer) + offset if kind == "index" else answer}
        for answer in answers
    ]


def _joined(row: Row, results: Sequence[Any]) -> Rendered | Failure:
    """One rendering from those of its answers."""
    for result in results:
        if isinstance(result, Failure):
            return Failure(result.kind, f"{row.where}: {result.message}")
    first = results[0]
    prompt = first["prompt"].strip()
    if any(result["prompt"].strip() != prompt for result in results):
        return Failure("leak", f"{row.where}: the prompt depends on the right answer.")
    if row_kind(row) == "choice":
        choices = [choice.strip() for choice in first["choices"] or ()]
        if len(choices) != len(row.choices):
            said = f"gives {len(choices)} choices where the row has {len(row.choices)}."
            return Failure("parts", f"{row.where}: {said}")
        return Rendered(None, prompt, tuple(choices))
    return Rendered(None, prompt, tuple(result["completion"].strip() for result in results))
