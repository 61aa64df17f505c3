"""Rendering for the linter: templates from outside in two limited child processes.

Each row is rendered twice, and a text that depends on the process it came from, such as on the
order of a set, differs. A template that came with Tutelage is rendered here, both times.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from tutelage.errors import ConfigError, InputError
from tutelage.records import Row
from tutelage.templates.child import Child, Failure, Limits
from tutelage.templates.importers.rows import render_rows
from tutelage.templates.library import built_in
from tutelage.templates.render import Rendered, render_any
from tutelage.templates.schema import Template

_PAST_LIMITS = ("time", "memory", "output")
_OF_THE_ROW = ("row", "empty")


class PastLimitsError(InputError):
    """A rendering that the child process did not finish within its limits."""


class TwoProcesses:
    """Two child processes; use it in a `with` block. They start where they are first needed."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._ours = {template.id: template for template in built_in()}
        self.children = (Child(limits, hash_seed=0), Child(limits, hash_seed=1))

    def __enter__(self) -> TwoProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for child in self.children:
            child.close()

    def first(self, template: Template, row: Row, labels: Sequence[str]) -> Rendered:
        """A row, rendered in the first process; raises as `render_any`, and `PastLimitsError`."""
        return self._render(self.children[0], template, row, labels)

    def second(self, template: Template, row: Row, labels: Sequence[str]) -> Rendered:
        """The same in the second process."""
        return self._render(self.children[1], template, row, labels)

    def clock(self) -> float:
        """Processor time in seconds, here and for rows in both processes, without their starts."""
        return time.process_time() + sum(child.seconds for child in self.children)

    def _render(
        self, child: Child, template: Template, row: Row, labels: Sequence[str]
    ) -> Rendered:
        if self._ours.get(template.id) == template:
            return render_any(template, row, labels)
        (found,) = render_rows(child, template, [row], labels)
        if not isinstance(found, Failure):
            return found
        if found.kind in _PAST_LIMITS:
            raise PastLimitsError(f"{row.where}: {found.message}")
        raise (InputError if found.kind in _OF_THE_ROW else ConfigError)(found.message)
