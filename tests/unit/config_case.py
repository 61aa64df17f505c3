"""A working directory with a small table, and configurations that are made in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutelage.config import RunConfig, load_config
from tutelage.errors import ConfigError
from tutelage.tasks.catalog import Catalog

CATALOG = Catalog()
MINIMAL = "task:\n  name: r\n  source: {path: reviews.csv}\n"


def load(target: str, *sets: str, **overrides: object) -> RunConfig:
    """The configuration of a target; `task__label=3` sets the dotted key `task.label`."""
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_config(target, catalog=CATALOG, sets=sets, overrides=dotted)[0]


def complaints(target: str, *sets: str, **overrides: object) -> list[str]:
    """The lines of the ConfigError that loading raises."""
    with pytest.raises(ConfigError) as caught:
        load(target, *sets, **overrides)
    return str(caught.value).splitlines()


def write(name: str, text: str) -> str:
    """Write a file below the working directory and return its name."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return name
