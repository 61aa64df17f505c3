"""The rules about renderings that are too much alike: of two rows, and of two templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import combinations

from tutelage.records import Row
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.render import Rendered
from tutelage.templates.schema import Template

MOST_ALIKE = 0.95
_ROWS = 10
_CHARACTERS = 60  # of a text of the data that count, so that long rows do not hide the wording
_LONGEST = 1_000  # characters of a prompt that are compared, which bounds the time


def lint_dropped(template: Template, pairs: Sequence[tuple[Row, Rendered]]) -> Iterator[Finding]:
    """Rows that differ in their fields and not in their prompt."""
    if template.direction == "inverted":
        return  # a prompt that shows the label alone is the same for all rows of that label
    first: dict[tuple[str | None, str], Row] = {}
    clashes = []
    for row, rendered in pairs:
        other = first.setdefault((rendered.system, rendered.prompt), row)
        if dict(other.fields) != dict(row.fields) or other.choices != row.choices:
            clashes.append((other, row))
    if clashes:
        one, other = clashes[0]
        differ = sorted(k for k in other.fields if one.fields.get(k) != other.fields[k])
        what = f"differ in {', '.join(differ) or 'choices'}"
        said = f"{one.where} and {other.where} {what} and give one prompt."
        yield finding("field-dropped", template.id, said, other.where)


def lint_alike(whole: Mapping[str, Sequence[Rendered]], rows: Sequence[Row]) -> Iterator[Finding]:
    """Templates whose outcome is the same on every row, or nearly so on ten of them."""
    seen: dict[tuple[tuple[str | None, str, tuple[str, ...]], ...], str] = {}
    for name, rendered in whole.items():
        key = tuple((r.system, r.prompt, r.options) for r in rendered)
        other = seen.setdefault(key, name)
        if other != name:
            said = f"gives the same prompts and answers as {other}."
            yield finding("same-render", name, said, rows[0].where)
    chosen = range(0, len(rows), max(1, len(rows) // _ROWS))[:_ROWS]
    texts = {name: [_short(whole[name][i], rows[i]) for i in chosen] for name in seen.values()}
    told: set[str] = set()
    for one, other in combinations(texts, 2):
        if other in told:
            continue
        least = _least_alike(texts[one], texts[other])
        if least > MOST_ALIKE:
            told.add(other)
            said = f"gives prompts that are {least:.0%} those of {one}."
            yield finding("near-render", other, said, rows[0].where)


def _short(rendered: Rendered, row: Row) -> str:
    """A prompt with long texts of the data cut: the longest first, as one may hold another."""
    text = f"{rendered.system or ''}\n{rendered.prompt}\n{rendered.options[0]}"
    values = {v for v in (*row.fields.values(), *row.choices) if isinstance(v, str)}
    for value in sorted(values, key=len, reverse=True):
        if len(value.strip()) > _CHARACTERS:
            text = text.replace(value.strip(), value.strip()[:_CHARACTERS])
    return text[:_LONGEST]


def _least_alike(one: Sequence[str], other: Sequence[str]) -> float:
    """The smallest ratio of matching characters over the rows, or one not above the threshold."""
    least = 1.0
    for a, b in zip(one, other, strict=True):
        match = SequenceMatcher(None, a, b, autojunk=False)
        for ratio in (match.real_quick_ratio, match.quick_ratio, match.ratio):
            found = ratio()  # each bounds the next from above, and takes longer
            if found <= MOST_ALIKE:
                return found
        least = min(least, found)
    return least
