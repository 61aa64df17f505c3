"""The figures of numbers on a line: arms with their intervals, and learning curves.

Sizes are CSS pixels; a point of matplotlib is one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tutelage.report import numbers
from tutelage.report.arms import Arm, arms, metrics
from tutelage.report.content import Curves
from tutelage.report.palette import LIGHT
from tutelage.report.svg import Theme, axes_within, draw_svg
from tutelage.report.text import one_line

_PANEL = (310.0, 235.0)
_MOST_POINTS = 600


def arms_figure(
    report: Mapping[str, Any], *, narrow: bool = False, theme: Theme = "page"
) -> str | None:
    """Dot and whisker per arm, best first; None where no arm has the primary metric.

    A filled dot is measured, a hollow diamond is a reference, the dashed line is the best
    baseline. `narrow` is laid out for a phone, with the titles above the whiskers. Themes
    `light` and `dark` give a file of its own.
    """
    metric = metrics(report)[0]
    shown = [arm for arm in arms(report) if arm.of(metric).value is not None]
    if not shown:
        return None
    said = "; ".join(f"{one_line(a.title, 60)} {_spoken(a, metric)}" for a in shown)
    return draw_svg(
        lambda figure: _draw_arms(figure, shown, metric, narrow=narrow),
        name="arms-narrow" if narrow else "arms",
        label=f"{numbers.metric_title(metric)} of each arm on the test rows: {said}.",
        width=370 if narrow else 760,
        height=50 + (52 if narrow else 42) * len(shown),
        theme=theme,
    )


def loss_figure(curves: Curves) -> str | None:
    """Training loss by step, and validation loss where it was measured."""
    steps = [r for r in curves.steps if math.isfinite(r.loss)]
    if not steps:
        return None
    steps = steps[:: math.ceil(len(steps) / _MOST_POINTS)]
    checked = [(r.step, r.loss) for r in curves.validations if r.loss is not None]

    def draw(figure: Figure) -> None:
        axes = _panel(figure, "Loss", "nats per trained token")
        axes.plot(
            [r.step for r in steps],
            [r.loss for r in steps],
            color=LIGHT["quiet"],
            lw=1.2,
            alpha=0.7,
            label="training",
        )
        if checked:
            style: dict[str, Any] = {"color": LIGHT["best"], "lw": 1.8, "marker": "o", "ms": 4}
            axes.plot(*zip(*checked, strict=True), label="validation", **style)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=11, loc="upper right", labelcolor=LIGHT["ink"])

    last = f" to {steps[-1].loss:.3f} at step {steps[-1].step}"
    label = f"Training loss from {steps[0].loss:.3f} at step {steps[0].step}{last}."
    return draw_svg(draw, name="loss", label=label, width=_PANEL[0], height=_PANEL[1])


def metric_figure(curves: Curves) -> str | None:
    """The task metric on the validation rows by step, the kept checkpoint marked."""
    found = [(r.step, r.metric) for r in curves.validations if r.metric is not None]
    if not found:
        return None
    title = numbers.metric_title(curves.metric)
    kept = next(((step, x) for step, x in found if step == curves.best_step), None)

    def draw(figure: Figure) -> None:
        axes = _panel(figure, f"{title} on validation rows", "")
        axes.plot(*zip(*found, strict=True), color=LIGHT["tuned"], lw=1.8, marker="o", ms=4)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: _tick(curves.metric, x)))
        axes.margins(y=0.2)
        if kept is not None:
            ring: dict[str, Any] = {"mfc": "none", "mec": LIGHT["tuned"], "mew": 1.6}
            axes.plot([kept[0]], [kept[1]], marker="o", ms=11, ls="none", clip_on=False, **ring)
            axes.text(
                1,
                1.015,
                f"kept: step {kept[0]}, {numbers.metric(curves.metric, kept[1])}",
                transform=axes.transAxes,
                ha="right",
                va="bottom",
                fontsize=11,
                color=LIGHT["tuned"],
            )

    values = ", ".join(f"step {s} {numbers.metric(curves.metric, x)}" for s, x in found[-20:])
    said = f" Kept: step {kept[0]}." if kept else ""
    label = f"{title} on the validation rows: {values}.{said}"
    return draw_svg(draw, name="metric", label=label, width=_PANEL[0], height=_PANEL[1])


def rate_figure(curves: Curves) -> str | None:
    """The learning rate by step."""
    found = [(r.step, r.learning_rate) for r in curves.steps if r.learning_rate is not None]
    if not found:
        return None
    found = found[:: math.ceil(len(found) / _MOST_POINTS)]
    highest = max(rate for _, rate in found)

    def draw(figure: Figure) -> None:
        axes = _panel(figure, "Learning rate", "")
        axes.plot(*zip(*found, strict=True), color=LIGHT["quiet"], lw=1.8)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.2g}"))
        axes.set_ylim(bottom=0)

    label = f"Learning rate by step, at most {highest:.3g}."
    return draw_svg(draw, name="rate", label=label, width=_PANEL[0], height=_PANEL[1])


def _spoken(arm: Arm, metric: str) -> str:
    estimate = arm.of(metric)
    text = numbers.metric(metric, estimate.value)
    if estimate.interval is None:
        return text
    low, high = (numbers.metric(metric, x) for x in estimate.interval)
    return f"{text} (95% interval {low} to {high})"


def _tick(metric: str, x: float) -> str:
    return f"{100 * x:.3g}%" if metric == "accuracy" else f"{x:.3g}"


def _panel(figure: Figure, title: str, subtitle: str) -> Axes:
    axes = axes_within(figure, 46, 8, 34, 40)
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=18)
    if subtitle:
        axes.text(
            0,
            1.015,
            subtitle,
            transform=axes.transAxes,
            fontsize=11,
            color=LIGHT["quiet"],
            va="bottom",
        )
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel("step")
    return axes


def _draw_arms(figure: Figure, shown: Sequence[Arm], metric: str, *, narrow: bool) -> None:
    axes = axes_within(figure, 10, 14, 4, 46) if narrow else axes_within(figure, 236, 140, 4, 46)
    for y, arm in enumerate(shown):
        _draw_whisker(axes, y, arm, metric)
        _write_arm(axes, y, arm, metric, narrow=narrow)
    best = next((arm.of(metric).value for arm in shown if arm.best), None)
    if best is not None:
        reach = 0.25 if narrow else 0.5  # on a phone the titles stand between the rows
        rows = range(len(shown))
        ends = [y - reach for y in rows], [y + reach for y in rows]
        axes.vlines(
            [best] * len(shown), *ends, color=LIGHT["best"], lw=1.2, ls=(0, (2, 3)), zorder=1
        )
    axes.set_ylim(len(shown) - 0.55, -0.8 if narrow else -0.5)
    axes.set_xlim(*_span(shown, metric))
    axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _tick(metric, x)))
    axes.grid(axis="x")
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel(f"{numbers.metric_title(metric)} on the test rows")


def _span(shown: Sequence[Arm], metric: str) -> tuple[float, float]:
    """Limits that hold every interval with some air; a share stays between 0 and 1."""
    ends = [x for arm in shown for x in (arm.of(metric).value, *(arm.of(metric).interval or ()))]
    known = [x for x in ends if x is not None]
    low, high = min(known), max(known)
    air = max(0.06 * (high - low), 0.02 * abs(high), 0.001)
    if low >= 0 and high <= 1:
        return max(0.0, low - air), min(1.0, high + air)
    return low - air, high + air


def _colour(arm: Arm) -> str:
    if arm.kind == "tuned":
        return LIGHT["tuned"]
    return LIGHT["best"] if arm.best else LIGHT["quiet"]


def _draw_whisker(axes: Axes, y: int, arm: Arm, metric: str) -> None:
    estimate, colour = arm.of(metric), _colour(arm)
    reference, tuned = arm.kind == "reference", arm.kind == "tuned"
    if estimate.interval is not None:
        style: Any = (0, (3, 2)) if reference else "-"
        axes.plot(
            estimate.interval,
            (y, y),
            color=colour,
            lw=3.4 if tuned else 2,
            ls=style,
            solid_capstyle="round",
            clip_on=False,
            zorder=2,
            alpha=0.75,
        )
    axes.plot(
        [estimate.value or 0.0],
        [y],
        marker="D" if reference else "o",
        color=colour,
        ls="none",
        ms=12 if tuned else 8,
        mfc=LIGHT["surface"] if reference else colour,
        mec=colour if reference else LIGHT["surface"],
        mew=1.6,
        clip_on=False,
        zorder=3,
    )


def _write_arm(axes: Axes, y: int, arm: Arm, metric: str, *, narrow: bool) -> None:
    """Title, tag and numbers of a row: beside the axes, or above the whisker."""
    tag = {"tuned": "", "baseline": "best baseline" if arm.best else "", "reference": "reference"}
    estimate, weight = arm.of(metric), "bold" if arm.kind == "tuned" else "normal"
    lift = 19 if narrow else 0
    title = one_line(arm.title, 30 if narrow else 34)
    if narrow and tag[arm.kind]:
        title += f" · {tag[arm.kind]}"
    two_lines = bool(tag[arm.kind]) and not narrow
    _note(
        axes,
        0,
        y,
        title,
        (0 if narrow else -232, lift + (7 if two_lines else 0)),
        ha="left",
        fontsize=13,
        fontweight=weight,
    )
    if two_lines:
        _note(axes, 0, y, tag[arm.kind], (-232, -8), ha="left", fontsize=11, color=_colour(arm))
    value = numbers.metric(metric, estimate.value)
    if narrow:
        _note(axes, 1, y, value, (4, lift), ha="right", fontsize=13, fontweight=weight)
        return
    _note(axes, 1, y, value, (62, 0), ha="right", fontsize=13, fontweight=weight)
    if estimate.interval is not None:
        low, high = (numbers.metric(metric, x).removesuffix("%") for x in estimate.interval)
        _note(
            axes, 1, y, f"{low} – {high}", (136, 0), ha="right", fontsize=11, color=LIGHT["quiet"]
        )


def _note(
    axes: Axes, x: float, y: float, text: str, offset: tuple[float, float], **style: Any
) -> None:
    """Text beside a row: `x` as a share of the axes' width, then an offset in pixels."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(text, (x, y), offset, va="center_baseline", **place, **style)
