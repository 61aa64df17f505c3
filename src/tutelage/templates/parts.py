"""The three parts of a template: compiled once, rendered for a row, with errors that say where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

import jinja2
from jinja2 import meta

from tutelage.errors import ConfigError, InputError, nearest
from tutelage.templates.sandbox import MAX_CHARACTERS, Sandbox, as_text, safe_filters
from tutelage.templates.schema import Template

Part = Literal["system", "prompt", "completion"]
PARTS: tuple[Part, ...] = ("system", "prompt", "completion")
PROMPT_PARTS: tuple[Part, ...] = ("system", "prompt")
RESERVED = ("label", "labels", "labels_text")
PLAIN_ANSWER = "{{ label }}"


def variables(template: Template, part: Part) -> frozenset[str]:
    """The variables that a part takes from outside: fields, `text`, and the reserved names.

    Raises:
        ConfigError: the part is not valid Jinja.
    """
    return _compiled(template, part)[1]


def render_part(template: Template, part: Part, seen: Mapping[str, Any], where: str) -> str:
    """One part with the values of `seen`, stripped of whitespace at both ends.

    Raises:
        ConfigError: it uses what it cannot have.
        InputError: it comes out empty or overlong for this row.
    """
    compiled, used = _compiled(template, part)
    for name in sorted(used - seen.keys()):
        raise unknown_variable(template, part, name, seen)
    # The usual answer needs no Jinja: with an option per label that is most of the time.
    plain = part == "completion" and template.completion == PLAIN_ANSWER
    pieces, length = [], 0
    try:
        for piece in (as_text(seen["label"]),) if plain else compiled.generate(seen):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                break
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(
            f"template {template.id}: its {part} cannot be rendered for {where} ({error}). "
            f"Templates arrange text: no calls, no loading; filters: {', '.join(_filters())}."
        ) from error
    text = "".join(pieces).strip()
    if length > MAX_CHARACTERS:
        raise InputError(
            f"{where}: under template {template.id} the {part} has over {MAX_CHARACTERS} "
            "characters. Shorten the row's text, or leave the row out."
        )
    if not text:
        raise InputError(
            f"{where}: under template {template.id} the {part} is empty; fields "
            f"{', '.join(sorted(used & seen.keys())) or 'none'}. Fill the cell, or leave the "
            "row out."
        )
    return text


def unknown_variable(
    template: Template, part: Part, name: str, known: Iterable[str]
) -> ConfigError:
    """The error for a part that uses `name`, which is not among `known`."""
    names = sorted(known)
    reason = f"{nearest(name, names)} Known here: {', '.join(names)}."
    if name == "label" and part != "completion":
        reason = " A prompt must not see the label."
    elif name in RESERVED:
        reason = " The rows of this task have text answers, no labels to choose from."
    return ConfigError(f"template {template.id}: its {part} uses `{name}`, unknown there.{reason}")


def _filters() -> list[str]:
    return sorted(safe_filters())


def _compiled(template: Template, part: Part) -> tuple[jinja2.Template, frozenset[str]]:
    if template.dialect:
        raise ConfigError(
            f"template {template.id}: is in the language of {template.dialect}, which is rendered "
            "in a process with limits only, not here. Leave it out."
        )
    source = getattr(template, part)
    try:
        return _compile(source or "")
    except (jinja2.TemplateSyntaxError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        said = getattr(error, "message", "it is nested too deeply")
        raise ConfigError(
            f"template {template.id}: its {part} is not valid Jinja in line {line} "
            f"({said}). Correct it; filters: {', '.join(_filters())}."
        ) from error


@lru_cache(maxsize=4096)
def _compile(source: str) -> tuple[jinja2.Template, frozenset[str]]:
    """The compiled text and the variables it takes from outside."""
    sandbox = Sandbox()
    tree = sandbox.tree(source)
    used = frozenset(meta.find_undeclared_variables(tree))
    return sandbox.from_string(tree), used
