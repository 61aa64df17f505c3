"""`tutelage plan`: what a run would do and cost, and what would stop it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

_WIDTH = 120  # of tables that go into a file or a pipe


def plan(
    target: Annotated[
        str,
        typer.Argument(help="Built-in task, task YAML, table (CSV, TSV, JSON, JSONL), or a run."),
    ],
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label.")] = None,
    group_by: Annotated[
        str | None, typer.Option(help="Column whose equal values stay in one split.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Built-in name, hub name, folder, or GGUF file.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as training.epochs=2."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory that is meant.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    no_measure: Annotated[
        bool, typer.Option("--no-measure", help="Time no answers and no steps.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Rows, tokens, time, memory, and everything that would stop the run; trains nothing.

    Ends with 0 where it would run, else with the code that the run would end with.
    Examples: [bold]tutelage plan reviews[/] · [bold]tutelage plan task.yaml --no-measure --json[/]
    """
    flags = {
        "task.fields": None if text is None else {"text": text},
        "task.label": label,
        "task.group_by": group_by,
        "model": model,
    }
    overrides = {key: value for key, value in flags.items() if value is not None}
    found = _planned(target, overrides, set_ or [], out, device, measure=not no_measure)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found)
    if found["exit_code"]:
        raise typer.Exit(found["exit_code"])


def _planned(
    target: str,
    overrides: dict[str, Any],
    sets: list[str],
    out: Path | None,
    device: str,
    *,
    measure: bool,
) -> dict[str, Any]:
    """The plan of a target; a run directory stands for the configuration it holds."""
    from tutelage.config import load_config
    from tutelage.console import Terminal
    from tutelage.errors import TutelageError
    from tutelage.pipeline.planning import failed_plan, plan_run
    from tutelage.tasks.catalog import Catalog

    held = Path(target) / "config.yaml"
    named = str(held) if held.is_file() else target
    try:
        config, origins = load_config(named, catalog=Catalog(), sets=sets, overrides=overrides)
    except TutelageError as error:
        return failed_plan(target, error)
    run = out or (Path(target) if held.is_file() else None)
    return plan_run(config, run, origins, device=device, measure=measure, progress=Terminal())


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console

    from tutelage.plan_view import plan_tables

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, width=_WIDTH)
    for part in plan_tables(found):
        console.print(part)
