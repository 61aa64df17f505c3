"""Scores and verdicts of arms whose answers are texts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sacrebleu.metrics import CHRF
from scipy.stats import binomtest, permutation_test

from tutelage.errors import IntegrityError
from tutelage.evaluate.comparison import compare, score_arm
from tutelage.evaluate.measure import measure
from tutelage.evaluate.metric_choice import FITTING
from tutelage.evaluate.stats import wilson
from tutelage.records import Prediction
from tutelage.tasks.schema import Metric

WORDS = [f"word{i}" for i in range(40)]


def arm(
    rows: int, noise: float, seed: int = 0, group: Callable[[int], str] = str
) -> list[Prediction]:
    """Answers of ten words of which a share `noise` is wrong; the gold ones are fixed."""
    gold, wrong = random.Random(99), random.Random(seed)
    made = []
    for i in range(rows):
        words = gold.choices(WORDS, k=10)
        said = [w if wrong.random() > noise else "other" for w in words]
        made.append(Prediction(f"r{i}", group(i), " ".join(words), " ".join(said), f"t{i % 2}"))
    return made


def right(rows: int, share: Callable[[int], bool]) -> list[Prediction]:
    return [Prediction(f"r{i}", f"g{i}", "7", "7" if share(i) else "8") for i in range(rows)]


# --- one arm ---


def test_an_arm_has_every_metric_with_interval_and_signature() -> None:
    metrics: list[Metric] = ["rougeL", "bleu", "chrf", "exact_match", "token_f1"]
    scored = score_arm(arm(60, 0.3), (), 0, metrics)
    assert list(scored["metrics"]) == metrics
    for name, facts in scored["metrics"].items():
        low, high = facts["ci95"]
        assert 0 <= low <= facts["value"] <= high <= 1
        assert ("signature" in facts) == (name in ("rougeL", "bleu", "chrf"))
    assert list(scored["per_template"]) == ["t0", "t1"]
    assert scored["per_template"]["t0"] == pytest.approx(
        measure(arm(60, 0.3)[::2], (), "rougeL").value
    )
    json.dumps(scored, allow_nan=False)


def test_shares_have_the_wilson_interval() -> None:
    scored = score_arm(right(40, lambda i: i % 4 > 0), (), 0, ["numeric_match"])
    assert scored["metrics"]["numeric_match"] == {"value": 0.75, "ci95": list(wilson(30, 40))}


def test_empty_and_unfinished_answers_are_counted() -> None:
    predictions = arm(20, 0.1)
    predictions[3] = replace(predictions[3], predicted="")
    predictions[4] = replace(predictions[4], unfinished=True)
    scored = score_arm(predictions, (), 0, ["token_f1"])
    assert (scored["unscored"], scored["unfinished"], scored["examples"]) == (1, 1, 20)


def test_the_interval_of_a_corpus_metric_is_of_the_corpus_metric() -> None:
    """Resampling groups and scoring each resample with sacrebleu itself."""
    predictions = arm(40, 0.4, group=lambda i: f"g{i // 4}")
    rng = random.Random(5)
    values = []
    for _ in range(150):
        drawn = [rng.randrange(10) for _ in range(10)]
        rows = [predictions[4 * g + k] for g in drawn for k in range(4)]
        found = CHRF().corpus_score([p.predicted for p in rows], [[p.gold for p in rows]])
        values.append(found.score / 100)
    low, high = score_arm(predictions, (), 0, ["chrf"])["metrics"]["chrf"]["ci95"]
    assert (low, high) == pytest.approx(np.quantile(values, [0.012, 0.988]), abs=0.02)


# --- the verdict ---


@pytest.mark.parametrize("metric", [m for m in FITTING["text"] if "json" not in m])
def test_better_worse_and_not_shown(metric: Metric) -> None:
    good, bad = arm(40, 0.05, 1), arm(40, 0.4, 2)
    found = compare(good, bad, metric, (), name="few_shot_5")
    assert found.says == "better"
    assert found.ci95[0] > 0
    assert found.p_value < 0.001
    assert found.difference == pytest.approx(
        measure(good, (), metric).value - measure(bad, (), metric).value
    )
    assert compare(bad, good, metric, ()).says == "worse"
    same = compare(good, good, metric, ())
    assert (same.says, same.p_value, same.difference) == ("not shown", 1, 0)
    assert same.ci95[0] < 0 < same.ci95[1]
    json.dumps(found.to_json(), allow_nan=False)


def test_the_sentence_names_the_metric() -> None:
    found = compare(arm(80, 0.05, 1), arm(80, 0.4, 2), "rougeLsum", (), name="few_shot_5")
    assert found.sentence.startswith("Tuning helped: ROUGE-Lsum 0.9")
    assert "of the best baseline (few_shot_5), +" in found.sentence


def test_shares_of_single_rows_by_exact_mcnemar() -> None:
    found = compare(right(50, lambda i: i > 0), right(50, lambda i: i % 5 > 0), "numeric_match", ())
    assert found.test == "exact_mcnemar"
    assert found.p_value == pytest.approx(binomtest(9, 9).pvalue)


def test_few_groups_are_permuted_exactly_as_scipy_does() -> None:
    tuned, base = (arm(12, noise, seed) for noise, seed in ((0.2, 1), (0.35, 2)))
    found = compare(tuned, base, "token_f1", ())
    assert found.test == "group_sign_flip"
    gap = measure(tuned, (), "token_f1").rows - measure(base, (), "token_f1").rows
    wanted = permutation_test(
        (gap,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert found.p_value == pytest.approx(wanted.pvalue)


def test_many_rows_are_flipped_at_random_as_scipy_does() -> None:
    tuned, base = (arm(70, noise, seed) for noise, seed in ((0.3, 1), (0.33, 2)))
    found = compare(tuned, base, "rougeL", ())
    gap = measure(tuned, (), "rougeL").rows - measure(base, (), "rougeL").rows
    wanted = permutation_test(
        (gap,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1, vectorized=True
    )
    assert 0.01 < found.p_value < 0.9
    assert found.p_value == pytest.approx(wanted.pvalue, abs=0.02)


def test_groups_are_flipped_whole() -> None:
    """Ten rows of each of four groups gain alike: rows as independent would be sure."""
    tuned, base = (
        arm(40, noise, seed, lambda i: f"g{i // 10}") for noise, seed in ((0.0, 1), (0.5, 2))
    )
    found = compare(tuned, base, "token_f1", ())
    assert found.p_value == pytest.approx(2 / 2**4)
    assert found.says == "not shown"
    assert found.discordant.tuned_only > 35


def test_a_difference_that_no_flip_reaches_is_never_zero() -> None:
    found = compare(arm(100, 0.0), arm(100, 0.6), "chrf", ())
    assert 0 < found.p_value < 0.0002


def test_other_references_are_refused() -> None:
    tuned = [replace(p, references=(p.gold, "x")) for p in arm(5, 0.1)]
    base = [replace(p, references=(p.gold, "y")) for p in arm(5, 0.1)]
    with pytest.raises(IntegrityError, match="row r0 has label"):
        compare(tuned, base, "token_f1", ())
