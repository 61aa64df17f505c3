"""Words and writing systems, by letters alone: Greek from Latin, but not English from French."""

from __future__ import annotations

import re

_IDEOGRAPHS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# A word; a Chinese or Japanese character is one, as nothing there parts words.
WORD = rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+"

# Blocks of the Unicode standard; letters outside of them are not counted.
_BLOCKS = {
    "Latin": r"A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff5a",
    "Greek": r"\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": r"\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
    "Armenian": r"\u0530-\u058f",
    "Hebrew": r"\u0590-\u05ff",
    "Arabic": r"\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff",
    "Devanagari": r"\u0900-\u097f",
    "Bengali": r"\u0980-\u09ff",
    "Tamil": r"\u0b80-\u0bff",
    "Thai": r"\u0e00-\u0e7f",
    "Georgian": r"\u10a0-\u10ff\u1c90-\u1cbf",
    "Han": r"\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
    "Kana": r"\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "Hangul": r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7ff",
}
_ANY = re.compile("|".join(f"(?P<{name}>[{block}]+)" for name, block in _BLOCKS.items()))
_CHARACTERS = 2_000


def main_script(text: str) -> str | None:
    """Script of most letters at the beginning of a text; None without letters of a known one.

    Han beside kana is Japanese, so that Japanese rows are of one kind.
    """
    part = text[:_CHARACTERS]
    if part.isascii():
        return "Latin" if any(map(str.isalpha, part)) else None
    counts: dict[str, int] = {}
    for found in _ANY.finditer(part):
        name = found.lastgroup or ""
        counts[name] = counts.get(name, 0) + len(found[0])
    if counts.get("Kana"):
        counts["Kana"] += counts.pop("Han", 0)
    if not counts:
        return None
    name = max(counts, key=counts.__getitem__)
    return "Japanese" if name == "Kana" else name
