"""Suspected label errors: confident learning on cross-validated predictions.

A row is suspected where the model is confident of another label than the given one: confident
means at least as sure as it is on average of the rows that carry that label (Northcutt, Jiang,
Chuang: Confident learning, JAIR 70, 2021, equations 1 and 2). The model is TF-IDF with logistic
regression; a group of duplicates is never in two folds, else a repeated error would defend itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tutelage.data.balance import coded
from tutelage.scripts import WORD

FOLDS = 5
_LEAST_PER_LABEL = 10
_FEATURES = 20_000
_CHARACTERS = 2_000  # of a text: what its label rests on seldom stands further back

_TOKEN = rf"{WORD}|[^\w\s]"

Chances = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suspect:
    """The row at `place`: the label the model is confident of, and its chance of both labels."""

    place: int
    label: str
    chance: float
    given: float


def suspected_labels(
    texts: Sequence[str], labels: Sequence[str], groups: Sequence[str], seed: int = 0
) -> list[Suspect]:
    """Rows whose label the model doubts, the surest first.

    Labels with fewer than 10 rows are left out; with fewer than two labels left there are none.
    """
    names, kind_of = coded(labels)
    common = np.flatnonzero(np.bincount(kind_of, minlength=len(names)) >= _LEAST_PER_LABEL)
    places = np.flatnonzero(np.isin(kind_of, common))
    if len(common) < 2:
        return []
    given = np.searchsorted(common, kind_of[places])
    folds = np.array([_fold(groups[i], seed) for i in places.tolist()])
    features = tfidf([texts[i] for i in places.tolist()])
    chances = cross_validated(features, given, folds, len(common))
    suspects = []
    for at, label in confident_errors(chances, given):
        name = names[int(common[label])]
        own = float(chances[at, given[at]])
        suspects.append(Suspect(int(places[at]), name, float(chances[at, label]), own))
    return sorted(suspects, key=lambda s: (s.given - s.chance, s.place))


def tfidf(texts: Sequence[str]) -> csr_matrix:
    """TF-IDF (rows, features) of words and pairs of words; it knows no labels."""
    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=_FEATURES, token_pattern=_TOKEN
    )
    return csr_matrix(words.fit_transform([text[:_CHARACTERS] for text in texts]))


def cross_validated(
    features: csr_matrix, given: NDArray[np.int64], folds: NDArray[np.int64], labels: int
) -> Chances:
    """Chances (rows, labels) by a model that saw the other folds only; NaN where there was none."""
    chances = np.full((len(given), labels), np.nan)
    with threadpool_limits(1):
        for fold in range(FOLDS):
            held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            if not len(held) or len(np.unique(given[rest])) < 2:
                continue
            model = LogisticRegression(C=3.0, max_iter=100, tol=1e-3)
            model.fit(features[rest], given[rest])
            chances[held] = 0
            chances[np.ix_(held, model.classes_)] = model.predict_proba(features[held])
    return chances


def confident_errors(chances: Chances, given: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(row, label) off the diagonal of the confident joint.

    The threshold of a label is the mean chance of it over rows that carry it; a row counts
    towards the likeliest of the labels that reach theirs.
    """
    count = chances.shape[1]
    known = np.flatnonzero(~np.isnan(chances).any(axis=1))
    thresholds = np.full(count, np.inf)
    for label in range(count):
        own = known[given[known] == label]
        if len(own):
            thresholds[label] = chances[own, label].mean()
    confident = np.where(chances[known] >= thresholds, chances[known], -1.0)
    likeliest = confident.argmax(axis=1)
    wrong = (confident.max(axis=1) >= 0) & (likeliest != given[known])
    return list(zip(known[wrong].tolist(), likeliest[wrong].tolist(), strict=True))


def _fold(group: str, seed: int) -> int:
    key = f"fold\0{seed}\0{group}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) % FOLDS
