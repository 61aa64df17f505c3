"""Near-duplicate search: sets of character 5-grams, MinHash bands, verified Jaccard index.

Linear in the number of texts: inside a bucket of the hash a text is compared with a bounded
number of neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

LENGTH = 5
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses no bit
_NEIGHBOURS = 16
_PAIRS_AT_ONCE = 10_000

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]


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


def near_pairs(
    texts: Sequence[str], threshold: float, search: Search
) -> tuple[Integers, NDArray[np.float64]]:
    """Index pairs (P, 2) of distinct texts with Jaccard index >= threshold, and the index of each.

    Candidates share a band of minimum hashes (Broder, On the resemblance and containment of
    documents, 1997) and are verified on their sets.
    """
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


def shingles(text: str) -> Hashes:
    """Sorted 64-bit hashes of the distinct character 5-grams; none for a shorter text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    windows = len(codes) - LENGTH + 1
    if windows < 1:
        return np.empty(0, np.uint64)
    value = codes[:windows]
    for offset in range(1, LENGTH):
        value = value * _MULTIPLIER + codes[offset : offset + windows]
    return np.unique(value)


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
