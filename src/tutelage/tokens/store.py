"""Encoded examples on disk, read back as memory maps: their tokens take no memory of the process.

A row as Python numbers takes some 36 bytes a token; here it takes 4, in pages that the system may
drop and read again. `ids.bin` holds the ids of all rows one after the other, prompt first; an id of
a completion that is no target is stored as its complement. `names.bin` holds the rows' ids,
`ends.bin` where each row's name, prompt and completion end, and `templates.bin` the number of each
row's template in `templates.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from tutelage.files import (
    manifest_problems,
    read_json,
    read_manifest,
    whole_directory,
    write_json,
    write_manifest,
)
from tutelage.records import Encoded

_ID, _END = np.dtype("<i4"), np.dtype("<i8")


class TokenStore(Sequence[Encoded]):
    """Rows that were written by `write_store`, in their order."""

    def __init__(self, folder: Path) -> None:
        self._ids = _mapped(folder / "ids.bin", _ID)
        self._names = _mapped(folder / "names.bin", np.dtype(np.uint8))
        self._ends = _mapped(folder / "ends.bin", _END).reshape(-1, 3)
        self._templates: list[str] = read_json(folder / "templates.json")
        self.template_codes = _mapped(folder / "templates.bin", _ID)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, row: int) -> Encoded: ...
    @overload
    def __getitem__(self, row: slice) -> list[Encoded]: ...
    def __getitem__(self, row: int | slice) -> Encoded | list[Encoded]:
        """A row, or several; ids are plain numbers again."""
        if isinstance(row, slice):
            return [self._row(i) for i in range(*row.indices(len(self)))]
        place = row + len(self) if row < 0 else row
        if not 0 <= place < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self._row(place)

    def _row(self, place: int) -> Encoded:
        name_start, _, start = self._ends[place - 1] if place else (0, 0, 0)
        name_stop, middle, stop = self._ends[place]
        name = self._names[name_start:name_stop].tobytes().decode("utf-8", "surrogatepass")
        prompt, completion = self._ids[start:middle], self._ids[middle:stop]
        target = completion >= 0
        ids = completion if target.all() else np.where(target, completion, ~completion)
        marks = () if target.all() else tuple(target.tolist())
        template = self._templates[self.template_codes[place]]
        return Encoded(name, tuple(prompt.tolist()), tuple(ids.tolist()), marks, template)


def write_store(folder: Path, rows: Iterable[Encoded], key: str) -> None:
    """Write rows one by one; the folder takes its name when all of them are there.

    Args:
        folder: replaced where it exists.
        rows: consumed once.
        key: what the rows were made of; see `open_store`.
    """
    names_end = ids_end = 0
    codes: dict[str, int] = {}
    with whole_directory(folder) as temporary:
        with (
            (temporary / "ids.bin").open("wb") as ids,
            (temporary / "names.bin").open("wb") as names,
            (temporary / "ends.bin").open("wb") as ends,
            (temporary / "templates.bin").open("wb") as templates,
        ):
            for row in rows:
                name = row.id.encode("utf-8", "surrogatepass")
                completion = np.array(row.completion_ids, _ID)
                if row.trained:
                    completion = np.where(np.array(row.trained, bool), completion, ~completion)
                whole = np.concatenate([np.array(row.prompt_ids, _ID), completion])
                names_end, middle = names_end + len(name), ids_end + len(row.prompt_ids)
                ids_end += len(whole)
                names.write(name)
                ids.write(whole.astype(_ID).tobytes())
                ends.write(np.array([names_end, middle, ids_end], _END).tobytes())
                code = codes.setdefault(row.template, len(codes))
                templates.write(np.array([code], _ID).tobytes())
        write_json(temporary / "templates.json", list(codes))
        write_manifest(temporary, key=key)


def open_store(folder: Path, key: str) -> TokenStore | None:
    """Rows that were written under this key and are whole, else None."""
    manifest = read_manifest(folder)
    if manifest is None or manifest.get("key") != key or manifest_problems(folder, hashes=True):
        return None
    if not (folder / "templates.json").exists():  # of an older version
        return None
    return TokenStore(folder)


def _mapped(path: Path, kind: np.dtype[Any]) -> np.ndarray:
    """The file's numbers, read when they are asked for; a file of none has nothing to map."""
    if path.stat().st_size == 0:
        return np.empty(0, kind)
    return np.memmap(path, kind, mode="r")
