"""Faults of an imported template, and trying one that is in our own Jinja.

A template in our Jinja is checked by the linter. One in the language of its project cannot be, so
what its made-up rows gave is: the rules are those of the linter that ask about renderings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tutelage.tasks.schema import normal_label
from tutelage.templates.importers.foreign import Foreign, is_foreign
from tutelage.templates.lint import lint
from tutelage.templates.lint_shown import disagreement, flag_of
from tutelage.templates.schema import Template

_CONTROL = re.compile(r"\|\|\||<\|[a-z_]+\|>|</?s>|<(?:bos|eos|pad)>|\[/?INST\]")


def trial(foreign: Foreign) -> dict[str, Any]:
    """A template in our own Jinja as plain data for the child."""
    return {
        "prompt": foreign.prompt,
        "completion": foreign.completion,
        "choices": foreign.choices,
        "direction": foreign.direction,
        "gold": foreign.gold,
    }


def faults_of(template: Template, found: Mapping[str, Any], twin: str) -> Iterator[str]:
    """What keeps a template from being clean; `twin` is one with the same wording, if any."""
    if twin:
        yield f"has the wording of {twin!r}."
    if not is_foreign(template):
        errors = [f for f in lint([template]) if f.severity == "error"]
        yield from (f"{f.rule}: {f.message}" for f in errors)
        return
    if found.get("changes"):
        yield "nondeterministic: another process renders a made-up row otherwise."
    if found["leaks"]:
        yield "leak: another right answer gives another prompt."
    yield from dict.fromkeys(fault for row in found["rows"] for fault in _row_faults(row["result"]))
    if template.extra.get("answer_choices") and not _uses_choices(found):
        yield "gold: no answer is among the choices."


def doubts_of(template: Template, found: Mapping[str, Any]) -> Iterator[str]:
    """What may be meant and should be looked at; it keeps no template from being clean."""
    shown = [
        (row["result"]["prompt"], [str(choice) for choice in row["result"]["choices"]])
        for row in found["rows"]
        if row["result"]["choices"]
    ]
    against = disagreement(flag_of(template), shown)
    if against:
        yield f"choices-flag: {against}"


def _row_faults(result: Mapping[str, Any]) -> Iterator[str]:
    if any(_CONTROL.search(result[part]) for part in ("prompt", "completion")):
        yield "special-token: a control token is spelled out."
    choices = [normal_label(str(choice)) for choice in result["choices"] or ()]
    if len(set(choices)) < len(choices):
        yield "render: two choices are equal once normalised."
    if "" in choices:
        yield "render: a choice is empty."


def _uses_choices(found: Mapping[str, Any]) -> bool:
    """Whether some made-up row is answered by one of its choices."""
    return not found["rows"] or any(
        row["result"]["completion"].strip() in [str(c).strip() for c in row["result"]["choices"]]
        for row in found["rows"]
    )
