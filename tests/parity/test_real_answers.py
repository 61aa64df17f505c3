"""Metrics on real answers, where the shared data lie beside the checkout."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from tutelage.evaluate.answer_text import compared_part, number
from tutelage.evaluate.classic_text import lead, lead_fits, most_frequent, nearest_neighbour
from tutelage.evaluate.comparison import compare, score_arm
from tutelage.evaluate.measure import measure
from tutelage.evaluate.metric_choice import default_metrics
from tutelage.evaluate.text_metrics import numeric_match
from tutelage.records import Example, Prediction

SHARED = Path(os.environ.get("TUTELAGE_SHARED", Path(__file__).parents[3] / "shared"))
ROUGES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def lines(name: str) -> list[dict[str, Any]]:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dialogues(name: str) -> list[Example]:
    made = []
    for row in lines(f"dialogsum/{name}"):
        answers = tuple(row[key] for key in sorted(row) if key.startswith("summary"))
        text, where = row["dialogue"], row["fname"]
        made.append(
            Example(
                id=where,
                fields={"dialogue": text},
                label=answers[0],
                group=where,
                template="t",
                prompt=text,
                options=answers,
                labels=answers,
                where=where,
                answers=answers,
            )
        )
    return made


@pytest.fixture(scope="module")
def arms() -> dict[str, list[Prediction]]:
    train, test = dialogues("dev.jsonl"), dialogues("test_first250.jsonl")
    assert lead_fits(train)
    assert default_metrics("text", [e.completion for e in train])[0] == "rougeL"
    made = {f.__name__: f(train, test) for f in (most_frequent, nearest_neighbour, lead)}
    assert all(len(p.references) == 3 for p in made["lead"])
    return made


def test_summaries_score_as_by_the_packages(arms) -> None:
    scorer = RougeScorer(list(ROUGES), use_stemmer=True)
    for arm in arms.values():
        best = [scorer.score_multi(p.references, p.predicted) for p in arm]
        for name in ROUGES:
            expected = [row[name].fmeasure for row in best]
            assert measure(arm, (), name).rows.tolist() == pytest.approx(expected)
        streams = list(zip(*(p.references for p in arm), strict=True))
        for name, package in (("bleu", BLEU()), ("chrf", CHRF())):
            expected = package.corpus_score([p.predicted for p in arm], streams).score / 100
            assert measure(arm, (), name).value == pytest.approx(expected)


def test_the_first_sentences_beat_another_dialogues_summary(arms) -> None:
    found = compare(arms["lead"], arms["most_frequent"], "rougeL", (), name="most_frequent")
    assert found.says == "better"
    scored = score_arm(arms["lead"], (), 0, ROUGES)
    assert scored["metrics"]["rouge1"]["value"] > scored["metrics"]["rougeL"]["value"] > 0.2


def test_every_answer_to_a_word_problem_has_its_number() -> None:
    answers = [row["answer"] for row in lines("gsm8k/test.jsonl")]
    assert default_metrics("text", answers, "####")[0] == "numeric_match"
    for answer in answers:
        part = compared_part(answer, "####")
        assert number(part) == Fraction(part.replace(",", ""))
        assert numeric_match(f"The answer is ${part}.00 in all.", part) == 1
