"""The first rows behind the counts of ledger, quality flags and leaks, each with its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tutelage.data.ledger import REASONS
from tutelage.evaluate.classic import joined_text
from tutelage.files import read_json, read_jsonl
from tutelage.pipeline.stage import UNSEEN_TASKS, Context
from tutelage.records import SPLITS
from tutelage.report.content import Remark, Remarks

FIRST = 3  # of every kind
_KEPT = 400  # characters of a text
_ALIKE = {"exact": "equals", "near": "is nearly", "group": "shares its group with"}


def first_remarks(context: Context) -> Remarks:
    """Three rows of every kind at most, read from the files of `prepare`.

    A row that was left out of every split has no text here.
    """
    folder = context.run.folder("prepare")
    ledger = tuple(ledger_remarks(read_jsonl(folder / "ledger.jsonl")))
    quality = tuple(flag_remarks(read_json(folder / "quality.json")["flags"]))
    leaks = tuple(leak_remarks(read_json(folder / "leaks.json").get("before", ())))
    texts = _texts(context, {remark.id for remark in (*ledger, *quality, *leaks)})

    def worded(remarks: Sequence[Remark]) -> tuple[Remark, ...]:
        return tuple(replace(remark, text=texts.get(remark.id, "")) for remark in remarks)

    return Remarks(worded(ledger), worded(quality), worded(leaks))


def ledger_remarks(entries: Iterable[Mapping[str, Any]]) -> Iterator[Remark]:
    """The first entries per reason, in the order of the reasons."""
    yield from _first(
        (Remark(e["reason"], e["id"], e["where"], e["detail"]) for e in entries), REASONS
    )


def flag_remarks(flags: Iterable[Mapping[str, Any]]) -> Iterator[Remark]:
    """The first flags per kind, in the order in which they stand."""
    yield from _first(Remark(f["kind"], f["id"], f["where"], f["detail"]) for f in flags)


def leak_remarks(leaks: Iterable[Mapping[str, Any]]) -> Iterator[Remark]:
    """The first examples of rows that repeat a row of a later split, per pair of splits."""
    for leak in leaks:
        for row in leak["examples"][:FIRST]:
            alike = f" (Jaccard {row['similarity']:.2f})" if row["kind"] == "near" else ""
            other = f"row {row['of']} at {row['of_where']}{alike}"
            detail = f"{_ALIKE[row['kind']]} {leak['later']} {other}"
            yield Remark(f"{leak['earlier']} in {leak['later']}", row["id"], row["where"], detail)


def _first(remarks: Iterable[Remark], order: Sequence[str] = ()) -> Iterator[Remark]:
    """The first of every kind; all are read, and no more than that is held."""
    held: dict[str, list[Remark]] = {kind: [] for kind in order}
    for remark in remarks:
        if len(held.setdefault(remark.kind, [])) < FIRST:
            held[remark.kind].append(remark)
    for found in held.values():
        yield from found


def _texts(context: Context, ids: set[str]) -> dict[str, str]:
    """The beginning of the text of these rows."""
    found: dict[str, str] = {}
    for split in (*SPLITS, UNSEEN_TASKS):
        if ids <= found.keys():
            break
        for example in context.stream(split):
            if example.id in ids and example.id not in found:
                found[example.id] = joined_text(example)[:_KEPT]
    return found
