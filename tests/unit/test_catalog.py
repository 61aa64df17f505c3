"""The built-in tasks: complete, valid, and frozen where they must be."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from ruamel.yaml import YAML

from tutelage.errors import ConfigError
from tutelage.tasks.catalog import Catalog
from tutelage.tasks.schema import TaskSpec

NAMES = Catalog().names


def _plain(name: str) -> dict[str, Any]:
    plain = YAML(typ="safe").load(Catalog().text(name))
    assert isinstance(plain, dict)
    return plain


def test_every_file_is_named_and_every_name_has_a_file() -> None:
    folder = files("tutelage.tasks") / "builtin"
    stems = {entry.name.removesuffix(".yaml") for entry in folder.iterdir()}
    assert stems == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_builtin_task_is_valid(name: str) -> None:
    plain = _plain(name)
    assert set(plain) == {"task", "split"}
    task = TaskSpec.model_validate(plain["task"])
    assert task.name == name
    assert task.source.archive is not None
    assert task.source.archive.grouped == (name in ("reviews", "editorials"))
    assert task.labels == ["negative", "neutral", "positive"]
    rule = task.rating_rule
    assert rule is not None
    # Hutto & Gilbert's rule: mean / 4 beyond 0.05 on either side, bounds excluded
    found = [rule.label(mean) for mean in (-4, -0.21, -0.2, 0, 0.2, 0.21, 4)]
    assert found == ["negative"] * 2 + ["neutral"] * 3 + ["positive"] * 2


@pytest.mark.parametrize("name", NAMES)
def test_source_and_licence_are_said(name: str) -> None:
    text = Catalog().text(name)
    for part in ("Hutto & E. Gilbert", "ICWSM 2014", "vaderSentiment 3.3.2", "MIT"):
        assert part in text


def test_the_split_of_reviews_is_frozen() -> None:
    assert _plain("reviews")["split"] == {"validation": 0.077, "test": 0.223, "seed": 0}


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'reviews'\? Built in are reviews, movies"):
        Catalog().text("review")
    with pytest.raises(ConfigError, match="is not a built-in task"):
        Catalog().text("../schema")
