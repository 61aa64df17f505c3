"""What a template is: the wording of one prompt, and of the answer to each label."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tutelage.tasks.schema import Section, normal_label

TemplateId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$")]
Variable = Annotated[str, Field(pattern=r"^[^\W\d]\w*$")]

_SLIP = 0.8  # difflib ratio from which a key is taken for a misspelt one: `promt`, `license`


class Template(Section):
    """One way to word a task.

    `system`, `prompt` and `completion` are Jinja. A prompt sees every field of the row by its
    name, `text`, and where the row has options `labels` and `labels_text`; a completion sees
    `label` as well: the class, the option, or the text answer. A prompt never sees `label`, so it
    cannot give the answer away; only an inverted template, which asks for an input that fits a
    label, does, and it is never used in evaluation. Unknown keys are kept in `extra`.
    """

    id: TemplateId = Field(description="`family/name`, unique")
    name: str = Field(min_length=1, description="a few words for tables and figures")
    prompt: str = Field(min_length=1, description="Jinja; the user's turn")
    system: str | None = Field(default=None, min_length=1, description="Jinja; a system turn")
    completion: str = Field(default="{{ label }}", min_length=1, description="Jinja; the answer")
    choices: list[str] | dict[str, str] | None = Field(
        default=None,
        description="what stands for each label in prompt and completion: texts in label order, "
        "or label: text; default: the labels themselves",
    )
    direction: Literal["forward", "inverted"] = Field(
        default="forward", description="inverted: the label is given, an input is asked for"
    )
    fields: list[Variable] = Field(
        default_factory=list,
        description="fields of the row that the template needs; default: found",
    )
    held_out: bool = Field(
        default=False, description="never trained on; evaluated as an unseen wording"
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="what an imported template says besides"
    )
    origin: str = Field(default="tutelage", description="where the wording comes from")
    licence: str = Field(default="Apache-2.0", description="SPDX name")

    @model_validator(mode="before")
    @classmethod
    def _keep_unknown_keys(cls, data: Any) -> Any:
        """Move unknown keys into `extra`; a slip of the pen stays where it is and is refused."""
        extra = data.get("extra") if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(extra, Mapping | None):
            return data
        kept = {key: value for key, value in data.items() if _is_free(key)}
        twice = sorted(kept.keys() & (extra or {}).keys())
        if twice:
            raise ValueError(f"`{twice[0]}` stands both in `extra` and beside it; keep one")
        if not kept:
            return data
        plain = {key: value for key, value in data.items() if key not in kept}
        return {**plain, "extra": {**(extra or {}), **kept}}

    @field_validator("choices")
    @classmethod
    def _choices_differ(
        cls, choices: list[str] | dict[str, str] | None
    ) -> list[str] | dict[str, str] | None:
        texts = list(choices.values()) if isinstance(choices, dict) else choices or []
        if len({normal_label(text) for text in texts}) < len(texts):
            raise ValueError("two choices are equal once normalised")
        return choices

    @property
    def family(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]

    @property
    def dialect(self) -> str:
        """The language of an imported template, such as `promptsource`; empty for our own.

        Such a template is compiled and rendered in the limited child process only.
        """
        return str(self.extra.get("dialect", ""))


def template_data(template: Template) -> dict[str, Any]:
    """A template as plain data for YAML: without defaults, the keys of `extra` beside its own.

    `Template.model_validate` gives the template back. What `extra` holds under a key that a
    template has, or under one that would be taken for a slip, stays below `extra`.
    """
    data = template.model_dump(mode="json", exclude_defaults=True, exclude={"extra"})
    free = {key: value for key, value in template.extra.items() if _is_free(key)}
    bound = {key: value for key, value in template.extra.items() if key not in free}
    return {**data, **({"extra": bound} if bound else {}), **free}


def _is_free(key: Any) -> bool:
    """Whether a key is neither a template's own nor likely meant for one."""
    known = Template.model_fields
    return (
        isinstance(key, str)
        and key not in known
        and not difflib.get_close_matches(key.casefold(), known, n=1, cutoff=_SLIP)
    )
