"""Rows worth a look before training: flags, which nothing acts on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy.stats import rankdata

from tutelage.data.inputs import cell_texts, row_text
from tutelage.data.label_errors import suspected_labels
from tutelage.data.overlap import Groups
from tutelage.data.splits import have_classes
from tutelage.records import Row
from tutelage.scripts import main_script

Kind = Literal["label", "empty", "language", "duplicate", "length"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KEPT = 200  # flags of one kind
_NOTHING = frozenset(
    {"nan", "none", "null", "n/a", "na", "nil", "undefined", "-", "#n/a", "[deleted]"}
)
_LEAST_LETTERS = 3
_RARE_SCRIPT = 0.1
_LENGTH_AUC = 0.9
_LEAST_ROWS = 50
_MOST_ROWS = 10_000  # that label errors are looked for in
_LEAST_SAMPLE = 2_000
_MOST_CELLS = 100_000  # rows x labels of it


@dataclass(frozen=True, slots=True)
class Flag:
    """One remark; `id` and `where` name a row, or are empty and `label 'x'` for a whole label.

    `label`: a model of the other rows doubts the label; the score is how much surer it is of
    another. `empty`: hardly any text; letters and digits. `language`: another script than most;
    its share of rows. `duplicate`: one input several times under one label; how often.
    `length`: the length alone tells the label; area under the ROC curve.
    """

    id: str
    where: str
    kind: Kind
    detail: str
    score: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Flags, the most striking of each kind first, 200 of a kind at most; `counts` are of all.

    `notes` say what was sampled or could not be looked for.
    """

    flags: tuple[Flag, ...]
    counts: dict[Kind, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `data/quality.json`."""
        return asdict(self)


def quality_flags(rows: Sequence[Row], groups: Groups, *, seed: int = 0) -> Quality:
    """Look at rows for label errors, empty texts, other languages, repetition and length.

    Labels are looked at where they are classes. Label errors are searched in a sample of at most
    10,000 rows, fewer with many labels, so that the time has a bound.
    """
    notes: list[str] = []
    found: dict[Kind, list[Flag]] = {
        "label": list(_label_errors(rows, groups, seed, notes)),
        "empty": sorted(_empty(rows), key=lambda flag: flag.score),
        "language": sorted(_languages(rows, notes), key=lambda flag: flag.score),
        "duplicate": sorted(_duplicates(rows, groups), key=lambda flag: -flag.score),
        "length": list(_lengths(rows)),
    }
    flags = tuple(flag for kind in KINDS for flag in found[kind][:KEPT])
    return Quality(flags, {kind: len(found[kind]) for kind in KINDS}, tuple(notes))


def _label_errors(
    rows: Sequence[Row], groups: Groups, seed: int, notes: list[str]
) -> Iterator[Flag]:
    places = [i for i, own in enumerate(have_classes(rows)) if own]
    if not places:
        return
    if len(places) < _LEAST_ROWS:
        notes.append(f"label errors: not looked for in under {_LEAST_ROWS} rows")
        return
    for task in sorted({rows[i].task for i in places}):
        own = [i for i in places if rows[i].task == task]
        labels = len({rows[i].label for i in own})
        most = max(_LEAST_SAMPLE, min(_MOST_ROWS, _MOST_CELLS // labels))
        if len(own) > most:
            notes.append(f"label errors: looked for in {most:,} of {len(own):,} rows, at random")
            own = sorted(sorted(own, key=lambda i: _rank(rows[i].id, seed))[:most])
        suspects = suspected_labels(
            [row_text(rows[i]) for i in own],
            [rows[i].label for i in own],
            [groups.of[i] for i in own],
            seed,
        )
        for suspect in suspects:
            row = rows[own[suspect.place]]
            detail = (
                f"labelled {row.label!r} ({suspect.given:.2f}), looks like {suspect.label!r} "
                f"({suspect.chance:.2f})"
            )
            yield Flag(row.id, row.where, "label", detail, suspect.chance - suspect.given)


def _empty(rows: Sequence[Row]) -> Iterator[Flag]:
    for row in rows:
        blank = [name for name, value in row.fields.items() if not _says(value)]
        said = " ".join(t for value in row.fields.values() for t in cell_texts(value)).strip()
        letters = sum(map(str.isalnum, said[:100]))
        if said.casefold() in _NOTHING:
            yield Flag(row.id, row.where, "empty", f"the text is {said!r}", letters)
        elif letters < _LEAST_LETTERS:
            yield Flag(row.id, row.where, "empty", f"hardly any text: {said[:40]!r}", letters)
        elif blank:
            yield Flag(row.id, row.where, "empty", f"nothing in {', '.join(blank)}", letters)


def _says(value: Any) -> bool:
    """Whether a cell holds more than white space."""
    return any(text.strip() for text in cell_texts(value))


def _languages(rows: Sequence[Row], notes: list[str]) -> Iterator[Flag]:
    scripts = [main_script(row_text(row)) for row in rows]
    counts = Counter(script for script in scripts if script is not None)
    total = sum(counts.values())
    if len(counts) > 1:
        shares = ", ".join(f"{name} {n / total:.1%}" for name, n in counts.most_common())
        notes.append(f"scripts: {shares}")
    for row, script in zip(rows, scripts, strict=True):
        if script is not None and counts[script] < _RARE_SCRIPT * total:
            detail = f"written in {script}, as {counts[script]:,} of {total:,} rows"
            yield Flag(row.id, row.where, "language", detail, counts[script] / total)


def _duplicates(rows: Sequence[Row], groups: Groups) -> Iterator[Flag]:
    """Equal inputs with equal labels; unequal ones are conflicts."""
    text_of = groups.inputs.of
    repeated = np.flatnonzero(np.bincount(text_of, minlength=1)[text_of] > 1)
    same: dict[tuple[int, str], list[Row]] = {}
    for place in repeated.tolist():
        same.setdefault((int(text_of[place]), rows[place].label), []).append(rows[place])
    for members in same.values():
        if len(members) > 1:
            first = min(members, key=lambda row: row.id)
            others = [row.where for row in members if row is not first]
            more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
            detail = f"the same input and label: {', '.join(others[:3])}{more}"
            yield Flag(first.id, first.where, "duplicate", detail, float(len(members)))


def _lengths(rows: Sequence[Row]) -> Iterator[Flag]:
    """Labels that long or short texts give away: a model may learn the length alone."""
    classed = have_classes(rows)
    for task in sorted({row.task for row in rows}):
        own = [row for row, has in zip(rows, classed, strict=True) if row.task == task and has]
        labels = Counter(row.label for row in own)
        lengths = np.array([len(row_text(row)) for row in own])
        ranks = rankdata(lengths) if own else lengths
        kinds = np.array([row.label for row in own], dtype=object)
        for label, count in sorted(labels.items()):
            rest = len(own) - count
            if count < _LEAST_ROWS or rest < _LEAST_ROWS:
                continue
            mine = kinds == label
            # Mann and Whitney's U over the number of pairs is the area under the ROC curve.
            area = float((ranks[mine].sum() - count * (count + 1) / 2) / (count * rest))
            if max(area, 1 - area) >= _LENGTH_AUC:
                word = "longer" if area > 0.5 else "shorter"
                detail = (
                    f"texts are {word} than others ({np.median(lengths[mine]):.0f} characters "
                    f"against {np.median(lengths[~mine]):.0f}): length alone tells the label"
                )
                yield Flag("", f"label {label!r}", "length", detail, max(area, 1 - area))


def _rank(row_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"quality\0{seed}\0{row_id}".encode("utf-8", "surrogatepass")).digest()
