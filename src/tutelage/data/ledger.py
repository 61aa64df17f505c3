"""What happened to rows on the way from the source to the splits: nothing is lost silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from tutelage.errors import DataGateError

Reason = Literal["skipped", "conflict", "truncated", "dropped", "duplicate", "leak", "benchmark"]
REASONS: tuple[Reason, ...] = get_args(Reason)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One remark on one row, or on `rows` of them where they are too many to name.

    `skipped`: not asked for, such as a row without a label. `conflict`: kept, though a row with
    the same input has another label. `truncated`: kept, its text cut. `dropped`: not usable.
    `duplicate`: kept, in one split with the rows it repeats. `leak` and `benchmark`: removed, as
    `split.decontaminate` asks, because it repeats a row of a later split or quotes a benchmark.
    """

    id: str
    where: str
    reason: Reason
    detail: str
    rows: int = 1


class Ledger:
    """Entries in the order they were made; one row may have several."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: list[Entry] = list(entries)

    def add(self, row_id: str, where: str, reason: Reason, detail: str, rows: int = 1) -> None:
        """Remark on a row; `where` is its address (`reviews.csv:17`)."""
        self.entries.append(Entry(row_id, where, reason, detail, rows))

    def counts(self) -> dict[Reason, int]:
        """Remarks per reason, every reason named."""
        counted = Counter[Reason]()
        for entry in self.entries:
            counted[entry.reason] += entry.rows
        return {reason: counted[reason] for reason in REASONS}

    def gate(
        self,
        rows: int,
        limit: float,
        *,
        setting: str = "split.max_conflict_share",
        reasons: Collection[Reason] = ("conflict", "dropped"),
    ) -> None:
        """Stop where more than `limit` of `rows` source rows have an entry of these reasons.

        Raises:
            DataGateError: with the counts, the first three rows, and the setting to raise.
        """
        held = [entry for entry in self.entries if entry.reason in reasons]
        touched = len({entry.id for entry in held})
        if touched <= limit * rows:
            return
        counted = Counter(entry.reason for entry in held)
        counts = " and ".join(f"{counted[r]} {r}" for r in REASONS if counted[r])
        shown = "; ".join(f"{e.where} (row {e.id}): {e.detail}" for e in held[:_SHOWN])
        share = touched / max(rows, 1)
        raise DataGateError(
            f"{touched} of {rows} rows ({share:.1%}) cannot be trusted, {counts}; at most "
            f"{limit:.1%} may be. First: {shown}. Mend the rows, or accept them with "
            f"--set {setting}={_ceiling(share)}."
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data, one object per entry, for `data/ledger.jsonl`."""
        plain = (asdict(entry) for entry in self.entries)
        return [{k: v for k, v in entry.items() if (k, v) != ("rows", 1)} for entry in plain]

    @classmethod
    def from_json(cls, lines: Iterable[Mapping[str, Any]]) -> Self:
        """The inverse of `to_json`."""
        return cls(Entry(**line) for line in lines)


def _ceiling(share: float) -> str:
    """Smallest three-digit decimal that lets the share pass."""
    return f"{min(1.0, int(share * 1000 + 1) / 1000):.3f}"
