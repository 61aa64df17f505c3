"""The confusion matrices before and after tuning, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tutelage.report import numbers
from tutelage.report.content import Confusion
from tutelage.report.palette import LIGHT
from tutelage.report.svg import axes_within, draw_svg
from tutelage.report.text import one_line

_SIDE = 360.0
_NUMBERED_LABELS = 10
_NAMED_LABELS = 40


def confusion_figures(confusion: Confusion) -> tuple[str, str]:
    """Two matrices, before and after: gold labels by row, predicted labels by column.

    Right answers are blue, wrong ones orange, deeper with the share of the gold label's rows.
    """
    labels = confusion.labels
    return (
        _matrix("confusion-before", confusion.before_title, labels, confusion.before),
        _matrix("confusion-after", confusion.after_title, labels, confusion.after),
    )


def _matrix(name: str, title: str, labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    return draw_svg(
        lambda figure: _draw_confusion(figure, labels, matrix),
        name=name,
        label=f"{one_line(title, 60)}: {_right(matrix)}",
        width=_SIDE,
        height=_SIDE - 10,
    )


def _right(matrix: Sequence[Sequence[int]]) -> str:
    right = sum(row[i] for i, row in enumerate(matrix))
    return f"{numbers.count(right)} of {numbers.count(sum(map(sum, matrix)))} rows right."


def _draw_confusion(figure: Figure, labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> None:
    size = len(labels)
    shorts = [one_line(label, 14) for label in labels]
    side = min(120.0, 26 + 7.2 * max(map(len, shorts), default=0))
    upright = size > 4
    axes = axes_within(figure, side, 6, side if upright else 46, 6)
    numbered = size <= _NUMBERED_LABELS
    axes.patch.set_facecolor("none" if numbered else LIGHT["panel"])
    for row, counts in enumerate(matrix):
        for column, n in enumerate(counts):
            if n or numbered:  # a large matrix is mostly empty
                _draw_cell(axes, row, column, n, sum(counts), size)
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel("predicted", labelpad=5)
    axes.set_ylabel("gold", labelpad=5)
    if size > _NAMED_LABELS:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    middles = [i + 0.5 for i in range(size)]
    small = 12 if size <= _NUMBERED_LABELS else 7
    axes.set_xticks(middles, shorts, rotation=90 if upright else 0, color=LIGHT["ink"])
    axes.set_yticks(middles, shorts, color=LIGHT["ink"])
    axes.tick_params(labelsize=small)


def _draw_cell(axes: Axes, row: int, column: int, n: int, total: int, size: int) -> None:
    share = n / total if total else 0.0
    colour = LIGHT["tuned"] if row == column else LIGHT["best"]
    gap = 0.02
    axes.add_patch(
        Rectangle(
            (column + gap, row + gap),
            1 - 2 * gap,
            1 - 2 * gap,
            facecolor=colour,
            alpha=0.06 + 0.5 * share,
            linewidth=0,
        )
    )
    if size > _NUMBERED_LABELS:
        return
    middle = (column + 0.5, row + 0.5)
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": LIGHT["ink"]}
    if size > 5:
        axes.text(*middle, numbers.count(n), fontsize=11, **style)
        return
    style["textcoords"] = "offset points"
    axes.annotate(numbers.count(n), middle, (0, 8), fontsize=15, **style)
    axes.annotate(f"{100 * share:.0f}%", middle, (0, -11), fontsize=11, **style)
