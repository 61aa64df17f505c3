"""Rows of one split that repeat rows of a later one, and what was done about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from tutelage.data.benchmarks import Quoted
from tutelage.data.buckets import Integers
from tutelage.data.overlap import Across
from tutelage.records import SPLITS, Row, SplitName

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Repeat:
    """Row `id` at `where` repeats row `of` at `of_where` of a later split.

    `exact` and `near` are about the input, `group` is an equal key of `task.group_by`.
    """

    id: str
    where: str
    of: str
    of_where: str
    kind: Literal["exact", "near", "group"]
    similarity: float

    def __str__(self) -> str:
        alike = f" (Jaccard {self.similarity:.2f})" if self.kind == "near" else ""
        word = {"exact": "equals", "near": "nearly equals", "group": "shares its group with"}
        return f"{self.where} {word[self.kind]} {self.of_where}{alike}"


@dataclass(frozen=True, slots=True)
class Leak:
    """Rows of `earlier` that repeat rows of `later`, each counted once.

    `rows` of `earlier` by their strongest `kinds`, `later_rows` of `later`, which are
    `later_share` of that split. `examples` are the first few.
    """

    earlier: SplitName
    later: SplitName
    rows: int
    later_rows: int
    later_share: float
    kinds: dict[str, int]
    examples: tuple[Repeat, ...]

    def __str__(self) -> str:
        told = "; ".join(map(str, self.examples[:3]))
        return (
            f"{self.rows:,} {self.earlier} rows repeat {self.later_rows:,} {self.later} rows "
            f"({self.later_share:.1%} of them): {told}"
        )


@dataclass(frozen=True, slots=True)
class Leaks:
    """What the search across the splits found before and after rows were moved or removed.

    `moved` rows of a division by time stand later than their own time.
    """

    before: tuple[Leak, ...] = ()
    after: tuple[Leak, ...] = ()
    moved: int = 0
    benchmarks: tuple[Quoted, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `data/leaks.json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Every repeating row by (earlier, later) split, and how many rows of `later` it concerns."""

    of: dict[tuple[SplitName, SplitName], list[Repeat]]
    later_rows: dict[tuple[SplitName, SplitName], int]

    def summary(self, splits: Sequence[SplitName | None]) -> tuple[Leak, ...]:
        """Counts and examples, of pairs of splits that have any."""
        sizes = Counter(splits)
        return tuple(
            Leak(
                earlier=earlier,
                later=later,
                rows=len(found),
                later_rows=self.later_rows[earlier, later],
                later_share=self.later_rows[earlier, later] / sizes[later],
                kinds=dict(sorted(Counter(repeat.kind for repeat in found).items())),
                examples=tuple(found[:_SHOWN]),
            )
            for (earlier, later), found in self.of.items()
            if found
        )


def find_repeats(
    rows: Sequence[Row], splits: Sequence[SplitName | None], across: Across
) -> Repeats:
    """Every row that repeats a row of a later split: train before validation before test.

    An input is compared under the threshold of `across`; a row also repeats another where both
    have the same `group`.
    """
    sides = across.sides(splits)
    links, similarities = across.links(sides)
    code = {name: i for i, name in enumerate(SPLITS)}
    side = np.fromiter((code.get(name, -1) if name else -1 for name in splits), np.int8, len(rows))
    order = np.argsort(-similarities, kind="stable")
    both = np.concatenate((links[order], links[order][:, ::-1]))
    alike = np.concatenate((similarities[order], similarities[order]))
    found = {}
    later_rows = {}
    for earlier, later in combinations(range(len(SPLITS)), 2):
        ends = (sides[both[:, 0]] & (1 << earlier) > 0) & (sides[both[:, 1]] & (1 << later) > 0)
        near = _Near(both[ends], alike[ends])
        names = SPLITS[earlier], SPLITS[later]
        lower, upper = np.flatnonzero(side == earlier), np.flatnonzero(side == later)
        found[names], later_rows[names] = _between(rows, across.inputs.of, lower, upper, near)
    return Repeats(found, later_rows)


@dataclass(frozen=True, slots=True)
class _Near:
    """Directed near pairs of texts, the most similar first of those from one text."""

    pairs: Integers
    similarity: Any


def _between(
    rows: Sequence[Row], text_of: Integers, lower: Integers, upper: Integers, near: _Near
) -> tuple[list[Repeat], int]:
    """Rows of `lower` that repeat rows of `upper`, and the number of rows so repeated."""
    texts = set(text_of[lower].tolist()) & set(text_of[upper].tolist())
    best: dict[int, tuple[int, float]] = {}
    for (left, right), similarity in zip(
        near.pairs.tolist(), near.similarity.tolist(), strict=True
    ):
        if similarity > best.get(left, (0, 0.0))[1]:
            best[left] = right, similarity
    keys = {rows[i].group for i in lower.tolist()} & {rows[i].group for i in upper.tolist()}
    keys.discard(None)
    repeated = texts | set(near.pairs[:, 1].tolist())
    first_text: dict[int, Row] = {}
    first_key: dict[str | None, Row] = {}
    later = 0
    for place in upper.tolist():
        row, text = rows[place], int(text_of[place])
        later += text in repeated or row.group in keys
        if text in repeated:
            first_text.setdefault(text, row)
        if row.group in keys:
            first_key.setdefault(row.group, row)
    found = []
    for place in lower.tolist():
        row, text = rows[place], int(text_of[place])
        if text in texts:
            other = first_text[text]
            found.append(Repeat(row.id, row.where, other.id, other.where, "exact", 1.0))
        elif text in best:
            other = first_text[best[text][0]]
            found.append(Repeat(row.id, row.where, other.id, other.where, "near", best[text][1]))
        elif row.group in keys:
            other = first_key[row.group]
            found.append(Repeat(row.id, row.where, other.id, other.where, "group", 0.0))
    return found, later
