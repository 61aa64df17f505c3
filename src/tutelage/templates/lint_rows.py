"""The rules that need rows: what templates make of real data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tutelage.errors import ConfigError, InputError
from tutelage.records import Row
from tutelage.templates.lint_alike import lint_alike, lint_dropped
from tutelage.templates.lint_data import lint_data
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.lint_language import lint_language
from tutelage.templates.lint_options import lint_lengths, lint_options, lint_styles
from tutelage.templates.lint_shown import lint_shown
from tutelage.templates.render import Rendered, render_any, row_kind
from tutelage.templates.renderer import PastLimitsError
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
    again: Renderer | None = None,
    clock: Callable[[], float] = time.process_time,
) -> Iterator[Finding]:
    """All findings on rows, and on the rows themselves."""
    yield from lint_data(templates, rows, labels)
    yield from lint_language(templates, rows)
    whole: dict[str, Sequence[Rendered]] = {}
    for template in templates:
        rendered: list[Rendered | None] = []
        yield from _render_all(
            template, rows, labels, (renderer, again or renderer), clock, rendered
        )
        pairs = [(row, r) for row, r in zip(rows, rendered, strict=True) if r is not None]
        if template.direction == "forward":
            yield from _leaks(template, pairs, labels, renderer)
            yield from lint_shown(template, pairs, labels)
        yield from lint_dropped(template, pairs)
        yield from lint_options(template, pairs, token_ids)
        yield from lint_lengths(template, pairs, token_ids, context)
        if len(pairs) == len(rows):
            whole[template.id] = [r for _, r in pairs]
    yield from lint_alike(whole, rows)
    yield from lint_styles([t for t in templates if t.id in whole], whole, rows)


def _render_all(
    template: Template,
    rows: Sequence[Row],
    labels: Sequence[str],
    renderers: tuple[Renderer, Renderer],
    clock: Callable[[], float],
    into: list[Rendered | None],
) -> Iterator[Finding]:
    """Render every row twice; what fails is None in `into` and counted by its rule."""
    failures: dict[str, list[tuple[Row, str]]] = {}
    for row in rows:
        began = clock()
        rendered, failed = _render(template, row, labels, renderers)
        seconds = clock() - began
        into.append(rendered)
        if seconds > 2 * _SLOW_SECONDS:  # once may be a collection of garbage; twice is the row
            began = clock()
            _render(template, row, labels, renderers)
            seconds = min(seconds, clock() - began)
        if seconds > 2 * _SLOW_SECONDS:
            failed = {**failed, "slow": f"takes over {_SLOW_SECONDS} seconds."}
        for rule, said in failed.items():
            failures.setdefault(rule, []).append((row, said))
    for rule, found in failures.items():
        row, said = found[0]
        yield finding(rule, template.id, f"{said}{_share(len(found), len(rows))}", row.where)


def _render(
    template: Template, row: Row, labels: Sequence[str], renderers: tuple[Renderer, Renderer]
) -> tuple[Rendered | None, dict[str, str]]:
    """The row by both renderers, None if the first fails; and what is wrong, by its rule."""
    renderer, again = renderers
    rendered = None
    try:
        rendered = renderer(template, row, labels)
        if again(template, row, labels) != rendered:
            return rendered, {"nondeterministic": "comes out in two ways."}
    except PastLimitsError as error:
        return rendered, {"limits": str(error)}
    except InputError as error:
        return rendered, {"row": str(error)}
    except ConfigError as error:
        return rendered, {"render": str(error)}
    return rendered, {}


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


def _share(count: int, of: int) -> str:
    return f" ({count:,} of {of:,} rows)" if of > 1 else ""
