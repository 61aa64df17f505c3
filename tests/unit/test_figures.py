"""The figures show the numbers they are given, and are the same bytes every time."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_case import PAYLOADS, arm, curves, report

from tutelage.report.content import Confusion, Curves, StepRecord, ValidationRecord
from tutelage.report.figures import arms_figure, loss_figure, metric_figure, rate_figure
from tutelage.report.matrices import confusion_figures
from tutelage.report.palette import DARK, LIGHT
from tutelage.report.text import one_line

ELEMENTS = {"svg", "g", "path", "use", "text", "defs", "clipPath", "rect"}
CONFUSION = Confusion(("no", "yes"), ((8, 2), (5, 15)), ((10, 0), (0, 20)), "Before", "After")


def all_figures() -> dict[str, str]:
    before, after = confusion_figures(CONFUSION)
    found = {
        "arms": arms_figure(report()),
        "narrow": arms_figure(report(), narrow=True),
        "loss": loss_figure(curves()),
        "metric": metric_figure(curves()),
        "rate": rate_figure(curves()),
        "before": before,
        "after": after,
    }
    return {name: svg for name, svg in found.items() if svg is not None}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def points(path: str) -> list[tuple[float, float]]:
    numbers = [float(x) for x in re.findall(r"-?\d+\.?\d*", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def lines(svg: str, colour: str, width: str) -> list[list[tuple[float, float]]]:
    """Open lines of a colour and a width, in the order drawn."""
    style = (f"stroke: var(--{colour})", f"stroke-width: {width}")
    return [
        points(element.attrib["d"])
        for element in ElementTree.fromstring(svg).iter("path")
        if all(part in element.get("style", "").split("; ") for part in style)
    ]


def test_figures_are_the_same_bytes_whatever_the_reader_has_set() -> None:
    first = all_figures()
    assert len(first) == 7
    with matplotlib.rc_context({"font.size": 40, "lines.linewidth": 9, "svg.fonttype": "path"}):
        assert all_figures() == first
        assert matplotlib.rcParams["font.size"] == 40


def test_figures_are_self_contained_and_apart() -> None:
    ids: list[str] = []
    for name, svg in all_figures().items():
        assert not svg.startswith("<?xml"), name
        root = ElementTree.fromstring(svg)
        assert {element.tag for element in root.iter()} <= ELEMENTS
        assert root.get("role") == "img"
        assert len(root.get("aria-label", "")) > 10
        own = {e.attrib["id"] for e in root.iter() if "id" in e.attrib}
        used = {e.attrib["href"].removeprefix("#") for e in root.iter("use")}
        used |= set(re.findall(r"url\(#([^)]*)\)", svg))
        assert used <= own
        ids += own
        colours = re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^<>]*<)", svg)
        assert [c for c in colours if c[1:] not in "".join(own)] == [], name
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("theme", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_a_picture_of_its_own_needs_no_style_sheet(theme: Any, palette: dict[str, str]) -> None:
    svg = arms_figure(report(), theme=theme)
    assert svg is not None
    assert "var(" not in svg
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height")) == ("760", "260")
    assert "84.0%" in (root.findtext("{http://www.w3.org/2000/svg}title") or "")
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg)) <= set(palette.values())
    assert f"fill: {palette['surface']}" in svg


def test_colours_are_told_apart_by_their_value() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert set(LIGHT) == set(DARK)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_text_can_be_read_on_its_background(palette: dict[str, str]) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2, success criterion 1.4.3)."""

    def luminance(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ground in ("surface", "panel"):
        for role in set(palette) - {"surface", "panel", "line"}:
            low, high = sorted((luminance(palette[role]), luminance(palette[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (role, ground)


# --- arms ---


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(min_value=4, max_value=96), min_size=2, max_size=6, unique=True),
    st.booleans(),
)
def test_whiskers_stand_where_the_numbers_are(values: list[int], narrow: bool) -> None:
    arms = {f"a{v}": arm(f"a{v}", v / 100) for v in values}
    svg = arms_figure({**report(), "arms": arms, "verdict": {}}, narrow=narrow)
    assert svg is not None
    drawn = lines(svg, "quiet", "2")
    ends = [(line[0][0], line[1][0]) for line in drawn]
    ordered = sorted((v / 100 for v in values), reverse=True)
    assert len(ends) == len(ordered)
    # Two numbers fix the scale; every end of every whisker lies on it.
    low, high = ordered[-1] - 0.03, ordered[0] + 0.03
    scale = (ends[0][1] - ends[-1][0]) / (high - low)
    for (left, right), value in zip(ends, ordered, strict=True):
        assert left == pytest.approx(ends[-1][0] + scale * (value - 0.03 - low), abs=0.01)
        assert right == pytest.approx(ends[-1][0] + scale * (value + 0.03 - low), abs=0.01)
    rows = [line[0][1] for line in drawn]
    assert rows == sorted(rows)


def test_tuned_best_and_references_are_drawn_differently() -> None:
    svg = arms_figure(report())
    assert svg is not None
    assert len(lines(svg, "tuned", "3.4")) == 1
    assert len(lines(svg, "best", "2")) == 1
    dashed = [e.attrib["style"] for e in ElementTree.fromstring(svg).iter("path")
              if "stroke-dasharray: 6,4" in e.get("style", "")]  # fmt: skip
    assert len(dashed) == 1
    assert texts(svg).count("best baseline") == 1
    assert texts(svg).count("reference") == 1
    assert {"84.0%", "81.0 – 87.0"} <= set(texts(svg))


def test_an_arm_may_lack_its_interval_or_the_metric() -> None:
    arms = {"a": {"metrics": {"accuracy": {"value": 0.5}}}, "b": {"metrics": {}}}
    svg = arms_figure({**report(), "arms": arms})
    assert svg is not None
    assert "a" in texts(svg)
    assert "b" not in texts(svg)
    assert lines(svg, "quiet", "2") == []
    assert arms_figure({**report(), "arms": {"b": arms["b"]}}) is None


def test_payloads_in_titles_and_labels_stay_text() -> None:
    arms = {f"a{i}": arm("x", 0.5) | {"title": p} for i, p in enumerate(PAYLOADS)}
    labels = tuple(f"{i} {p}" for i, p in enumerate(PAYLOADS[:10]))
    square = tuple(tuple(range(10)) for _ in range(10))
    case = Confusion(labels, square, square, PAYLOADS[0], PAYLOADS[1])
    drawn = [arms_figure({**report(), "arms": arms}), *confusion_figures(case)]
    for svg in drawn:
        assert svg is not None
        root = ElementTree.fromstring(svg)
        assert {element.tag for element in root.iter()} <= ELEMENTS
        assert not [k for e in root.iter() for k in e.attrib if k.startswith("on")]
    shown = texts(drawn[0] or "")
    assert all(one_line(payload, 34) in shown for payload in PAYLOADS)


def test_writing_from_right_to_left_and_emoji_need_no_glyphs(
    recwarn: pytest.WarningsRecorder,
) -> None:
    title = "مصنّف 👩🏽‍🚀 分类"
    svg = arms_figure({**report(), "arms": {"a": arm("a", 0.5) | {"title": title}}})
    assert title in texts(svg or "")
    assert [str(w.message) for w in recwarn] == []


# --- curves ---


def test_curves_pass_through_their_points() -> None:
    svg = loss_figure(curves())
    assert svg is not None
    training = max(lines(svg, "quiet", "1.2"), key=len)  # the other is the legend's
    losses = [2.0 / step for step in range(1, 13)]
    assert len(training) == 12
    steps = [x for x, _ in training]
    assert [b - a for a, b in itertools.pairwise(steps)] == pytest.approx(
        [steps[1] - steps[0]] * 11, abs=1e-3
    )
    per_nat = (training[11][1] - training[0][1]) / (losses[0] - losses[11])
    for (_, y), loss in zip(training, losses, strict=True):
        assert y == pytest.approx(training[0][1] + per_nat * (losses[0] - loss), abs=1e-2)


def test_the_kept_step_is_marked() -> None:
    assert "kept: step 8, 70.0%" in texts(metric_figure(curves()) or "")
    unknown = Curves(curves().steps, curves().validations)
    assert not [t for t in texts(metric_figure(unknown) or "") if "kept" in t]


def test_curves_without_points_are_left_out() -> None:
    empty = Curves(())
    assert (loss_figure(empty), metric_figure(empty), rate_figure(empty)) == (None, None, None)
    bad = Curves((StepRecord(1, float("nan")), StepRecord(2, 1.0)), (ValidationRecord(2, 0.5),))
    assert loss_figure(bad) is not None
    assert rate_figure(bad) is None


def test_a_long_run_is_a_small_figure() -> None:
    many = Curves(tuple(StepRecord(i, 1.0 + (i % 7), 1e-5) for i in range(1, 100_001)))
    assert len(loss_figure(many) or "") < 40_000


# --- confusion ---


def test_confusion_counts_and_shares() -> None:
    before, after = confusion_figures(CONFUSION)
    assert [t for t in texts(before) if t.isdigit()] == ["8", "2", "5", "15"]
    assert [t for t in texts(before) if t.endswith("%")] == ["80%", "20%", "25%", "75%"]
    assert 'aria-label="Before: 23 of 30 rows right."' in before
    assert 'aria-label="After: 30 of 30 rows right."' in after
    assert {"gold", "predicted", "no", "yes"} <= set(texts(before))


@pytest.mark.parametrize(("size", "named"), [(2, True), (7, True), (12, True), (60, False)])
def test_many_labels_still_fit(size: int, named: bool) -> None:
    labels = tuple(f"label{i}" for i in range(size))
    rows = tuple(tuple(int(i == j) for j in range(size)) for i in range(size))
    shown = texts(confusion_figures(Confusion(labels, rows, rows, "b"))[0])
    assert (shown.count("label1") == 2) == named


def test_a_label_without_rows_has_no_share() -> None:
    case = Confusion(("a", "b"), ((0, 0), (1, 1)), ((0, 0), (1, 1)), "b")
    assert texts(confusion_figures(case)[0]).count("0%") == 2
