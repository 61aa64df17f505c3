"""Near-duplicate search: sets of character 5-grams, MinHash bands, verified Jaccard index.

Linear in the number of texts: inside a bucket of the hash a text is compared with a bounded
number of neighbours. A text costs 2 bytes per hash, 250 while grouping and 320 while checking;
its set is made again where a candidate has to be verified, and never kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from tutelage.data.buckets import Integers, components, neighbours

LENGTH = 5
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses no bit
_CELLS = 1 << 16  # shingles hashed at once: they and their products stay in the cache
_PAIRS_AT_ONCE = 10_000

Hashes = NDArray[np.uint64]
Signatures = NDArray[np.uint16]


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


@dataclass(frozen=True, slots=True)
class Sketch:
    """Distinct texts and their minimum hashes.

    `long` (L,) are the positions of texts of at least 5 characters; `signatures`
    (bands * rows, L) are the low halves of their minimum hashes.
    """

    texts: Sequence[str]
    long: Integers
    signatures: Signatures
    search: Search


def sketch(texts: Sequence[str], search: Search) -> Sketch:
    """Minimum hashes of distinct texts (Broder, On the resemblance of documents, 1997)."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    long = np.flatnonzero(lengths >= LENGTH)
    order = long[np.argsort(lengths[long], kind="stable")]
    place = np.empty(len(texts), np.int64)
    place[long] = np.arange(len(long))
    draws = np.random.Generator(np.random.PCG64(search.seed))
    width = search.bands * search.rows
    # Odd multipliers permute the 32-bit hashes; the shift moves the smallest one about.
    factors = draws.integers(0, 1 << 32, width, np.uint32) | np.uint32(1)
    shifts = draws.integers(0, 1 << 32, width, np.uint32)
    signatures = np.empty((width, len(long)), np.uint16)
    for part in _batches(order, lengths):
        cells = _cells([texts[i] for i in part.tolist()])
        product = np.empty_like(cells)
        at = place[part]
        for row, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
            np.multiply(cells, factor, out=product)
            np.add(product, shift, out=product)
            signatures[row, at] = product.min(axis=0)
    return Sketch(texts, long, signatures, search)


def near_pairs(
    found: Sketch, threshold: float, sides: NDArray[np.uint8] | None = None
) -> tuple[Integers, NDArray[np.float64]]:
    """Index pairs (P, 2) of texts with Jaccard index >= threshold, and the index of each.

    Candidates share a band of minimum hashes and are verified on their sets. With `sides`, a set
    of bits per text, only pairs of texts that have different bits are looked for. In large
    buckets only as many pairs are named as it takes to connect the texts, or with `sides` to
    find every text that has a partner.
    """
    count, signatures = len(found.long), found.signatures
    bits = None if sides is None else sides[found.long]
    examined = np.empty(0, np.int64)
    links, similarities = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for start in range(0, len(signatures), found.search.rows):
        bucket, further = _band(signatures, start, found.search.rows)
        pairs, large = neighbours(bucket, further, bits)
        if not len(pairs):
            continue
        if large.any():
            label = components(np.concatenate(links), count)
            pairs = pairs[~large | (label[pairs[:, 0]] != label[pairs[:, 1]])]
        keys = np.unique(pairs[:, 0] * count + pairs[:, 1])
        keys = np.setdiff1d(keys, examined, assume_unique=True)
        examined = np.concatenate((examined, keys))
        pairs = np.stack(np.divmod(keys, count), axis=1)
        pairs = _likely(signatures, pairs, threshold)
        similarity = _similarity(found, pairs)
        near = similarity >= threshold
        links.append(pairs[near])
        similarities.append(similarity[near])
    together, similarity = np.concatenate(links), np.concatenate(similarities)
    order = np.lexsort((together[:, 1], together[:, 0]))
    return found.long[together[order]], similarity[order]


