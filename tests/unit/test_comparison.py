"""An arm's scores, the choice of a baseline, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from tutelage.errors import ConfigError, IntegrityError
from tutelage.evaluate.comparison import Verdict, best_baseline, compare, score_arm
from tutelage.evaluate.stats import sign_flip, wilson
from tutelage.records import Prediction

LABELS = ("no", "yes")


def arm(
    rows: int, right: Callable[[int], bool], group: Callable[[int], str] = str
) -> list[Prediction]:
    """Rows whose gold label alternates, answered right where `right` says so."""
    made = []
    for i in range(rows):
        gold = LABELS[i % 2]
        predicted = gold if right(i) else LABELS[1 - i % 2]
        made.append(Prediction(f"r{i}", group(i), gold, predicted, f"t{i % 3}"))
    return made


def voted(rows: int) -> list[Prediction]:
    votes = (("yes", "yes"), ("no", "yes"), ("no", "no"), ("no", "no"))
    return [
        Prediction(p.id, p.group, p.gold, p.gold, votes=votes) for p in arm(rows, lambda i: True)
    ]


# --- one arm ---


def test_single_rows_have_the_wilson_interval_only() -> None:
    scored = score_arm(arm(40, lambda i: i % 4 > 0), LABELS)
    assert scored["metrics"]["accuracy"] == {"value": 0.75, "ci95": list(wilson(30, 40))}
    low, high = scored["metrics"]["macro_f1"]["ci95"]
    assert low < scored["metrics"]["macro_f1"]["value"] < high
    assert scored["examples"] == 40
    assert scored["unscored"] == 0
    assert list(scored["per_template"]) == ["t0", "t1", "t2"]
    json.dumps(scored, allow_nan=False)


def test_grouped_rows_have_a_wider_interval_beside() -> None:
    predictions = arm(200, lambda i: (i // 20) % 4 > 0, lambda i: f"g{i // 20}")
    scored = score_arm(predictions, LABELS)["metrics"]["accuracy"]
    assert scored["ci95"] == list(wilson(140, 200))
    width = scored["ci95_grouped"][1] - scored["ci95_grouped"][0]
    assert width > 2 * (scored["ci95"][1] - scored["ci95"][0])


def test_an_arm_with_votes_has_the_bootstrap_alone() -> None:
    scored = score_arm(voted(30), LABELS)["metrics"]["accuracy"]
    assert scored["value"] == pytest.approx(0.75)
    assert "ci95_grouped" not in scored
    assert scored["ci95"] == pytest.approx([0.75, 0.75])


def test_answers_beside_the_labels_are_wrong_and_counted() -> None:
    predictions = arm(20, lambda i: True)
    predictions[3] = replace(predictions[3], predicted="maybe")
    scored = score_arm(predictions, LABELS)
    assert scored["unscored"] == 1
    assert scored["metrics"]["accuracy"]["value"] == 0.95


def test_scores_repeat() -> None:
    predictions = arm(60, lambda i: i % 3 > 0, lambda i: f"g{i // 4}")
    assert score_arm(predictions, LABELS, seed=4) == score_arm(predictions, LABELS, seed=4)


# --- the baseline ---


def test_the_best_baseline_and_ties() -> None:
    assert best_baseline({"majority": 0.5, "tfidf_logreg": 0.7, "zero_shot": 0.6}) == "tfidf_logreg"
    assert best_baseline({"majority": 0.5, "zero_shot": 0.7, "few_shot_5": 0.7}) == "zero_shot"
    with pytest.raises(ConfigError, match="baselines"):
        best_baseline({})


# --- the verdict ---


def verdict(tuned: Callable[[int], bool], base: Callable[[int], bool], rows: int = 200) -> Verdict:
    return compare(arm(rows, tuned), arm(rows, base), "accuracy", LABELS, name="zero_shot")


def test_better_on_single_rows_by_exact_mcnemar() -> None:
    found = verdict(lambda i: i % 10 > 0, lambda i: i % 10 > 2 or i == 0)
    assert (found.tuned, found.baseline) == pytest.approx((0.9, 0.705))
    assert found.difference == pytest.approx(0.195)
    assert (found.discordant.tuned_only, found.discordant.baseline_only) == (40, 1)
    assert found.test == "exact_mcnemar"
    assert found.p_value == pytest.approx(binomtest(40, 41).pvalue)
    assert found.ci95[0] > 0
    assert found.says == "better"
    assert found.sentence.startswith(
        "Tuning helped: accuracy 0.900 against 0.705 of the best baseline (zero_shot), "
        "+19.5 points (95 % interval +"
    )
    assert found.sentence.endswith(", p < 0.0001).")


def test_worse_is_the_mirror_image() -> None:
    better = verdict(lambda i: i % 10 > 0, lambda i: i % 10 > 2)
    worse = verdict(lambda i: i % 10 > 2, lambda i: i % 10 > 0)
    assert worse.says == "worse"
    assert worse.difference == pytest.approx(-better.difference)
    assert worse.p_value == better.p_value
    assert worse.ci95 == pytest.approx((-better.ci95[1], -better.ci95[0]), abs=0.01)
    assert worse.sentence.startswith("Tuning hurt: ")
    assert "−20.0 points (95 % interval −" in worse.sentence


def test_not_shown() -> None:
    found = verdict(lambda i: i % 10 > 2, lambda i: i % 10 > 2 or i in (0, 10))
    assert found.says == "not shown"
    assert found.p_value == 0.5
    assert found.sentence.startswith("No difference was shown: ")
    assert "p = 0.50)" in found.sentence


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("group", [str, lambda i: f"g{i // 5}", lambda i: "all"])
def test_equal_arms_give_one_and_an_interval_around_zero(metric, group) -> None:
    predictions = arm(60, lambda i: i % 3 > 0, group)
    found = compare(predictions, predictions, metric, LABELS)
    assert found.p_value == 1
    assert found.difference == 0
    assert found.ci95[0] < 0 < found.ci95[1]
    assert found.says == "not shown"
    assert "+0.0 points" in found.sentence
    json.dumps(found.to_json(), allow_nan=False)


def test_groups_are_flipped_whole() -> None:
    """Six of seven groups of 30 rows gain: rows taken as independent would be sure."""
    tuned = arm(210, lambda i: i // 30 != 0, lambda i: f"g{i // 30}")
    base = arm(210, lambda i: i // 30 == 0, lambda i: f"g{i // 30}")
    found = compare(tuned, base, "accuracy", LABELS)
    assert found.test == "group_sign_flip"
    assert found.p_value == pytest.approx(16 / 128)
    assert found.p_value == pytest.approx(sign_flip(np.array([-30] + [30] * 6)))
    assert found.says == "not shown"


def test_one_group_shows_nothing() -> None:
    tuned, base = (arm(50, lambda i, all_right=x: all_right, lambda i: "g") for x in (True, False))
    found = compare(tuned, base, "accuracy", LABELS)
    assert found.difference == 1
    assert found.ci95 == (-1, 1)
    assert (found.p_value, found.says) == (1, "not shown")


def test_macro_f1_is_compared_by_permutation() -> None:
    tuned, base = arm(120, lambda i: i % 10 > 0), arm(120, lambda i: i % 10 > 3)
    found = compare(tuned, base, "macro_f1", LABELS)
    assert found.test == "group_sign_flip"
    assert found.says == "better"
    assert "macro-F1" in found.sentence
    assert found == compare(tuned, base, "macro_f1", LABELS)


def test_an_arm_with_votes_can_be_compared() -> None:
    found = compare(arm(60, lambda i: True), voted(60), "accuracy", LABELS, name="human_rater")
    assert found.difference == pytest.approx(0.25)
    assert found.discordant.tuned_only == 60
    assert found.says == "better"


def test_the_order_of_rows_does_not_matter() -> None:
    tuned, base = arm(80, lambda i: i % 7 > 0), arm(80, lambda i: i % 3 > 0)
    assert compare(tuned, base[::-1], "accuracy", LABELS) == compare(
        tuned, base, "accuracy", LABELS
    )


def test_arms_on_other_rows_are_refused() -> None:
    tuned, base = arm(20, lambda i: True), arm(20, lambda i: False)
    with pytest.raises(IntegrityError, match=r"did not answer the same rows \(r19"):
        compare(tuned, base[:-1], "accuracy", LABELS)
    with pytest.raises(IntegrityError, match="answer a row twice"):
        compare([*tuned, tuned[0]], base, "accuracy", LABELS)
    other = replace(base[0], gold="yes")
    with pytest.raises(IntegrityError, match="row r0 has label 'no'"):
        compare(tuned, [other, *base[1:]], "accuracy", LABELS)


def test_the_verdict_has_the_shape_of_report_json() -> None:
    facts = verdict(lambda i: True, lambda i: i % 2 > 0).to_json()
    wanted = {"best_baseline", "difference", "ci95", "p_value", "test", "says"}
    assert wanted <= facts.keys()
    assert facts["discordant"] == {"tuned_only": 100, "baseline_only": 0}
    assert isinstance(facts["ci95"], list)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
