"""A finished run as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from tutelage.report.text import visible


def arms_table(report: Mapping[str, Any]) -> Table:
    """Every arm with its metrics on the sealed test, best baseline and references marked."""
    metrics = list(next(iter(report["arms"].values()))["metrics"])
    primary = report["primary_metric"]
    rows = report["rows"]
    table = Table(
        title=f"{escape(visible(report['task']))}: {rows['test']} test rows "
        f"({rows['train']} trained on, {rows['validation']} for validation)",
        title_justify="left",
    )
    table.add_column("arm")
    for name in metrics:
        table.add_column(f"{name} (95 % interval)", justify="right")
    table.add_column(f"validation {primary}", justify="right")
    best = report["verdict"].get("best_baseline")
    arms = sorted(report["arms"].items(), key=lambda a: -a[1]["metrics"][primary]["value"])
    for name, arm in arms:
        mark = " (best baseline)" if name == best else " (reference)" if arm["reference"] else ""
        cells = [_cell(arm["metrics"][m]) for m in metrics]
        style = "bold" if name == "tuned" else "dim" if arm["reference"] else ""
        table.add_row(
            escape(visible(f"{arm['title']}{mark}")),
            *cells,
            f"{arm['validation'][primary]:.3f}",
            style=style,
        )
    return table


def _cell(metric: Mapping[str, Any]) -> str:
    low, high = metric.get("ci95_grouped") or metric["ci95"]  # as on the page
    return f"{metric['value']:.3f} ({low:.3f} to {high:.3f})"
