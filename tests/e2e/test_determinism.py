"""One seed gives the same bytes, in any process; another seed gives another split."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from command import call, finish, spawn
from tutelage.files import read_json, read_jsonl

COLUMNS = ("--text", "review", "--label", "sentiment", "--group-by", "author")
# A probe of a busy machine could choose another precision each time.
SETS = ("training.precision=fp32", "baselines.shots=[0, 2]")
ARMS = ("majority", "tfidf_logreg", "zero_shot", "few_shot_2")


@pytest.fixture(scope="module")
def arguments(tiny_reviews_csv: Path, tiny_model_dir: Path) -> list[str | Path]:
    sets = [part for text in SETS for part in ("--set", text)]
    return [tiny_reviews_csv, *COLUMNS, "--model", tiny_model_dir, *sets, "--out"]


@pytest.fixture(scope="module")
def here(arguments: list[str | Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and baselines made in this process."""
    run = tmp_path_factory.mktemp("here") / "run"
    call("baseline", *arguments, run).expect(0)
    return run


@pytest.fixture(scope="module")
def there(arguments: list[str | Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in another process, whose sets and dictionaries of strings are ordered otherwise."""
    run = tmp_path_factory.mktemp("there") / "elsewhere"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    finish(spawn("baseline", *arguments, run, environment=environment), seconds=120).expect(0)
    return run


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.*"))}


def test_one_seed_gives_the_same_data(here: Path, there: Path) -> None:
    files = _files(here / "data")
    assert {"train.jsonl", "validation.jsonl", "test.jsonl", "manifest.json"} <= files.keys()
    assert files == _files(there / "data")


def test_one_seed_gives_the_same_answers(here: Path, there: Path) -> None:
    for arm in ARMS:
        for split in ("validation", "test"):
            name = Path("baselines") / arm / f"{split}.jsonl"
            assert (here / name).read_bytes() == (there / name).read_bytes(), name


def test_another_seed_gives_another_split(
    arguments: list[str | Path], here: Path, tmp_path: Path
) -> None:
    call("prepare", *arguments, tmp_path / "run", "--set", "split.seed=1").expect(0)
    runs = (here, tmp_path / "run")
    first, second = (read_json(run / "data" / "summary.json") for run in runs)
    assert first["split_fingerprint"] != second["split_fingerprint"]
    tests = [{row["id"] for row in read_jsonl(run / "data" / "test.jsonl")} for run in runs]
    assert tests[0] != tests[1]
    everything = [
        {
            row["id"]
            for split in first["splits"]
            for row in read_jsonl(run / "data" / f"{split}.jsonl")
        }
        for run in runs
    ]
    assert everything[0] == everything[1], "the rows are the same, only divided otherwise"
