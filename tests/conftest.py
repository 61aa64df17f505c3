"""What several tests share: a tiny model, a tiny table, and an environment of their own.

Torch is imported inside fixtures only, so that tests of torch-free modules stay fast.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tiny import TINY_SETTINGS, tiny_reviews, write_tiny_model, write_tiny_reviews

if TYPE_CHECKING:
    from tutelage import Result

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers share the cores

# Cheap tests first: a broken unit is reported before the slow tests that lean on it begin.
FOLDERS = ("unit", "golden", "parity", "faults", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(root).parts[0]))


# --- environment ---


@pytest.fixture(scope="session")
def real_environment() -> dict[str, str]:
    """The environment as it was: for subprocesses that use the user's own cache."""
    return dict(os.environ)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(
    real_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Point TUTELAGE_CACHE to a temporary folder, for fixtures of every scope."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("NO_COLOR", "1")
        patch.delenv("FORCE_COLOR", raising=False)
        yield


@pytest.fixture(autouse=True)
def _real_cache(
    request: pytest.FixtureRequest,
    real_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Give a test marked `real_model` the user's own cache, where the model may already be."""
    if request.node.get_closest_marker("real_model") is None:
        return
    if "TUTELAGE_CACHE" in real_environment:
        monkeypatch.setenv("TUTELAGE_CACHE", real_environment["TUTELAGE_CACHE"])
    else:
        monkeypatch.delenv("TUTELAGE_CACHE")


# --- a tiny table, a tiny model, and a run that made one from the other ---


@pytest.fixture(scope="session")
def tiny_reviews_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_reviews()` as a CSV file: id, review, sentiment, author. Not to be written to."""
    path = tmp_path_factory.mktemp("table") / "reviews.csv"
    return write_tiny_reviews(path, tiny_reviews())


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with its chat tokenizer. Not to be written to."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def tiny_run(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    """The tiny model tuned and tested on the tiny table. Not to be written to."""
    import tutelage

    out = tmp_path_factory.mktemp("runs") / "tiny"
    settings = {**TINY_SETTINGS, "model": str(tiny_model_dir)}
    return tutelage.run(tiny_reviews_csv, out=out, settings=settings)
