"""Languages: by the names of columns, by the script of a text, by its most frequent words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_LISTED = (
    "ar Arabic,bg Bulgarian,ca Catalan,cs Czech,da Danish,de German,el Greek,en English,"
    "es Spanish,et Estonian,fa Persian,fi Finnish,fr French,he Hebrew,hi Hindi,hr Croatian,"
    "hu Hungarian,id Indonesian,it Italian,ja Japanese,ko Korean,lt Lithuanian,lv Latvian,nl Dutch,"
    "no Norwegian,pl Polish,pt Portuguese,ro Romanian,ru Russian,sk Slovak,sl Slovenian,sr Serbian,"
    "sv Swedish,sw Swahili,ta Tamil,th Thai,tr Turkish,uk Ukrainian,vi Vietnamese,zh Chinese"
)
_NAMES = dict(entry.split() for entry in _LISTED.split(","))
_BY_NAME = {name.casefold(): name for name in _NAMES.values()}
_SCRIPTS = {
    "ARABIC": "Arabic",
    "CJK": "Chinese",
    "CYRILLIC": "Russian",
    "DEVANAGARI": "Hindi",
    "GREEK": "Greek",
    "HANGUL": "Korean",
    "HEBREW": "Hebrew",
    "TAMIL": "Tamil",
    "THAI": "Thai",
}
_FREQUENT = {
    "English": "the and of to is in that it was with you for not this are",
    "German": "der die und das ist nicht ich sie es ein eine mit zu den auf",
    "French": "le la les et est une un des dans que pas pour vous je il",
    "Spanish": "el la los y es una un de que no en por las con se",
    "Italian": "il la di che è un una non per sono gli della con le si",
    "Dutch": "de het een en is van niet dat ik op te zijn voor met wij",
    "Portuguese": "o a os e é um uma de que não em para com as do",
    "Swedish": "och att det som en är jag inte på för med den av till ett",
    "Polish": "i w na nie się z jest do to że jak po co ale za",
}
_FREQUENT_SETS = {name: frozenset(words.split()) for name, words in _FREQUENT.items()}


def named_language(tokens: Sequence[str]) -> str | None:
    """The language that the last word of a column's name stands for, as code or in English."""
    if not tokens:
        return None
    return _NAMES.get(tokens[-1]) or _BY_NAME.get(tokens[-1])


def language(texts: Iterable[str], margin: float = 1.25, least: int = 1) -> str | None:
    """The likeliest language of texts, None where neither script nor frequent words tell.

    A script decides where it holds a third of the letters; any kana makes Han text Japanese. Among
    Latin texts the language wins whose frequent words cover most, at least a tenth of the words
    and `margin` times as many as the next one's; `least` is how many different ones must occur.
    """
    joined = " ".join(texts)[:20_000]
    letters = [char for char in joined if char.isalpha()]
    if not letters:
        return None
    scripts = Counter(unicodedata.name(char, "").partition(" ")[0] for char in letters)
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > len(letters) / 20:
        return "Japanese"
    script, count = max(scripts.items(), key=lambda item: item[1])
    if script in _SCRIPTS and count > len(letters) / 3:
        return _SCRIPTS[script]
    words = re.findall(r"[^\W\d_]+", joined.casefold())
    covered = sorted(
        ((sum(word in common for word in words), name) for name, common in _FREQUENT_SETS.items()),
        reverse=True,
    )
    (most, best), (next_most, _) = covered[:2]
    if len(_FREQUENT_SETS[best].intersection(words)) < least:
        return None
    return best if most >= max(len(words) / 10, margin * next_most) else None
