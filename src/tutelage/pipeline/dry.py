"""A run's context whose data stays in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tutelage.pipeline.stage import Context
from tutelage.records import Example


@dataclass(slots=True)
class DryContext(Context):
    """A context that reads nothing from the run directory.

    Attributes:
        facts: what `prepare` would write as `summary.json`.
        held: the examples of every split.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    held: Mapping[str, Sequence[Example]] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """What `prepare` would have found out."""
        return self.facts

    def examples(self, split: str) -> list[Example]:
        """The examples of a split, of `HELD_OUT` or of `UNSEEN_TASKS`."""
        return list(self.held[split])
