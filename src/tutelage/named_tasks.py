"""The tasks of a mixture that are given by name: their keys take the name's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tutelage.draft import Draft
from tutelage.errors import ConfigError, nearest
from tutelage.tasks.catalog import Catalog
from tutelage.templates.library import is_template_path
from tutelage.yamlfile import KeyPath, parse, read

_PLACE: KeyPath = ("task", "source", "mixture", "tasks")


def resolve_names(draft: Draft, catalog: Catalog) -> None:
    """Replace every `task: name` of a mixture by that task's keys.

    A name is a built-in task or the path of a YAML file, relative to the file that names it.
    What cannot be found is added to the draft's problems.
    """
    entries: Any = draft.data
    for key in _PLACE:
        entries = entries.get(key) if isinstance(entries, dict) else None
    if not isinstance(entries, list):
        return
    for number, entry in enumerate(entries):
        if isinstance(entry, str):
            entry = entries[number] = {"task": entry}
        if isinstance(entry, dict) and isinstance(entry.get("task"), str):
            try:
                entry["task"] = _task(entry["task"], draft, catalog)
            except ConfigError as error:
                draft.problems.append(f"{draft.address((*_PLACE, number))}: {error}")


def _task(name: str, draft: Draft, catalog: Catalog) -> Any:
    if name in catalog.names:
        return parse(catalog.text(name), f"built-in {name}").data["task"]
    if not name.endswith((".yaml", ".yml")):
        raise ConfigError(
            f"there is no built-in task {name!r}.{nearest(name, catalog.names)} Name one, or the "
            "path of a YAML file."
        )
    folder = Path(draft.document.name).parent if draft.document is not None else Path()
    path = folder / Path(name).expanduser()
    data = read(path).data
    task = data.get("task") if isinstance(data, dict) else None
    if isinstance(task, str):
        return _task(task, draft, catalog)
    if not isinstance(task, dict):
        raise ConfigError(f"{path}: holds no `task:`. Add it.")
    return _with_paths(task, lambda value: str((path.parent / value).absolute()))


def _with_paths(task: dict[str, Any], whole: Callable[[str], str]) -> dict[str, Any]:
    """The task with its paths made absolute."""
    source = task.get("source")
    if isinstance(source, dict) and isinstance(source.get("path"), str):
        source["path"] = whole(source["path"])
    elif isinstance(source, dict) and isinstance(source.get("path"), list):
        source["path"] = [whole(str(value)) for value in source["path"]]
    if isinstance(task.get("templates"), list):
        task["templates"] = [
            whole(name) if isinstance(name, str) and is_template_path(name) else name
            for name in task["templates"]
        ]
    return task
