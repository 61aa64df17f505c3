"""Rendering: one row under one template gives a prompt and the options to answer with.

Templates run in Jinja's immutable sandbox without loaders, globals or calls, with few filters
and without repetition of text, so that they can only arrange the text they are given. Values are
inserted in one pass: `{{` inside data stays text.

A template of unknown origin can still loop for long: nothing here limits time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import filters, meta
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tutelage.errors import ConfigError, InputError, nearest
from tutelage.tasks.schema import normal_label
from tutelage.templates.schema import Template

MAX_CHARACTERS = 1_000_000
RESERVED = ("label", "labels", "labels_text")
_FILTERS = (
    "capitalize",
    "first",
    "join",
    "last",
    "length",
    "lower",
    "replace",
    "title",
    "trim",
    "upper",
)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with calls and the repetition of text switched off."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.globals.clear()
        self.filters = {name: filters.FILTERS[name] for name in _FILTERS}

    def is_safe_callable(self, obj: Any) -> bool:
        raise SecurityError(f"`{getattr(obj, '__name__', 'a macro')}` cannot be called")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not all(isinstance(side, (int, float)) for side in (left, right)):
            raise SecurityError(f"`{operator}` is not available")
        return super().call_binop(context, operator, left, right)


def render(
    template: Template, fields: Mapping[str, str], labels: Sequence[str], where: str
) -> tuple[str, tuple[str, ...]]:
    """Render a row's prompt, and one option per label in label order.

    Both are stripped of whitespace at both ends: the chat templates of several models do the same
    to a turn, and what is trained must be what they would send.

    Args:
        template: the wording.
        fields: variable name to the cell's text.
        labels: all labels of the task, in its order.
        where: address of the row for error messages, such as `reviews.csv:17`.

    Raises:
        ConfigError: the template uses what it cannot have, or does not tell two labels apart.
        InputError: this row gives an empty or an overlong text.
    """
    reserved = [name for name in fields if name in RESERVED]
    if reserved:
        raise ConfigError(
            f"task.fields: `{reserved[0]}` is a name that templates use for the labels. "
            "Give the field another name."
        )
    texts = _choices(template, labels)
    seen: dict[str, Any] = {
        **fields,
        "text": _text(fields),
        "labels": tuple(texts),
        "labels_text": spoken_list(texts),
    }
    prompt = _part(template, "prompt", seen, where)
    options = tuple(_part(template, "completion", {**seen, "label": t}, where) for t in texts)
    _check_distinct(template, labels, options, where)
    return prompt, options


def draw(templates: Sequence[Template], seed: int, row_id: str) -> Template:
    """The template of a row: uniform over `templates`, the same on every machine and run.

    The one with the smallest sha256 of (seed, row id, template id) wins (rendezvous hashing,
    Thaler and Ravishankar 1998), so the order of `templates` does not matter, and one more
    template takes over its share of the rows and leaves the others' as they are.
    """

    def rank(template: Template) -> bytes:
        key = "\0".join(("template", str(seed), row_id, template.id))
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()

    return min(templates, key=rank)


def check_syntax(template: Template) -> None:
    """Compile prompt and completion; whether the variables exist shows at the first row.

    Raises:
        ConfigError: a part is not valid Jinja, or the prompt uses `label`.
    """
    _, used = _compiled(template, "prompt")
    _compiled(template, "completion")
    if "label" in used:
        _undefined(template, "prompt", "label", ())


def spoken_list(items: Sequence[str]) -> str:
    """Join with commas and a last `or`.

    >>> spoken_list(["a", "b", "c"])
    'a, b or c'
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} or {items[-1]}"


def _text(fields: Mapping[str, str]) -> str:
    """The field `text`, the only field, or all of them as `name: value` lines."""
    if "text" in fields:
        return fields["text"]
    if len(fields) == 1:
        return next(iter(fields.values()))
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def _choices(template: Template, labels: Sequence[str]) -> list[str]:
    choices = template.choices
    if choices is None:
        return list(labels)
    if isinstance(choices, list):
        if len(choices) != len(labels):
            raise ConfigError(
                f"template {template.id}: has {len(choices)} choices for {len(labels)} labels "
                f"({', '.join(labels)}). Give one choice per label, in this order."
            )
        return list(choices)
    normal = {normal_label(label): text for label, text in choices.items()}
    missing = [label for label in labels if normal_label(label) not in normal]
    if missing:
        raise ConfigError(
            f"template {template.id}: `choices` has no text for the label {missing[0]!r}."
            f"{nearest(missing[0], choices)} Add it."
        )
    return [normal[normal_label(label)] for label in labels]


def _part(template: Template, part: str, variables: Mapping[str, Any], where: str) -> str:
    compiled, used = _compiled(template, part)
    for name in sorted(used - variables.keys()):
        _undefined(template, part, name, variables)
    pieces, length = [], 0
    try:
        for piece in compiled.generate(variables):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                break
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(
            f"template {template.id}: its {part} cannot be rendered for {where} ({error}). "
            f"Templates arrange text: no calls, no loading; filters: {', '.join(_FILTERS)}."
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
            f"{', '.join(sorted(used & variables.keys())) or 'none'}. Fill the cell, or leave the "
            "row out."
        )
    return text


def _undefined(template: Template, part: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    reason = (
        " A prompt must not see the label."
        if (part, name) == ("prompt", "label")
        else f"{nearest(name, names)} Known here: {', '.join(names)}."
    )
    raise ConfigError(f"template {template.id}: its {part} uses `{name}`, unknown there.{reason}")


def _check_distinct(
    template: Template, labels: Sequence[str], options: tuple[str, ...], where: str
) -> None:
    seen: dict[str, str] = {}
    for label, option in zip(labels, options, strict=True):
        key = normal_label(option)
        if key in seen:
            raise ConfigError(
                f"template {template.id}: for {where} the labels {seen[key]!r} and {label!r} give "
                f"the same completion {option!r} once normalised. Let the completion use `label`."
            )
        seen[key] = label


def _compiled(template: Template, part: str) -> tuple[jinja2.Template, frozenset[str]]:
    try:
        return _compile(getattr(template, part))
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(
            f"template {template.id}: its {part} is not valid Jinja in line {error.lineno} "
            f"({error.message}). Correct it; filters: {', '.join(_FILTERS)}."
        ) from error


@lru_cache(maxsize=1024)
def _compile(source: str) -> tuple[jinja2.Template, frozenset[str]]:
    """The compiled text and the variables it takes from outside."""
    environment = _Environment()
    tree = environment.parse(source)
    used = frozenset(meta.find_undeclared_variables(tree))
    return environment.from_string(tree), used
