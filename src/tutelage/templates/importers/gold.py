"""Which variable of a foreign template holds the gold answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from jinja2 import nodes

from tutelage.templates.importers.engine import SEPARATOR


@dataclass
class Shown:
    """Variables that the prompt shows, that the answer shows, and that decide before either."""

    prompt: set[str] = field(default_factory=set)
    answer: set[str] = field(default_factory=set)
    deciding: set[str] = field(default_factory=set)


def joined_parts(tree: nodes.Template) -> Shown:
    """Variables before and after the separator of a joined text, on any branch."""
    shown = Shown()
    _walk(tree.body, shown, passed=False)
    return shown


def _walk(body: Iterable[nodes.Node], shown: Shown, *, passed: bool) -> bool:
    """Sort the names of statements; whether the separator has been passed at their end."""
    for node in body:
        side = shown.answer if passed else shown.prompt
        if isinstance(node, nodes.Output):
            for child in node.nodes:
                if isinstance(child, nodes.TemplateData):
                    passed = passed or SEPARATOR in child.data
                else:
                    (shown.answer if passed else shown.prompt).update(names(child))
        elif isinstance(node, nodes.If):
            branches = [node, *node.elif_]
            for branch in branches:
                (shown.answer if passed else shown.deciding).update(names(branch.test))
            bodies = [*(branch.body for branch in branches), node.else_]
            ends = [_walk(body, shown, passed=passed) for body in bodies]
            passed = any(ends)
        elif isinstance(node, nodes.For):
            side.update(names(node.iter))
            passed = _walk(node.body, shown, passed=passed)
        else:
            side.update(names(node))
    return passed


def names(node: nodes.Node) -> set[str]:
    """Names that an expression reads."""
    found = {n.name for n in node.find_all(nodes.Name)}
    return found | {node.name} if isinstance(node, nodes.Name) else found


def gold_of(
    variables: Iterable[str], shown: Shown, indexed: Iterable[str]
) -> tuple[str | None, str]:
    """The variable with the gold answer and what it holds: an `index` into choices, or `text`.

    It is the one that picks a choice, else the only one that the answer shows and nothing before
    it does; None where neither is unique.
    """
    known = set(variables)
    picked = {name for name in indexed if name not in shown.prompt} & known
    if len(picked) == 1:
        return picked.pop(), "index"
    alone = (shown.answer - shown.prompt - shown.deciding) & known
    return (alone.pop(), "text") if len(alone) == 1 else (None, "text")
