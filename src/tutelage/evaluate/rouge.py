"""ROUGE by the package rouge-score (Lin 2004), over words of any script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

Rouge = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]

# Scripts written without spaces: every character is a word of its own.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}_])\w)+")


class _Words(Tokenizer):  # type: ignore[misc]
    """The package's tokens on ASCII text: lower case, Porter stems; else letters of any script.

    The package itself drops every letter beyond a to z, so that a Greek answer scores 0.
    """

    def __init__(self) -> None:
        self._default = DefaultTokenizer(use_stemmer=True)

    def tokenize(self, text: str) -> list[str]:
        """Words in order."""
        if text.isascii():
            return list(self._default.tokenize(text))
        words = _WORD.findall(text.lower())
        return [w for word in words for w in self._tokens(word)]

    def _tokens(self, word: str) -> list[str]:
        return list(self._default.tokenize(word)) if word.isascii() else [word]


def rouge_scores(
    answers: Sequence[str], references: Sequence[Sequence[str]], kind: Rouge
) -> list[float]:
    """F of every answer against the best of its references, in 0..1.

    With Porter stemming. rougeL takes a text as one sequence; rougeLsum takes lines as sentences
    and unites their common subsequences.
    """
    scorer = RougeScorer([kind], tokenizer=_Words())
    return [
        max(float(scorer.score(reference, answer)[kind].fmeasure) for reference in of_row)
        for answer, of_row in zip(answers, references, strict=True)
    ]


def rouge_signature(kind: Rouge) -> str:
    """What the number is, for papers: package, version and settings."""
    return (
        f"{kind}|f|best reference|stemmer:porter|words of any script|"
        f"rouge-score:{version('rouge-score')}"
    )
