"""Trying a foreign template on rows made up from its own text, for the child process."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

from tutelage.templates.importers.engine import SEPARATOR, NoResultError, render
from tutelage.templates.importers.gold import Shown, gold_of, joined_parts, names
from tutelage.templates.importers.sandbox import OutputLimitError, compiled, environment
from tutelage.templates.importers.shape import Shape
from tutelage.templates.importers.usage import Usage

VARIANTS = 60
_LENGTHS = (4, 6, 3, 5, 2, 9)  # of lists, by row
_COMPARED = 3  # rows whose gold answers are put into each other
_SURE = 8  # variants in which all variables count up together; later ones mix


def inspect(_common: Mapping[str, Any], template: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Compile a template, make rows for it and render them.

    A template often gives nothing for some rows on purpose, so one made-up row that gives both
    parts is enough.

    Returns:
        `fields` (the variables it takes), `gold`, `gold_kind` and `gold_offset` (see `gold_of`),
        `rows` (up to eight that render, each `fields` and `result`), `leaks` (whether another
        gold answer changes the prompt), and `why` (the first reason why a row did not render,
        empty where one did).

    Raises:
        jinja2.TemplateSyntaxError: a text is not valid Jinja.
    """
    usage, shown = _usage(template)
    gold, kind = gold_of(usage.variables, shown, usage.indexed)
    if gold and template.get("choices") is not None:
        _answer_is_a_choice(usage, gold)
    rows: list[dict[str, Any]] = []
    why = ""
    for fields in _rows(usage):
        result = _attempt(template, fields, limit)
        if isinstance(result, str):
            why = why or result
        else:
            rows.append({"fields": fields, "result": result})
        if len(rows) == _SURE:
            break
    return {
        "fields": sorted(usage.variables),
        "gold": gold,
        "gold_kind": kind,
        "gold_offset": usage.indexed.get(gold, 0) if gold else 0,
        "rows": rows,
        "leaks": gold is not None and _leaks(template, rows, gold, limit),
        "why": "" if rows else why,
    }


def again(_common: Mapping[str, Any], item: Mapping[str, Any], limit: int) -> Any:
    """A row that `inspect` made up, rendered as it did; where that fails, why."""
    return _attempt(item["template"], item["fields"], limit)


def _answer_is_a_choice(usage: Usage, gold: str) -> None:
    """Make the gold answer one of the choices, where nothing else is known of it."""
    shape = usage.variables[gold]
    answer = shape.item or shape
    free = not (answer.keys or answer.constants or answer.index or answer.number)
    free = free and answer.same_as is None and answer.member_of is None
    if free and (usage.choices.item or usage.choices.literal):
        answer.member_of = usage.choices


def _attempt(template: Mapping[str, Any], fields: dict[str, Any], limit: int) -> Any:
    """The rendering, or as a text why there is none."""
    item = {"id": "row", "fields": json.loads(json.dumps(fields))}
    try:
        return render({"template": template, "seed": 0}, item, limit)
    except (NoResultError, OutputLimitError, jinja2.TemplateError) as error:
        return str(error)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"


def _leaks(template: Mapping[str, Any], rows: list[dict[str, Any]], gold: str, limit: int) -> bool:
    """Whether the gold answer of one row, put into another, changes that one's prompt."""
    for row in rows[:_COMPARED]:
        for other in rows[:_COMPARED]:
            fields = {**row["fields"], gold: other["fields"][gold]}
            result = _attempt(template, fields, limit)
            if not isinstance(result, str) and result["prompt"] != row["result"]["prompt"]:
                return True
    return False


def _usage(template: Mapping[str, Any]) -> tuple[Usage, Shown]:
    """Shapes of the variables, and what is shown of them where."""
    dialect, choices = template["dialect"], template.get("choices")
    jinja = environment(dialect)
    usage = Usage(_choices_shape(choices))
    sources = [template["prompt"]]
    if dialect == "lm_eval":
        sources += [template["completion"], template.get("description") or ""]
        sources.append(template.get("gen_prefix") or "")
    if isinstance(choices, str):
        if dialect == "lm_eval" and choices.isidentifier():
            usage.choices = usage.shape(jinja2.nodes.Name(choices, "load")) or Shape()
            usage.choices.items()
        else:
            compiled(dialect, choices)
            usage.join_choices(jinja.parse(choices))
    for source in sources:
        if dialect == "lm_eval" and source.isidentifier():
            _whole_field(usage, source, choices, is_target=source == template["completion"])
        else:
            compiled(dialect, source)
            usage.walk(jinja.parse(source))
    if dialect == "promptsource":
        shown = joined_parts(jinja.parse(template["prompt"]))
        if choices is not None:
            shown.prompt |= names(jinja.parse(choices))
        return usage, shown
    before = (template["prompt"], template.get("description") or "")
    prompt = {name for source in before for name in _read(source)}
    return usage, Shown(prompt, _read(template["completion"]))


def _read(source: str) -> set[str]:
    if source.isidentifier():
        return {source}
    return names(environment("lm_eval").parse(source))


def _whole_field(usage: Usage, name: str, choices: Any, *, is_target: bool) -> None:
    """A part of a harness task that names a field; with choices, a target is an index."""
    shape = usage.shape(jinja2.nodes.Name(name, "load"))
    if is_target and choices is not None and shape is not None and not shape.constants:
        shape.index, shape.below = True, len(choices) if isinstance(choices, list) else None
        usage.indexed.setdefault(name, 0)


def _choices_shape(choices: Any) -> Shape | None:
    """Choices that are the same for every row; None of others."""
    if isinstance(choices, str) and "{" not in choices:
        choices = [choice.strip() for choice in choices.split(SEPARATOR)]
    return Shape(item=Shape(), literal=tuple(choices)) if isinstance(choices, list) else None


def _rows(usage: Usage) -> Iterator[dict[str, Any]]:
    """Made-up rows; in the first, all variables count up together, later they mix."""
    for variant in range(VARIANTS):
        length = _LENGTHS[variant % len(_LENGTHS)]
        row = {}
        for name, shape in usage.variables.items():
            mixed = zlib.crc32(f"{variant} {name}".encode()) % 1000
            row[name] = shape.value(variant if variant < _SURE else mixed, length)
        yield row
