"""What stands for labels and choices in a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from tutelage.errors import ConfigError, InputError, nearest
from tutelage.records import Row
from tutelage.tasks.schema import normal_label
from tutelage.templates.schema import Template


def row_choices(template: Template, row: Row) -> tuple[str, ...]:
    """The choices that a row brings.

    Raises:
        ConfigError: the template has choices of its own.
        InputError: two of the row's are equal once normalised.
    """
    if template.choices is not None:
        raise ConfigError(
            f"template {template.id}: has `choices`, but the rows of this task bring their own "
            f"({row.where}). Leave `choices` out."
        )
    normal = [normal_label(choice) for choice in row.choices]
    twice = [c for c, key in zip(row.choices, normal, strict=True) if normal.count(key) > 1]
    if twice:
        raise InputError(
            f"{row.where}: the choice {twice[0]!r} is there twice. "
            "Correct it, or leave the row out."
        )
    return row.choices


def label_texts(template: Template, labels: Sequence[str]) -> list[str]:
    """What stands for each of the task's labels under a template.

    Raises:
        ConfigError: the template's choices do not fit the labels.
    """
    choices = template.choices
    if choices is None:
        return list(labels)
    if isinstance(choices, list):
        if len(choices) != len(labels):
            raise ConfigError(
                f"template {template.id}: has {len(choices)} choices for {len(labels)} labels "
                f"({', '.join(labels)}). Give one choice per label, in this order."
            )
        return list(choices)
    normal = {normal_label(label): text for label, text in choices.items()}
    missing = [label for label in labels if normal_label(label) not in normal]
    if missing:
        raise ConfigError(
            f"template {template.id}: `choices` has no text for the label {missing[0]!r}."
            f"{nearest(missing[0], choices)} Add it."
        )
    return [normal[normal_label(label)] for label in labels]


def spoken_list(items: Sequence[str]) -> str:
    """Join with commas and a last `or`.

    >>> spoken_list(["a", "b", "c"])
    'a, b or c'
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} or {items[-1]}"
