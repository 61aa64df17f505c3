"""Which rows say the same: exact and near duplicates, joined with the rows' own groups.

    rows ─► normal inputs ─► distinct texts ─► near pairs ─► components

Every stage is linear in the number of rows: equal texts are one text before anything is hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tutelage.data.buckets import Integers, components
from tutelage.data.conflicts import Conflict, find_conflicts
from tutelage.data.inputs import Inputs
from tutelage.data.shingles import CHECKING, GROUPING, Sketch, near_pairs, sketch
from tutelage.records import SPLITS, Row


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows, by id, whose inputs are equal or nearly so; `similarity` is a Jaccard index."""

    first: str
    second: str
    similarity: float
    kind: Literal["exact", "near"]


@dataclass(frozen=True, slots=True)
class Groups:
    """The split group of every row, and why rows were joined.

    `of[i]` is the smallest row id in the group of row i. `pairs` ties every exact duplicate to
    the smallest row id with that text; near duplicates are named by those rows too. `inputs`
    spares whoever splits the groups to normalise the rows again.
    """

    of: tuple[str, ...]
    pairs: tuple[Pair, ...]
    conflicts: tuple[Conflict, ...]
    inputs: Inputs = field(compare=False, repr=False)


def group_rows(rows: Sequence[Row], *, threshold: float = 0.8) -> Groups:
    """Join duplicates, near duplicates and rows of one `group` key into split groups.

    Near duplicates are inputs whose sets of character 5-grams have a Jaccard index of at least
    `threshold`. Inputs under 5 characters match exactly or not at all. Row order does not matter.
    """
    inputs = Inputs.of_rows(rows)
    links, similarities = near_pairs(sketch(inputs.texts, GROUPING), threshold)
    ids = [row.id for row in rows]
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    component = _components(rows, inputs, links)
    first = _first(component, order)
    named = _first(inputs.of, order)
    exact = (
        Pair(ids[named[text]], ids[place], 1.0, "exact")
        for place, text in zip(order.tolist(), inputs.of[order].tolist(), strict=True)
        if named[text] != place
    )
    near = []
    for (left, right), similarity in zip(links.tolist(), similarities.tolist(), strict=True):
        one, other = sorted((ids[named[left]], ids[named[right]]))
        near.append(Pair(one, other, similarity, "near"))
    return Groups(
        of=tuple(ids[i] for i in first[component].tolist()),
        pairs=(*exact, *sorted(near, key=_by_ids)),
        conflicts=find_conflicts(rows, inputs),
        inputs=inputs,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Across:
    """A search for texts that lie in two splits, with other hashes and a wider net than grouping.

    The hashes are made once, for as many divisions of the same rows as are tried.
    """

    inputs: Inputs
    threshold: float
    hashes: Sketch

    @classmethod
    def of_inputs(cls, inputs: Inputs, threshold: float) -> Across:
        """Hash all inputs for the search."""
        return cls(inputs, threshold, sketch(inputs.texts, CHECKING))

    def sides(self, splits: Sequence[str | None]) -> NDArray[np.uint8]:
        """The splits that hold each text, as bits: train 1, validation 2, test 4."""
        bit: dict[str | None, int] = {name: 1 << i for i, name in enumerate(SPLITS)}
        bits = np.fromiter((bit.get(name, 0) for name in splits), np.uint8, len(splits))
        held = np.zeros(len(self.inputs.texts), np.uint8)
        np.bitwise_or.at(held, self.inputs.of, bits)
        return held

    def links(self, sides: NDArray[np.uint8]) -> tuple[Integers, NDArray[np.float64]]:
        """Near pairs (P, 2) of texts that lie in different splits, and their similarity."""
        return near_pairs(self.hashes, self.threshold, sides)

    def pairs(self, rows: Sequence[Row], splits: Sequence[str | None]) -> tuple[Pair, ...]:
        """Pairs of rows in different splits, smallest ids first; see `cross_split_pairs`."""
        sides = self.sides(splits)
        links, similarities = self.links(sides)
        wanted = np.zeros(len(sides), np.bool_)
        wanted[links] = True
        several = (sides & (sides - 1)) > 0
        held = _smallest_by_split(rows, splits, self.inputs.of, wanted | several)
        found = []
        for text in np.flatnonzero(several).tolist():
            ids = sorted(held[text].values())
            found += [Pair(ids[0], other, 1.0, "exact") for other in ids[1:]]
        for (left, right), similarity in zip(links.tolist(), similarities.tolist(), strict=True):
            apart = min(
                (min(a, b), max(a, b))
                for split_a, a in held[left].items()
                for split_b, b in held[right].items()
                if split_a != split_b
            )
            found.append(Pair(*apart, similarity, "near"))
        return tuple(sorted(found, key=_by_ids))


def cross_split_pairs(
    rows: Sequence[Row], splits: Sequence[str | None], *, threshold: float = 0.8
) -> tuple[Pair, ...]:
    """Pairs of equal or near-duplicate rows that lie in different splits; a sound split has none.

    `splits[i]` is the split of row i, None where it was removed. Of several rows with one text
    the smallest id of each split is named.
    """
    return Across.of_inputs(Inputs.of_rows(rows), threshold).pairs(rows, splits)


def _smallest_by_split(
    rows: Sequence[Row],
    splits: Sequence[str | None],
    text_of: Integers,
    wanted: NDArray[np.bool_],
) -> dict[int, dict[str, str]]:
    """For each wanted text the smallest row id in every split that holds it."""
    held: dict[int, dict[str, str]] = {}
    for place in np.flatnonzero(wanted[text_of]).tolist():
        split, row_id = splits[place], rows[place].id
        if split is not None:
            of_text = held.setdefault(int(text_of[place]), {})
            of_text[split] = min(row_id, of_text.get(split, row_id))
    return held


def _by_ids(pair: Pair) -> tuple[str, str]:
    return pair.first, pair.second


def _components(rows: Sequence[Row], inputs: Inputs, links: Integers) -> Integers:
    """Component label per row of the graph of rows, texts and group keys."""
    count, texts = len(rows), len(inputs.texts)
    keys = {key: i for i, key in enumerate(sorted({r.group for r in rows if r.group is not None}))}
    key_of = np.array([-1 if r.group is None else keys[r.group] for r in rows], dtype=np.int64)
    keyed = np.flatnonzero(key_of >= 0)
    edges = (
        np.stack((np.arange(count), count + inputs.of), axis=1),
        np.stack((keyed, count + texts + key_of[keyed]), axis=1),
        count + links,
    )
    return components(np.concatenate(edges), count + texts + len(keys))[:count]


def _first(labels: Integers, order: Integers) -> Integers:
    """For every label the place that comes first in `order`."""
    first = np.zeros(labels.max(initial=-1) + 1, np.int64)
    names, index = np.unique(labels[order], return_index=True)
    first[names] = order[index]
    return first
