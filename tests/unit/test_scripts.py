"""Writing systems."""

from __future__ import annotations

import re
import unicodedata

import pytest

from tutelage.scripts import _BLOCKS, WORD, main_script


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("plain English 123", "Latin"),
        ("naïve façade", "Latin"),
        ("Привет, Bob", "Cyrillic"),
        ("καλημέρα", "Greek"),
        ("שלום עולם", "Hebrew"),
        ("مرحبا", "Arabic"),
        ("नमस्ते", "Devanagari"),
        ("สวัสดี", "Thai"),
        ("안녕하세요", "Hangul"),
        ("相机很好", "Han"),
        ("このカメラは非常に良い", "Japanese"),
        ("12 + 3 = 15!", None),
        ("\U0001f600", None),
        ("", None),
    ],
)
def test_main_script(text: str, script: str | None) -> None:
    assert main_script(text) == script


def test_blocks_agree_with_the_names_of_their_characters() -> None:
    """Unicode names begin with the script; blocks may not take letters of another."""
    names = {
        "Han": "CJK",
        "Kana": "HIRAGANA|KATAKANA|HALFWIDTH KATAKANA|KATAKANA-HIRAGANA|VERTICAL KANA",
        "Hangul": "HANGUL|HALFWIDTH HANGUL",
        "Latin": "LATIN|FULLWIDTH LATIN|FEMININE|MASCULINE|MODIFIER LETTER",
        "Greek": "GREEK|COPTIC",
        "Cyrillic": "CYRILLIC|COMBINING CYRILLIC|KOMI",
    }
    for script, block in _BLOCKS.items():
        pattern = re.compile(names.get(script, script.upper()))
        for match in re.finditer(f"[{block}]", "".join(map(chr, range(0x30000)))):
            if unicodedata.category(match[0]) in ("Lu", "Ll", "Lo"):
                assert pattern.search(unicodedata.name(match[0])), (script, match[0])


def test_words() -> None:
    assert re.findall(WORD, "It's one_two 镜头ok ok") == [
        "It",
        "s",
        "one",
        "two",
        "镜",
        "头",
        "ok",
        "ok",
    ]
