"""`tutelage init`: a first configuration for a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    data: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV, JSONL, Parquet, Excel, …")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("task.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Look at a table, say what it is for, and write a commented task.yaml that runs.

    Example: [bold]tutelage init my.csv --out my.yaml[/], then [bold]tutelage run my.yaml[/]
    """
    from tutelage.report.text import visible
    from tutelage.starter.start import start_task

    started = start_task(data, out, force=force)
    sketch = started.sketch
    print(visible(f"{data} ({started.rows:,} rows): {sketch.family}"))
    for sentence in sketch.seen:
        print(visible(f"  {sentence}"))
    if started.templates is not None:
        print(visible(f"Wrote {started.templates}: the wordings, with what no column holds."))
    print(visible(f"Wrote {started.task}. Next: tutelage preview {started.task}"))
