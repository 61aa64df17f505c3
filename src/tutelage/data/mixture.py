"""How many training rows of each task a mixture takes, and which."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence


def mixture_sizes(
    rows: Mapping[str, int],
    rates: Mapping[str, float],
    caps: Mapping[str, int | None],
    temperature: float,
) -> dict[str, int]:
    """Training rows to take of every task, in the mixture's proportions and as many as there are.

    The share of a task is proportional to rate x min(rows, cap)^(1 / temperature) (Raffel et al.,
    JMLR 21, 2020, section 3.5.2). No row is repeated: the task that runs out first sets the total.
    """
    counted = {name: min(n, caps[name] or n) for name, n in rows.items() if n}
    weights = {name: rates[name] * n ** (1 / temperature) for name, n in counted.items()}
    if not weights:
        return dict.fromkeys(rows, 0)
    scale = min(counted[name] / weight for name, weight in weights.items())
    taken = {name: max(1, math.floor(scale * w + 1e-9)) for name, w in weights.items()}
    return {name: taken.get(name, 0) for name in rows}


def choose_rows(ids: Sequence[str], count: int, seed: int) -> frozenset[str]:
    """`count` of the ids, the same on every machine; a larger count keeps those of a smaller."""

    def rank(row_id: str) -> bytes:
        key = f"mixture\0{seed}\0{row_id}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(key).digest()

    return frozenset(sorted(ids, key=rank)[:count])
