"""Every setting, every option, and what the commands share: the docs keep up with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from tutelage.cli import app
from tutelage.config import RunConfig
from tutelage.tasks.schema import Format, Metric

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINE = re.compile(r"^\| (`[^|]*) \|", re.MULTILINE)
SECTION = re.compile(r"^### (.+)$", re.MULTILINE)


# --- settings ---


def models(of: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, such as `list[RowFilter] | None`."""
    if isinstance(of, type) and issubclass(of, BaseModel):
        yield of
    for inner in get_args(of):
        yield from models(inner)


def settings(model: type[BaseModel], path: str = "", above: tuple[Any, ...] = ()) -> Iterator[str]:
    """Dotted names of all keys below a model; a model inside itself is walked once."""
    for name, field in model.model_fields.items():
        key = f"{path}.{name}" if path else name
        yield key
        for inner in models(field.annotation):
            if inner not in above:
                yield from settings(inner, key, (*above, model))


KEYS = sorted(settings(RunConfig))


def tables(page: str) -> dict[str, set[str]]:
    """Per heading of the third level the names in the first column of its table."""
    parts = SECTION.split(page)
    return {
        title: set(re.findall(r"`(\w+)`", " ".join(LINE.findall(text.partition("\n## ")[0]))))
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_walk_reaches_every_level() -> None:
    assert {
        "model",
        "training.lora.rank",
        "task.source.archive.sha256",
        "task.source.mixture.tasks.cap",
        "task.filters.at_least",
    } <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_stands_in_the_table_of_its_section(key: str) -> None:
    section, _, name = key.rpartition(".")
    found = tables(SETTINGS)
    if section == "":  # a section of the file has a heading, not a line
        assert key in found
    else:
        assert section in found, f"docs/data.md has no heading `### {section}`"
        assert name in found[section], f"docs/data.md: no line for `{key}`"


def test_no_table_has_a_setting_that_is_not_there() -> None:
    known = {*KEYS, "model.model"}  # the model is no section and has a table all the same
    written = {f"{section}.{name}" for section, names in tables(SETTINGS).items() for name in names}
    assert written - known == set()


@pytest.mark.parametrize("name", [*get_args(Metric), *get_args(Format)])
def test_every_metric_and_format_is_named(name: str) -> None:
    assert f"`{name}`" in SETTINGS


# --- options ---


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All commands, those of groups by both words."""
    for own, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name}{own} ")
        else:
            yield f"{name}{own}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


def options(command: str) -> set[str]:
    """The long options of a command."""
    named = (o for p in COMMANDS[command].params for o in (*p.opts, *p.secondary_opts))
    return {option for option in named if option.startswith("--")} - {"--help"}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_is_documented(command: str) -> None:
    said = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    written = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", said))
    assert options(command) - written == set()
    assert f"tutelage {command}" in said


@pytest.mark.parametrize("command", ["prepare", "baseline", "train", "evaluate", "report"])
def test_stages_take_what_a_run_takes(command: str) -> None:
    assert options(command) == options("run")


def test_a_plan_takes_what_a_run_takes() -> None:
    assert options("run") - options("plan") == {"--new"}  # a plan sets nothing aside
    assert options("plan") - options("run") == {"--no-measure", "--json"}


def test_a_preview_takes_what_says_where_rows_and_model_are() -> None:
    """It divides, runs and keeps nothing."""
    without = {"--decontaminate", "--device", "--out", "--new"}
    assert options("run") - options("preview") == without


def test_shared_options_read_alike() -> None:
    for command in ("plan", "preview"):
        own = {p.name: p.help for p in COMMANDS[command].params}
        for param in COMMANDS["run"].params:
            if param.name in own and param.name != "out":
                assert own[param.name] == param.help
