"""What the report says of the prepared data: rows, labels and lengths per split, and the leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tutelage.data.config import SplitConfig
from tutelage.data.inputs import cell_texts
from tutelage.data.overlap import Groups
from tutelage.data.splits import Split, classes
from tutelage.records import SPLITS, Row, SplitName

_CONFLICTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Lengths:
    """Characters."""

    mean: float
    median: float
    p95: float
    longest: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Lengths:
        """Of at least one text."""
        counted = np.array(lengths)
        middle, high = np.percentile(counted, (50, 95)).tolist()
        return cls(round(float(counted.mean()), 1), middle, high, int(counted.max()))


@dataclass(frozen=True, slots=True)
class SplitSize:
    """One split: rows, groups, rows per label (empty without classes), characters of the input.

    `answers` are the characters of the first text answer, None without such answers.
    """

    rows: int
    groups: int
    labels: dict[str, int]
    inputs: Lengths
    answers: Lengths | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def split_sizes(rows: Sequence[Row], split: Split) -> dict[SplitName, SplitSize]:
    """Sizes of all three splits, none of which is empty."""
    labels = classes(rows)
    sizes = {}
    for name in SPLITS:
        places = split.rows(name)
        own = [rows[i] for i in places]
        answers = [len(row.answers[0]) for row in own if row.answers]
        sizes[name] = SplitSize(
            rows=len(own),
            groups=len({split.groups[i] for i in places}),
            labels=dict(sorted(Counter(labels[i] for i in places).items())) if labels else {},
            inputs=Lengths.of([_characters(row) for row in own]),
            answers=Lengths.of(answers) if answers else None,
        )
    return sizes


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


def _characters(row: Row) -> int:
    turns = sum(len(turn.content) for turn in row.turns)
    return turns + sum(len(text) for value in row.fields.values() for text in cell_texts(value))
