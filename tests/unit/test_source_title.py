"""A source in words: every kind has a title, none shows a password."""

from __future__ import annotations

from typing import Any

import pytest

from tutelage.tasks.schema import SourceSpec
from tutelage.tasks.source_title import source_title, without_password

ARCHIVE = {
    "package": "vader",
    "version": "0.5",
    "filename": "vader.tar.gz",
    "sha256": "00",
    "inner": "more.tgz",
    "texts": "movies.txt",
    "ratings": "ratings.txt",
}
SECRET = {
    "sql": "select\n  a,\n b from t",
    "url": "postgresql://me:s3cr@t@host/db?sslpassword=s3cr",
}


def part(name: str, **more: Any) -> dict[str, Any]:
    return {"task": {"name": name, "source": {"path": f"{name}.csv"}}, **more}


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ({"path": "reviews.csv"}, "reviews.csv"),
        ({"path": "data/part-*.csv"}, "data/part-*.csv"),
        ({"path": ["a.csv", "b.csv"]}, "a.csv, b.csv"),
        ({"path": [f"{i}.csv" for i in range(1200)]},
         "0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 1,195 more"),
        ({"path": "a.xlsx", "sheet": "May"}, "a.xlsx, sheet May"),
        ({"archive": ARCHIVE}, "vader 0.5, movies.txt"),
        ({"hub": "glue"}, "glue (Hugging Face hub)"),
        ({"hub": "glue", "subset": "sst2", "revision": "abc"},
         "glue, subset sst2, revision abc (Hugging Face hub)"),
        ({"sql": "select 1", "url": "sqlite:///shop.db"}, "sqlite:///shop.db: select 1"),
        (SECRET, "postgresql://me:***@host/db?sslpassword=***: select a, b from t"),
        ({"mixture": {"tasks": [part("one"), part("two", held_out=True)]}},
         "mixture of one, two (held out)"),
    ],
)  # fmt: skip
def test_every_kind_of_source_has_a_title(source: dict[str, Any], title: str) -> None:
    assert source_title(SourceSpec.model_validate(source)) == title


def test_a_long_query_is_shortened() -> None:
    sql = "select " + ", ".join(f"column{i}" for i in range(100)) + " from t"
    title = source_title(SourceSpec(sql=sql, url="sqlite:///shop.db"))
    assert len(title) < 230
    assert title.startswith("sqlite:///shop.db: select column0, column1")
    assert title.endswith("…")


def test_a_source_to_be_shown_has_no_password_and_is_else_the_same() -> None:
    secret = SourceSpec.model_validate(SECRET)
    shown = without_password(secret)
    assert "s3cr" not in str(shown)
    assert (shown.sql, secret.url) == (SECRET["sql"], SECRET["url"])
    tasks = [part("one"), {"task": {"name": "two", "source": SECRET}}]
    mixture = SourceSpec.model_validate({"mixture": {"tasks": tasks}})
    shown = without_password(mixture)
    assert "s3cr" not in str(shown)
    assert shown.mixture is not None
    assert [p.task.name for p in shown.mixture.tasks] == ["one", "two"]
    plain = SourceSpec(path="a.csv")
    assert without_password(plain) == plain
