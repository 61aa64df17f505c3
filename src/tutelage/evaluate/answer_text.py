"""What of an answer's text is compared, and how: the compared part, the normaliser, the number."""

from __future__ import annotations

import re
import string
import unicodedata
from fractions import Fraction

_ARTICLES = {"a", "an", "the"}
_DIGITS = 300  # longer ones are no numbers
# Scripts written without spaces: every character is a token of its own.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
# Digits with separators before groups of three, a decimal part, a power of ten, or a fraction.
_NUMBER = re.compile(
    r"(?<![A-Za-z_\d])(?<!\d[.,])(?P<sign>[-+]?)(?:[$€£¥]\s?)?"
    r"(?:(?P<whole>\d+(?:[,'\u00a0\u2009\u202f]\d{3}(?!\d))+|\d+)(?P<rest>[.,]\d+)?|(?P<only>\.\d+))"
    r"(?P<power>[eE][-+]?\d{1,3}(?!\w))?(?:/(?P<under>\d+)(?![\d/]))?"
)


def compared_part(text: str, after: str | None) -> str:
    """The part of an answer that is compared, without white space around it.

    With a mark it is what follows the first `after`, or the last line that says something where
    the mark is missing: a model that does not know the mark is not wrong for that alone.
    """
    if after is None:
        return text.strip()
    _, mark, rest = text.partition(after)
    return rest.strip() if mark else (text.strip().splitlines() or [""])[-1].strip()


def normal_answer(text: str) -> str:
    """The one normaliser of exact match and token F1.

    NFKC, case folded; punctuation (ASCII marks and the Unicode category P) removed; the English
    articles a, an, the removed; white space collapsed. On ASCII text that is the normaliser of
    SQuAD (Rajpurkar et al. 2016), with one exception: where nothing would be left (an answer `A`
    or `+`), the last step that emptied the text is not taken.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = " ".join(folded.split())
    bare = " ".join("".join(c for c in folded if not _is_mark(c)).split())
    words = " ".join(word for word in bare.split() if word not in _ARTICLES)
    return words or bare or folded


def answer_tokens(text: str) -> list[str]:
    """Tokens of the normal answer: words, and single characters of Chinese and Japanese."""
    return _TOKEN.findall(normal_answer(text))


def number(text: str) -> Fraction | None:
    """The last number of the first line that has one, exactly; None without one.

    Currency signs and units around it do not count. 1,234 is 1234: a comma (an apostrophe, a
    no-break space) before exactly three digits separates thousands, and else 1,5 is 1.5. 1/4 is
    a fraction, and 25% is 25.
    """
    for line in text.replace("\u2212", "-").splitlines():
        found = [value for match in _NUMBER.finditer(line) if (value := _value(match)) is not None]
        if found:
            return found[-1]
    return None


def _is_mark(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _value(match: re.Match[str]) -> Fraction | None:
    digits = re.sub(r"\D", "", match["whole"] or "0")
    rest = (match["rest"] or match["only"] or "").replace(",", ".")
    under = int((match["under"] or "1")[:_DIGITS])
    if not under or len(digits) + len(rest) > _DIGITS:
        return None
    value = Fraction(digits + rest + (match["power"] or "")) / under
    return -value if match["sign"] == "-" else value
