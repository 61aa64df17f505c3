"""The rules about choices in prompts: all are shown, and an import's word on that holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tutelage.records import Row
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.render import Rendered, row_kind
from tutelage.templates.schema import Template

CHOICES_FLAG = "choices_in_prompt"
Shown = tuple[str, Sequence[str]]
"""A prompt, and the choices that its row has."""


def lint_shown(
    template: Template, pairs: Sequence[tuple[Row, Rendered]], labels: Sequence[str]
) -> Iterator[Finding]:
    """Prompts that hide a choice; without that, ones that disagree with what is said of them."""
    shown = []
    for row, rendered in pairs:
        kind = row_kind(row)
        if kind == "text":
            continue
        choices: Sequence[str] = row.choices if kind == "choice" else labels
        if template.choices is not None:
            own = template.choices
            choices = list(own.values() if isinstance(own, Mapping) else own)
        shown.append((f"{rendered.system or ''}\n{rendered.prompt}", choices, row.where))
    hidden = [
        (choice, where) for prompt, own, where in shown for choice in _hidden(prompt, own)[:1]
    ]
    flag = flag_of(template)
    if (
        hidden and flag is not False
    ):  # where the import says that choices are not shown, it is meant
        choice, where = hidden[0]
        share = f" ({len(hidden):,} of {len(pairs):,} rows)" if len(pairs) > 1 else ""
        said = f"prompt does not show the choice {choice!r}.{share}"
        yield finding("hidden-choice", template.id, said, where)
    against = disagreement(flag, [(prompt, own) for prompt, own, _ in shown])
    if against:
        yield finding("choices-flag", template.id, against, shown[0][2])


def flag_of(template: Template) -> bool | None:
    """What an imported template says about choices in its prompt, if it says anything."""
    return {"true": True, "false": False}.get(str(template.extra.get(CHOICES_FLAG)).lower())


def disagreement(flag: bool | None, shown: Sequence[Shown]) -> str:
    """What is wrong with the flag, where every prompt is against it; else nothing."""
    if flag is None or not shown:
        return ""
    if flag and all(_hidden(prompt, choices) for prompt, choices in shown):
        return f"`{CHOICES_FLAG}` is true, but no prompt shows every choice."
    if not flag and all(_in_words(prompt, choices) for prompt, choices in shown):
        return f"`{CHOICES_FLAG}` is false, but every prompt shows all choices."
    return ""


def _hidden(prompt: str, choices: Sequence[str]) -> list[str]:
    folded = prompt.casefold()
    return [choice for choice in choices if choice.strip().casefold() not in folded]


def _in_words(prompt: str, choices: Sequence[str]) -> bool:
    """Whether every choice stands there as words of its own, not as a part of others."""
    return bool(choices) and all(
        re.search(rf"(?<!\w){re.escape(choice.strip())}(?!\w)", prompt, re.IGNORECASE)
        for choice in choices
    )
