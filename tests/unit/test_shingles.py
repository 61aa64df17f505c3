"""MinHash: what theory promises of it, and sketches that do not depend on their company."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tutelage.data.shingles import CHECKING, GROUPING, Search, near_pairs, shingles, sketch

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def vocabulary(rng: random.Random) -> list[str]:
    return ["".join(rng.choices(LETTERS, k=rng.randint(2, 9))) for _ in range(3000)]


def altered(rng: random.Random, words: list[str], changes: int, known: list[str]) -> str:
    changed = list(words)
    for place in rng.sample(range(len(words)), changes):
        changed[place] = rng.choice(known)
    return " ".join(changed)


def jaccard(one: str, other: str) -> float:
    a, b = set(shingles(one).tolist()), set(shingles(other).tolist())
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("search", [GROUPING, CHECKING])
def test_signatures_agree_as_often_as_the_jaccard_index_says(search: Search) -> None:
    """Agreement is unbiased, and bands catch pairs as often as the formula of the method says."""
    rng = random.Random(5)
    known = vocabulary(rng)
    bases = [rng.choices(known, k=16) for _ in range(1500)]
    others = [altered(rng, base, rng.randint(1, 5), known) for base in bases]
    texts = [" ".join(base) for base in bases] + others
    found = sketch(texts, search).signatures
    agree = found[:, :1500] == found[:, 1500:]
    truth = np.array([jaccard(a, b) for a, b in zip(texts[:1500], others, strict=True)])
    error = agree.mean(axis=0) - truth
    assert abs(error.mean()) < 0.005
    assert (error / np.sqrt(truth * (1 - truth) / len(found))).std() == pytest.approx(1, abs=0.15)
    caught = agree.reshape(search.bands, search.rows, -1).all(axis=1).any(axis=0)
    expected = 1 - (1 - truth**search.rows) ** search.bands
    assert caught.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert caught[truth >= 0.8].mean() > 0.995


def test_a_sketch_is_the_same_in_any_company() -> None:
    rng = random.Random(1)
    known = vocabulary(rng)
    texts = [" ".join(rng.choices(known, k=rng.randint(3, 60))) for _ in range(300)]
    texts += ["abcd", "", "x" * 100_000, "\U0001f600 astral \ud800 and lone"]
    whole = sketch(texts, GROUPING)
    assert [texts[i] for i in range(len(texts)) if i not in whole.long] == ["abcd", ""]
    for place in (0, 7, len(whole.long) - 1, len(whole.long) - 2):
        alone = sketch([texts[whole.long[place]]], GROUPING)
        assert np.array_equal(alone.signatures[:, 0], whole.signatures[:, place])


def test_a_minimum_hash_is_the_minimum() -> None:
    """The signature of a text is the least over those of its single shingles."""
    text = "every five letters of it"
    pieces = [text[i : i + 5] for i in range(len(text) - 4)]
    together = sketch([text], GROUPING).signatures[:, 0]
    apart = sketch(pieces, GROUPING).signatures
    assert (apart == together[:, None]).any(axis=1).all()


def test_no_texts_and_one() -> None:
    for texts in ([], ["abc"], ["one text only"]):
        pairs, similarity = near_pairs(sketch(texts, CHECKING), 0.8)
        assert pairs.shape == (0, 2)
        assert similarity.size == 0


def test_planted_pairs_are_found_among_thousands() -> None:
    rng = random.Random(3)
    known = vocabulary(rng)
    texts = [" ".join(rng.choices(known, k=20)) for _ in range(4000)]
    planted = {i: altered(rng, texts[i].split(), 1, known) for i in range(200)}
    planted = {i: text for i, text in planted.items() if jaccard(texts[i], text) >= 0.8}
    assert len(planted) > 100
    pairs, _ = near_pairs(sketch([*texts, *planted.values()], GROUPING), 0.8)
    expected = {(i, 4000 + n) for n, i in enumerate(planted)}
    assert len(expected & set(map(tuple, pairs.tolist()))) >= 0.99 * len(expected)


def test_sides_restrict_the_search_to_pairs_across() -> None:
    texts = [f"the very same long sentence about a lens, {word}" for word in LETTERS[:12]]
    sides = np.array([1, 1, 1, 2, 2, 4, 4, 4, 5, 0, 0, 1], np.uint8)
    pairs, similarity = near_pairs(sketch(texts, CHECKING), 0.8, sides)
    expected = {
        (a, b)
        for a in range(12)
        for b in range(a + 1, 12)
        if sides[a] and sides[b] and (sides[a] | sides[b]) & ((sides[a] | sides[b]) - 1)
        if sides[a] != sides[b] or sides[a] == 5
    }
    assert set(map(tuple, pairs.tolist())) == expected
    assert similarity.min() >= 0.8
