"""Numbers as people read them; a missing one is a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MISSING = "–"
_MINUS = "\u2212"
_SPACE = "\u00a0"
_SHARES = frozenset({"accuracy", "exact_match", "numeric_match", "json_valid"})
_TITLES = {
    "macro_f1": "Macro-F1",
    "token_f1": "Token F1",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
    "chrf": "chrF",
    "bleu": "BLEU",
    "json_valid": "Valid JSON",
    "json_f1": "JSON field F1",
}


def _absent(x: float | None) -> bool:
    return x is None or not math.isfinite(x)


def count(n: float | None) -> str:
    """Whole numbers with thousands separators, others with one decimal.

    >>> count(2613)
    '2,613'
    """
    if n is None or _absent(n):
        return MISSING
    text = f"{abs(n):,.0f}" if float(n).is_integer() or abs(n) >= 1000 else f"{abs(n):,.1f}"
    return (_MINUS if n < 0 else "") + text


def metric(name: str, x: float | None) -> str:
    """A metric's value: shares of rows in percent, anything else with three decimals."""
    if x is None or _absent(x):
        return MISSING
    text = f"{abs(100 * x):.1f}%" if name in _SHARES else f"{abs(x):.3f}"
    return (_MINUS if x < 0 else "") + text


def difference(x: float | None) -> str:
    """A signed difference of two metric values, in percentage points.

    >>> difference(0.146)
    '+14.6 points'
    """
    if x is None or _absent(x):
        return MISSING
    points = f"{abs(100 * x):.1f}"
    sign = "" if points == "0.0" else _MINUS if x < 0 else "+"
    return f"{sign}{points} points"


def metric_title(name: str) -> str:
    """The name of a metric for people."""
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def p_value(p: float | None) -> str:
    """Three significant digits, so that 0.0498 stays below 0.05; a bound where it is tiny."""
    if p is None or _absent(p):
        return f"p {MISSING}"
    text = "< 0.0001" if p < 0.0001 else f"= {p:.3g}"
    return f"p {text}".replace(" ", _SPACE)


def duration(seconds: float | None) -> str:
    """`< 0.1 s`, `0.4 s`, `12 s`, `7 min 12 s`, `1 h 05 min`."""
    if seconds is None or _absent(seconds):
        return MISSING
    if seconds < 0.05:
        return f"<{_SPACE}0.1{_SPACE}s"
    if seconds < 9.95:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_SPACE}s"
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60:02d}{_SPACE}s"
    minutes = round(whole / 60)
    return f"{minutes // 60}{_SPACE}h {minutes % 60:02d}{_SPACE}min"


def size(number: float | None) -> str:
    """Bytes in decimal units: `6.61 GB`."""
    if number is None or _absent(number):
        return MISSING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            scaled = number / scale
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{_SPACE}{unit}"
    return f"{number:.0f}{_SPACE}bytes"


def plain(value: Any) -> str:
    """Any value of a table of facts: numbers with separators, lists and maps on one line."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        whole = isinstance(value, int) or (math.isfinite(value) and abs(value) >= 1000)
        return count(value) if whole else f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return str(value)


def fact(name: str, value: Any) -> tuple[str, str]:
    """A key of a report and its value, for people: a unit in the key's name moves to the value."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    for ending, write in (("_bytes", size), ("_seconds", duration)):
        if name.endswith(ending) and number is not None:
            return name.removesuffix(ending).replace("_", " "), write(number)
    return name.replace("_", " "), plain(value)
