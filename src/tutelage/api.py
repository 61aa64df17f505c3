"""The pipeline in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tutelage.config import RunConfig, load_config
from tutelage.draft import Origins
from tutelage.pipeline.run import run_stages
from tutelage.pipeline.rundir import open_directory
from tutelage.progress import Progress, Quiet
from tutelage.result import Result, open_run
from tutelage.tasks.catalog import Catalog


def run(
    target: str | Path | RunConfig,
    *,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
    new: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Result:
    """Take a task from its labelled data to a tuned, tested model and a report.

    Args:
        target: a built-in task, a task YAML, a table, or a `RunConfig`.
        out: run directory; default `runs/<task>-<8 hex>`. A finished run is not run again.
        settings: dotted keys to values, such as `{"training.epochs": 2, "task.label": "y"}`.
        sets: the same as texts, such as `["training.epochs=2"]`.
        new: set an existing run aside and start afresh.
        device: "auto", "cpu", "cuda" or "mps".
        progress: receiver of messages; default: quiet.

    Raises:
        TutelageError: with what is wrong, where, and what to do.
    """
    origins = Origins()
    if isinstance(target, RunConfig):
        config = target
    else:
        config, origins = load_config(
            str(target), catalog=Catalog(), sets=sets, overrides=settings or {}
        )
    directory = open_directory(config, Path(out) if out is not None else None, new=new)
    run_stages(directory, "report", origins, device=device, progress=progress or Quiet())
    return open_run(directory.path)
