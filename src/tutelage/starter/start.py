"""Table → task.yaml on disk."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tutelage.errors import ConfigError
from tutelage.files import write_text
from tutelage.starter.document import task_document, template_document
from tutelage.starter.guess import guess
from tutelage.starter.sketch import Sketch
from tutelage.tasks.table import find_table, read_table


@dataclass(frozen=True, slots=True)
class Started:
    """The files that were written, and the sketch behind them."""

    task: Path
    templates: Path | None
    sketch: Sketch
    rows: int


def start_task(data: Path, out: Path = Path("task.yaml"), *, force: bool = False) -> Started:
    """Look at a table and write a commented configuration that runs as it is.

    Where the templates of the family need what no column holds, such as the name of a language,
    `<out>-templates.yaml` beside it holds them filled in. Without `force` no file is replaced.

    Raises:
        InputError: the table cannot be read, or no column of it looks like an answer.
        ConfigError: a file that would be written is there already, or is not YAML by its name.
        DataGateError: the table has no rows.
        StorageError: a file cannot be read or written.
    """
    if out.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(f"--out {out}: is not the name of a YAML file. Try {out}.yaml.")
    _refuse(out, force)
    path = find_table(data)
    table = read_table(path)
    sketch = guess(table)
    templates = out.with_name(f"{out.stem}-templates.yaml") if sketch.given else None
    if templates is not None:
        _refuse(templates, force)
        write_text(templates, template_document(sketch))
    location = os.path.relpath(path.absolute(), out.parent.absolute()).replace(os.sep, "/")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("._-")[:64] or "table"
    write_text(out, task_document(sketch, name, location, templates.name if templates else ""))
    return Started(out, templates, sketch, len(table.records))


def _refuse(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise ConfigError(
            f"{path}: is there already. Choose another name with --out, or replace it with --force."
        )
