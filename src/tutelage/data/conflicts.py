"""Rows that contradict each other: one input, answers that cannot both be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tutelage.data.inputs import Inputs, normal_cell
from tutelage.records import Row


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rows, by id, with the same normalised input and different labels, in row-id order."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]


def find_conflicts(rows: Sequence[Row], inputs: Inputs) -> tuple[Conflict, ...]:
    """Conflicts among rows of equal input, and of equal options where rows bring their own.

    Text answers contradict where rows fall into sets that share no answer once normalised, be it
    by way of a third row.
    """
    repeated = np.bincount(inputs.of, minlength=1)[inputs.of] > 1
    members: dict[tuple[int, ...] | tuple[int, str], list[Row]] = {}
    for place in np.flatnonzero(repeated).tolist():
        row = rows[place]
        options = "\0".join(sorted(map(normal_cell, row.choices)))
        members.setdefault((int(inputs.of[place]), options), []).append(row)
    found = []
    for same in members.values():
        if _differ(same):
            ordered = sorted(same, key=lambda row: row.id)
            found.append(Conflict(tuple(r.id for r in ordered), tuple(r.label for r in ordered)))
    return tuple(sorted(found, key=lambda conflict: conflict.ids))


def _differ(rows: Sequence[Row]) -> bool:
    if not any(row.answers for row in rows):
        return len({row.label for row in rows}) > 1
    agreeing: list[set[str]] = []
    for row in rows:
        answers = {normal_cell(answer) for answer in row.answers or (row.label,)}
        shared = [known for known in agreeing if known & answers]
        agreeing = [known for known in agreeing if not known & answers]
        agreeing.append(answers.union(*shared))
    return len(agreeing) > 1
