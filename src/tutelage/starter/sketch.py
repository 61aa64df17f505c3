"""What was guessed about a table: its family, its columns by role, and what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tutelage.tasks.schema import Kind, Metric


@dataclass(frozen=True, slots=True)
class Roles:
    """Columns that are neither input nor answer."""

    id: str | None = None
    group: str | None = None
    split: str | None = None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Sketch:
    """A task in outline.

    `fields` maps template variables to columns; `given` are the variables that no column holds,
    with their text. `labels` are those of the data, `names` what to call them where that is
    certain. `other_fields` and `other_families` are shown as alternatives. `seen` says what was
    found, a sentence each.
    """

    family: str
    kind: Kind
    fields: Mapping[str, str]
    metrics: tuple[Metric, ...]
    seen: tuple[str, ...]
    label: str | None = None
    labels: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    bins: tuple[float, ...] = ()
    choices: str | tuple[str, ...] | None = None
    answers: tuple[str, ...] = ()
    max_tokens: int = 128
    after: str | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    other_fields: tuple[str, ...] = ()
    other_families: tuple[str, ...] = ()
    source_format: str | None = None
    roles: Roles = field(default_factory=Roles)
