"""What identifies a source's content; found without fetching or reading rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tutelage.errors import ConfigError
from tutelage.files import sha256_file, sha256_json
from tutelage.tasks.database import shown_url, sqlite_file
from tutelage.tasks.parts import find_parts
from tutelage.tasks.record import Part, SplitSource
from tutelage.tasks.schema import SourceSpec

_SIDE_FILES = ("-wal", "-journal")  # of SQLite: changes that are not in the file yet


def source_fingerprint(source: SourceSpec, split: SplitSource | None = None) -> str:
    """Hex digest that changes with the content of a source and of its split files.

    Of a single file that is the sha256 of its bytes; of several, of their digests in order,
    and of a folder of its relative names too. A hub data set counts by name, subset and revision;
    a query by its text, the URL without password and, for SQLite, the database's bytes; a built-in
    archive by its pinned sha256 and member names. Where files lie does not count.

    Raises:
        InputError, ConfigError: a file does not exist or cannot be read as the source says.
    """
    if source.archive is not None:
        named = source.archive
        return sha256_json([named.sha256, named.inner, named.texts, named.ratings])
    if source.mixture is not None:
        own = [source_fingerprint(part.task.source) for part in source.mixture.tasks]
        return sha256_json(["mixture", own])
    parts = find_parts(source, split)
    if len(parts) == 1 and parts[0].path is not None and parts[0].path.is_file():
        return sha256_file(parts[0].path)
    return sha256_json([_content(part, source) for part in parts])


def source_notes(source: SourceSpec) -> list[str]:
    """What the fingerprint cannot see."""
    if source.sql is not None and sqlite_file(source.url or "") is None:
        return ["source: a database may change without this run noticing; --new reads it again"]
    if source.hub is not None and source.revision is None and not Path(source.hub).is_dir():
        return ["source: a hub data set may change; task.source.revision keeps it at one commit"]
    return []


def _content(part: Part, source: SourceSpec) -> list[Any]:
    if part.medium == "sql":
        return ["sql", source.sql, *_database(source.url or "")]
    if part.path is None:
        folder = Path(part.name).expanduser()
        named = ["hub", part.name, source.subset, source.revision]
        return ["hub", _files(folder)] if folder.is_dir() else named
    if part.path.is_dir():
        return [part.split, _files(part.path)]
    return [part.split, sha256_file(part.path)]


def _database(url: str) -> list[Any]:
    path = sqlite_file(url)
    if path is None:
        return [shown_url(url)]
    path = path.expanduser()
    if not path.is_file():
        raise ConfigError(f"task.source.url: there is no database {path}. Correct the path.")
    beside = [path.with_name(path.name + end) for end in _SIDE_FILES]
    return [sha256_file(file) for file in (path, *beside) if file.is_file()]


def _files(folder: Path) -> list[list[str]]:
    return [
        [path.relative_to(folder).as_posix(), sha256_file(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
