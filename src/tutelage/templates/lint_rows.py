"""The rules that need rows: what templates make of real data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tutelage.errors import ConfigError, InputError
from tutelage.records import Row
from tutelage.templates.lint_data import lint_data
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.lint_options import lint_lengths, lint_options, lint_styles
from tutelage.templates.render import Rendered, render_any, row_kind
from tutelage.templates.schema import Template

Renderer = Callable[[Template, Row, Sequence[str]], Rendered]
_SLOW_SECONDS = 0.25
_OTHER_ANSWER = "\u2039another answer\u203a"


def lint_rows(
    templates: Sequence[Template],
    rows: Sequence[Row],
    labels: Sequence[str],
    token_ids: Callable[[str], Sequence[int]] | None = None,
    context: int | None = None,
    renderer: Renderer = render_any,
) -> Iterator[Finding]:
    """All findings on rows, and on the rows themselves."""
    yield from lint_data(templates, rows, labels)
    whole: dict[str, Sequence[Rendered]] = {}
    for template in templates:
        rendered: list[Rendered | None] = []
        yield from _render_all(template, rows, labels, renderer, rendered)
        pairs = [(row, r) for row, r in zip(rows, rendered, strict=True) if r is not None]
        if template.direction == "forward":
            yield from _leaks(template, pairs, labels, renderer)
            yield from _hidden_choices(template, pairs, labels)
        yield from _dropped(template, pairs)
        yield from lint_options(template, pairs, token_ids)
        yield from lint_lengths(template, pairs, token_ids, context)
        if len(pairs) == len(rows):
            whole[template.id] = [r for _, r in pairs]
    yield from _same_renders(whole, rows)
    yield from lint_styles([t for t in templates if t.id in whole], whole, rows)


def _render_all(
    template: Template,
    rows: Sequence[Row],
    labels: Sequence[str],
    renderer: Renderer,
    into: list[Rendered | None],
) -> Iterator[Finding]:
    """Render every row twice; what fails is None in `into` and counted by its rule."""
    failures: dict[str, list[tuple[Row, str]]] = {}
    for row in rows:
        into.append(None)
        began = time.process_time()
        try:
            into[-1] = renderer(template, row, labels)
            if renderer(template, row, labels) != into[-1]:
                failures.setdefault("nondeterministic", []).append((row, "comes out in two ways."))
        except InputError as error:
            failures.setdefault("row", []).append((row, str(error)))
        except ConfigError as error:
            failures.setdefault("render", []).append((row, str(error)))
        if time.process_time() - began > 2 * _SLOW_SECONDS:
            said = f"takes over {_SLOW_SECONDS} seconds."
            failures.setdefault("slow", []).append((row, said))
    for rule, found in failures.items():
        row, said = found[0]
        yield finding(rule, template.id, f"{said}{_share(len(found), len(rows))}", row.where)


def _leaks(
    template: Template,
    pairs: Sequence[tuple[Row, Rendered]],
    labels: Sequence[str],
    renderer: Renderer,
) -> Iterator[Finding]:
    """Two right answers must give one prompt."""
    leaking = []
    for row, rendered in pairs:
        other = _other_gold(row, labels)
        try:
            again = renderer(template, other, labels) if other else rendered
        except (ConfigError, InputError):
            continue  # the other label is at fault, not the prompt
        if (again.system, again.prompt) != (rendered.system, rendered.prompt):
            leaking.append(row)
    if leaking:
        said = f"another right answer gives another prompt.{_share(len(leaking), len(pairs))}"
        yield finding("leak", template.id, said, leaking[0].where)


def _other_gold(row: Row, labels: Sequence[str]) -> Row | None:
    """The same row with another right answer; None where there is no other."""
    if row_kind(row) == "text":
        return replace(row, label=_OTHER_ANSWER, answers=(_OTHER_ANSWER,))
    others = [label for label in row.choices or labels if label != row.label]
    return replace(row, label=others[0]) if others else None


def _hidden_choices(
    template: Template, pairs: Sequence[tuple[Row, Rendered]], labels: Sequence[str]
) -> Iterator[Finding]:
    hidden: list[tuple[Row, str]] = []
    for row, rendered in pairs:
        kind = row_kind(row)
        if kind == "text":
            continue
        shown: Sequence[str] = row.choices if kind == "choice" else labels
        if template.choices is not None:
            own = template.choices
            shown = list(own.values() if isinstance(own, Mapping) else own)
        prompt = f"{rendered.system or ''}\n{rendered.prompt}".casefold()
        missing = [choice for choice in shown if choice.strip().casefold() not in prompt]
        if missing:
            hidden.append((row, missing[0]))
    if hidden:
        row, choice = hidden[0]
        said = f"prompt does not show the choice {choice!r}.{_share(len(hidden), len(pairs))}"
        yield finding("hidden-choice", template.id, said, row.where)


def _dropped(template: Template, pairs: Sequence[tuple[Row, Rendered]]) -> Iterator[Finding]:
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


def _same_renders(
    whole: Mapping[str, Sequence[Rendered]], rows: Sequence[Row]
) -> Iterator[Finding]:
    """Templates with other words and the same outcome on every row."""
    seen: dict[tuple[tuple[str | None, str, tuple[str, ...]], ...], str] = {}
    for name, rendered in whole.items():
        key = tuple((r.system, r.prompt, r.options) for r in rendered)
        other = seen.setdefault(key, name)
        if other != name:
            said = f"gives the same prompts and answers as {other}."
            yield finding("same-render", name, said, rows[0].where)


def _share(count: int, of: int) -> str:
    return f" ({count:,} of {of:,} rows)" if of > 1 else ""
