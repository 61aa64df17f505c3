"""Which rows say the same: exact and near duplicates, joined with the rows' own groups.

    rows ─► normal text ─► distinct texts ─► 5-gram MinHash ─► bands ─► Jaccard ─► components

Every stage is linear in the number of rows: equal texts are one text before anything is hashed,
and inside a bucket of the hash a text is compared with a bounded number of neighbours.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from tutelage.records import Row

SHINGLE = 5
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses no bit
_NEIGHBOURS = 16
_PAIRS_AT_ONCE = 10_000

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]


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


@dataclass(frozen=True, slots=True)
class Search:
    """Locality-sensitive search: `bands` of `rows` minimum hashes each, drawn from `seed`.

    Texts of Jaccard index J become candidates with probability 1 - (1 - J^rows)^bands
    (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4.2).
    """

    bands: int
    rows: int
    seed: int


# Finds 0.99995 of the pairs at J = 0.8 and 0.99 at 0.7.
GROUPING = Search(bands=25, rows=5, seed=1)
# Other hashes and a wider net (misses 1e-9 at 0.8): a check that repeats the search proves nothing.
CHECKING = Search(bands=40, rows=4, seed=2)


def group_rows(rows: Sequence[Row], *, threshold: float = 0.8) -> Groups:
    """Join duplicates, near duplicates and rows of one `group` key into split groups.

    Near duplicates are texts whose sets of character 5-grams have a Jaccard index of at least
    `threshold`; candidates come from MinHash bands (Broder 1997) and are verified on the sets.
    Texts under 5 characters match exactly or not at all. Row order does not matter.
    """
    texts, text_of = _distinct(rows)
    links, similarities = _near_pairs(texts, threshold, GROUPING)
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
    links, similarities = _near_pairs(texts, threshold, CHECKING)
    for (left, right), similarity in zip(links.tolist(), similarities.tolist(), strict=True):
        apart = [
            tuple(sorted((a, b)))
            for split_a, a in held[left].items()
            for split_b, b in held[right].items()
            if split_a != split_b
        ]
        found += [Pair(a, b, similarity, "near") for a, b in sorted(apart)[:1]]
    return tuple(sorted(found, key=lambda pair: (pair.first, pair.second)))


def normal_text(fields: Mapping[str, str]) -> str:
    """Input of a row for comparison: NFKC, case folded, white space collapsed.

    Fields are joined in sorted name order by a NUL, which collapsing does not touch.
    """
    return "\0".join(_normal(fields[name]) for name in sorted(fields))


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def shingles(text: str) -> Hashes:
    """Sorted 64-bit hashes of the distinct character 5-grams; none for a shorter text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    windows = len(codes) - SHINGLE + 1
    if windows < 1:
        return np.empty(0, np.uint64)
    value = codes[:windows]
    for offset in range(1, SHINGLE):
        value = value * _MULTIPLIER + codes[offset : offset + windows]
    return np.unique(value)


def _distinct(rows: Sequence[Row]) -> tuple[list[str], Integers]:
    """The distinct normal texts, sorted, and for every row the index of its own."""
    normal = [normal_text(row.fields) for row in rows]
    texts = sorted(set(normal))
    index = {text: i for i, text in enumerate(texts)}
    return texts, np.array([index[text] for text in normal], dtype=np.int64)


def _near_pairs(
    texts: Sequence[str], threshold: float, search: Search
) -> tuple[Integers, NDArray[np.float64]]:
    """Index pairs (P, 2) of texts with Jaccard index >= threshold, and the index of each."""
    sets = [shingles(text) for text in texts]
    long = [i for i, hashes in enumerate(sets) if hashes.size]
    if len(long) < 2:
        return np.empty((0, 2), np.int64), np.empty(0)
    kept = [sets[i] for i in long]
    signatures = _signatures(kept, search)
    pairs = _likely(signatures, _candidates(signatures, search), threshold)
    similarity = _jaccard(kept, pairs)
    near = similarity >= threshold
    return np.array(long, dtype=np.int64)[pairs[near]], similarity[near]


def _signatures(sets: Sequence[Hashes], search: Search) -> Hashes:
    """Minimum hashes (texts, bands * rows)."""
    # The high half of a product is the well-mixed one (Knuth, TAOCP 3, section 6.4).
    halves = (((hashes * _MULTIPLIER) >> np.uint64(32)).tolist() for hashes in sets)
    hashed = MinHash.generator(
        halves, num_perm=search.bands * search.rows, seed=search.seed, hashfunc=int
    )
    return np.array([minhash.hashvalues for minhash in hashed], dtype=np.uint64)


def _candidates(signatures: Hashes, search: Search) -> Integers:
    """Distinct index pairs (P, 2), left < right, that share a whole band.

    A bucket is sorted by further hashes and each text meets its next 16 neighbours, all of them
    in a smaller bucket (sorted neighbourhood, Hernández and Stolfo 1995): a large cluster stays
    connected and costs no quadratic time.
    """
    count, width = signatures.shape
    weights = _MULTIPLIER ** np.arange(1, search.rows + 1, dtype=np.uint64)
    found = []
    for start in range(0, width, search.rows):
        turned = np.roll(signatures, -start, axis=1)
        bucket = (turned[:, : search.rows] * weights).sum(axis=1, dtype=np.uint64)
        further = turned[:, search.rows : 2 * search.rows].T[::-1]
        order = np.lexsort((*further, bucket))
        ordered = bucket[order]
        for step in range(1, min(_NEIGHBOURS, count - 1) + 1):
            same = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not same.size:
                break
            ends = np.stack((order[same], order[same + step]))
            found.append(ends.min(axis=0) * count + ends.max(axis=0))
    if not found:
        return np.empty((0, 2), np.int64)
    return np.stack(np.divmod(np.unique(np.concatenate(found)), count), axis=1)


def _likely(signatures: Hashes, pairs: Integers, threshold: float) -> Integers:
    """Pairs whose signatures agree as often as four standard errors below the threshold.

    Texts around one long boilerplate share buckets without being near; this spares their sets.
    """
    error = math.sqrt(threshold * (1 - threshold) / signatures.shape[1])
    agree = np.zeros(len(pairs))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        left, right = signatures[pairs[part, 0]], signatures[pairs[part, 1]]
        agree[part] = (left == right).mean(axis=1)
    return pairs[agree >= threshold - 4 * error]


def _jaccard(sets: Sequence[Hashes], pairs: Integers) -> NDArray[np.float64]:
    """Jaccard index of every pair of sets."""
    sizes = np.array([len(hashes) for hashes in sets], dtype=np.int64)
    vocabulary, columns = np.unique(np.concatenate(sets), return_inverse=True)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    ones = np.ones(len(columns), dtype=np.int32)
    table = csr_matrix((ones, columns, starts), shape=(len(sets), len(vocabulary)))
    shared = np.zeros(len(pairs), dtype=np.int64)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        both = table[pairs[part, 0]].multiply(table[pairs[part, 1]])
        shared[part] = np.asarray(both.sum(axis=1)).ravel()
    union: Integers = sizes[pairs].sum(axis=1) - shared
    return shared / union


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
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


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
