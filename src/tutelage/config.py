"""The configuration of a run: one file, flags above it, every problem said at once."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from tutelage.data.config import SplitConfig
from tutelage.draft import Draft, Origins
from tutelage.errors import ConfigError, nearest
from tutelage.evaluate.config import BaselinesConfig
from tutelage.files import sha256_json
from tutelage.named_tasks import resolve_names
from tutelage.report.config import ReportConfig
from tutelage.tasks.catalog import Catalog
from tutelage.tasks.schema import Section, TaskSpec
from tutelage.templates.library import select
from tutelage.train.config import TrainingConfig
from tutelage.violations import dotted, violations
from tutelage.whole_paths import missing_files, whole_split, whole_task, without_places
from tutelage.yamlfile import KeyPath, parse, read

# Words that older YAML readers take for something else than text.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class RunConfig(Section):
    """Everything that decides a run."""

    task: TaskSpec
    model: str = Field(
        default="smollm2-135m",
        min_length=1,
        description="built-in name, Hugging Face name, folder, or GGUF file",
    )
    split: SplitConfig = Field(default_factory=SplitConfig)
    baselines: BaselinesConfig = Field(default_factory=BaselinesConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)


def load_config(
    target: str,
    *,
    catalog: Catalog,
    sets: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> tuple[RunConfig, Origins]:
    """The configuration of a target with flags above it, and the origin of each dotted key.

    Args:
        target: the name of a built-in task, a `.yaml` file, or a table of data.
        catalog: the built-in tasks.
        sets: `section.key=value` texts; they win over `overrides`.
        overrides: dotted key to value.

    Relative paths are relative to the YAML file that holds them, else to the working directory;
    the configuration holds them absolute.

    Raises:
        ConfigError: with one line per problem.
    """
    draft = _draft(target, catalog)
    for key, value in (overrides or {}).items():
        draft.put(key, value)
    for assignment in sets:
        draft.put_text(assignment)
    resolve_names(draft, catalog)
    config = _validated(draft)
    config = _with_whole_paths(config, draft)
    _check_files(config, draft)
    origins = {dotted(path): draft.origin(path) for path, _ in _leaves(config)}
    return config, Origins(origins, draft.address)


def read_config(path: Path) -> RunConfig:
    """The configuration that `dump_config` wrote; data and templates are not looked for.

    Raises:
        ConfigError: the file cannot be read or does not hold a configuration.
    """
    return _validated(_file_draft(path, Catalog(names=())))


def dump_config(config: RunConfig) -> str:
    """YAML that can be run again and reads back as the same configuration."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 1 << 20
    yaml.dump(_quoted(config.model_dump(mode="json", exclude_none=True)), stream)
    return stream.getvalue()


def config_hash(config: RunConfig, data_fingerprint: str) -> str:
    """8 hex digits that name a run: configuration and data, but neither paths nor the report.

    The data counts by its fingerprint, a template file by its bytes.
    """
    return sha256_json({"config": _identity(config), "data": data_fingerprint})[:8]


