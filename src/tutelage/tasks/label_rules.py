"""From a cell to a label: as it stands, by name, or by thresholds on a number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tutelage.errors import DataGateError, InputError, nearest
from tutelage.tasks.schema import LabelBin, TaskSpec

_SHOWN = 10
_KEPT = 1000


class LabelRule:
    """A task's way from cells to labels; counts the labels that it has no name for."""

    def __init__(self, task: TaskSpec) -> None:
        self._rating = task.rating_rule
        self._bins = task.label_bins
        self._names = task.label_names
        self._unnamed: Counter[str] = Counter()
        self._used: set[str] = set()

    def label(self, cell: str) -> str | None:
        """The label of a cell that is not empty; None where `label_names` has no name for it.

        Raises:
            InputError: a rating that is not a number or in no bin, without an address.
        """
        if self._rating is not None:
            return self._rating.label(_rating(cell))
        if self._bins is not None:
            return _binned(_rating(cell), self._bins)
        if self._names is None:
            return cell
        self._used.add(cell)
        if cell not in self._names:
            if cell in self._unnamed or len(self._unnamed) < _KEPT:
                self._unnamed[cell] += 1
            return None
        return self._names[cell]

    def finish(self, where: str) -> list[str]:
        """Notes on names that no row needed.

        Raises:
            DataGateError: labels without a name, with their counts and the nearest known.
        """
        names = self._names or {}
        if self._unnamed:
            shown = ", ".join(
                f"{label[:60]!r} in {rows:,} rows{nearest(label, names)}"
                for label, rows in self._unnamed.most_common(_SHOWN)
            )
            more = len(self._unnamed) - _SHOWN
            raise DataGateError(
                f"{where}: labels outside task.label_names: {shown}"
                f"{f' and {more:,} others' if more > 0 else ''}. Correct them, or name them too."
            )
        unused = [name for name in names if name not in self._used]
        told = ", ".join(map(repr, unused[:_SHOWN]))
        return [f"label_names: no row has the label {told}"] if unused else []


def _rating(cell: str) -> float:
    try:
        rating = float(cell)
    except ValueError:
        rating = math.nan
    if not math.isfinite(rating):
        raise InputError(f"the rating {cell[:60]!r} is not a number")
    return rating


def _binned(number: float, bins: Sequence[LabelBin]) -> str:
    for one in bins:
        if one.below is None or number < one.below:
            return one.label
    raise InputError(f"the number {number:g} is in none of task.label_bins")
