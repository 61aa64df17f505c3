"""What the report says of leaks between the splits."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from tutelage.data.config import SplitConfig
from tutelage.data.overlap import Groups
from tutelage.data.splits import Split

_CONFLICTS_SHOWN = 100


def leak_facts(groups: Groups, split: Split, config: SplitConfig) -> dict[str, Any]:
    """Everything for `data/leaks.json`: what is alike, what lay across splits, what was done.

    `pairs_across_splits` are the rows that still repeat a row of a later split: 0 unless a
    predefined split leaks and was not decontaminated.
    """
    kinds = Counter(pair.kind for pair in groups.pairs)
    conflicts = groups.conflicts
    return {
        "threshold": config.near_duplicate_threshold,
        "method": "Jaccard index of character 5-grams, inputs before templating",
        "kind": split.kind,
        "exact_pairs": kinds["exact"],
        "near_pairs": kinds["near"],
        "groups": len(set(split.groups)),
        "pairs_across_splits": sum(leak.rows for leak in split.leaks.after),
        "removed": dict(sorted(Counter(entry.reason for entry in split.removed).items())),
        **split.leaks.to_json(),
        "conflict_count": len(conflicts),
        "conflicts": [asdict(conflict) for conflict in conflicts[:_CONFLICTS_SHOWN]],
    }
