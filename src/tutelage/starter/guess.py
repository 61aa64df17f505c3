"""Table → sketch: the first kind of task that fits, from the most particular on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tutelage.errors import InputError
from tutelage.starter import answers, classes
from tutelage.starter.columns import Columns, roles
from tutelage.starter.profile import Profile
from tutelage.starter.sketch import Roles, Sketch
from tutelage.tasks.table import Table

_SHOWN = 12


def guess(table: Table) -> Sketch:
    """What a table is for.

    Raises:
        InputError: no column looks like an answer to another one.
    """
    found, columns = roles(table)
    detectors = (
        answers.conversations,
        classes.multiple_choice,
        answers.math,
        answers.questions,
        classes.sentence_pairs,
        partial(classes.labelled_text, sure=True),
        answers.summaries,
        answers.objects,
        answers.translations,
        answers.rewritings,
        answers.instructions,
        partial(classes.labelled_text, sure=False),
        partial(answers.summaries, names=answers.TITLES),
    )
    for detector in detectors:
        sketch = detector(columns)
        if sketch is not None:
            return _with_roles(sketch, found, columns)
    raise InputError(
        f"{table.path}: no column looks like a label (few short values that repeat) or like the "
        f"answer to another column. The columns are {_described(columns)}. Name the answer's "
        "column `label`, `answer` or `summary`, or write task.yaml by hand."
    )


def _with_roles(sketch: Sketch, found: Roles, columns: Columns) -> Sketch:
    """The sketch with the other roles; rows that share a long input are a group too."""
    group = found.group
    taken = {*sketch.fields.values(), *sketch.answers, sketch.label}
    if group in taken and group not in sketch.fields.values():
        group = None  # what is asked for groups nothing
    shared = next((sketch.fields[v] for v in ("context", "premise") if v in sketch.fields), None)
    by_name = {column.name: column for column in columns}
    if group is None and shared is not None and by_name[shared].repeats:
        group = shared
    seen = list(sketch.seen)
    if found.split:
        seen.append(f"{found.split!r} says which rows are for training and which for the test.")
    if group:
        seen.append(f"Rows with one value of {group!r} stay in one split.")
    if found.id:
        seen.append(f"{found.id!r} is a unique id.")
    return replace(sketch, roles=replace(found, group=group), seen=tuple(seen))


def _described(columns: Columns) -> str:
    shown = [_facts(column) for column in columns.all[:_SHOWN]]
    more = len(columns.all) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "") or "ids and splits only"


def _facts(column: Profile) -> str:
    return f"{column.name!r} ({column.distinct:,} values, {column.words:.0f} words on average)"
