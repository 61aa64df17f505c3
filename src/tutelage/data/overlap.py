"""Which rows say the same: exact and near duplicates, joined with the rows' own groups.

    rows ─► normal text ─► distinct texts ─► near pairs ─► components

Every stage is linear in the number of rows: equal texts are one text before anything is hashed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tutelage.data.shingles import CHECKING, GROUPING, Integers, near_pairs
from tutelage.records import Row


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows, by id, whose inputs are equal or nearly so; `similarity` is a Jaccard index."""

    first: str
    second: str
    similarity: float
    kind: Literal["exact", "near"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rows, by id, with the same normalised input and different labels, in row-id order."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """The split group of every row, and why rows were joined.

    `of[i]` is the smallest row id in the group of row i. `pairs` ties every exact duplicate to
    the smallest row id with that text; near duplicates are named by those rows too.
    """

    of: tuple[str, ...]
    pairs: tuple[Pair, ...]
    conflicts: tuple[Conflict, ...]


def group_rows(rows: Sequence[Row], *, threshold: float = 0.8) -> Groups:
    """Join duplicates, near duplicates and rows of one `group` key into split groups.

    Near duplicates are texts whose sets of character 5-grams have a Jaccard index of at least
    `threshold`. Texts under 5 characters match exactly or not at all. Row order does not matter.
    """
    texts, text_of = _distinct(rows)
    links, similarities = near_pairs(texts, threshold, GROUPING)
    ids = [row.id for row in rows]
    component = _components(rows, text_of, links, len(texts))
    smallest = _smallest_ids(ids, component)
    named = _smallest_ids(ids, text_of)
    exact = (
        Pair(named[text], row_id, 1.0, "exact")
        for row_id, text in sorted(zip(ids, text_of.tolist(), strict=True))
        if named[text] != row_id
    )
    near = _named_pairs(links, similarities, named)
    return Groups(
        of=tuple(smallest[label] for label in component.tolist()),
        pairs=(*exact, *near),
        conflicts=_conflicts(rows, text_of),
    )


def cross_split_pairs(
    rows: Sequence[Row], splits: Sequence[str], *, threshold: float = 0.8
) -> tuple[Pair, ...]:
    """Pairs of equal or near-duplicate rows that lie in different splits; a sound split has none.

    `splits[i]` is the split of row i. The search draws other hashes than `group_rows` and casts a
    wider net. Of several rows with one text the smallest id of each split is named.
    """
    texts, text_of = _distinct(rows)
    held: list[dict[str, str]] = [{} for _ in texts]
    for row, split, text in zip(rows, splits, text_of.tolist(), strict=True):
        known = held[text].get(split)
        held[text][split] = row.id if known is None else min(known, row.id)
    found = []
    for splits_of_text in held:
        ids = sorted(splits_of_text.values())
        found += [Pair(ids[0], other, 1.0, "exact") for other in ids[1:]]
    links, similarities = near_pairs(texts, threshold, CHECKING)
    for (left, right), similarity in zip(links.tolist(), similarities.tolist(), strict=True):
        apart = [
            tuple(sorted((a, b)))
            for split_a, a in held[left].items()
            for split_b, b in held[right].items()
            if split_a != split_b
        ]
        found += [Pair(a, b, similarity, "near") for a, b in sorted(apart)[:1]]
    return tuple(sorted(found, key=_by_ids))


def _by_ids(pair: Pair) -> tuple[str, str]:
    return pair.first, pair.second


def normal_text(fields: Mapping[str, str]) -> str:
    """Input of a row for comparison: NFKC, case folded, white space collapsed.

    Fields are joined in sorted name order by a NUL, which collapsing does not touch.
    """
    return "\0".join(_normal(fields[name]) for name in sorted(fields))


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _distinct(rows: Sequence[Row]) -> tuple[list[str], Integers]:
    """The distinct normal texts, sorted, and for every row the index of its own."""
    normal = [normal_text(row.fields) for row in rows]
    texts = sorted(set(normal))
    index = {text: i for i, text in enumerate(texts)}
    return texts, np.array([index[text] for text in normal], dtype=np.int64)


def _components(rows: Sequence[Row], text_of: Integers, links: Integers, texts: int) -> Integers:
    """Component label per row of the graph of rows, texts and group keys."""
    keys = {key: i for i, key in enumerate(sorted({r.group for r in rows if r.group is not None}))}
    of_text = [(i, len(rows) + text) for i, text in enumerate(text_of.tolist())]
    of_key = [
        (i, len(rows) + texts + keys[row.group])
        for i, row in enumerate(rows)
        if row.group is not None
    ]
    edges = np.array(of_text + of_key, dtype=np.int64).reshape(-1, 2)
    edges = np.concatenate((edges, links + len(rows)))
    nodes = len(rows) + texts + len(keys)
    graph = coo_matrix((np.ones(len(edges), np.int8), edges.T), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    labels: Integers = component[: len(rows)].astype(np.int64)
    return labels


def _smallest_ids(ids: Sequence[str], labels: Integers) -> dict[int, str]:
    """Smallest id under every label."""
    smallest: dict[int, str] = {}
    for row_id, label in zip(ids, labels.tolist(), strict=True):
        smallest[label] = min(row_id, smallest.get(label, row_id))
    return smallest


def _named_pairs(
    links: Integers, similarities: NDArray[np.float64], named: Mapping[int, str]
) -> list[Pair]:
    pairs = []
    for (left, right), similarity in zip(links.tolist(), similarities.tolist(), strict=True):
        first, second = sorted((named[left], named[right]))
        pairs.append(Pair(first, second, similarity, "near"))
    return sorted(pairs, key=_by_ids)


def _conflicts(rows: Sequence[Row], text_of: Integers) -> tuple[Conflict, ...]:
    members: dict[int, list[tuple[str, str]]] = {}
    for row, text in zip(rows, text_of.tolist(), strict=True):
        members.setdefault(text, []).append((row.id, row.label))
    found = []
    for pairs in members.values():
        ids, labels = zip(*sorted(pairs), strict=True)
        if len(set(labels)) > 1:
            found.append(Conflict(ids, labels))
    return tuple(sorted(found, key=lambda conflict: conflict.ids))
