"""Database queries: typed cells as text, read-only, and no password in any message."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import ConfigError, InputError, StorageError
from tutelage.tasks.database import shown_url, sqlite_file
from tutelage.tasks.fingerprint import source_fingerprint
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import SourceSpec, TaskSpec


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "re views#1.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table reviews (id integer, text text, label, stars real)")
        rows = [(i, f"text {i}: 100 %", "ab"[i % 2], i / 2) for i in range(2500)]
        connection.executemany("insert into reviews values (?, ?, ?, ?)", rows)
        connection.execute("insert into reviews values (9999, null, 'a', null)")
    connection.close()
    return path


def _rows(path: Path | str, sql: str, **task: Any) -> Rows:
    url = path if isinstance(path, str) else f"sqlite:///{path}"
    source = {"sql": sql, "url": url}
    return load_rows(TaskSpec.model_validate({"name": "toy", "source": source, **task}))


def test_rows_of_a_query(database: Path) -> None:
    found = _rows(
        database, "-- all\nSELECT id, text, label, stars FROM reviews -- '%s' :x", id="id"
    )
    assert len(found.rows) == 2500
    assert found.rows[3].fields == {"text": "text 3: 100 %"}
    assert (found.rows[3].id, found.rows[3].label, found.rows[3].where) == ("3", "b", "query:4")
    assert [s.reason for s in found.skipped] == ["empty text"]
    with_numbers = _rows(database, "select stars, label from reviews", fields={"n": "stars"})
    assert with_numbers.rows[3].fields == {"n": "1.5"}


@pytest.mark.parametrize(
    "sql",
    [
        "delete from reviews",
        "/* select */ drop table reviews",
        "with x as (select 1) delete from reviews",
        "select 1; delete from reviews",
        "",
    ],
)
def test_nothing_is_written(database: Path, sql: str) -> None:
    before = database.read_bytes()
    with pytest.raises((ConfigError, InputError), match=r"task\.source\.sql"):
        _rows(database, sql)
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select txt, label from reviews", "refuses the query .*no such column: txt"),
        ("select * from nothing_here", "refuses the query .*no such table"),
        ("select text, text from reviews", "column 'text' appears twice"),
        ("select x'ff00' as text, label from reviews", "query:1: 'text' holds bytes"),
    ],
)
def test_queries_that_fail(database: Path, sql: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        _rows(database, sql)


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises((StorageError, ConfigError), match=r"no\.db"):
        _rows(tmp_path / "no.db", "select 1")
    assert not (tmp_path / "no.db").exists()
    with pytest.raises(ConfigError, match=r"task\.source\.url: nosuch"):
        _rows("nosuch://me:secret@host/db", "select 1")


def test_passwords_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_url("postgresql://me:se:cr@et@host/db") == "postgresql://me:***@host/db"
    assert shown_url("mysql://me@tenant:secret@host/db") == "mysql://me@tenant:***@host/db"
    assert shown_url("sqlite:///a.db") == "sqlite:///a.db"
    given = "postgresql://host/db?user=me&password=s%26cr&sslmode=require"
    assert shown_url(given) == "postgresql://host/db?user=me&password=***&sslmode=require"
    assert shown_url("mssql:///?odbc_connect=PWD%3Ds") == "mssql:///?odbc_connect=***"
    with pytest.raises(ConfigError) as caught:
        _rows("nosuch://me:secret@host/db", "select 1")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("REVIEWS", str(tmp_path))
    assert sqlite_file("sqlite:///$REVIEWS/a.db") == tmp_path / "a.db"
    assert sqlite_file("sqlite:///:memory:") is None


def test_the_fingerprint(database: Path) -> None:
    def mark(sql: str = "select 1", url: str = f"sqlite:///{database}") -> str:
        return source_fingerprint(SourceSpec(sql=sql, url=url))

    first = mark()
    assert mark() == first
    assert mark("select 2") != first
    moved = database.rename(database.with_name("moved.db"))
    assert mark(url=f"sqlite:///{moved}") == first
    with sqlite3.connect(moved) as connection:
        connection.execute("delete from reviews where id = 1")
    connection.close()
    assert mark(url=f"sqlite:///{moved}") != first
    one, other = (mark(url=f"postgresql://me:{word}@host/db") for word in ("a", "b"))
    assert one == other
    assert mark(url="postgresql://me:a@host/other") != one
