"""Examples as questions and prompts, and answers as predictions."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_example import example

from tutelage.evaluate.ending import Generated
from tutelage.evaluate.predict import (
    gold_questions,
    predictions_from_answers,
    prompts_for,
    questions_for,
    text_prediction,
)
from tutelage.models.load import load_tokenizer
from tutelage.records import Prediction, Turn
from tutelage.tokens.encode import Encoder

ANSWERS = ("It is 16 - 3.\n#### 13", "#### thirteen")


def asked(row_id: str = "1", **more: object):
    plain = {"labels": ANSWERS, "options": ANSWERS, "answers": ANSWERS, "label": ANSWERS[0]}
    return example(row_id, "How many?", **{**plain, **more})


@pytest.fixture(scope="module")
def encoder(tiny_model_dir: Path) -> Encoder:
    return Encoder(load_tokenizer(tiny_model_dir))


def test_a_whole_answer_beside_all_gold_ones() -> None:
    found = text_prediction(asked(), " It is 13. \n")
    assert (found.gold, found.references) == (ANSWERS[0], ANSWERS)
    assert (found.predicted, found.text) == ("It is 13.", "")
    assert (found.id, found.group, found.template) == ("1", "g1", "t/one")


def test_only_what_follows_the_mark_is_compared_and_the_whole_is_kept() -> None:
    found = text_prediction(asked(), "16 - 2 = 14\n#### 14", "####", unfinished=True)
    assert (found.gold, found.references) == ("13", ("13", "thirteen"))
    assert (found.predicted, found.text) == ("14", "16 - 2 = 14\n#### 14")
    assert found.unfinished
    assert Prediction.from_json(found.to_json()) == found


def test_generated_answers_become_predictions() -> None:
    answers = [Generated((1, 2), "13", True), Generated((), "", False)]
    first, second = predictions_from_answers([asked("1"), asked("2")], answers)
    assert (first.predicted, first.unfinished) == ("13", False)
    assert (second.predicted, second.unfinished) == ("", True)
    assert second.to_json()["predicted"] == ""


def test_prompts_hold_earlier_turns_and_examples_of_their_template(encoder: Encoder) -> None:
    turns = (Turn("user", "Hello"), Turn("assistant", "Good day"))
    rows = [asked("1", turns=turns), asked("2", template="t/two")]
    shots = {"t/two": [("Two and two?", "four")]}
    prompts = prompts_for(encoder, rows, shots)
    assert prompts[0] == encoder.prompt("How many?", (), turns)
    assert prompts[1] == encoder.prompt("How many?", shots["t/two"])
    assert [q.prompt_ids for q in questions_for(encoder, rows, shots)] == prompts


def test_gold_questions_have_the_gold_completion_alone(encoder: Encoder) -> None:
    (question,) = gold_questions(encoder, [asked()])
    assert question.prompt_ids == encoder.prompt("How many?")
    assert question.options == (encoder.completion(ANSWERS[0]),)
