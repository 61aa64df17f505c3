"""Few-shot examples: balanced, from training rows, the same for every query."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_example import example

from tutelage.data.shots import choose_shots
from tutelage.records import Example

LABELS = ("negative", "neutral", "positive")


def rows(*labels: str) -> list[Example]:
    return [example(str(i), label=name, labels=LABELS) for i, name in enumerate(labels)]


TRAIN = rows(*(LABELS * 10))
LISTS = st.lists(st.sampled_from(LABELS), max_size=25)


@settings(max_examples=60)
@given(labels=LISTS, k=st.integers(0, 30), seed=st.integers(0, 9))
def test_every_beginning_is_as_balanced_as_the_rows_allow(
    labels: list[str], k: int, seed: int
) -> None:
    train = rows(*labels)
    chosen = choose_shots(train, LABELS, k, seed)
    assert len(chosen) == min(k, len(train))
    assert len({e.id for e in chosen}) == len(chosen)
    assert all(e in train for e in chosen)
    there = Counter(labels)
    for end in range(len(chosen) + 1):
        counts = Counter(e.label for e in chosen[:end])
        most = max(counts.values(), default=0)
        for name in LABELS:
            assert counts[name] >= min(most - 1, there[name])


@given(k=st.integers(0, 30))
def test_a_shorter_list_is_the_beginning_of_a_longer_one(k: int) -> None:
    assert choose_shots(TRAIN, LABELS, k, 0) == choose_shots(TRAIN, LABELS, 30, 0)[:k]


def test_only_seed_and_ids_decide() -> None:
    chosen = choose_shots(TRAIN, LABELS, 5, 0)
    shuffled = random.Random(1).sample(TRAIN, len(TRAIN))
    assert choose_shots(shuffled, LABELS, 5, 0) == chosen
    texts = [example(e.id, "another text", e.label, labels=LABELS) for e in TRAIN]
    assert [e.id for e in choose_shots(texts, LABELS, 5, 0)] == [e.id for e in chosen]
    assert len({tuple(e.id for e in choose_shots(TRAIN, LABELS, 5, s)) for s in range(20)}) > 15


def test_no_label_is_always_first() -> None:
    firsts = Counter(choose_shots(TRAIN, LABELS, 1, seed)[0].label for seed in range(90))
    assert min(firsts[name] for name in LABELS) > 10


@pytest.mark.parametrize("train", [[], rows("positive")])
def test_too_few_rows_give_what_there_is(train: list[Example]) -> None:
    assert choose_shots(train, LABELS, 5, 0) == train
