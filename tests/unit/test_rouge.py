"""ROUGE against the package's own tokens and against hand-made values."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from tutelage.evaluate.rouge import rouge_scores, rouge_signature

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
TEXTS = st.lists(
    st.sampled_from(["The", "cats", "running;", "cat", "ran\nhome,", "don't", "it_is", "3.5"]),
    max_size=10,
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_ascii_scores_are_those_of_the_package(answer: str, references: list[str]) -> None:
    wanted = RougeScorer(list(KINDS), use_stemmer=True).score_multi(references, answer)
    for kind in KINDS:
        assert rouge_scores([answer], [references], kind) == [wanted[kind].fmeasure]


def test_hand_made_values_and_the_best_reference() -> None:
    answer, references = "the cat sat", ["a dog ran off", "the cat sat down on it"]
    assert rouge_scores([answer], [references], "rouge1") == [2 * (3 / 3 * 3 / 6) / (1 + 1 / 2)]
    assert rouge_scores([answer], [references], "rouge2") == [
        pytest.approx(2 * (1 * 2 / 5) / (1 + 2 / 5))
    ]
    assert rouge_scores(["running cats"], [["cat runs"]], "rouge1") == [1.0]  # stems
    assert rouge_scores(["c a b"], [["a b c"]], "rougeL") == [pytest.approx(2 / 3)]


def test_lines_are_the_sentences_of_lsum() -> None:
    answer, reference = "b one\na two", "a two\nb one"
    assert rouge_scores([answer], [[reference]], "rougeLsum") == [1.0]
    assert rouge_scores([answer], [[reference]], "rougeL")[0] < 1


@pytest.mark.parametrize("text", ["Η γάτα τρέχει", "кошка бежит домой", "猫在跑步", "貓が走る"])
def test_other_scripts_have_words(text: str) -> None:
    assert rouge_scores([text], [[text]], "rougeL") == [1.0]
    assert rouge_scores([text], [["something else"]], "rougeL") == [0.0]


def test_accents_do_not_break_words_and_ascii_stays_stemmed() -> None:
    assert rouge_scores(["café"], [["caf"]], "rouge1") == [0.0]
    assert rouge_scores(["Die Katzen — running"], [["die katzen runs…"]], "rouge1") == [1.0]


def test_empty_answers_score_nothing() -> None:
    assert rouge_scores(["", "."], [["a"], ["a"]], "rougeLsum") == [0.0, 0.0]


def test_the_signature_names_package_version_and_settings() -> None:
    assert rouge_signature("rougeLsum").startswith("rougeLsum|f|best reference|stemmer:porter|")
    assert "|rouge-score:0.1" in rouge_signature("rougeL")
