"""Foreign templates that do no more than ours can, rewritten as ours.

Only where nothing can change: two parts without statements, the filters that ours have, fixed
choices picked by the label or an answer that is one field. Whoever calls this compares the
renderings of both and keeps the foreign one where they differ.
"""

from __future__ import annotations

import re
from dataclasses import replace

import jinja2
from jinja2 import nodes

from tutelage.tasks.schema import normal_label
from tutelage.templates.importers.engine import SEPARATOR
from tutelage.templates.importers.foreign import Foreign
from tutelage.templates.importers.gold import names
from tutelage.templates.importers.literal import literal
from tutelage.templates.parts import RESERVED
from tutelage.templates.sandbox import safe_filters

_ALLOWED = (
    nodes.Const, nodes.Filter, nodes.Getattr, nodes.Getitem, nodes.List, nodes.Name, nodes.Output,
    nodes.Slice, nodes.TemplateData,
)  # fmt: skip
_PICK = re.compile(r"\{\{\s*answer_choices\s*\[\s*(\w+)\s*\]\s*\}\}")
_SHOW = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")
_CHOICES = re.compile(r"\banswer_choices\b")


def as_ours(foreign: Foreign) -> Foreign | None:
    """The same template in our own Jinja; None where it needs its project's."""
    split = _promptsource if foreign.dialect == "promptsource" else _lm_eval
    found = split(foreign)
    if found is None:
        return None
    prompt, gold, choices = found
    used = _used(prompt)
    if used is None or gold in used or (used - {"labels"}) & set(RESERVED):
        return None
    texts = {normal_label(choice) for choice in choices or ()}
    if choices and (len(choices) < 2 or len(texts) < len(choices) or "" in texts):
        return None
    plain = foreign.prompt if foreign.dialect == "promptsource" else ""
    if "labels" in used and "answer_choices" not in plain:
        return None
    return replace(
        foreign, dialect="", prompt=prompt, completion="{{ label }}", choices=choices, gold=gold,
        options={},
    )  # fmt: skip


def _promptsource(foreign: Foreign) -> tuple[str, str, list[str] | None] | None:
    """Prompt, gold variable and choices."""
    parts = foreign.prompt.split(SEPARATOR)
    if len(parts) != 2:
        return None
    prompt, target = (part.strip() for part in parts)
    if foreign.choices is None:
        shown = _SHOW.fullmatch(target)
        return (prompt, shown[1], None) if shown else None
    picked = _PICK.fullmatch(target)
    if not picked or not isinstance(foreign.choices, str) or "{" in foreign.choices:
        return None
    choices = [choice.strip() for choice in foreign.choices.split(SEPARATOR)]
    return _CHOICES.sub("labels", prompt), picked[1], choices


def _lm_eval(foreign: Foreign) -> tuple[str, str, list[str] | None] | None:
    description = foreign.options.get("description", "")
    if foreign.options.get("gen_prefix") or "{" in description or description.isidentifier():
        return None
    prompt = f"{{{{ {foreign.prompt} }}}}" if foreign.prompt.isidentifier() else foreign.prompt
    target = foreign.completion
    shown = _SHOW.fullmatch(target)
    gold = target if target.isidentifier() else shown[1] if shown else None
    if gold is None or isinstance(foreign.choices, str):
        return None
    return literal(description) + prompt, gold, foreign.choices


def _used(prompt: str) -> set[str] | None:
    """Variables of a prompt that holds nothing but data and simple expressions."""
    try:
        tree = jinja2.Environment(autoescape=False).parse(prompt)  # noqa: S701 - never rendered
    except jinja2.TemplateSyntaxError:
        return None
    known = safe_filters()
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            return None
        if isinstance(node, nodes.Filter) and node.name not in known:
            return None
    return names(tree) if tree.body else None
