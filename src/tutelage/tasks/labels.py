"""The labels of a task: those it lists, or those found in its rows, and what is wrong with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tutelage.errors import DataGateError, nearest
from tutelage.tasks.schema import normal_label

_MOST_FOUND = 50
_SHOWN = 10


def choose_labels(listed: list[str] | None, found: Iterable[str], where: str) -> tuple[str, ...]:
    """The task's labels in order: as listed, else those found, sorted.

    `found` has one label per row. Labels are compared exactly; equality after normalisation
    only serves to find slips, it never maps one label to another.

    Raises:
        DataGateError: labels outside the list, two spellings of one label, a single class, or
            something that looks like ids or free text.
    """
    counts = Counter(found)
    if listed is not None:
        _refuse_others(listed, counts, where)
    else:
        _refuse_free_text(counts, where)
        _refuse_spellings(counts, where)
    if len(counts) < 2:
        only = f"every row has the label {next(iter(counts))!r}" if counts else "no row has a label"
        raise DataGateError(f"{where}: {only}. A comparison needs at least two classes.")
    return tuple(listed) if listed is not None else tuple(sorted(counts))


def _refuse_others(listed: list[str], counts: Counter[str], where: str) -> None:
    by_spelling = {normal_label(label): label for label in listed}
    others = [(label, n) for label, n in counts.most_common() if label not in listed]
    if not others:
        return
    shown = []
    for label, n in others[:_SHOWN]:
        same = by_spelling.get(normal_label(label))
        hint = f" Did you mean {same!r}?" if same else nearest(label, listed)
        shown.append(f"{_short(label)} in {n:,} rows{f' ({hint.strip()})' if hint else ''}")
    more = f" and {len(others) - _SHOWN:,} others" if len(others) > _SHOWN else ""
    raise DataGateError(
        f"{where}: labels outside task.labels: {', '.join(shown)}{more}. Correct them, or add "
        "them to task.labels."
    )


def _refuse_free_text(counts: Counter[str], where: str) -> None:
    rows = counts.total()
    each = len(counts) == rows and rows > 1
    if each or len(counts) > _MOST_FOUND:
        how_many = f"{rows:,} rows have {len(counts):,} different labels"
        raise DataGateError(
            f"{where}: {how_many}, which looks like ids or free text. Name the label column with "
            "--label, or list the labels in task.labels if they are right."
        )


def _refuse_spellings(counts: Counter[str], where: str) -> None:
    spellings = defaultdict(list)
    for label in sorted(counts):
        spellings[normal_label(label)].append(f"{_short(label)} in {counts[label]:,} rows")
    doubled = [" and ".join(same) for same in spellings.values() if len(same) > 1]
    if doubled:
        raise DataGateError(
            f"{where}: labels that differ only in case, spaces or Unicode form: "
            f"{'; '.join(doubled[:_SHOWN])}. Write each label one way."
        )


def _short(label: str) -> str:
    return repr(label if len(label) <= 60 else f"{label[:59]}…")
