"""The wording of a template: its literal text, without what rows fill in."""

from __future__ import annotations

import re
from functools import lru_cache

from jinja2 import nodes

from tutelage.templates.parts import Part
from tutelage.templates.sandbox import Sandbox
from tutelage.templates.schema import Template

VALUE = "\0"  # stands for what a row fills in
Gram = tuple[str, ...]


def skeleton(template: Template, part: Part) -> str:
    """The literal text of a part with `VALUE` for every inserted value.

    All branches of an `if` stand there, the body of a loop once. The part must be valid.
    """
    return _skeleton(getattr(template, part) or "")


def assigned_names(template: Template, part: Part) -> frozenset[str]:
    """The names that `for`, `set` and `with` give a value."""
    return _assigned(getattr(template, part) or "")


def has_branches(template: Template, part: Part) -> bool:
    """Whether a part has an `if`, so that not all of its text need come out."""
    tree = Sandbox().tree(getattr(template, part) or "")
    return any(tree.find_all((nodes.If, nodes.CondExpr)))


def word_trigrams(template: Template) -> frozenset[Gram]:
    """Runs of three words of system turn and prompt that no value interrupts.

    A stretch between two values with fewer words counts as one shorter run, so that no wording is
    without any.
    """
    grams: set[Gram] = set()
    text = f"{skeleton(template, 'system')}{VALUE}{skeleton(template, 'prompt')}"
    for stretch in text.lower().split(VALUE):
        words = re.findall(r"\w+", stretch)
        if len(words) >= 3:
            grams.update(zip(words, words[1:], words[2:], strict=False))
        elif words:
            grams.add(tuple(words))
    return frozenset(grams)


def shared_wording(one: frozenset[Gram], other: frozenset[Gram]) -> float:
    """Share of the shorter wording's runs that the other one has; 0 where one is empty."""
    least = min(len(one), len(other))
    return len(one & other) / least if least else 0.0


@lru_cache(maxsize=4096)
def _skeleton(source: str) -> str:
    tree = Sandbox().tree(source)
    return "".join(
        piece.data if isinstance(piece, nodes.TemplateData) else VALUE
        for output in tree.find_all(nodes.Output)
        for piece in output.nodes
    )


@lru_cache(maxsize=4096)
def _assigned(source: str) -> frozenset[str]:
    names = Sandbox().tree(source).find_all(nodes.Name)
    return frozenset(name.name for name in names if name.ctx in ("store", "param"))
