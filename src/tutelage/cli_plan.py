"""`tutelage plan`: what a run would do and cost, and what would stop it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tutelage.cli_options import (
    Answer,
    Decontaminate,
    Device,
    Group,
    Label,
    Model,
    Sets,
    Target,
    Text,
    is_run,
    load,
    overrides,
)

_WIDTH = 120  # of tables that go into a file or a pipe


def plan(
    target: Target,
    text: Text = None,
    label: Label = None,
    group_by: Group = None,
    model: Model = None,
    answer: Answer = None,
    decontaminate: Decontaminate = False,
    set_: Sets = None,
    out: Annotated[Path | None, typer.Option(help="The run directory that is meant.")] = None,
    device: Device = "auto",
    no_measure: Annotated[
        bool, typer.Option("--no-measure", help="Time no answers and no steps.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Rows, tokens, time, memory, and everything that would stop the run; trains nothing.

    Ends with 0 where it would run, else with the code that the run would end with.
    Examples: [bold]tutelage plan reviews[/] · [bold]tutelage plan task.yaml --no-measure --json[/]
    """
    given = overrides(text, label, group_by, model, answer, decontaminate=decontaminate)
    found = _planned(target, given, set_ or [], out, device, measure=not no_measure)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found)
    if found["exit_code"]:
        raise typer.Exit(found["exit_code"])


def _planned(
    target: str,
    given: dict[str, Any],
    sets: list[str],
    out: Path | None,
    device: str,
    *,
    measure: bool,
) -> dict[str, Any]:
    """The plan of a target; a run directory stands for the configuration it holds."""
    from tutelage.console import Terminal
    from tutelage.errors import TutelageError
    from tutelage.pipeline.planning import failed_plan, plan_run

    try:
        config, origins = load(target, given, sets)
    except TutelageError as error:
        return failed_plan(target, error)
    run = out or (Path(target) if is_run(target) else None)
    return plan_run(config, run, origins, device=device, measure=measure, progress=Terminal())


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console

    from tutelage.plan_view import plan_tables

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, width=_WIDTH)
    for part in plan_tables(found):
        console.print(part)
