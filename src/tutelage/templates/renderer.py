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

_OF_THE_ROW = ("row", "empty", "time", "memory", "output")  # other rows may well render


class SafeRenderer:
    """Renders rows; the child starts with the first template that did not come with Tutelage."""

    def __init__(self) -> None:
        self._ours = {template.id: template for template in built_in()}
        self._child: Child | None = None

    def __call__(self, template: Template, row: Row, labels: Sequence[str]) -> Rendered:
        """Prompt and options of a row, forward or inverted as the template is.

        Raises:
            ConfigError, InputError: as `render_any`; also where the child's limits were reached.
        """
        if self._ours.get(template.id) == template:
            return render_any(template, row, labels)
        if self._child is None:
            self._child = Child()
        (found,) = render_rows(self._child, template, [row], labels)
        if isinstance(found, Failure):
            where = "" if row.where in found.message else f"{row.where}: "
            named = "" if template.id in found.message else f"template {template.id}: "
            error = InputError if found.kind in _OF_THE_ROW else ConfigError
            raise error(f"{named}{where}{found.message}")
        return found

    def close(self) -> None:
        """End the child process."""
        if self._child is not None:
            self._child.close()
            self._child = None
