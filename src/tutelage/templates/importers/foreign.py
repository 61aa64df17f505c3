"""A template as another project has it, and the `Template` that stands for it here.

Where a template does no more than ours can, it becomes one of ours. Else it keeps the language of
its project: `extra.dialect` names it, `prompt` and `completion` are in that language, and it is
rendered in the child process only (`rows.render_rows`). For `promptsource` the prompt is then the
whole text with its separator, and the completion says nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tutelage.templates.importers.engine import SEPARATOR
from tutelage.templates.lint_shown import CHOICES_FLAG
from tutelage.templates.schema import Template

ENGINE_KEYS = ("description", "gen_prefix", "target_delimiter", "fewshot_delimiter")
_LONGEST_SLUG = 60


@dataclass(frozen=True, slots=True)
class Foreign:
    """One template of a file that was read.

    `dialect` is empty where `prompt` and `completion` are already in our own Jinja, made from a
    format that has none. `raw` is what the file says, untouched; `options` are delimiters and
    other settings that the dialect knows. `gold` names the variable with the answer, where the
    format says so; `shows_choices` is what it says about choices in the prompt. `rows` is data that
    comes with the template.
    """

    file: str
    name: str
    family: str
    format: str
    dialect: str
    prompt: str
    completion: str = "{{ label }}"
    choices: str | list[str] | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    raw: Any = None
    key: str = ""
    direction: str = "forward"
    shows_choices: bool | None = None
    gold: str | None = None
    origin: str = ""
    rows: tuple[Mapping[str, Any], ...] = ()

    def engine(self) -> dict[str, Any]:
        """What the child renders."""
        return {
            "id": self.key or self.name,
            "dialect": self.dialect,
            "prompt": self.prompt,
            "completion": self.completion,
            "choices": self.choices,
            **self.options,
        }


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A template, or a whole file, that is not imported: at which stage it failed, and why."""

    file: str
    name: str
    stage: str
    why: str


def is_foreign(template: Template) -> bool:
    """Whether a template is in the language of another project."""
    return "dialect" in template.extra


def engine_of(template: Template) -> dict[str, Any]:
    """What the child renders of a foreign template that was written to one of our files."""
    extra = template.extra
    found = {key: extra[key] for key in ENGINE_KEYS if key in extra}
    return {
        "id": template.id,
        "dialect": extra["dialect"],
        "prompt": template.prompt,
        "completion": template.completion,
        "choices": extra.get("answer_choices"),
        **found,
    }


def template_of(
    foreign: Foreign, ident: str, inspected: Mapping[str, Any], licence: str
) -> Template:
    """The template that keeps its project's language, or is in ours where it has no dialect.

    Raises:
        pydantic.ValidationError: its prompt is empty, or two of its choices are equal.
    """
    extra: dict[str, Any] = {"format": foreign.format, "file": foreign.file}
    gold = inspected.get("gold") or foreign.gold
    if gold:
        extra |= {"gold": gold, "gold_kind": inspected.get("gold_kind", "text")}
    if inspected.get("gold_offset"):
        extra["gold_offset"] = str(inspected["gold_offset"])
    if foreign.dialect:
        extra["dialect"] = foreign.dialect
        if foreign.dialect == "promptsource":
            extra["separator"] = SEPARATOR
        if foreign.choices is not None:
            extra["answer_choices"] = foreign.choices
        extra |= foreign.options
    if foreign.shows_choices is not None:  # as text: so YAML gives it back
        extra[CHOICES_FLAG] = str(foreign.shows_choices).lower()
    extra["raw"] = json.dumps(foreign.raw, ensure_ascii=False)
    return Template(
        id=ident,
        name=foreign.name.strip() or ident,
        prompt=foreign.prompt,
        completion=foreign.completion,
        choices=None if foreign.dialect or isinstance(foreign.choices, str) else foreign.choices,
        direction="inverted" if foreign.direction == "inverted" else "forward",
        fields=[n for n in inspected.get("fields", ()) if n.isidentifier() and n != gold],
        extra=extra,
        origin=foreign.origin or foreign.format,
        licence=licence,
    )


def raw_of(template: Template) -> Any:
    """What the imported file said of a template."""
    return json.loads(template.extra["raw"])


class Names:
    """Ids that differ: `family/name`, numbered where two are alike."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def ident(self, family: str, name: str) -> str:
        """A free id for a template."""
        base = f"{slug(family) or 'imported'}/{slug(name) or 'template'}"
        ident, number = base, 1
        while ident in self._taken:
            number += 1
            ident = f"{base}-{number}"
        self._taken.add(ident)
        return ident


def slug(text: str) -> str:
    """Lower-case letters, digits and hyphens.

    >>> slug("Can you… answer?")
    'can-you-answer'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:_LONGEST_SLUG].strip("-")
