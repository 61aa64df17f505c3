"""Which rows train, validate and test: a pure function of groups, labels and a seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tutelage.data.balance import Tally, balance
from tutelage.data.config import SplitConfig
from tutelage.data.leaks import Leaks
from tutelage.data.ledger import Entry
from tutelage.errors import DataGateError
from tutelage.records import SPLITS, Row, SplitName

MIN_ROWS = 10
MIN_TEST_ROWS = 30
# Five groups that all agree still give p = 2 / 2^5 = 0.0625 in a sign-flip test.
MIN_TEST_GROUPS = 6


@dataclass(frozen=True, slots=True)
class Split:
    """The split of every row, in row order; None where the row was removed.

    `fingerprint` is the sha256 of the sorted (row id, split) pairs. `comparable` is false where
    the test cannot tell arms apart; `notes` say that and whatever else is unusual. `kind` is how
    rows were divided, `groups` the final group of every row, `removed` the ledger's entries for
    rows that are None, and `leaks` what was searched for and found across the splits.
    """

    of: tuple[SplitName | None, ...]
    fingerprint: str
    comparable: bool
    notes: tuple[str, ...] = ()
    kind: Literal["random", "time", "given"] = "random"
    groups: tuple[str, ...] = ()
    removed: tuple[Entry, ...] = ()
    leaks: Leaks = field(default_factory=Leaks)

    def rows(self, name: SplitName) -> list[int]:
        """Positions of the rows of one split."""
        return [i for i, split in enumerate(self.of) if split == name]


def split_groups(
    groups: Sequence[str],
    labels: Sequence[str] | None,
    config: SplitConfig,
    *,
    ids: Sequence[str],
) -> Split:
    """Divide whole groups so that sizes and label shares come close to what was asked.

    `groups[i]`, `labels[i]` and `ids[i]` belong to row i; the order of rows does not matter.
    Groups are visited in random order, each goes to the split that needs its labels most, and the
    best balanced of several orders is kept. A label found in one group only is trained on.
    `labels` is None where they are no classes.

    Raises:
        DataGateError: fewer than 10 rows or 3 groups, one label, or no row left for a split.
    """
    check_size(groups, labels)
    tally = Tally.of_rows(groups, labels or [""] * len(groups))
    wanted = shares(len(ids), config)
    assigned = dict(
        zip(tally.names, balance(tally, wanted, config.seed, least=MIN_TEST_ROWS), strict=True)
    )
    of = tuple(SPLITS[assigned[group]] for group in groups)
    return described(Split(of, "", False, grown(wanted, config)), ids, groups, labels)


def described(
    split: Split, ids: Sequence[str], groups: Sequence[str], labels: Sequence[str] | None
) -> Split:
    """A division with its fingerprint, its notes, and whether arms can be compared on it.

    A second time, after rows were removed, only what is new is noted.

    Raises:
        DataGateError: a split without rows, or nothing to learn from the training rows.
    """
    kinds = set() if labels is None else set(labels)
    _check_splits(split.of, len(set(groups)), kinds)
    tested = _labels_of(split.of, labels, "test")
    rows = split.of.count("test")
    notes = [*split.notes, *_label_notes(split.of, labels, kinds)]
    test_groups = {group for group, name in zip(groups, split.of, strict=True) if name == "test"}
    if rows < MIN_TEST_ROWS:
        notes.append(
            f"the test has {rows} rows; under {MIN_TEST_ROWS} there is no comparison, only a model"
        )
    elif len(tested) == 1:
        notes.append(
            f"all test rows have the label {min(tested)!r}; there is no comparison, only a model"
        )
    elif len(test_groups) < MIN_TEST_GROUPS:
        notes.append(
            f"the test has {len(test_groups)} groups; under {MIN_TEST_GROUPS} no difference can be "
            "significant"
        )
    return replace(
        split,
        fingerprint=fingerprint(ids, split.of),
        comparable=rows >= MIN_TEST_ROWS and len(tested) != 1,
        notes=tuple(dict.fromkeys(notes)),
        groups=tuple(groups),
    )


def fingerprint(ids: Sequence[str], of: Sequence[SplitName | None]) -> str:
    """Sha256 of the canonical JSON of the sorted (row id, split) pairs, made piece by piece."""
    digest = hashlib.sha256(b"[")
    kept = ((i, name) for i, name in zip(ids, of, strict=True) if name is not None)
    for number, pair in enumerate(sorted(kept)):
        text = json.dumps(pair, separators=(",", ":"), ensure_ascii=False)
        digest.update((("," if number else "") + text).encode("utf-8", "surrogatepass"))
    digest.update(b"]")
    return digest.hexdigest()


def shares(rows: int, config: SplitConfig) -> tuple[float, float, float]:
    """Shares of train, validation and test; the test grows to 30 rows where that is half at most.

    Under 60 rows no test is large enough to compare on, so nothing is taken from training.
    """
    test = config.test
    if test * rows < MIN_TEST_ROWS <= rows / 2:
        test = MIN_TEST_ROWS / rows
    validation = min(config.validation, (1 - test) / 2)
    return 1 - validation - test, validation, test


def classes(rows: Sequence[Row]) -> list[str] | None:
    """What to balance splits by: labels, of several tasks each task's own; None without classes.

    Text answers and options of single rows are no classes.
    """
    several = len({row.task for row in rows}) > 1
    classed = have_classes(rows)
    if not (any(classed) or several):
        return None
    if not several:
        return [row.label for row in rows]
    return [
        f"{row.task}: {row.label}" if own else row.task
        for row, own in zip(rows, classed, strict=True)
    ]


def have_classes(rows: Sequence[Row]) -> list[bool]:
    """Whether the label of each row is one of a few that its whole task shares.

    In a mixture a task's labels may stand in its rows as options, the same in every one.
    """
    options: dict[str, set[tuple[str, ...]]] = {}
    for row in rows:
        options.setdefault(row.task, set()).add(row.choices)
    mixed = len(options) > 1
    return [
        len(options[row.task]) == 1 if mixed and row.choices else not (row.answers or row.choices)
        for row in rows
    ]


def grown(wanted: tuple[float, float, float], config: SplitConfig) -> tuple[str, ...]:
    """A note where the test is larger than was asked."""
    if wanted[2] <= config.test:
        return ()
    told = f"the test share grew from {config.test:.1%} to {wanted[2]:.1%}"
    return (f"{told}, towards {MIN_TEST_ROWS} rows",)


def check_size(groups: Sequence[str], labels: Sequence[str] | None) -> None:
    """Refuse rows that cannot be divided.

    Raises:
        DataGateError: fewer than 10 rows or 3 groups, or one label only.
    """
    rows, whole = len(groups), len(set(groups))
    if rows < MIN_ROWS:
        raise DataGateError(
            f"the table has {rows} labelled rows; {MIN_ROWS} are the least that can be divided "
            "into training, validation and test. Add rows."
        )
    if labels is not None and len(set(labels)) < 2:
        raise DataGateError(
            f"all {rows} rows have the label {labels[0]!r}; there is nothing to learn. Add rows "
            "of another label, or name another column with --label."
        )
    if whole < len(SPLITS):
        raise DataGateError(
            f"duplicates and the group key join all {rows} rows into {whole} group(s), and a "
            f"split needs at least {len(SPLITS)}. Check `task.group_by`; if the rows are alike "
            "because they share boilerplate, use --set split.near_duplicate_threshold=1.0."
        )


def _check_splits(of: Sequence[SplitName | None], groups: int, kinds: Collection[str]) -> None:
    for name in SPLITS:
        if name not in of:
            least = f" for {len(kinds)} labels, each of which must be trained on" if kinds else ""
            remedy = ", or drop the rarest labels" if kinds else ""
            raise DataGateError(
                f"no row is left for the {name} split: {len(of)} rows in {groups} groups are too "
                f"few{least}. Add rows{remedy}."
            )


def _labels_of(
    of: Sequence[SplitName | None], labels: Sequence[str] | None, name: SplitName
) -> set[str]:
    if labels is None:
        return set()
    return {label for label, split in zip(labels, of, strict=True) if split == name}


def _label_notes(
    of: Sequence[SplitName | None], labels: Sequence[str] | None, kinds: Collection[str]
) -> list[str]:
    """Which labels a split has no row of.

    Raises:
        DataGateError: the training rows have one label.
    """
    notes = []
    for name in SPLITS if kinds else ():
        present = _labels_of(of, labels, name)
        if name == "train" and len(present) < 2:
            raise DataGateError(
                f"all training rows have the label {min(present)!r}; there is nothing to learn. "
                "Divide the rows another way (section `split`)."
            )
        missing = sorted(set(kinds) - present)
        if missing:
            notes.append(f"the {name} split has no row of {', '.join(map(repr, missing))}")
    return notes
