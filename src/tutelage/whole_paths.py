"""The paths of a configuration: made absolute, looked for, and kept out of what names a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from glob import has_magic
from pathlib import Path
from typing import Any

from tutelage.data.config import SplitConfig
from tutelage.errors import ConfigError, InputError, nearest
from tutelage.files import sha256_file
from tutelage.tasks.database import sqlite_file
from tutelage.tasks.parts import find_parts
from tutelage.tasks.schema import TaskSpec
from tutelage.templates.library import is_template_path
from tutelage.yamlfile import KeyPath

Whole = Callable[[str, KeyPath], str]
Address = Callable[[KeyPath], str]
_TASK: KeyPath = ("task",)
_NEAR = ("./", "../", "~/")  # what tells a path from a name


def whole_task(task: TaskSpec, whole: Whole, at: KeyPath = _TASK) -> TaskSpec:
    """The task with absolute paths, those of a mixture's tasks included.

    Args:
        task: as validated.
        whole: makes the path under a key absolute.
        at: key path of the task.
    """
    source, place = task.source, (*at, "source")
    new: dict[str, Any] = {}
    if isinstance(source.path, str):
        new["path"] = whole(source.path, (*place, "path"))
    elif source.path is not None:
        new["path"] = [whole(path, (*place, "path")) for path in source.path]
    if source.hub is not None and source.hub.startswith(_NEAR):
        new["hub"] = whole(source.hub, (*place, "hub"))
    database = sqlite_file(source.url) if source.url and "$" not in source.url else None
    if database is not None and source.url is not None:
        new["url"] = source.url.replace(str(database), whole(str(database), (*place, "url")), 1)
    if source.mixture is not None:
        parts = [
            part.model_copy(update={"task": whole_task(part.task, whole, (*key, "task"))})
            for key, part in _mixed(task, at)
        ]
        new["mixture"] = source.mixture.model_copy(update={"tasks": parts})
    templates = [
        whole(pattern, (*at, "templates")) if is_template_path(pattern) else pattern
        for pattern in task.templates
    ]
    return task.model_copy(update={"source": source.model_copy(update=new), "templates": templates})


def whole_split(split: SplitConfig, whole: Whole) -> SplitConfig:
    """The splits with absolute paths."""
    new: dict[str, Any] = {
        name: whole(path, ("split", name))
        for name in ("validation_path", "test_path")
        if (path := getattr(split, name)) is not None
    }
    new["benchmarks"] = [whole(path, ("split", "benchmarks")) for path in split.benchmarks]
    return split.model_copy(update=new)


def missing_files(task: TaskSpec, split: SplitConfig, address: Address) -> list[str]:
    """A line per source, split file or benchmark that is not there or cannot be read."""
    own = [(("split", n), getattr(split, n)) for n in ("validation_path", "test_path")]
    own += [(("split", "benchmarks"), path) for path in split.benchmarks]
    lines = [_missing(path, address(key)) for key, path in own if path is not None]
    found = [line for line in lines if line]
    return [*_missing_sources(task, address, _TASK), *found]


def without_places(plain: dict[str, Any], split: SplitConfig) -> dict[str, Any]:
    """A dumped configuration without paths; benchmarks and template files count by their bytes."""
    _forget(plain["task"])
    for name in ("validation_path", "test_path"):
        plain["split"].pop(name)
    plain["split"]["benchmarks"] = [_hash(path) for path in split.benchmarks]
    return plain


def _missing_sources(task: TaskSpec, address: Address, at: KeyPath) -> Iterator[str]:
    for key, part in _mixed(task, at):
        yield from _missing_sources(part.task, address, (*key, "task"))
    if task.source.path is None:
        return
    place = address((*at, "source", "path"))
    paths = [task.source.path] if isinstance(task.source.path, str) else task.source.path
    missing = [line for line in (_missing(path, place) for path in paths) if line]
    if not missing:
        try:
            find_parts(task.source)
        except (InputError, ConfigError) as error:
            missing = [f"{place}: {error}"]
    yield from missing


def _missing(text: str, place: str) -> str | None:
    path = Path(text)
    if path.exists() or has_magic(text):
        return None
    names = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    return (
        f"{place}: there is no file {path.name!r} in {path.parent}."
        f"{nearest(path.name, names)} Correct the path."
    )


def _mixed(task: TaskSpec, at: KeyPath) -> list[tuple[KeyPath, Any]]:
    """Key path and part of every task of a mixture."""
    parts = task.source.mixture.tasks if task.source.mixture is not None else []
    return [((*at, "source", "mixture", "tasks", i), part) for i, part in enumerate(parts)]


def _forget(task: dict[str, Any]) -> None:
    """Take the paths out of a dumped task, in place."""
    for name in ("path", "url"):
        task["source"].pop(name)
    task["templates"] = [_hash(p) if is_template_path(p) else p for p in task["templates"]]
    for part in (task["source"]["mixture"] or {}).get("tasks", []):
        _forget(part["task"])


def _hash(path: str) -> str:
    return sha256_file(Path(path)) if Path(path).is_file() else path
