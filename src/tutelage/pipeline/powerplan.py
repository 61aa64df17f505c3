"""What the sealed test can show, said before it is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tutelage.evaluate.power import (
    LEVEL,
    POWER,
    design_effect,
    detectable_difference,
    detectable_mean,
)
from tutelage.records import Example
from tutelage.tasks.schema import Metric

DISCORDANT = (0.1, 0.2, 0.3)
DEVIATIONS = (0.1, 0.2, 0.3)
CORRELATION = 0.5
_PER_ROW: frozenset[Metric] = frozenset(
    {"accuracy", "macro_f1", "exact_match", "numeric_match", "json_valid"}
)
_ASSUMES: dict[str, str] = {
    "accuracy": "Rows of which one arm alone is right make up the share given.",
    "macro_f1": "Macro-F1 is taken to vary as accuracy does; with rare labels it varies more.",
    "corpus": "The metric is of all answers together; it is taken for a mean over rows.",
    "graded": "Row by row the two arms' scores differ with the standard deviation given.",
}


def power_facts(
    test: Sequence[Example], factor: float, metric: Metric, *, comparable: bool
) -> dict[str, Any]:
    """The smallest difference in points (0..100) that a test of these rows is likely to show.

    `factor` is the number of test rows to one of `test`; `comparable` says whether the run would
    compare arms at all. `grouped_points` counts rows of one group as correlated.
    """
    sizes = list(Counter(e.group for e in test).values())
    effect = design_effect(sizes, CORRELATION)
    rows = len(test) * factor
    per_row = metric in _PER_ROW
    assumes = [_ASSUMES["accuracy" if per_row else "graded"]]
    if metric == "macro_f1":
        assumes.append(_ASSUMES["macro_f1"])
    if metric in ("bleu", "chrf"):
        assumes.append(_ASSUMES["corpus"])
    return {
        "metric": metric,
        "rows": round(rows),
        "groups": round(len(sizes) * factor),
        "comparable": comparable,
        "power": POWER,
        "level": LEVEL,
        "test": "paired, two-sided",
        "design_effect": round(effect, 3),
        "correlation": CORRELATION,
        "effective_rows": round(rows / effect, 1),
        "assumes": assumes,
        "detectable": [
            {
                "discordant" if per_row else "deviation": spread,
                "points": _points(rows, spread, per_row=per_row),
                "grouped_points": _points(rows / effect, spread, per_row=per_row)
                if effect > 1
                else None,
            }
            for spread in (DISCORDANT if per_row else DEVIATIONS)
        ],
    }


def _points(rows: float, spread: float, *, per_row: bool) -> float | None:
    found = detectable_difference(rows, spread) if per_row else detectable_mean(rows, spread)
    return None if found is None else round(100 * found, 1)
