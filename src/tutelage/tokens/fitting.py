"""Cutting a row's text until its prompt fits, with every cut recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Count = Callable[[Mapping[str, str]], int]
"""Tokens of the whole example for given fields."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What was removed: characters at the end of a field."""

    field: str
    characters: int


def fit_fields(
    fields: Mapping[str, str], count: Count, limit: int
) -> tuple[dict[str, str], tuple[Cut, ...]] | None:
    """Shorten the longest fields from the end until `count(fields) <= limit` tokens.

    Returns:
        The fields and the cuts (none where it fits already), or None where the example does not
        fit even with every field emptied; the completion is never cut.
    """
    kept = dict(fields)
    cuts: list[Cut] = []
    while count(kept) > limit:
        name = max(kept, key=lambda key: len(kept[key]))
        text = kept[name]
        if not text:
            return None
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
