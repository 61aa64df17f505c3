"""What `tutelage init` makes of a column of labels: their names, order and bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from init_case import pick, rows_of, start, text


@pytest.fixture(autouse=True)
def _desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    return


def test_names_for_labels_only_where_they_are_certain() -> None:
    _, config = start(rows_of(text=text, label=lambda i: pick(i, "pos", "neg")))
    assert config.task.label_names == {"neg": "negative", "pos": "positive"}
    assert config.task.labels == ["negative", "positive"]
    Path("task.yaml").unlink()
    started, config = start(rows_of(text=text, label=lambda i: pick(i, "10", "9")))
    assert (config.task.label_names, config.task.labels) == (None, ["9", "10"])
    assert "numbers, which tell a model nothing" in " ".join(started.sketch.seen)


def test_measured_ratings_are_cut_into_thirds() -> None:
    _, config = start(rows_of(text=text, score=lambda i: f"{i / 2:.1f}"))
    bins = config.task.label_bins
    assert bins is not None
    assert [(b.label, b.below) for b in bins] == [("low", 4.0), ("middle", 8.0), ("high", None)]
    assert config.task.labels is None


def test_labels_in_two_spellings_are_left_to_the_user() -> None:
    started, config = start(
        rows_of(text=text, label=lambda i: pick(i, "yes", "Yes ", "no")), usable=False
    )
    assert config.task.labels is None
    assert "differ only in case" in " ".join(started.sketch.seen)
