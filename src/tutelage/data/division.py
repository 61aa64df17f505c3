"""The one way to divide rows: as the source says, by time, or at random; never across groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tutelage.data.benchmarks import find_quotes, quoted
from tutelage.data.config import SplitConfig
from tutelage.data.given import given_split, joined
from tutelage.data.leaks import Leaks
from tutelage.data.ledger import Entry
from tutelage.data.overlap import Across, Groups
from tutelage.data.splits import (
    MIN_TEST_ROWS,
    Split,
    check_size,
    classes,
    described,
    grown,
    shares,
    split_groups,
)
from tutelage.data.timeline import cut_by_time, read_times
from tutelage.errors import ConfigError, DataGateError
from tutelage.records import Row


def divide(rows: Sequence[Row], groups: Groups, config: SplitConfig) -> Split:
    """Divide rows, of which `groups` says what belongs together, and look for leaks.

    Rows that name their split keep it; else `split.time` cuts by time, else groups are dealt out
    at random. The result is searched again, with other hashes and a wider net than grouping. In
    the last two cases, what this finds is joined and divided anew, so that no pair is left across
    the splits by construction. Predefined splits are only changed with `split.decontaminate`:
    without it their leaks are counted and noted.

    Raises:
        ConfigError: two ways to divide at once, or a benchmark file that is missing.
        DataGateError: too few rows, groups, labels or times, or a split without rows.
        InputError: a benchmark file that cannot be read.
    """
    try:
        return _divided(rows, groups, config)
    except DataGateError as error:
        if not rows or str(error).startswith("split."):
            raise
        raise DataGateError(f"{rows[0].where} to {rows[-1].where}: {error}") from error


def _divided(rows: Sequence[Row], groups: Groups, config: SplitConfig) -> Split:
    across = Across.of_inputs(groups.inputs, config.near_duplicate_threshold)
    if any(row.split is not None for row in rows):
        if config.time is not None:
            raise ConfigError(
                "split.time: the source already says which rows are for validation or test. "
                "Leave `split.time` out, or read the rows without their splits."
            )
        split = given_split(rows, groups.of, config, across)
    elif config.time is not None:
        split = _by_time(rows, groups.of, config, across)
    else:
        split = _at_random(rows, groups.of, config, across)
    return _without_quotes(rows, split, config) if config.benchmarks else split


def _at_random(
    rows: Sequence[Row], groups: Sequence[str], config: SplitConfig, across: Across
) -> Split:
    ids, labels = [row.id for row in rows], classes(rows)
    return _settled(rows, groups, across, lambda of: split_groups(of, labels, config, ids=ids))


def _by_time(
    rows: Sequence[Row], groups: Sequence[str], config: SplitConfig, across: Across
) -> Split:
    ids, labels = [row.id for row in rows], classes(rows)
    wanted = shares(len(rows), config)
    check_size(groups, labels)
    times = read_times(rows, config.time or "")

    def cut(of: Sequence[str]) -> Split:
        made = cut_by_time(rows, of, times, wanted, MIN_TEST_ROWS)
        notes = [
            f"divided by time: validation begins at {made.begins[0]}, the test at {made.begins[1]}",
            *grown(wanted, config),
        ]
        if made.moved:
            shown = ", ".join(rows[i].where for i in made.moved[:3])
            notes.append(
                f"{len(made.moved):,} rows stand in a later split than their time, because a row "
                f"of their group does: {shown}"
            )
        leaks = Leaks(moved=len(made.moved))
        split = Split(made.of, "", False, tuple(notes), kind="time", leaks=leaks)
        return described(split, ids, of, labels)

    return _settled(rows, groups, across, cut)


def _settled(
    rows: Sequence[Row],
    groups: Sequence[str],
    across: Across,
    split: Callable[[Sequence[str]], Split],
) -> Split:
    """Split, search across the splits, join what was missed, until nothing is found."""
    ids = [row.id for row in rows]
    made = split(groups)
    while pairs := across.pairs(rows, made.of):
        made = split(joined(made.groups, ids, pairs))
    return made


def _without_quotes(rows: Sequence[Row], split: Split, config: SplitConfig) -> Split:
    """Count the rows that quote a benchmark; with `decontaminate` drop those of training."""
    found = find_quotes(rows, config.benchmarks, config.benchmark_words)
    told = quoted(found, rows, split.of)
    of, removed = list(split.of), list(split.removed)
    notes = list(split.notes)
    for (benchmark, hits), counts in zip(found, told, strict=True):
        if counts.rows:
            each = ", ".join(f"{n:,} {name}" for name, n in sorted(counts.rows.items()))
            where, words = counts.examples[0]
            notes.append(f"rows that quote {benchmark.path}: {each}. First: {where}: {words!r}")
        for place in sorted(hits) if config.decontaminate else ():
            row = rows[place]
            if of[place] == "train":
                of[place] = None
                detail = f"removed from training: quotes {benchmark.path}: {hits[place]!r}"
                removed.append(Entry(row.id, row.where, "benchmark", detail))
    leaks = replace(split.leaks, benchmarks=told)
    changed = replace(split, of=tuple(of), removed=tuple(removed), notes=tuple(notes), leaks=leaks)
    return described(changed, [row.id for row in rows], split.groups, classes(rows))
