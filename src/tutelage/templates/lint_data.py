"""The rules about the rows alone: right answers that exist, stand anywhere and are no field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tutelage.records import Row
from tutelage.tasks.schema import normal_label
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.parts import PROMPT_PARTS, variables
from tutelage.templates.render import row_kind
from tutelage.templates.sandbox import as_text
from tutelage.templates.schema import Template

_ENOUGH = 8  # rows from which a pattern in all of them is no accident


def lint_data(
    templates: Sequence[Template], rows: Sequence[Row], labels: Sequence[str]
) -> Iterator[Finding]:
    """Findings on the rows: labels that do not exist, fields that hold the answer."""
    yield from _gold(rows, labels)
    yield from _order(rows)
    telling = _telling_fields(rows)
    for template in templates:
        if template.direction == "inverted":
            continue
        used = frozenset().union(*(variables(template, part) for part in PROMPT_PARTS))
        for name in sorted(telling):
            if name in used or ("text" in used and "text" not in rows[0].fields):
                said = f"the field `{name}` is the right answer in all {len(rows):,} rows."
                yield finding("leak", template.id, said, rows[0].where)


def _gold(rows: Sequence[Row], labels: Sequence[str]) -> Iterator[Finding]:
    wrong = []
    for row in rows:
        kind = row_kind(row)
        known = {"choice": row.choices, "text": row.answers}.get(kind, tuple(labels))
        if known and row.label not in known:
            wrong.append(row)
    if wrong:
        said = f"the label {wrong[0].label!r} is not among the choices; {len(wrong):,} such rows."
        yield finding("gold", "", said, wrong[0].where)


def _order(rows: Sequence[Row]) -> Iterator[Finding]:
    """Options per row whose right one always stands at the same place."""
    places: dict[int, set[int]] = defaultdict(set)
    counts: dict[int, int] = defaultdict(int)
    for row in rows:
        if row.label in row.choices:
            places[len(row.choices)].add(row.choices.index(row.label))
            counts[len(row.choices)] += 1
    for size, found in places.items():
        if size > 1 and len(found) == 1 and counts[size] >= _ENOUGH:
            said = (
                f"the right choice is number {found.pop() + 1} of {size} in all {counts[size]:,} "
                "rows with as many; shuffle the choices."
            )
            yield finding("label-order", "", said, rows[0].where)


def _telling_fields(rows: Sequence[Row]) -> list[str]:
    """Fields that are the label, word for word, in every row."""
    if len(rows) < _ENOUGH or len({row.label for row in rows}) < 2:
        return []
    return [
        name
        for name in rows[0].fields
        if all(normal_label(as_text(r.fields.get(name))) == normal_label(r.label) for r in rows)
    ]
