"""Rendering: one row under one template gives a prompt and the options to answer with.

Templates run in the sandbox of `sandbox.py`, which lets them arrange text and no more. Values are
inserted in one pass: `{{` inside data stays text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tutelage.errors import ConfigError, InputError, nearest
from tutelage.records import Row
from tutelage.tasks.schema import Kind, normal_label
from tutelage.templates.choices import label_texts, row_choices, spoken_list
from tutelage.templates.parts import (
    PROMPT_PARTS,
    RESERVED,
    render_part,
    unknown_variable,
    variables,
)
from tutelage.templates.sandbox import as_text
from tutelage.templates.schema import Template


@dataclass(frozen=True, slots=True)
class Rendered:
    """A row under a template: the system turn, the prompt, and one option per label.

    A row with text answers, and one under an inverted template, has one option: the answer.
    """

    system: str | None
    prompt: str
    options: tuple[str, ...]


def row_kind(row: Row) -> Kind:
    """The kind of task that a row belongs to."""
    if row.answers:
        return "text"
    return "choice" if row.choices else "classification"


def render_row(template: Template, row: Row, labels: Sequence[str]) -> Rendered:
    """Render a row as its kind of task asks for.

    Classification gives one option per label of `labels`, a row with choices one per choice (what
    a template calls `labels` are then the choices), and a row with text answers the one to train
    on; its prompt sees labels only where it has choices too, as in a mixture. All texts are
    stripped of whitespace at both ends: the chat templates of several models do the same to a
    turn, and what is trained must be what they would send.

    Raises:
        ConfigError: the template uses what it cannot have, lacks a field that it declares, is
            inverted, or does not tell two labels apart.
        InputError: this row gives an empty or an overlong text.
    """
    kind = row_kind(row)
    if kind == "text":
        if not row.choices:
            return _forward(template, row.fields, None, (row.label,), row.where)
        return _forward(template, row.fields, row_choices(template, row), (row.label,), row.where)
    if kind == "choice":
        own = row_choices(template, row)
        return _forward(template, row.fields, own, own, row.where, own)
    shown = label_texts(template, labels)
    return _forward(template, row.fields, shown, shown, row.where, labels)


def render(
    template: Template, fields: Mapping[str, Any], labels: Sequence[str], where: str
) -> tuple[str, tuple[str, ...]]:
    """The prompt and the options, in label order, of a row of a task with fixed labels.

    `where` is the row's address for error messages; raises as `render_row`.
    """
    shown = label_texts(template, labels)
    rendered = _forward(template, fields, shown, shown, where, labels)
    return rendered.prompt, rendered.options


def render_inverted(template: Template, row: Row, labels: Sequence[str]) -> Rendered:
    """Render a row under an inverted template: the prompt sees `label`, the answer is an input.

    Raises:
        ConfigError: as `render_row`; the template is not inverted, or its prompt shows what its
            completion asks for.
        InputError: as `render_row`.
    """
    if template.direction != "inverted":
        raise ConfigError(f"template {template.id}: is not inverted; render it as all others.")
    kind = row_kind(row)
    shown: Sequence[str] | None = None
    label = row.label
    if kind != "text":
        known = row.choices if kind == "choice" else labels
        shown = row_choices(template, row) if kind == "choice" else label_texts(template, labels)
        if label not in known:
            raise InputError(f"{row.where}: the label {label!r} is not among {', '.join(known)}.")
        label = shown[list(known).index(label)]
    seen = {**_variables(template, row.fields, shown, row.where), "label": label}
    given = variables(template, "prompt") | variables(template, "system")
    both = sorted((given & variables(template, "completion")) - set(RESERVED))
    if both:
        raise ConfigError(
            f"template {template.id}: its prompt shows `{both[0]}`, which its completion asks for. "
            "Leave it out of one of them."
        )
    return Rendered(
        system=render_part(template, "system", seen, row.where) if template.system else None,
        prompt=render_part(template, "prompt", seen, row.where),
        options=(render_part(template, "completion", seen, row.where),),
    )


def render_any(template: Template, row: Row, labels: Sequence[str]) -> Rendered:
    """Render forward or inverted, as the template is."""
    render = render_inverted if template.direction == "inverted" else render_row
    return render(template, row, labels)


def training_templates(templates: Sequence[Template]) -> tuple[Template, ...]:
    """The templates that training draws from: forward, not held out.

    Raises:
        ConfigError: there is none.
    """
    chosen = tuple(t for t in templates if t.direction == "forward" and not t.held_out)
    if not chosen:
        raise ConfigError(
            "task.templates: every template is held out or inverted, so that none is left to "
            "train on. Add one, such as `auto`."
        )
    return chosen


def held_out_templates(templates: Sequence[Template]) -> tuple[Template, ...]:
    """The forward templates whose wording is kept from training; may be none."""
    return tuple(t for t in templates if t.direction == "forward" and t.held_out)


def draw(templates: Sequence[Template], seed: int, row_id: str, epoch: int = 0) -> Template:
    """The template of a row: uniform over `templates`, the same on every machine and run.

    The one with the smallest sha256 of (seed, row id, template id) wins (rendezvous hashing,
    Thaler and Ravishankar 1998), so the order of `templates` does not matter, and one more
    template takes over its share of the rows and leaves the others' as they are. Every `epoch`
    is a draw of its own.
    """

    def rank(template: Template) -> bytes:
        key = "\0".join(("template", str(seed), row_id, template.id))
        if epoch:
            key += f"\0{epoch}"
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()

    return min(templates, key=rank)


def check_syntax(template: Template) -> None:
    """Compile all parts; whether the fields exist shows at the first row.

    A template in another dialect is left to the process that renders it.

    Raises:
        ConfigError: a part is not valid Jinja, `label` stands where it must not or is missing
            where it must stand.
    """
    if template.dialect:
        return
    for part in PROMPT_PARTS:
        if template.direction == "forward" and "label" in variables(template, part):
            raise unknown_variable(template, part, "label", ())
    completion = variables(template, "completion")
    if template.direction == "forward" and "label" not in completion:
        raise ConfigError(
            f"template {template.id}: its completion does not use `label`, so that it is the same "
            "for every row. Let it use `label`."
        )
    if template.direction == "inverted" and not completion - set(RESERVED):
        raise ConfigError(
            f"template {template.id}: is inverted, but its completion asks for no field. Let it "
            "be the field that the model should write."
        )


def _forward(
    template: Template,
    fields: Mapping[str, Any],
    shown: Sequence[str] | None,
    answers: Sequence[str],
    where: str,
    labels: Sequence[str] = (),
) -> Rendered:
    """Render with `shown` as what the template calls `labels`, and an option for each answer."""
    if template.direction == "inverted":
        raise ConfigError(
            f"template {template.id}: is inverted: it shows the label and asks for an input, so "
            "it says nothing about the task. Leave it out here."
        )
    seen = _variables(template, fields, shown, where)
    rendered = Rendered(
        system=render_part(template, "system", seen, where) if template.system else None,
        prompt=render_part(template, "prompt", seen, where),
        options=tuple(
            render_part(template, "completion", {**seen, "label": a}, where) for a in answers
        ),
    )
    if labels:
        _check_distinct(template, labels, rendered.options, where)
    return rendered


def _variables(
    template: Template, fields: Mapping[str, Any], shown: Sequence[str] | None, where: str
) -> dict[str, Any]:
    """All that a prompt sees."""
    for name in RESERVED:
        if name in fields:
            raise ConfigError(
                f"task.fields: `{name}` is a name that templates use for the labels. "
                "Give the field another name."
            )
    for name in template.fields:
        if name not in fields and name != "text":
            raise ConfigError(
                f"template {template.id}: needs the field `{name}`, which {where} does not have."
                f"{nearest(name, fields)} Fields here: {', '.join(sorted(fields)) or 'none'}. "
                "Name it under task.fields, or take other templates."
            )
    seen = {**fields, "text": _text(fields)}
    if shown is not None:
        seen |= {"labels": tuple(shown), "labels_text": spoken_list(shown)}
    return seen


def _text(fields: Mapping[str, Any]) -> str:
    """The field `text`, the only field, or all of them as `name: value` lines."""
    if "text" in fields:
        return as_text(fields["text"])
    if len(fields) == 1:
        return as_text(next(iter(fields.values())))
    return "\n".join(f"{name}: {as_text(value)}" for name, value in fields.items())


def _check_distinct(
    template: Template, labels: Sequence[str], options: tuple[str, ...], where: str
) -> None:
    seen: dict[str, str] = {}
    for label, option in zip(labels, options, strict=True):
        key = normal_label(option)
        if key in seen:
            raise ConfigError(
                f"template {template.id}: for {where} the labels {seen[key]!r} and {label!r} give "
                f"the same completion {option!r} once normalised. Let the completion use `label`."
            )
        seen[key] = label
