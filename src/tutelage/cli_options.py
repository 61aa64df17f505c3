"""Arguments and options that several commands share, and the configuration they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tutelage.config import RunConfig
    from tutelage.draft import Origins

Target = Annotated[
    str, typer.Argument(help="Built-in task, task YAML, table (CSV, JSONL, Parquet, …), or a run.")
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
OneTask = Annotated[
    str | None, typer.Option("--task", help="Of a mixture: the task to answer; default: the first.")
]
Text = Annotated[str | None, typer.Option(help="Column with the text.")]
Label = Annotated[str | None, typer.Option(help="Column with the label.")]
Group = Annotated[str | None, typer.Option(help="Column whose equal values stay in one split.")]
Model = Annotated[str | None, typer.Option(help="Built-in name, hub name, folder, or GGUF file.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as training.epochs=2."),
]
Out = Annotated[Path | None, typer.Option(help="Run directory; default runs/<task>-<8 hex>.")]
New = Annotated[bool, typer.Option("--new", help="Set an existing run aside and start afresh.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Decontaminate = Annotated[
    bool,
    typer.Option(
        "--decontaminate", help="Drop training rows that repeat rows of a predefined test."
    ),
]
Answer = Annotated[str | None, typer.Option(help="Column with a text answer.")]


def overrides(
    text: str | None,
    label: str | None,
    group_by: str | None,
    model: str | None,
    answer: str | None = None,
    *,
    decontaminate: bool = False,
) -> dict[str, Any]:
    """Settings that have a flag of their own."""
    flags = {
        "task.fields": None if text is None else {"text": text},
        "task.label": label,
        "task.answer": answer,
        "task.group_by": group_by,
        "model": model,
        "split.decontaminate": decontaminate or None,
    }
    return {key: value for key, value in flags.items() if value is not None}


def is_run(target: str) -> bool:
    """Whether a target is a run directory."""
    return (Path(target) / "config.yaml").is_file()


def load(target: str, overrides: dict[str, Any], sets: list[str]) -> tuple[RunConfig, Origins]:
    """The configuration of a target; a run directory stands for the one it holds."""
    from tutelage.config import load_config
    from tutelage.tasks.catalog import Catalog

    if is_run(target):
        target = str(Path(target) / "config.yaml")
    return load_config(target, catalog=Catalog(), sets=sets, overrides=overrides)
