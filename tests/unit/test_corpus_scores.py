"""BLEU and chrF from counts, against sacrebleu's own scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from tutelage.evaluate.corpus_scores import bleu, chrf, counts

WORDS = ["the", "a", "cat", "dog", "sat", "ran,", "far.", "it's", "3.5"]
TEXT = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
ROWS = st.lists(st.tuples(TEXT, TEXT.filter(bool), TEXT.filter(bool)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_corpus_scores_are_those_of_sacrebleu(rows: list[tuple[str, str, str]]) -> None:
    answers, *streams = (list(column) for column in zip(*rows, strict=True))
    references = list(zip(*streams, strict=True))
    for metric, formula, package in (("bleu", bleu, BLEU()), ("chrf", chrf, CHRF())):
        of_row, signature = counts(answers, references, metric)
        wanted = package.corpus_score(answers, streams).score
        assert 100 * float(formula(of_row.sum(axis=0))) == pytest.approx(wanted, abs=1e-6)
        assert signature == package.get_signature().format()


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_row_scores_are_those_of_sacrebleu(rows: list[tuple[str, str, str]]) -> None:
    answers = [row[0] for row in rows]
    references = [row[1:] for row in rows]
    sentence = BLEU(effective_order=True)
    found = bleu(counts(answers, references, "bleu")[0], shortened=True)
    wanted = [sentence.sentence_score(answer, list(of_row)).score / 100 for answer, *of_row in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-8)
    found = chrf(counts(answers, references, "chrf")[0])
    wanted = [CHRF().sentence_score(answer, list(of_row)).score / 100 for answer, *of_row in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_rows_may_have_different_numbers_of_references() -> None:
    answers = ["the cat sat on the mat", "a dog ran"]
    references = [["the cat sat on a mat"], ["dogs ran far", "a dog ran away"]]
    streams = [["the cat sat on a mat", "dogs ran far"], [None, "a dog ran away"]]
    of_row, signature = counts(answers, references, "bleu")
    wanted = BLEU().corpus_score(answers, streams).score
    assert 100 * float(bleu(of_row.sum(axis=0))) == pytest.approx(wanted)
    assert signature.startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_formulas_work_on_stacks_of_totals() -> None:
    of_row, _ = counts(["a b c d e", "x", ""], [["a b c d f"], ["x y"], ["z"]], "bleu")
    stack = np.stack([of_row.sum(axis=0), of_row[0], np.zeros(10)])[:, None]
    assert bleu(stack).shape == (3, 1)
    assert bleu(stack)[:, 0] == pytest.approx([float(bleu(one[0])) for one in stack])
    assert float(bleu(np.zeros(10))) == 0
    assert float(chrf(np.zeros(18))) == 0


def test_the_same_is_one() -> None:
    text = ["the cat sat on the mat"]
    assert float(bleu(counts(text, [text], "bleu")[0][0])) == pytest.approx(1)
    assert float(chrf(counts(text, [text], "chrf")[0][0])) == pytest.approx(1)
