"""A baseline of multiple choice without a language model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from tutelage.errors import DataGateError
from tutelage.evaluate.classic import joined_text
from tutelage.records import Example, Prediction

_WORD = r"(?u)\b\w+\b"


def option_overlap(train: Sequence[Example], rows: Sequence[Example]) -> list[Prediction]:
    """The option that shares most with the row's input: TF-IDF cosine of words, the first of ties.

    Weights of words come from the inputs and options of training. Scores are cosines.

    Raises:
        DataGateError: there are no training rows.
    """
    if not train:
        raise DataGateError("the training split is empty; a baseline has nothing to learn from.")
    vectorizer = TfidfVectorizer(token_pattern=_WORD, sublinear_tf=True)
    try:
        vectorizer.fit([text for e in train for text in (joined_text(e), *e.labels)])
    except ValueError:  # no word anywhere: every option is as good
        return [_prediction(e, (0.0,) * len(e.labels)) for e in rows]
    found = []
    for example in rows:
        asked = vectorizer.transform([joined_text(example)])
        cosines = vectorizer.transform(example.labels) @ asked.T
        found.append(_prediction(example, tuple(np.round(cosines.toarray()[:, 0], 12).tolist())))
    return found


def _prediction(example: Example, scores: tuple[float, ...]) -> Prediction:
    return Prediction(
        id=example.id,
        group=example.group,
        gold=example.label,
        predicted=example.labels[scores.index(max(scores))],
        template=example.template,
        scores=scores,
    )
