"""Rendering templates of any origin: our own ones here, all others in the limited child."""

from __future__ import annotations

from collections.abc import Sequence

from tutelage.errors import ConfigError, InputError
from tutelage.records import Row
from tutelage.templates.child import Child, Failure
from tutelage.templates.importers.rows import render_rows
from tutelage.templates.library import built_in
from tutelage.templates.render import Rendered, render_any
from tutelage.templates.schema import Template

_OF_THE_ROW = ("row", "empty")  # other rows may well render
_PAST_LIMITS = ("time", "memory", "output")


class PastLimitsError(InputError):
    """A rendering that the child process did not finish within its limits."""


class SafeRenderer:
    """Renders rows; the child starts with the first template that did not come with Tutelage."""

    def __init__(self, child: Child | None = None) -> None:
        self._ours = {template.id: template for template in built_in()}
        self.child = child or Child()

    def __call__(self, template: Template, row: Row, labels: Sequence[str]) -> Rendered:
        """Prompt and options of a row, forward or inverted as the template is.

        Raises:
            ConfigError, InputError: as `render_any`.
            PastLimitsError: the child's limits were reached.
        """
        if self._ours.get(template.id) == template:
            return render_any(template, row, labels)
        (found,) = render_rows(self.child, template, [row], labels)
        if not isinstance(found, Failure):
            return found
        where = "" if row.where in found.message else f"{row.where}: "
        named = "" if template.id in found.message else f"template {template.id}: "
        said = f"{named}{where}{found.message}"
        if found.kind in _PAST_LIMITS:
            raise PastLimitsError(said)
        raise (InputError if found.kind in _OF_THE_ROW else ConfigError)(said)

    def close(self) -> None:
        """End the child process."""
        self.child.close()
