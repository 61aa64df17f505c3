"""Commands that look at prompts, and that use a tuned model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tutelage.cli_options import (
    Answer,
    Device,
    Group,
    Label,
    Model,
    OneTask,
    Run,
    Sets,
    Target,
    Text,
    load,
    overrides,
)


def preview(
    target: Target,
    text: Text = None,
    label: Label = None,
    group_by: Group = None,
    model: Model = None,
    answer: Answer = None,
    set_: Sets = None,
    rows: Annotated[int, typer.Option(help="Examples to show.", min=1)] = 4,
    html: Annotated[Path | None, typer.Option(help="Write a page instead.")] = None,
) -> None:
    """Rendered prompts, their tokens, and in colour what is trained; writes nothing by itself."""
    from rich.console import Console

    from tutelage.console import Terminal
    from tutelage.files import write_text
    from tutelage.pipeline.preview import block, preview_rows
    from tutelage.report.page import build_preview

    given = overrides(text, label, group_by, model, answer)
    config, origins = load(target, given, set_ or [])
    with origins.placing():
        samples = preview_rows(config, rows, Terminal())
    if html is not None:
        write_text(html, build_preview(config.task.name, samples))
        print(f"Wrote {html}")
        return
    console = Console(highlight=False, soft_wrap=True)
    for sample in samples:
        console.print(block(sample))


def predict(
    run_directory: Run,
    file: Annotated[Path | None, typer.Argument(help="CSV, TSV, JSON or JSONL.")] = None,
    text: Annotated[str | None, typer.Option(help="One text to label.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; default: screen.")] = None,
    task: OneTask = None,
    device: Device = "auto",
) -> None:
    """The tuned model on new rows: the same rows back, with label and probability.

    Examples: [bold]tutelage predict runs/my-1a2b3c4d --text "worth every cent"[/] ·
    [bold]tutelage predict runs/my-1a2b3c4d new.csv --out labelled.csv[/]
    """
    from tutelage.console import Terminal
    from tutelage.errors import ConfigError
    from tutelage.pipeline.prediction import Predictor, predict_file

    if (file is None) == (text is None):
        raise ConfigError("predict: give either --text or a file.")
    predictor = Predictor.open(run_directory, device, Terminal(), task)
    if text is not None:
        answer = predictor.predict([dict.fromkeys(predictor.fields, text)])[0]
        surety = "" if answer.probability is None else f"\t{answer.probability:.4f}"
        print(f"{answer.label}{surety}")
        return
    assert file is not None
    written = predict_file(predictor, file, out)
    if out is None:
        sys.stdout.write(written)
    else:
        print(f"Wrote {out}")


def chat(run_directory: Run, task: OneTask = None, device: Device = "auto") -> None:
    """Try the tuned model in the terminal; /base switches to the untuned one, /help says more."""
    from tutelage.console import Terminal
    from tutelage.pipeline.chat import converse

    converse(run_directory, device, Terminal(), task)
