"""Confident learning: planted errors come first, and the rule is the paper's."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tutelage.data.label_errors import confident_errors, cross_validated, suspected_labels, tfidf

NAMES = "the camera came with a strap and a case in a box on a day in may"
NEUTRAL = NAMES.split()
CLUES = {
    "good": ["great", "sharp", "lovely", "fine", "crisp"],
    "bad": ["poor", "broken", "awful", "dull", "cheap"],
    "ok": ["average", "usual", "middling", "plain", "fair"],
}


def corpus(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    texts, labels = [], []
    for i in range(count):
        label = list(CLUES)[i % 3]
        words = rng.choices(NEUTRAL, k=8) + rng.choices(CLUES[label], k=3)
        rng.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def test_planted_errors_are_found_and_few_others() -> None:
    """A row is confident where it beats the mean of its label, so about half can be expected."""
    texts, labels = corpus(600)
    groups = [str(i) for i in range(600)]
    sound = len(suspected_labels(texts, labels, groups))
    truth = list(labels)
    wrong = random.Random(9).sample(range(600), 24)
    for place in wrong:
        labels[place] = next(name for name in sorted(CLUES) if name != labels[place])
    found = suspected_labels(texts, labels, groups)
    caught = [s for s in found if s.place in wrong]
    assert len(caught) >= 12
    assert sound == 0
    assert len(found) - len(caught) <= 3
    assert found[:6] == caught[:6]
    assert all(s.label == truth[s.place] and s.chance > s.given for s in caught)


def test_a_group_of_duplicates_does_not_defend_its_error() -> None:
    """Thirty copies of one wrong row: seen in training they would look right."""
    texts, labels = corpus(300)
    texts += ["great sharp lovely fine crisp camera"] * 30
    labels += ["bad"] * 30
    alone = [str(i) for i in range(300)] + ["copies"] * 30
    found = {s.place for s in suspected_labels(texts, labels, alone)}
    assert found >= set(range(300, 330))
    apart = {s.place for s in suspected_labels(texts, labels, [str(i) for i in range(330)])}
    assert not apart >= set(range(300, 330))


def test_the_confident_joint_by_hand() -> None:
    chances = np.array(
        [
            [0.9, 0.1],  # given 0: sure, right
            [0.7, 0.3],  # given 0
            [0.2, 0.8],  # given 0: reaches the threshold of 1, not that of 0
            [0.4, 0.6],  # given 1: under both thresholds (0.6 and 0.65)
            [0.3, 0.7],  # given 1
            [np.nan, np.nan],
        ]
    )
    given = np.array([0, 0, 0, 1, 1, 1])
    assert confident_errors(chances, given) == [(2, 1)]


def test_chances_come_from_other_folds() -> None:
    texts, labels = corpus(60)
    given = np.array([list(CLUES).index(label) for label in labels])
    folds = np.arange(60) % 5
    folds[given == 2] = 4  # nothing to learn "ok" from while fold 4 is held out
    chances = cross_validated(tfidf(texts), given, folds, 3)
    assert np.allclose(chances.sum(axis=1), 1)
    assert chances[folds == 4, 2].max() == 0
    assert chances[folds == 0, 2].min() > 0


@pytest.mark.parametrize("labels", [["a"] * 40, ["a"] * 35 + ["b"] * 5])
def test_without_two_common_labels_nothing_is_suspected(labels: list[str]) -> None:
    assert suspected_labels(corpus(40)[0], labels, [str(i) for i in range(40)]) == []
