"""One record of a source, and the file or query that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from tutelage.records import SplitName

Medium = Literal[
    "csv", "tsv", "json", "jsonl", "parquet", "arrow", "excel", "text_folders", "dataset", "sql"
]
_WORDS: dict[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a source; `line` is where it starts, counted from 1; `where` its address.

    A cell is text, or plain data where the source has lists or mappings. A cell that the source
    leaves out may be missing. `split` is the source's own.
    """

    cells: Mapping[str, Any]
    line: int
    where: str = ""
    split: SplitName | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One file, folder, query or data set; `name` stands for it in addresses."""

    name: str
    medium: Medium
    path: Path | None = None
    split: SplitName | None = None


class SplitSource(Protocol):
    """Where a source's own splits and times come from; the section `split` of a run is one."""

    @property
    def column(self) -> str | None:
        """The column that names a row's split."""

    @property
    def validation_path(self) -> str | None:
        """The file with the validation rows."""

    @property
    def test_path(self) -> str | None:
        """The file with the test rows."""

    @property
    def time(self) -> str | None:
        """The column with a row's time."""


def split_named(word: str) -> SplitName | None:
    """The split that a word usually means, such as `dev` for validation; None for other words."""
    return _WORDS.get(word.strip().casefold())