def difference(there: RunConfig, here: RunConfig) -> list[str]:
    """A line per key in which two configurations differ, of the keys that `config_hash` counts."""
    old, new = dict(_flat(_identity(there))), dict(_flat(_identity(here)))
    return [
        f"{dotted(path)}: {old.get(path, 'nothing')} there, {new.get(path, 'nothing')} here"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _draft(target: str, catalog: Catalog) -> Draft:
    if target in catalog.names:
        return Draft(_built_in(target, catalog))
    path = Path(target)
    if path.is_dir():
        raise ConfigError(f"{target}: is a directory. Give a task's name, a YAML file or a table.")
    if not path.is_file():
        beside = [str(path.parent / name) for name in _names_in(path.parent)]
        raise ConfigError(
            f"{target}: is neither a built-in task nor a file."
            f"{nearest(target, [*catalog.names, *beside])} "
            f"Built-in tasks: {', '.join(catalog.names)}."
        )
    if path.suffix.lower() in (".yaml", ".yml"):
        return _file_draft(path, catalog)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("._-")[:64]
    draft = Draft({"task": {"name": stem or "table"}})
    draft.put("task.source.path", target)
    return draft


def _file_draft(path: Path, catalog: Catalog) -> Draft:
    """The sections of a file; `task: reviews` in it puts them above that built-in task's."""
    document = read(path)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}:1: holds no sections. Write `task:`, `model:`, `training:` … as its keys."
        )
    draft = Draft(data, document)
    name = data.get("task")
    if not isinstance(name, str):
        return draft
    if name in catalog.names:
        draft.data = _built_in(name, catalog)
        for key, value in data.items():
            below = draft.data.get(key)
            if isinstance(below, dict) and isinstance(value, dict):
                below.update(value)
            elif key != "task" and value is not None:
                draft.data[key] = value
    else:
        draft.problems.append(
            f"{draft.address(('task',))}: there is no built-in task {name!r}."
            f"{nearest(name, catalog.names)} Name one, or write the task's own keys here."
        )
    return draft


def _built_in(name: str, catalog: Catalog) -> dict[str, Any]:
    data: dict[str, Any] = parse(catalog.text(name), f"built-in {name}").data
    return data


def _validated(draft: Draft) -> RunConfig:
    # A section without keys means its defaults.
    data = {key: value for key, value in draft.data.items() if value is not None}
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        found = violations(error, RunConfig, data, draft.address)
        said = {problem.partition(": ")[0] for problem in draft.problems}
        new = [problem for problem in found if problem.partition(": ")[0] not in said]
        raise ConfigError("\n".join([*draft.problems, *new])) from error
    if draft.problems:
        raise ConfigError("\n".join(draft.problems))
    return config


def _with_whole_paths(config: RunConfig, draft: Draft) -> RunConfig:
    def whole(value: str, path: KeyPath) -> str:
        in_file = draft.document is not None and draft.origin(path) == "file"
        folder = Path(draft.document.name).parent if in_file and draft.document else Path()
        return str((folder / Path(value).expanduser()).absolute())

    model = config.model
    if model.startswith(("./", "../", "~/")):
        model = whole(model, ("model",))
    task, split = whole_task(config.task, whole), whole_split(config.split, whole)
    return config.model_copy(update={"task": task, "split": split, "model": model})


def _check_files(config: RunConfig, draft: Draft) -> None:
    wrong = missing_files(config.task, config.split, draft.address)
    mixture = config.task.source.mixture
    tasks: list[tuple[KeyPath, TaskSpec]] = [(("task", "templates"), config.task)]
    for number, part in enumerate(mixture.tasks if mixture else ()):
        tasks.append((("task", "source", "mixture", "tasks", number), part.task))
    for path, task in tasks:
        try:
            select(task.templates, task.labels or ())
        except ConfigError as error:
            place = draft.address(path)
            wrong += [f"{place}: {line}" for line in str(error).splitlines()]
    if wrong:
        raise ConfigError("\n".join(wrong))


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _identity(config: RunConfig) -> dict[str, Any]:
    plain = config.model_dump(mode="json", exclude={"report": True})
    return without_places(plain, config.split)


def _leaves(section: BaseModel, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for name, value in section:
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _flat(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _flat(inner, (*path, key))


def _quoted(value: Any) -> Any:
    """Quote every text that any YAML reader could take for something else."""
    if isinstance(value, dict):
        return {_quoted(key): _quoted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    if not isinstance(value, str):
        return value
    plain = re.fullmatch(r"[A-Za-z_/]([A-Za-z0-9_ ./*-]*[A-Za-z0-9_*])?", value, re.ASCII)
    return value if plain and value.lower() not in _WORDS else DoubleQuotedScalarString(value)
