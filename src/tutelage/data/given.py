"""Predefined splits: kept as they are, measured, completed where one is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tutelage.data.balance import Tally, balance
from tutelage.data.config import SplitConfig
from tutelage.data.leaks import Leak, Leaks, Repeats, find_repeats
from tutelage.data.ledger import Entry
from tutelage.data.overlap import Across, Pair
from tutelage.data.splits import MIN_TEST_ROWS, Split, classes, described, shares
from tutelage.errors import DataGateError
from tutelage.records import SPLITS, Row, SplitName


def given_split(
    rows: Sequence[Row], groups: Sequence[str], config: SplitConfig, across: Across
) -> Split:
    """The splits that rows name, a row without one being for training.

    Leaks are counted before and after. With `config.decontaminate` the earlier side of each is
    removed: training for validation and test, validation for the test; the test never is. A
    missing validation or test is carved out of the training rows by groups, none of which has a
    row in a predefined later split.

    Raises:
        DataGateError: no training rows, or too few groups of them to carve a split from.
    """
    of: list[SplitName | None] = [row.split or "train" for row in rows]
    found = find_repeats(rows, of, across)
    before = after = found.summary(of)
    removed: list[Entry] = []
    while config.decontaminate and after:
        removed += _remove(rows, of, found)
        found = find_repeats(rows, of, across)
        after = found.summary(of)
    if "train" not in of:
        emptied = " after repeated rows were removed" if removed else ""
        raise DataGateError(
            f"no row is left for the train split{emptied}. Name the split column's values train, "
            "validation and test, or give the training rows as the source."
        )
    missing = [name for name in SPLITS[1:] if name not in of]
    final = tuple(groups)
    if missing:
        final = _carve(_Rows(rows, of, classes(rows)), groups, missing, config, across)
        after = find_repeats(rows, of, across).summary(of)
    notes = (*_leak_notes(before, rows, of), *_carved_notes(of, missing))
    split = Split(
        tuple(of),
        "",
        False,
        notes,
        kind="given",
        removed=tuple(removed),
        leaks=Leaks(before, after),
    )
    return described(split, [row.id for row in rows], final, classes(rows))


def joined(groups: Sequence[str], ids: Sequence[str], pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Groups after joining those of every pair; a group is named by its smallest row id."""
    group_of = dict(zip(ids, groups, strict=True))
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while name in parent:
            above = parent[name]
            parent[name] = parent.get(above, above)  # halves the path
            name = above
        return name

    for pair in pairs:
        keep, drop = sorted((root(group_of[pair.first]), root(group_of[pair.second])))
        if keep != drop:
            parent[drop] = keep
    return tuple(map(root, groups))


def _remove(rows: Sequence[Row], of: list[SplitName | None], found: Repeats) -> list[Entry]:
    """Take out what repeats the test; once nothing does, what repeats validation."""
    removed = []
    position = {row.id: i for i, row in enumerate(rows)}
    for later in reversed(SPLITS[1:]):
        for (earlier, repeated), repeats in found.of.items():
            for repeat in repeats if repeated == later else ():
                of[position[repeat.id]] = None
                detail = f"removed from {earlier}: {repeat}, which is for {later}"
                removed.append(Entry(repeat.id, repeat.where, "leak", detail))
        if removed:
            break
    return removed


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows, their splits, which carving fills in, and their labels."""

    rows: Sequence[Row]
    of: list[SplitName | None]
    labels: list[str] | None


def _carve(
    held: _Rows,
    groups: Sequence[str],
    missing: Sequence[SplitName],
    config: SplitConfig,
    across: Across,
) -> tuple[str, ...]:
    """Fill the missing splits from the training rows; returns the groups it ended up with.

    A group that is carved out and still has a pair elsewhere is joined with it, and all is
    carved anew: a group with a row in a given later split stays in training.
    """
    given = tuple(held.of)
    ids = [row.id for row in held.rows]
    final = tuple(groups)
    while True:
        touching = {g for g, name in zip(final, given, strict=True) if name not in (None, "train")}
        pool = [i for i, name in enumerate(given) if name == "train" and final[i] not in touching]
        assigned = _dealt(held, final, pool, missing, config)
        held.of[:] = given
        for place in pool:
            held.of[place] = assigned[final[place]]
        carved = {ids[i] for i in pool if held.of[i] != "train"}
        pairs = across.pairs(held.rows, held.of)
        pairs = tuple(pair for pair in pairs if pair.first in carved or pair.second in carved)
        if not pairs:
            return final
        final = joined(final, ids, pairs)


def _dealt(
    held: _Rows,
    groups: Sequence[str],
    pool: Sequence[int],
    missing: Sequence[SplitName],
    config: SplitConfig,
) -> dict[str, SplitName]:
    """The split of every group of the pool."""
    names: tuple[SplitName, ...] = ("train", *missing)
    labels = [held.labels[i] if held.labels else "" for i in pool]
    pooled = [groups[i] for i in pool]
    if len(set(pooled)) < len(names):
        raise DataGateError(
            f"the training rows that belong to no other split form {len(set(pooled))} group(s); "
            f"{' and '.join(missing)} cannot be carved out of them. Give the split as rows of its "
            "own, or check `task.group_by`."
        )
    tally = Tally.of_rows(pooled, labels)
    _, validation, test = shares(len(pool), config)
    wanted = [{"validation": validation, "test": test}[name] for name in missing]
    least = MIN_TEST_ROWS if "test" in missing else 0
    dealt = balance(tally, [1 - sum(wanted), *wanted], config.seed, least=least)
    return {name: names[to] for name, to in zip(tally.names, dealt, strict=True)}


def _leak_notes(
    before: Sequence[Leak], rows: Sequence[Row], of: Sequence[SplitName | None]
) -> tuple[str, ...]:
    counts = Counter(r.split or "train" for r, name in zip(rows, of, strict=True) if name is None)
    if not counts:
        return tuple(
            f"LEAK: {leak}. The comparison goes on, and says less about new rows; "
            "--set split.decontaminate=true removes the earlier side"
            for leak in before
        )
    told = " and ".join(f"{n:,} {name}" for name, n in sorted(counts.items()))
    leaks = (f"leak, mended: {leak}" for leak in before)
    return (*leaks, f"removed, as they repeat rows of a later split: {told} rows (ledger: leak)")


def _carved_notes(of: Sequence[SplitName | None], missing: Sequence[SplitName]) -> tuple[str, ...]:
    return tuple(
        f"the {name} split was not given: {of.count(name):,} rows were carved out of training"
        for name in missing
    )
