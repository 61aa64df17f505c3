"""Which files, folders or queries a source is made of, and how each is to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from glob import glob, has_magic
from itertools import pairwise
from os.path import commonpath
from pathlib import Path
from typing import get_args

from tutelage.errors import ConfigError, InputError, nearest
from tutelage.records import SplitName
from tutelage.tasks.compressed import COMPRESSIONS, bare_name
from tutelage.tasks.record import Medium, Part, SplitSource, split_named
from tutelage.tasks.schema import Format, SourceSpec

_MEDIA: dict[str, Medium] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".xlsx": "excel",
    ".xlsm": "excel",
}
TEXT_SUFFIXES = (".txt", ".text", ".md")
_DATASET_FILES = ("dataset_dict.json", "dataset_info.json", "state.json")
_PACKABLE = ("csv", "tsv", "json", "jsonl")


def find_parts(source: SourceSpec, split: SplitSource | None = None) -> list[Part]:
    """The parts of a source in the order of its paths; files of a folder or pattern sorted.

    Where `split` names files for validation or test, the parts of `source.path` are for training.
    Where every file is named after a split (`train.csv`, `test.csv`), it is of that split.

    Raises:
        InputError: a path does not exist or is of no kind that can be read.
        ConfigError: the source is of another kind, or a folder holds nothing to read.
    """
    if source.sql is not None:
        parts = [Part("query", "sql")]
    elif source.hub is not None:
        parts = [Part(source.hub, "dataset")]
    elif source.path is not None:
        named = [source.path] if isinstance(source.path, str) else source.path
        parts = [part for path in named for part in _parts_of(path, source.format)]
        if not parts:
            raise ConfigError("task.source.path: is an empty list. Name at least one file.")
        parts = _by_name(parts)
    else:
        raise ConfigError("task.source: holds no table. Give `path`, `sql` or `hub`.")
    own: list[tuple[SplitName, str | None]] = []
    if split is not None:
        own = [("validation", split.validation_path), ("test", split.test_path)]
    others = [
        replace(part, split=name)
        for name, path in own
        if path is not None
        for part in _parts_of(path, source.format)
    ]
    if others:
        parts = [replace(part, split="train") for part in parts]
    return _distinct([*parts, *others])


def find_table(path: Path) -> Path:
    """The path of an existing table file, `~` expanded.

    Raises:
        InputError: there is no such file, or it is not of a kind that can be read.
    """
    path = path.expanduser()
    if path.is_dir():
        raise InputError(f"{path}: is a directory. Name the table file inside it.")
    _medium(_existing(path), "auto")
    return path


def _parts_of(text: str, named: Format) -> list[Part]:
    """The parts of one path, folder or pattern."""
    path = Path(text).expanduser()
    if has_magic(text) and not path.exists():
        files = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207 - may be absolute
        found = [file for file in files if file.is_file()]
        if not found:
            raise InputError(f"{path}: no file matches this pattern. Correct task.source.path.")
        return [Part(str(file), _medium(file, named), file) for file in found]
    if path.is_dir():
        return _parts_of_folder(path, named)
    path = _existing(path)
    return [Part(str(path), _medium(path, named), path)]


def _parts_of_folder(folder: Path, named: Format) -> list[Part]:
    if named == "dataset" or any((folder / name).is_file() for name in _DATASET_FILES):
        return [Part(str(folder), "dataset", folder)]
    if named != "text_folders":
        wanted = set(_MEDIA)
        files = [
            file
            for file in sorted(folder.iterdir())
            if file.is_file() and _suffix(file) in wanted and not file.name.startswith((".", "~$"))
        ]
        if files:
            return [Part(str(file), _medium(file, named), file) for file in files]
    if any(_suffix(file) in TEXT_SUFFIXES for file in folder.glob("*/**/*")):
        return [Part(str(folder), "text_folders", folder)]
    raise InputError(
        f"{folder}: holds neither tables ({', '.join(_MEDIA)}), nor folders named by label with "
        f"text files ({', '.join(TEXT_SUFFIXES)}), nor a saved data set. Name another folder."
    )


def _existing(path: Path) -> Path:
    if not path.is_file():
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no directory {path.parent}. Correct the path.")
        names = [other.name for other in path.parent.iterdir()]
        raise InputError(f"{path}: does not exist.{nearest(path.name, names)} Correct the path.")
    return path


def _suffix(path: Path) -> str:
    return Path(bare_name(path)).suffix.lower()


def _medium(path: Path, named: Format) -> Medium:
    """How a file is read: as it is named, else by its extension."""
    suffix = _suffix(path)
    explicit = named if named in get_args(Medium) and named != "dataset" else None
    medium = explicit if explicit is not None else _MEDIA.get(suffix)
    if medium is None:
        raise InputError(
            f"{path}: the extension {suffix!r} is not one of {', '.join(_MEDIA)}."
            f"{nearest(suffix, _MEDIA)} Save the table as CSV or JSON lines, or name what it is "
            "as task.source.format."
        )
    if medium == "text_folders":
        raise InputError(f"{path}: is a file, but task.source.format is text_folders.")
    if path.suffix.lower() in COMPRESSIONS and medium not in _PACKABLE:
        raise InputError(f"{path}: a {medium} file is not read compressed. Unpack it.")
    return medium  # type: ignore[return-value]  # a member of Medium, as checked


def _by_name(parts: Sequence[Part]) -> list[Part]:
    """Files named after two or more different splits are of these splits."""
    words = [split_named(bare_name(p.path).partition(".")[0]) if p.path else None for p in parts]
    if len(set(words)) < 2 or None in words:
        return list(parts)
    return [replace(part, split=word) for part, word in zip(parts, words, strict=True)]


def _distinct(parts: Sequence[Part]) -> list[Part]:
    """Parts with short names: a file's own, or its path below the folder that all share."""
    paths = [part.path.absolute() for part in parts if part.path is not None]
    for first, second in pairwise(sorted(paths)):
        if first == second:
            raise ConfigError(f"{first}: is named twice as a source. Name it once.")
    if len({path.name for path in paths}) == len(paths):
        return [replace(p, name=p.path.name) if p.path is not None else p for p in parts]
    shared = commonpath(paths)
    return [
        replace(part, name=part.path.absolute().relative_to(shared).as_posix())
        if part.path is not None
        else part
        for part in parts
    ]
