"""What identifies a source's content; found without fetching or reading rows."""

from __future__ import annotations

from pathlib import Path

from tutelage.errors import ConfigError
from tutelage.files import sha256_file, sha256_json
from tutelage.tasks.schema import SourceSpec
from tutelage.tasks.table import find_table


def source_fingerprint(source: SourceSpec) -> str:
    """The sha256 of a table's bytes, or that of an archive's pinned sha256 and member names.

    Raises:
        InputError: the table does not exist.
    """
    if source.archive is not None:
        named = source.archive
        return sha256_json([named.sha256, named.inner, named.texts, named.ratings])
    return sha256_file(table_path(source))


def table_path(source: SourceSpec) -> Path:
    """Where the source's table is.

    Raises:
        InputError: the table does not exist, or is not of a kind that can be read.
    """
    if source.path is None:
        raise ConfigError("task.source: gives neither `path` nor `archive`.")
    return find_table(Path(source.path))
