"""Reference arms: human raters and VADER."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from tutelage.errors import InputError
from tutelage.evaluate.measure import score
from tutelage.evaluate.references import human_rater, vader
from tutelage.records import Example
from tutelage.tasks.schema import RatingRule

RULE = RatingRule(
    scale=4,
    negative_below=-0.05,
    positive_above=0.05,
    negative="bad",
    neutral="mid",
    positive="good",
)
LABELS = ("bad", "mid", "good")


def example(text: str, label: str, ratings: Sequence[float] | None = None) -> Example:
    extra = {} if ratings is None else {"ratings": list(ratings)}
    return Example(
        "r1", {"text": text}, label, "g1", "t/one", text, LABELS, LABELS, "t.csv:7", extra
    )


def test_every_rater_is_judged_by_the_mean_of_the_others() -> None:
    (found,) = human_rater([example("x", "good", [3, 0, -1])], RULE)
    # 3 against (0 - 1) / 2, 0 against (3 - 1) / 2, -1 against (3 + 0) / 2
    assert found.votes == (("good", "bad"), ("mid", "good"), ("bad", "good"))
    assert found.gold == "good"
    assert found.predicted == "bad"  # a tie: the first in label order
    assert score([found], LABELS) == 0
    (agreeing,) = human_rater([example("x", "good", [3, 2, 2, 0])], RULE)
    assert agreeing.predicted == "good"
    assert score([agreeing], LABELS) == 0.75


@pytest.mark.parametrize("ratings", [None, [], [1]])
def test_too_few_ratings_are_refused_with_their_address(ratings) -> None:
    with pytest.raises(InputError, match=r"t\.csv:7: row r1 has [01] rating"):
        human_rater([example("x", "good", ratings)], RULE)


def test_vader_names_labels_through_the_rule() -> None:
    pytest.importorskip("vaderSentiment")
    texts = ["I love this wonderful lens!", "A horrible, useless lens.", "It is a lens."]
    found = vader([example(text, "mid") for text in texts], RULE)
    assert [p.predicted for p in found] == ["good", "bad", "mid"]
    assert found[0].scores is None


def test_without_its_package_vader_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    monkeypatch.setitem(sys.modules, "vaderSentiment", None)
    with pytest.raises(ModuleNotFoundError, match=r"tutelage\[vader\]"):
        vader([example("x", "mid")], RULE)
