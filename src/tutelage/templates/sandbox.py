"""The sandbox: what the Jinja of a template can do, which is to arrange the text it is given.

There are no calls, no loading, no macros and no repetition of text, and every way to make one
text longer than its parts is capped. Attributes exist for mappings, whose items they are, so that
`{{ d.items }}` is the item `items` and never a method, and for `loop`.

A template of unknown origin can still loop for long: nothing here limits time.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jinja2
from jinja2 import Undefined, filters, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_CHARACTERS = 1_000_000
_MAX_INDENT = 8
_LOOP = frozenset(
    {"depth", "depth0", "first", "index", "index0", "last", "length"}
    | {"nextitem", "previtem", "revindex", "revindex0"}
)
_FROM_JINJA = (
    *("abs", "capitalize", "default", "first", "float", "int", "items", "last", "length", "list"),
    *("lower", "map", "round", "sort", "title", "trim", "unique", "upper"),
)
_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.AssignBlock: "{% set %} around a block",
    nodes.Block: "{% block %}",
    nodes.Call: "a call",
    nodes.CallBlock: "{% call %}",
    nodes.Extends: "{% extends %}",
    nodes.FilterBlock: "{% filter %}",
    nodes.FromImport: "{% from %}",
    nodes.Import: "{% import %}",
    nodes.Include: "{% include %}",
    nodes.Macro: "{% macro %}",
}


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja for templates: strict about what is undefined, few filters, nothing to call."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=as_text,
        )
        self.globals.clear()
        self.filters = safe_filters()

    def tree(self, source: str) -> nodes.Template:
        """The parsed text, joins of text capped.

        Raises:
            TemplateSyntaxError: it is not Jinja, or holds a statement that templates do not have.
        """
        tree = self.parse(source)
        for node in tree.find_all(tuple(_REFUSED)):
            raise TemplateSyntaxError(f"{_REFUSED[type(node)]} is not available", node.lineno)
        checked: nodes.Template = _CappedConcat().visit(tree)
        return checked

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An item of a mapping, or what `loop` tells; nothing else has attributes here."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, Mapping):
            return self.getitem(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a mapping, a list or a text, never an attribute of that name."""
        if isinstance(obj, Undefined):
            return obj[argument]
        if isinstance(obj, Mapping | Sequence):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def is_safe_callable(self, obj: Any) -> bool:
        """Nothing is; raises SecurityError."""
        raise SecurityError(f"`{getattr(obj, '__name__', 'a macro')}` cannot be called")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on numbers, and `+` on two texts or lists up to the cap."""
        numbers = all(isinstance(side, int | float) for side in (left, right))
        if operator == "+" and not numbers:
            _cap(_length(left) + _length(right))
        elif operator == "**" or not numbers:
            raise SecurityError(f"`{operator}` is not available")
        return super().call_binop(context, operator, left, right)


class _CappedConcat(NodeTransformer):
    """Turns `a ~ b` into `[a, b] | join`, which is capped."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        place = {"lineno": node.lineno, "environment": node.environment}
        return nodes.Filter(nodes.List(node.nodes, **place), "join", [], [], None, None, **place)


def as_text(value: Any) -> str:
    """What a value looks like in a prompt: text as it is, nothing for null, else its JSON.

    Raises:
        SecurityError: the value is no plain data.
        UndefinedError: it is not there.
    """
    if isinstance(value, str | Undefined):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return as_json(value)


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON on one line, or indented by up to eight spaces; letters stay as they are.

    Raises:
        SecurityError: the value is no plain data.
    """
    if indent is not None and not 0 <= indent <= _MAX_INDENT:
        raise SecurityError(f"`tojson` indents by 0 to {_MAX_INDENT}")
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)
    except (TypeError, ValueError) as error:
        raise SecurityError(f"{type(value).__name__} is no plain data; try `| list`") from error


def lettered(items: Iterable[Any]) -> str:
    """One item per line behind its letter.

    >>> lettered(["first", "second"])
    'A. first\\nB. second'
    """
    lines = [f"{_letter(place)}. {as_text(item)}" for place, item in enumerate(items)]
    return "\n".join(lines)


def letter(item: Any, items: Iterable[Any]) -> str:
    """The letter of `item` in `lettered(items)`.

    >>> letter("second", ["first", "second"])
    'B'
    """
    found = [place for place, other in enumerate(items) if other == item]
    if not found:
        raise SecurityError(f"`letter`: {as_text(item)!r} is not in the list")
    return _letter(found[0])


def safe_filters() -> dict[str, Callable[..., Any]]:
    """The filters of the sandbox by name."""
    return {name: filters.FILTERS[name] for name in _FROM_JINJA} | {
        "join": _join,
        "letter": letter,
        "lettered": lettered,
        "replace": _replace,
        "reverse": lambda items: items[::-1] if isinstance(items, str) else list(items)[::-1],
        "split": lambda text, mark=None: as_text(text).split(mark),
        "string": as_text,
        "tojson": as_json,
    }


def _letter(place: int) -> str:
    if place >= len(string.ascii_uppercase):
        raise SecurityError("there are letters for 26 choices only")
    return string.ascii_uppercase[place]


@jinja2.pass_environment
def _join(
    environment: jinja2.Environment,
    items: Iterable[Any],
    separator: str = "",
    attribute: str | None = None,
) -> str:
    if attribute is not None:
        items = [environment.getitem(item, attribute) for item in items]
    texts = [as_text(item) for item in items]
    _cap(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = as_text(value)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    _cap(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, count)


def _plain(value: Any) -> Any:
    """Plain data behind what `json` does not know by itself."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Undefined):
        str(value)  # raises what is missing
    raise TypeError


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _cap(length: int) -> None:
    if length > MAX_CHARACTERS:
        raise SecurityError(f"a text over {MAX_CHARACTERS} characters")
