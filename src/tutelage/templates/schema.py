"""What a template is: the wording of one prompt, and of the answer to each label."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from tutelage.tasks.schema import Section, normal_label

TemplateId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$")]


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
    fields: list[str] = Field(
        default_factory=list, description="fields of the row that the template needs; default: found"
    )
    held_out: bool = Field(
        default=False, description="never trained on; evaluated as an unseen wording"
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="what an imported template says besides"
    )
    origin: str = Field(default="tutelage", description="where the wording comes from")
    licence: str = Field(default="Apache-2.0", description="SPDX name")

    @field_validator("choices")
    @classmethod
    def _choices_differ(
        cls, choices: list[str] | dict[str, str] | None
    ) -> list[str] | dict[str, str] | None:
        texts = list(choices.values()) if isinstance(choices, dict) else choices or []
        if len({normal_label(text) for text in texts}) < len(texts):
            raise ValueError("two choices are equal once normalised")
        return choices
