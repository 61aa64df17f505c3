"""The command line: parse, call one pipeline function, print.

Modules are imported where a command needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tutelage.cli_init import init
from tutelage.cli_options import (
    Answer,
    Decontaminate,
    Device,
    Group,
    Label,
    Model,
    New,
    Out,
    Run,
    Sets,
    Target,
    Text,
    is_run,
    load,
    overrides,
)
from tutelage.cli_plan import plan
from tutelage.cli_templates import app as templates_app
from tutelage.cli_use import chat, predict, preview

if TYPE_CHECKING:
    from tutelage.pipeline.rundir import RunDirectory, StageName
    from tutelage.result import Result

app = typer.Typer(
    name="tutelage",
    help="Fine-tune a language model on your labelled data, and prove that it helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Examples:  tutelage run reviews  ·  "
    "tutelage run my.csv --text review --label sentiment  ·  tutelage show runs/my-1a2b3c4d  ·  "
    "--debug with any command shows tracebacks",
)
app.add_typer(templates_app, name="templates")

_INTERRUPTED = 130  # what typer returns for ctrl-C


def main() -> None:
    """Entry point: errors become one paragraph and an exit code; `--debug` anywhere shows more."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        code = app(args=arguments, standalone_mode=False)
    except Exception as error:
        if len(arguments) < len(sys.argv) - 1:
            raise
        sys.exit(_explain(error))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        code = _fail("Stopped. Run the same command to go on.", 75)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Print an error as one paragraph and return its exit code."""
    from tutelage.errors import TutelageError

    if isinstance(error, TutelageError):
        return _fail(str(error), error.exit_code)
    show = getattr(error, "show", None)  # a usage error of the parser
    if callable(show):
        show()
        return int(getattr(error, "exit_code", 2))
    if type(error).__name__ in ("Abort", "Exit"):
        return int(getattr(error, "exit_code", 75))
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}. Check disk space and permissions.", 6)
    if isinstance(error, MemoryError):
        return _fail("Out of memory. Try --set training.micro_batch_tokens=512.", 9)
    return _fail(
        f"{type(error).__name__}: {error}. This is a fault of Tutelage; "
        "the same command with --debug shows where it happened.",
        1,
    )


def _fail(message: str, code: int) -> int:
    from tutelage.report.text import visible

    print(f"tutelage: {visible(message)}", file=sys.stderr)
    return code


def _stage_command(name: str, last: StageName, summary: str) -> None:
    """Add a command that runs what `last` still needs."""

    def command(
        target: Target,
        text: Text = None,
        label: Label = None,
        group_by: Group = None,
        model: Model = None,
        answer: Answer = None,
        decontaminate: Decontaminate = False,
        set_: Sets = None,
        out: Out = None,
        new: New = False,
        device: Device = "auto",
    ) -> None:
        given = overrides(text, label, group_by, model, answer, decontaminate=decontaminate)
        _run_stages(last, target, given, set_ or [], out, new, device)

    app.command(name, help=summary)(command)


_stage_command(
    "run",
    "report",
    "From labelled data to a tuned, tested model and a report; goes on where it stopped.\n\n"
    "Examples: [bold]tutelage run reviews[/] · [bold]tutelage run my.csv --text review --label "
    "sentiment[/] · [bold]tutelage run task.yaml --set training.epochs=2 --out runs/mine[/]",
)
_stage_command("prepare", "prepare", "Rows, splits, prompts, and the proof of what is trained.")
_stage_command("baseline", "baseline", "The arms without training: majority, TF-IDF, k-shot.")
_stage_command("train", "train", "Tune the model and keep the best by validation.")
_stage_command("evaluate", "evaluate", "The sealed test, once, against the best baseline.")
_stage_command("report", "report", "The report and the model card, from what the stages wrote.")


def _run_stages(
    last: StageName,
    target: str,
    given: dict[str, Any],
    sets: list[str],
    out: Path | None,
    new: bool,
    device: str,
) -> None:
    """Run what `last` needs, or say that it is done without importing torch."""
    from tutelage.pipeline.rundir import open_directory

    config, origins = load(target, given, sets)
    held = Path(target) if is_run(target) else None
    directory = open_directory(config, out or held, new=new)
    if not directory.needed(last):
        _say_done(directory, last, ran=False)
        return
    from tutelage.console import Terminal
    from tutelage.pipeline.run import run_stages

    terminal = Terminal()
    terminal.listen()
    run_stages(directory, last, origins, device=device, progress=terminal)
    _say_done(directory, last, ran=True)


def _say_done(directory: RunDirectory, last: StageName, *, ran: bool) -> None:
    if last == "report":
        from tutelage.result import open_run

        if not ran:
            print(f"{directory.path} is done; nothing to do. --new starts afresh.")
        _print_result(open_run(directory.path))
    else:
        what = "done" if ran else "already done; nothing to do"
        print(f"{last}: {what}: {directory.folder(last)}")


@app.command()
def show(
    run_directory: Run,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
) -> None:
    """The verdict and the table of arms of a finished run."""
    from tutelage.result import open_run

    result = open_run(run_directory)
    if as_json:
        print(json.dumps(result.report, indent=2, ensure_ascii=False))
    else:
        _print_result(result)


def _print_result(result: Result) -> None:
    from rich.console import Console

    from tutelage.summary import arms_table

    console = Console(highlight=False, soft_wrap=True, emoji=False)
    console.print(arms_table(result.report))
    console.print(result.verdict["sentence"], markup=False, style="bold")
    console.print(f"Report: {result.page}", markup=False)
    console.print(f"Model:  {result.model_path}", markup=False)


for command in (preview, predict, chat, init, plan):
    app.command()(command)

if __name__ == "__main__":
    main()
