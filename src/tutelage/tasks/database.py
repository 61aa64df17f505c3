"""Rows of a database query through SQLAlchemy: read-only and streamed."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tutelage.errors import ConfigError, InputError, StorageError
from tutelage.tasks.cells import CellError, cell_of
from tutelage.tasks.problems import Problems

_BATCH = 1000  # rows
_COMMENT = re.compile(r"\A(\s+|--[^\n]*(\n|\Z)|/\*.*?\*/|\()*", re.DOTALL)
# Parameters that hold a password; that of ODBC is a whole connection string.
_SECRET = re.compile(
    r"(?i)(?<=[?&;])(\w*(?:passw(?:or)?d|pwd|passphrase|secret|token|api_?key|odbc_connect)\w*)=[^&;]*"
)
_READS = ("select", "with", "values", "table")


def query_records(sql: str, url: str, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number from 1, cells by column) of a query's result.

    Nothing can be written: SQLite files are opened read-only, PostgreSQL and MySQL are told so,
    and every transaction is rolled back. `$NAME` in the URL is an environment variable, so that
    passwords need not stand in a file.

    Raises:
        ConfigError: the query does not read, or the URL or its driver is not usable.
        InputError: the database refuses the query.
        StorageError: the database cannot be opened.
    """
    word = _COMMENT.sub("", sql).split(None, 1)[:1]
    if not word or word[0].casefold() not in _READS:
        raise ConfigError("task.source.sql: only reads. Begin the query with SELECT or WITH.")
    with _result(sql, url) as result:
        names = list(result.keys())
        for position, name in enumerate(names, 1):
            if names.index(name) != position - 1:
                problems.add(1, f"column {name!r} appears twice; rename one with AS")
        problems.raise_any("Correct task.source.sql.")
        for number, row in enumerate(result, 1):
            cells = {}
            for name, value in zip(names, row, strict=True):
                try:
                    cells[name] = cell_of(value)
                except CellError as error:
                    problems.add(number, f"{name!r} {error}", "Correct task.source.sql.")
            yield number, cells


def shown_url(url: str) -> str:
    """The URL without its password, also where that is a parameter."""
    return _SECRET.sub(r"\1=***", re.sub(r"(://[^:/]*):.*@", r"\1:***@", url))


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for databases in memory and of other kinds."""
    match = re.fullmatch(r"sqlite(\+\w+)?:///([^?]+)(\?.*)?", os.path.expandvars(url))
    return Path(match[2]) if match and match[2] != ":memory:" else None


@contextmanager
def _result(sql: str, url: str) -> Iterator[Any]:
    try:
        import sqlalchemy as sa
    except ImportError as error:
        raise ConfigError(
            "task.source.sql: needs the package SQLAlchemy. Install `tutelage[formats]`."
        ) from error
    shown = shown_url(url)
    try:
        address, more = _opening(url)
        engine = sa.create_engine(address, poolclass=sa.NullPool, **more)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"task.source.url: {shown} cannot be used ({_first_line(error)}). Correct it, or "
            "install the database's driver."
        ) from error
    options: dict[str, Any] = {"stream_results": True, "yield_per": _BATCH}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
    try:
        with engine.connect().execution_options(**options) as connection:
            if engine.dialect.name in ("mysql", "mariadb"):
                connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            try:
                yield connection.exec_driver_sql(sql)
            finally:
                connection.rollback()
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        told = _first_line(error.orig)
        if "unable to open" in told or "connect" in told:
            raise StorageError(f"{shown}: cannot be opened ({told}). Check the URL.") from error
        raise _refused(shown, told) from error
    except sa.exc.SQLAlchemyError as error:
        raise _refused(shown, _first_line(getattr(error, "orig", None) or error)) from error
    finally:
        engine.dispose()


def _refused(shown: str, told: str) -> InputError:
    return InputError(f"{shown}: refuses the query ({told}). Correct task.source.sql.")


def _opening(url: str) -> tuple[str, dict[str, Any]]:
    """URL and options of an engine; a SQLite file is opened by its URI, read-only."""
    path = sqlite_file(url)
    if path is None:
        return os.path.expandvars(url), {}
    path = path.expanduser().absolute()
    if not path.is_file():
        raise StorageError(f"{path}: there is no such database. Correct task.source.url.")
    return "sqlite://", {"creator": lambda: sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)}


def _first_line(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
