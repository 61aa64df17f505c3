"""A row made up on the spot, to try a template on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tutelage.errors import ConfigError, nearest
from tutelage.records import Row
from tutelage.templates.parts import PARTS, variables
from tutelage.templates.schema import Template


def trial_row(
    template: Template, fields: Mapping[str, str], labels: Sequence[str], label: str | None
) -> tuple[Row, tuple[str, ...]]:
    """A row with these fields, and the labels it goes with.

    With labels, or choices of the template's own, the right answer is `label` or the first of
    them; without, the row has a text answer.

    Raises:
        ConfigError: the template needs labels or an answer, or the label is not among the labels.
    """
    choices = template.choices
    known = tuple(labels or choices or ())
    used = set()
    if not template.dialect:  # another language says what it uses only when it is rendered
        used = {name for part in PARTS for name in variables(template, part)}
    if not known and used & {"labels", "labels_text"}:
        raise ConfigError(
            f"template {template.id}: shows labels. Give them, such as --labels yes,no."
        )
    if not known and label is None:
        raise ConfigError(f"template {template.id}: answers with a text. Give it with --label.")
    if known and label is not None and label not in known:
        raise ConfigError(
            f"--label {label}: is not among {', '.join(known)}.{nearest(label, known)}"
        )
    gold = known[0] if label is None else label
    answers = () if known else (gold,)
    return Row(id="1", fields=fields, label=gold, where="a row made up", answers=answers), known
