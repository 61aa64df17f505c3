"""Baselines of text answers without a language model."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tutelage.errors import DataGateError
from tutelage.evaluate.classic import joined_text
from tutelage.evaluate.predict import text_prediction
from tutelage.records import Example, Prediction
from tutelage.templates.sandbox import as_text

_WORD = r"(?u)\b\w+\b|[^\w\s]"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_SHORTER = 2  # a field this many times as long as an answer can be led with
_FEW_WORDS = 5  # answers up to this length are no summaries


def most_frequent(
    train: Sequence[Example], rows: Sequence[Example], after: str | None = None
) -> list[Prediction]:
    """The commonest training answer for every row; of equal ones the first.

    Raises:
        DataGateError: there are no training rows.
    """
    answer = _commonest(train)
    return [text_prediction(example, answer, after) for example in rows]


def nearest_neighbour(
    train: Sequence[Example], rows: Sequence[Example], after: str | None = None
) -> list[Prediction]:
    """The answer of the training row whose input is nearest by the cosine of TF-IDF of words.

    Of equally near ones the first; a row that shares no word with training gets the commonest
    answer.

    Raises:
        DataGateError: there are no training rows.
    """
    common = _commonest(train)
    if not rows:
        return []
    vectorizer = TfidfVectorizer(token_pattern=_WORD, sublinear_tf=True)
    try:
        known = vectorizer.fit_transform([joined_text(example) for example in train])
    except ValueError:  # no word in any input
        return most_frequent(train, rows, after)
    asked = vectorizer.transform([joined_text(example) for example in rows])
    with threadpool_limits(1):
        nearest = pairwise_distances_argmin(asked, known, metric="cosine").tolist()
    met = (np.diff(asked.indptr) > 0).tolist()
    answers = [train[at].completion if ok else common for at, ok in zip(nearest, met, strict=True)]
    return [text_prediction(e, answer, after) for e, answer in zip(rows, answers, strict=True)]


def lead_fits(train: Sequence[Example]) -> bool:
    """Whether answers could be beginnings of the input: texts, and much shorter than a field."""
    if not train:
        return False
    field = _longest_field(train)
    answers = statistics.median(len(e.completion.split()) for e in train)
    inputs = statistics.median(len(as_text(e.fields.get(field, "")).split()) for e in train)
    return answers > _FEW_WORDS and inputs >= _SHORTER * answers


def lead(
    train: Sequence[Example], rows: Sequence[Example], after: str | None = None
) -> list[Prediction]:
    """The first sentences of the longest field, up to the length of the median training answer.

    The longest is the one of most words in training; lines and sentence marks end sentences. At
    least one sentence is taken, and no more of it than twice that length.

    Raises:
        DataGateError: there are no training rows.
    """
    _commonest(train)
    field = _longest_field(train)
    length = max(1, round(statistics.median(len(e.completion.split()) for e in train)))
    return [
        text_prediction(e, _lead(as_text(e.fields.get(field, "")), length), after) for e in rows
    ]


def _lead(text: str, length: int) -> str:
    taken: list[str] = []
    for sentence in filter(str.strip, _SENTENCE_END.split(text)):
        words = sentence.split()
        if taken and len(taken) + len(words) > length:
            break
        taken += words
    return " ".join(taken[: 2 * length])


def _longest_field(train: Sequence[Example]) -> str:
    words = Counter[str]()
    for example in train:
        for name in sorted(example.fields):
            words[name] += len(as_text(example.fields[name]).split())
    return words.most_common(1)[0][0] if words else ""


def _commonest(train: Sequence[Example]) -> str:
    if not train:
        raise DataGateError("the training split is empty; a baseline has nothing to learn from.")
    return Counter(example.completion for example in train).most_common(1)[0][0]
