"""Which rows train, validate and test: a pure function of groups, labels and a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tutelage.data.config import SplitConfig
from tutelage.errors import DataGateError
from tutelage.files import sha256_json
from tutelage.records import SPLITS, SplitName

MIN_ROWS = 10
MIN_TEST_ROWS = 30
# Five groups that all agree still give p = 2 / 2^5 = 0.0625 in a sign-flip test.
MIN_TEST_GROUPS = 6
_DRAWS = 20
_PLACEMENTS = 20_000

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Split:
    """The split of every row, in row order.

    `fingerprint` is the sha256 of the sorted (row id, split) pairs. `comparable` is false where
    the test is too small to compare arms on; `notes` say that and whatever else is unusual.
    """

    of: tuple[SplitName, ...]
    fingerprint: str
    comparable: bool
    notes: tuple[str, ...] = ()

    def rows(self, name: SplitName) -> list[int]:
        """Positions of the rows of one split."""
        return [i for i, split in enumerate(self.of) if split == name]


def split_groups(
    groups: Sequence[str], labels: Sequence[str], config: SplitConfig, *, ids: Sequence[str]
) -> Split:
    """Divide whole groups so that sizes and label shares come close to what was asked.

    `groups[i]`, `labels[i]` and `ids[i]` belong to row i; the order of rows does not matter.
    Groups are visited in random order, each goes to the split that needs its labels most, and the
    best balanced of several orders is kept. A label found in one group only is trained on.

    Raises:
        DataGateError: fewer than 10 rows or 3 groups, one label, or no row left for a split.
    """
    names, kinds = sorted(set(groups)), sorted(set(labels))
    _check_size(len(ids), len(names), kinds)
    of_name = {name: i for i, name in enumerate(names)}
    of_kind = {kind: i for i, kind in enumerate(kinds)}
    counts = np.zeros((len(names), len(kinds)))
    for group, label in zip(groups, labels, strict=True):
        counts[of_name[group], of_kind[label]] += 1
    shares = _shares(len(ids), config)
    assigned = _assign(names, counts, shares, config.seed)
    of = tuple(SPLITS[assigned[of_name[group]]] for group in groups)
    _check_splits(of, len(names), len(kinds))
    notes = _notes(groups, labels, of)
    if shares[2] > config.test:
        grown = f"the test share grew from {config.test:.1%} to {shares[2]:.1%}"
        notes = (f"{grown}, towards {MIN_TEST_ROWS} rows", *notes)
    comparable = of.count("test") >= MIN_TEST_ROWS
    return Split(of, sha256_json(sorted(zip(ids, of, strict=True))), comparable, notes)


def _check_size(rows: int, groups: int, kinds: Sequence[str]) -> None:
    if rows < MIN_ROWS:
        raise DataGateError(
            f"the table has {rows} labelled rows; {MIN_ROWS} are the least that can be divided "
            "into training, validation and test. Add rows."
        )
    if len(kinds) < 2:
        raise DataGateError(
            f"all {rows} rows have the label {kinds[0]!r}; there is nothing to learn. Add rows "
            "of another label, or name another column with --label."
        )
    if groups < len(SPLITS):
        raise DataGateError(
            f"duplicates and the group key join all {rows} rows into {groups} group(s), and a "
            f"split needs at least {len(SPLITS)}. Check `task.group_by`; if the rows are alike "
            "because they share boilerplate, use --set split.near_duplicate_threshold=1.0."
        )


def _check_splits(of: Sequence[SplitName], groups: int, kinds: int) -> None:
    for name in SPLITS:
        if name not in of:
            raise DataGateError(
                f"no row is left for the {name} split: {len(of)} rows in {groups} groups are too "
                f"few for {kinds} labels, each of which must be trained on. Add rows, or drop the "
                "rarest labels."
            )


def _shares(rows: int, config: SplitConfig) -> tuple[float, float, float]:
    """Shares of train, validation and test; the test grows to 30 rows where that is half at most.

    Under 60 rows no test is large enough to compare on, so nothing is taken from training.
    """
    test = config.test
    if test * rows < MIN_TEST_ROWS <= rows / 2:
        test = MIN_TEST_ROWS / rows
    validation = min(config.validation, (1 - test) / 2)
    return 1 - validation - test, validation, test


def _assign(
    names: Sequence[str], counts: Counts, shares: tuple[float, float, float], seed: int
) -> list[int]:
    """Index of a split for every group: the best of a few random orders."""
    needs = np.column_stack((counts, counts.sum(axis=1)))
    wanted = np.outer(shares, needs.sum(axis=0))
    candidates = []
    for draw in range(max(1, min(_DRAWS, _PLACEMENTS // len(names)))):
        order = sorted(range(len(names)), key=lambda i: _rank(names[i], seed, draw))
        assigned, left = _fill(order, needs, wanted)
        empty = len(SPLITS) - len(set(assigned))
        tested = (wanted - left)[2, -1]
        short = bool(round(tested) < MIN_TEST_ROWS <= round(wanted[2, -1]))
        imbalance = float((left * left / wanted).sum())
        candidates.append((empty, short, imbalance, draw, assigned))
    return min(candidates)[-1]


def _rank(name: str, seed: int, draw: int) -> bytes:
    text = f"{seed}\0{draw}\0{name}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).digest()


def _fill(order: Sequence[int], needs: Counts, wanted: Counts) -> tuple[list[int], Counts]:
    """Give each group in turn to the split where it lowers the squared relative need most.

    `needs` (groups, labels + 1) counts a group's rows per label and in all; `wanted`
    (splits, labels + 1) is what each split should get. Returns the split per group and what is
    still wanted. The last group of a label that no training row has yet goes to training, and
    the last groups of all to splits that have none.
    """
    left = wanted.copy()
    assigned = [0] * len(order)
    present = needs > 0
    unseen = present.sum(axis=0)
    trained = np.zeros(needs.shape[1], dtype=bool)
    empty = np.ones(len(wanted), dtype=bool)
    for remaining, group in zip(range(len(order), 0, -1), order, strict=True):
        need = needs[group]
        unseen -= present[group]
        split = 0
        if not np.any(present[group] & ~trained & (unseen == 0)):
            cost = ((need - 2 * left) * need / wanted).sum(axis=1)
            if remaining <= empty.sum():
                cost[~empty] = np.inf
            split = int(np.argmin(cost))
        if split == 0:
            trained |= present[group]
        empty[split] = False
        left[split] -= need
        assigned[group] = split
    return assigned, left


def _notes(
    groups: Sequence[str], labels: Sequence[str], of: Sequence[SplitName]
) -> tuple[str, ...]:
    """What a reader of the split should know."""
    notes = []
    for name in SPLITS[1:]:
        present = {label for label, split in zip(labels, of, strict=True) if split == name}
        missing = sorted(set(labels) - present)
        if missing:
            notes.append(f"the {name} split has no row of {', '.join(map(repr, missing))}")
    rows = of.count("test")
    tested = {group for group, split in zip(groups, of, strict=True) if split == "test"}
    if rows < MIN_TEST_ROWS:
        notes.append(
            f"the test has {rows} rows; under {MIN_TEST_ROWS} there is no comparison, only a model"
        )
    elif len(tested) < MIN_TEST_GROUPS:
        notes.append(
            f"the test has {len(tested)} groups; under {MIN_TEST_GROUPS} no difference can be "
            "significant"
        )
    return tuple(notes)