def shingles(text: str) -> Hashes:
    """Sorted 64-bit hashes of the distinct character 5-grams; none for a shorter text."""
    return np.unique(rolling(_codes(text), LENGTH))


def rolling(codes: Hashes, length: int) -> Hashes:
    """64-bit hashes of every window of `length` codes: a polynomial in an odd multiplier."""
    windows = len(codes) - length + 1
    if windows < 1:
        return np.empty(0, np.uint64)
    value = codes[:windows]
    for offset in range(1, length):
        value = value * _MULTIPLIER + codes[offset : offset + windows]
    return value


def _codes(text: str) -> Hashes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)


def _batches(order: Integers, lengths: Integers) -> Iterator[Integers]:
    """Runs of texts of rising length whose padded shingles fill the cache."""
    start = 0
    while start < len(order):
        stop = min(start + max(1, _CELLS // int(lengths[order[start]])), len(order))
        stop = min(stop, start + max(1, _CELLS // int(lengths[order[stop - 1]])))
        yield order[start:stop]
        start = stop


def _cells(texts: Sequence[str]) -> NDArray[np.uint32]:
    """32-bit hashes of the shingles (most shingles, texts), the last one of a text repeated."""
    windows = np.fromiter(map(len, texts), np.int64, len(texts)) - LENGTH + 1
    starts = np.concatenate(([0], np.cumsum(windows[:-1] + LENGTH - 1)))
    # The high half of a product is the well-mixed one (Knuth, TAOCP 3, section 6.4).
    hashes = rolling(_codes("".join(texts)), LENGTH) * _MULTIPLIER >> np.uint64(32)
    offsets = np.minimum(np.arange(windows.max())[:, None], windows - 1)
    cells: NDArray[np.uint32] = hashes.astype(np.uint32)[offsets + starts]
    return cells


def _band(signatures: Signatures, start: int, rows: int) -> tuple[Hashes, Hashes]:
    """A hash of one band per text, and a hash of the next band to sort its buckets by."""
    width, count = signatures.shape
    mixed = []
    for first in (start, start + rows):
        total = np.zeros(count, np.uint64)
        for row in range(first, first + rows):
            total = (total + signatures[row % width]) * _MULTIPLIER
        mixed.append(total)
    return mixed[0], mixed[1]


def _likely(signatures: Signatures, pairs: Integers, threshold: float) -> Integers:
    """Pairs whose signatures agree as often as four standard errors below the threshold.

    Texts around one long boilerplate share buckets without being near; this spares their sets.
    """
    error = math.sqrt(threshold * (1 - threshold) / len(signatures))
    agree = np.zeros(len(pairs))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        left, right = signatures[:, pairs[part, 0]], signatures[:, pairs[part, 1]]
        agree[part] = (left == right).mean(axis=0)
    return pairs[agree >= threshold - 4 * error]


def _similarity(found: Sketch, pairs: Integers) -> NDArray[np.float64]:
    """Jaccard index of every pair, by positions among the long texts."""
    similarity = np.zeros(len(pairs))
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        needed, local = np.unique(pairs[part], return_inverse=True)
        sets = [shingles(found.texts[i]) for i in found.long[needed].tolist()]
        similarity[part] = _jaccard(sets, local.reshape(-1, 2))
    return similarity


def _jaccard(sets: Sequence[Hashes], pairs: Integers) -> NDArray[np.float64]:
    """Jaccard index of every pair of sets."""
    sizes = np.array([len(hashes) for hashes in sets], dtype=np.int64)
    vocabulary, columns = np.unique(np.concatenate(sets), return_inverse=True)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    ones = np.ones(len(columns), dtype=np.int32)
    table = csr_matrix((ones, columns, starts), shape=(len(sets), len(vocabulary)))
    both = table[pairs[:, 0]].multiply(table[pairs[:, 1]])
    shared = np.asarray(both.sum(axis=1)).ravel()
    union: Integers = sizes[pairs].sum(axis=1) - shared
    similarity: NDArray[np.float64] = shared / union
    return similarity
