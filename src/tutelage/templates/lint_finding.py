"""What the linter finds, and the rules it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: `rule` is a key of `RULES`, `where` a part of the template or the row's address.

    `template` is empty where the rows themselves are at fault.
    """

    severity: Severity
    rule: str
    template: str
    message: str
    where: str | None = None


RULES: Mapping[str, tuple[Severity, str]] = {
    "syntax": ("error", "a part is not valid Jinja, or uses what templates do not have"),
    "leak": ("error", "the prompt depends on the right answer, or a field holds it"),
    "constant-answer": ("error", "the completion does not use `label`, or asks for no field"),
    "duplicate-id": ("error", "two templates have one id"),
    "duplicate-name": ("error", "two templates of a family have one name"),
    "duplicate-body": ("error", "two templates have the same wording"),
    "special-token": ("error", "a control token, or a separator of three bars, is spelled out"),
    "render": ("error", "a row cannot be rendered: unknown variable, missing field, equal choices"),
    "row": ("error", "a row gives an empty or an overlong text"),
    "gold": ("error", "a row's label is not among the labels or choices"),
    "limits": ("error", "a row takes more time, memory or text than the child process allows"),
    "nondeterministic": ("error", "one row gives two different texts, in two processes"),
    "prefix-choice": ("error", "the tokens of one option begin those of another"),
    "prefix-text": ("warning", "one option begins another (where no tokens are known)"),
    "undeclared-field": ("warning", "a field is used but not among `fields`"),
    "unused-field": ("warning", "a field is among `fields` but not used"),
    "unused-choices": ("warning", "`choices` are given but never used"),
    "shadowed-name": ("warning", "a loop or an assignment takes the name of a field or a label"),
    "similar": ("warning", "two templates share over 0.8 of their word 3-grams outside fields"),
    "stray-n": ("warning", "an `n` stands right behind a variable, likely from a lost line break"),
    "doubled-space": ("warning", "two spaces stand in a row"),
    "literal-escape": ("warning", "a backslash and an n stand where a line break was meant"),
    "unbalanced": ("warning", "a quote or bracket has no partner"),
    "trailing-space": ("warning", "the prompt ends, or the completion begins, with blanks"),
    "hidden-choice": ("warning", "the prompt does not show every choice"),
    "choices-flag": ("warning", "`choices_in_prompt` of an import and its prompts disagree"),
    "label-order": ("warning", "the right choice stands at the same place in every row"),
    "field-dropped": ("warning", "different rows give one and the same prompt"),
    "same-render": ("warning", "two templates give the same prompt for a row"),
    "near-render": ("warning", "two templates give prompts that are over 0.95 alike"),
    "answer-style": ("warning", "two templates spell one answer differently"),
    "uneven-labels": ("warning", "one label takes many more tokens than another"),
    "too-long": ("warning", "prompts do not fit the context"),
    "language": ("warning", "the wording is in another language or script than the rows"),
    "foreign": ("warning", "an imported template is in another language, checked at import only"),
    "slow": ("warning", "a row takes over a quarter of a second"),
}


def finding(rule: str, template: str, message: str, where: str | None = None) -> Finding:
    """A finding with the severity of its rule."""
    return Finding(RULES[rule][0], rule, template, message, where)
