"""Reference arms, beside the verdict: what one human rater achieves, and what VADER does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tutelage.errors import InputError
from tutelage.evaluate.classic import joined_text
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import RatingRule

_COMPOUND = 0.05


def human_rater(examples: Sequence[Example], rule: RatingRule) -> list[Prediction]:
    """One human rater against the mean of the others, over all raters of a row.

    `extra["ratings"]` holds the row's ratings. Every rater is one vote: the label of the rating,
    and as gold the label of the mean of the other ratings. The row's own answer is the commonest
    label among its raters (of equal ones the first in label order), its gold the row's label.

    Raises:
        InputError: a row has fewer than two ratings.
    """
    return [_rated(example, rule) for example in examples]


def _rated(example: Example, rule: RatingRule) -> Prediction:
    ratings = [float(rating) for rating in example.extra.get("ratings", ())]
    if len(ratings) < 2:
        raise InputError(
            f"{example.where}: row {example.id} has {len(ratings)} rating(s); the arm "
            "`human_rater` needs two. Take it out of `task.references`."
        )
    total, others = sum(ratings), len(ratings) - 1
    votes = tuple((rule.label(own), rule.label((total - own) / others)) for own in ratings)
    counts = Counter(own for own, _ in votes)
    return Prediction(
        id=example.id,
        group=example.group,
        gold=example.label,
        predicted=max(example.labels, key=lambda label: counts[label]),
        template=example.template,
        votes=votes,
    )


def vader(examples: Sequence[Example], rule: RatingRule) -> list[Prediction]:
    """The lexicon method VADER (Hutto and Gilbert, ICWSM 2014) at its authors' thresholds.

    Compound score above 0.05 is positive, below -0.05 negative, else neutral; `rule` names the
    labels.

    Raises:
        ModuleNotFoundError: the optional package is missing; the message says how to get it.
    """
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "VADER needs the package vaderSentiment: pip install 'tutelage[vader]'"
        ) from error
    analyzer = SentimentIntensityAnalyzer()
    predictions = []
    for example in examples:
        compound = analyzer.polarity_scores(joined_text(example))["compound"]
        label = rule.neutral
        if abs(compound) > _COMPOUND:
            label = rule.positive if compound > 0 else rule.negative
        predictions.append(
            Prediction(
                id=example.id,
                group=example.group,
                gold=example.label,
                predicted=label,
                template=example.template,
            )
        )
    return predictions
