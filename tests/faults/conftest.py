"""A long training for those who interrupt it, and a place for those who give bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from interrupted import LongTraining

from command import call, finish, paragraph, spawn
from tiny import tiny_reviews, write_tiny_reviews


@pytest.fixture(scope="session")
def long_training(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> LongTraining:
    """The tiny model on the tiny table, its data prepared."""
    home = tmp_path_factory.mktemp("prepared") / "run"
    training = LongTraining(tiny_reviews_csv, tiny_model_dir, home)
    training.prepare()
    return training


@pytest.fixture(scope="session")
def uninterrupted(long_training: LongTraining, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of that training, by the plain command and never interrupted."""
    run = long_training.copy(tmp_path_factory.mktemp("uninterrupted") / "run")
    process = spawn(*long_training.arguments(run), environment=long_training.environment)
    finish(process, seconds=180).expect(0)
    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    write_tiny_reviews(tmp_path / "good.csv", tiny_reviews())
    return tmp_path


@pytest.fixture
def refused(folder: Path, tiny_model_dir: Path) -> Callable[..., str]:
    """Run a command that must fail with a code; returns what it said, as one line."""

    def run(code: int, *arguments: str, model: str = str(tiny_model_dir)) -> str:
        stage = arguments[0] in ("run", "prepare", "preview")
        before = _tree(folder)
        done = call(*arguments, *(("--model", model) if stage else ())).expect(code)
        assert _tree(folder) == before, "something was left behind"
        return paragraph(done)

    return run


def _tree(folder: Path) -> dict[str, bytes | None]:
    """Every file and directory, but for the empty folder of all runs."""
    paths = [p for p in folder.rglob("*") if p != folder / "runs"]
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in paths}
