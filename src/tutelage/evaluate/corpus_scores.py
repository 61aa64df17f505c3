"""BLEU and chrF of a corpus from counts per row, by the package sacrebleu.

Both are ratios of sums over the corpus and no means over rows, so a bootstrap adds the counts of
its groups. sacrebleu counts; the formulas here are its own, over thousands of totals at once
(tests compare them with its `corpus_score`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

from tutelage.evaluate.stats import Numbers

Corpus = Literal["bleu", "chrf"]
_ORDERS = 4  # BLEU's n-grams of words
_BETA = 2  # chrF weighs recall twice as much as precision


def counts(
    answers: Sequence[str], references: Sequence[Sequence[str]], metric: Corpus
) -> tuple[Numbers, str]:
    """Counts (rows, k) and sacrebleu's signature.

    Of BLEU: words of the answer and of the closest reference, then matched and possible n-grams
    of orders 1 to 4. Of chrF: possible, wanted and matched n-grams of characters of orders 1 to 6
    against the best reference.
    """
    counter = BLEU() if metric == "bleu" else CHRF(beta=_BETA)
    rows = []
    for answer, of_row in zip(answers, references, strict=True):
        streams = [[reference] for reference in of_row]
        rows.append(counter._extract_corpus_statistics([answer], streams)[0])
    numbers = {len(of_row) for of_row in references}
    counter.num_refs = numbers.pop() if len(numbers) == 1 else -1
    return np.array(rows, dtype=np.float64), counter.get_signature().format()


def bleu(totals: Numbers, *, shortened: bool = False) -> Numbers:
    """BLEU in 0..1 of totals (..., 10): geometric mean of precisions times the brevity penalty.

    Papineni et al. (2002), zero matches smoothed by halving as in mteval 13a. `shortened` leaves
    out orders that the answer is too short for, as single rows need.
    """
    said, wanted = totals[..., 0], totals[..., 1]
    matched, possible = totals[..., 2 : 2 + _ORDERS], totals[..., 2 + _ORDERS :]
    there = possible > 0
    halvings = np.cumsum((matched == 0) & there, axis=-1)
    smooth = np.where(matched > 0, matched, 0.5**halvings)
    logs = np.log(_ratio(smooth, possible), out=np.zeros(smooth.shape), where=there)
    used = there.sum(axis=-1) if shortened else np.full(said.shape, _ORDERS)
    mean = _ratio(logs.sum(axis=-1), used)
    penalty = np.minimum(0.0, 1 - _ratio(wanted, said))
    fine = matched.any(axis=-1) & (shortened | there.all(axis=-1))
    score: Numbers = np.where(fine, np.exp(mean + penalty), 0.0)
    return score


def chrf(totals: Numbers) -> Numbers:
    """chrF in 0..1 of totals (..., 18): F2 of mean precision and mean recall (Popović 2015)."""
    by_order = totals.reshape(*totals.shape[:-1], -1, 3)
    said, wanted, matched = by_order[..., 0], by_order[..., 1], by_order[..., 2]
    there = (said > 0) & (wanted > 0)
    orders = there.sum(axis=-1)
    precision = _ratio((_ratio(matched, said) * there).sum(axis=-1), orders)
    recall = _ratio((_ratio(matched, wanted) * there).sum(axis=-1), orders)
    factor = _BETA**2
    return _ratio((1 + factor) * precision * recall, factor * precision + recall)


def _ratio(part: Numbers, whole: Numbers | NDArray[np.int64]) -> Numbers:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)
