"""A division by time: train before validation before test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tutelage.data.balance import coded
from tutelage.errors import DataGateError
from tutelage.records import SPLITS, Row, SplitName

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """The division: the split of every row, the positions of moved rows, and what was cut where.

    `begins` are the times, as written, from which validation and test take whole groups.
    """

    of: tuple[SplitName, ...]
    moved: tuple[int, ...]
    begins: tuple[str, str]


def read_times(rows: Sequence[Row], column: str) -> Times:
    """Times (rows,) as numbers that can be compared: all numbers, or all ISO 8601.

    A date without a zone is UTC, one without an hour its first moment.

    Raises:
        DataGateError: rows without a time, or with one that cannot be read.
    """
    read = _number if _number(next((r.time or "" for r in rows), "")) is not None else _moment
    found = [read(row.time or "") for row in rows]
    wrong = [row for row, time in zip(rows, found, strict=True) if time is None]
    if wrong:
        shown = "; ".join(f"{row.where}: {row.time or ''!r}" for row in wrong[:3])
        raise DataGateError(
            f"split.time: {len(wrong):,} of {len(rows):,} rows have no time in {column!r} that "
            f"reads like that of the first row. First: {shown}. Write every time as ISO 8601 "
            "(2026-03-31, 2026-03-31T08:15:00+02:00), or every one as a number."
        )
    return np.array(found, dtype=np.float64)


def cut_by_time(
    rows: Sequence[Row],
    groups: Sequence[str],
    times: Times,
    shares: tuple[float, float, float],
    least: int,
) -> Cut:
    """Cut where the shares of rows are met best; a group goes where its latest row goes.

    So no training row is later than the first time of validation, nor one of these later than
    that of the test. A group that straddles a cut takes its earlier rows along: they are `moved`.
    Groups with equal latest times stay together. The test gets `least` rows where that many were
    asked for.

    Raises:
        DataGateError: fewer than three different times.
    """
    names, group_of = coded(groups)
    latest = np.full(len(names), -np.inf)
    np.maximum.at(latest, group_of, times)
    moments, moment_of = np.unique(latest, return_inverse=True)
    if len(moments) < len(SPLITS):
        raise DataGateError(
            f"split.time: the {len(names):,} groups of rows end at {len(moments)} different "
            f"time(s), and a division by time needs {len(SPLITS)}. Name a finer time column, "
            "check `task.group_by`, or leave `split.time` out."
        )
    before = np.concatenate(([0], np.cumsum(np.bincount(moment_of[group_of]))))
    test = _nearest(before, (1 - shares[2]) * len(rows), 2, len(moments) - 1)
    while len(rows) - before[test] < least <= round(shares[2] * len(rows)) and test > 2:
        test -= 1
    validation = _nearest(before, shares[0] * len(rows), 1, test - 1)
    split_of_group = np.searchsorted([validation, test], moment_of, side="right")
    split = split_of_group[group_of]
    starts = np.array([-np.inf, moments[validation], moments[test]])
    moved = np.flatnonzero(times < starts[split])
    return Cut(
        of=tuple(SPLITS[i] for i in split.tolist()),
        moved=tuple(moved.tolist()),
        begins=(_written(rows, times, starts[1]), _written(rows, times, starts[2])),
    )


def _nearest(before: NDArray[np.int64], wanted: float, low: int, high: int) -> int:
    """Of the cuts `low` to `high` the one with the number of rows before it nearest to `wanted`."""
    return low + int(np.argmin(np.abs(before[low : high + 1] - wanted)))


def _written(rows: Sequence[Row], times: Times, moment: float) -> str:
    return rows[int(np.flatnonzero(times == moment)[0])].time or ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
