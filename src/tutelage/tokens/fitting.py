"""Cutting a row's text until its prompt fits, with every cut recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Count = Callable[[Mapping[str, Any]], int]
"""Tokens of the whole example for given fields."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What was removed: characters at the end of a field."""

    field: str
    characters: int


def fit_fields(
    fields: Mapping[str, Any], count: Count, limit: int, order: Sequence[str] = ()
) -> tuple[dict[str, Any], tuple[Cut, ...]] | None:
    """Shorten text fields from the end until `count(fields) <= limit` tokens.

    Args:
        fields: the row's; only texts can be cut.
        count: tokens of the whole example under given fields.
        limit: most tokens.
        order: the fields that may be cut, first to last; empty means all, the longest first.

    Returns:
        The fields and the cuts (none where it fits already), or None where the example does not
        fit even with every such field emptied; the completion is never cut.
    """
    kept = dict(fields)
    cuts: list[Cut] = []
    while count(kept) > limit:
        name = _next(kept, order)
        if name is None:
            return None
        text = kept[name]
        low, high = 0, len(text) - 1  # longest prefix that fits, if any does
        while low < high:
            middle = (low + high + 1) // 2
            if count({**kept, name: text[:middle]}) <= limit:
                low = middle
            else:
                high = middle - 1
        kept[name] = text[:low].rstrip()
        cuts.append(Cut(name, len(text) - len(kept[name])))
    return kept, tuple(cuts)


def _next(fields: Mapping[str, Any], order: Sequence[str]) -> str | None:
    """The field to cut now, None where nothing is left of any."""
    names = [n for n in (order or fields) if isinstance(fields.get(n), str) and fields[n]]
    if not names:
        return None
    return names[0] if order else max(names, key=lambda name: len(fields[name]))
