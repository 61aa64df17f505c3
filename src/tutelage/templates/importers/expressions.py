"""What single Jinja expressions say by themselves: constants, indices, and names of methods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import nodes

from tutelage.templates.importers.shape import Shape

GLOBAL = frozenset(("range", "zip", "namespace", "cycler", "joiner", "loop", "caller", "varargs"))
NUMBER_FILTERS = frozenset(("abs", "float", "int", "round"))
TEXT_FILTERS = frozenset(("capitalize", "lower", "title", "trim", "upper", "wordcount", "truncate"))
ITEM_FILTERS = frozenset(("choice", "first", "last", "max", "min", "random"))
SAME_FILTERS = frozenset(
    ("batch", "list", "most_frequent", "reject", "rejectattr", "reverse", "select", "selectattr")
) | {"slice", "sort", "unique"}
TEXT_METHODS = frozenset(
    [
        "capitalize",
        "endswith",
        "find",
        "isdigit",
        "isupper",
        "islower",
        "lower",
        "lstrip",
        "partition",
        "replace",
        "rfind",
        "rstrip",
        "startswith",
        "strip",
        "title",
        "upper",
    ]
)
LIST_METHODS = frozenset(("append", "extend", "insert", "pop", "remove", "reverse", "sort"))
MAPPING_METHODS = frozenset(("get", "items", "keys", "setdefault", "update", "values"))
ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow)
ORDER = frozenset(("gt", "gteq", "lt", "lteq"))


def literal_of(node: nodes.Node) -> Shape | None:
    """The shape of a list or mapping that stands in the template; of a mapping its keys."""
    if isinstance(node, (nodes.List, nodes.Tuple)):
        values = constants_of(node.items)
        return (
            Shape(item=Shape(), literal=tuple(values)) if len(values) == len(node.items) else None
        )
    if isinstance(node, nodes.Dict):
        found = Shape(mapping=True, item=Shape())
        found.literal = tuple(constants_of([pair.key for pair in node.items]))
        for pair in node.items:
            if isinstance(pair.key, nodes.Const):
                found.key(str(pair.key.value)).constants += constants_of([pair.value])
        return found
    return None


def counted_of(index: nodes.Node) -> tuple[nodes.Node, int]:
    """What an index counts, and what is subtracted from it: `label | int - 1` counts `label`."""
    offset = 0
    while True:
        if isinstance(index, nodes.Filter) and index.name in NUMBER_FILTERS and index.node:
            index = index.node
        elif isinstance(index, (nodes.Add, nodes.Sub)) and isinstance(index.right, nodes.Const):
            step = index.right.value if isinstance(index.right.value, int) else 0
            offset += step if isinstance(index, nodes.Sub) else -step
            index = index.left
        else:
            return index, offset


def constants_of(expressions: Iterable[nodes.Node]) -> list[Any]:
    """Values of the expressions that are constants."""
    found: list[Any] = []
    for expression in expressions:
        if isinstance(expression, nodes.Neg) and isinstance(expression.node, nodes.Const):
            found.append(-expression.node.value)
        elif isinstance(expression, nodes.Const) and expression.value is not None:
            found.append(expression.value)
    return found
