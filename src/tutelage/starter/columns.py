"""The columns of a table by name and by role."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tutelage.starter.profile import Profile, cell_text, profiles
from tutelage.starter.sketch import Roles
from tutelage.tasks.record import split_named
from tutelage.tasks.table import Table

_SAMPLE = 1000
_SPLIT_NAMES = frozenset({"split", "fold", "set", "partition", "subset"})
_ID_NAMES = frozenset({"id", "ids", "uid", "uuid", "guid", "idx", "index", "fname", "filename"})
_GROUP_NAMES = frozenset(
    {"group", "author", "user", "username", "customer", "patient", "speaker", "document", "article"}
    | {"thread", "conversation", "session", "title", "url", "domain", "product", "story"}
)
_TIME_NAMES = frozenset({"date", "time", "timestamp", "datetime", "created", "published", "year"})


@dataclass(frozen=True)
class Columns:
    """The columns in table order, and the first rows; look-ups give None where nothing fits."""

    all: tuple[Profile, ...]
    rows: Sequence[Mapping[str, Any]] = ()

    def __iter__(self) -> Iterator[Profile]:
        return iter(self.all)

    def named(self, *names: str) -> Profile | None:
        """The filled column whose name is the earliest of `names`, spaces and case aside."""
        by_key = {column.key: column for column in reversed(self.all) if column.filled}
        return next((by_key[name] for name in names if name in by_key), None)

    def numbered(self, *stems: str) -> tuple[Profile, ...]:
        """Two or more columns `stem1`, `stem_b`, …, in table order."""
        for stem in stems:
            pattern = re.compile(rf"{stem}s?(\d\d?|[a-j])")
            found = tuple(c for c in self.all if pattern.fullmatch(c.key) and c.filled)
            if len(found) > 1:
                return found
        return ()

    def without(self, *taken: Profile | None) -> Columns:
        """The columns that are not among `taken`."""
        names = {column.name for column in taken if column}
        return replace(self, all=tuple(c for c in self.all if c.name not in names))

    def longest(self) -> Profile | None:
        """The text column with the longest mean, the first of equals."""
        texts = (column for column in self.all if column.text)
        return max(texts, key=lambda column: column.characters, default=None)

    def together(self, one: Profile, other: Profile) -> list[tuple[Any, Any]]:
        """The cells of two columns, of the first rows in which neither is blank."""
        pairs = ((row.get(one.name), row.get(other.name)) for row in self.rows)
        return [pair for pair in pairs if all(cell_text(cell).strip() for cell in pair)]


def roles(table: Table) -> tuple[Roles, Columns]:
    """Columns with a role beside input and answer, and the others."""
    columns = profiles(table)
    split = _first(columns, _is_split)
    id_ = _first(columns, _is_id)
    time = _first(columns, _is_time)
    group = _first(columns, lambda c: _is_group(c) and c not in (split, id_, time))
    rows = tuple(record.cells for record in table.records[:_SAMPLE])
    aside = Columns(columns, rows).without(split, id_, time)
    # a group column such as `title` may be an input too, an id of several rows may not
    if group is not None and group.tokens[-1] in _ID_NAMES:
        aside = aside.without(group)
    names = [column.name if column else None for column in (id_, group, split, time)]
    return Roles(*names), aside


def _first(columns: Iterable[Profile], test: Callable[[Profile], bool]) -> Profile | None:
    return next((column for column in columns if column.tokens and test(column)), None)


def _is_split(column: Profile) -> bool:
    if column.tokens[-1] not in _SPLIT_NAMES or column.filled < column.rows or column.distinct > 20:
        return False
    splits = set(map(split_named, column.counts))
    return None not in splits and {"train", "test"} <= splits


def _is_id(column: Profile) -> bool:
    unique = column.distinct == column.rows
    return unique and column.tokens[-1] in _ID_NAMES and column.characters <= 100


def _is_group(column: Profile) -> bool:
    named = column.tokens[-1] in _GROUP_NAMES | _ID_NAMES
    return named and column.repeats and column.distinct >= 4 and column.characters <= 100


def _is_time(column: Profile) -> bool:
    named = bool(set(column.tokens) & _TIME_NAMES) or column.tokens[-1] == "at"
    return named and column.distinct > 1 and column.share(_is_moment) >= 0.95


def _is_moment(cell: object) -> bool:
    text = cell_text(cell).strip()
    try:
        datetime.fromisoformat(f"{text}-01-01" if re.fullmatch(r"\d{4}", text) else text)
    except ValueError:
        return False
    return True
