"""`tutelage templates import`: the templates of other projects as ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tutelage.templates.importers.report import ImportReport

_SHOWN = 40  # exceptions in the readable report


def import_(
    source: Annotated[Path, typer.Argument(metavar="DIR|FILE", help="Templates to read.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for our YAML, a file per source file; or the file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Counts and exceptions as JSON.")] = False,
    licence: Annotated[
        str, typer.Option(help="SPDX name of the licence of what is imported.")
    ] = "LicenseRef-unknown",
) -> None:
    """Read PromptSource, lm-evaluation-harness, Super-NaturalInstructions or FLAN templates.

    They are compiled and rendered on made-up rows in a process with limits, and nothing of them is
    executed outside it. Example: [bold]tutelage templates import promptsource --out mine[/]
    """
    import json

    from tutelage.templates.child import Child
    from tutelage.templates.importers.importing import import_templates, write_imported

    with Child() as child:
        report = import_templates(source, child, licence)
    written = write_imported(report, out) if out is not None else []
    if as_json:
        print(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        _show(report)
        if out is not None:
            print(f"Wrote {len(written)} files to {out}")


def _show(report: ImportReport) -> None:
    """Counts per file, and the first exceptions."""
    from rich.console import Console
    from rich.table import Table

    from tutelage.report.text import visible

    counts = report.to_json()
    console = Console(highlight=False, soft_wrap=True, emoji=False, markup=False)
    names = ("total", "parsed", "rendered", "clean")
    table = Table("templates", *names[1:])
    table.add_row(*(str(counts[name]) for name in names))
    console.print(table)
    exceptions = counts["exceptions"]
    for bad in exceptions[:_SHOWN]:
        name = f" {bad['name']!r}" if bad["name"] else ""
        console.print(visible(f"{bad['file']}{name}: {bad['stage']}: {bad['why']}"))
    if len(exceptions) > _SHOWN:
        console.print(f"… and {len(exceptions) - _SHOWN} more; --json lists all.")
    doubted = [item for item in report.imported if item.doubts]
    for item in doubted[:_SHOWN]:
        said = f"{item.file} {item.template.name!r}: warning: {' '.join(item.doubts)}"
        console.print(visible(said))
    if len(doubted) > _SHOWN:
        console.print(f"… and {len(doubted) - _SHOWN} more warnings.")
