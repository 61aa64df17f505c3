"""From a matplotlib drawing to a small, self-contained SVG that is the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tutelage.report.palette import DARK, LIGHT

Theme = Literal["page", "light", "dark"]
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_FONT_FAMILY = re.compile(r"font-family:[^;]*")
_REFERENCE = re.compile(r"url\(#")
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_SETTINGS = {
    "svg.hashsalt": "tutelage",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and coloured
    "text.parse_math": False,  # a label may hold dollar signs
    "axes.unicode_minus": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so measures are the same everywhere
    "font.size": 12.0,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["quiet"],
    "axes.edgecolor": LIGHT["line"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 1.0,
    "xtick.color": LIGHT["line"],
    "xtick.labelcolor": LIGHT["quiet"],
    "xtick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.color": LIGHT["line"],
    "ytick.labelcolor": LIGHT["quiet"],
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
    "axes.facecolor": "none",
}


def draw_svg(
    draw: Callable[[Figure], None],
    *,
    name: str,
    label: str,
    width: float,
    height: float,
    theme: Theme = "page",
) -> str:
    """Run `draw` on an empty figure of `width` by `height` CSS pixels and return its SVG.

    Theme `page` uses the page's colour variables and is meant to stand inside HTML; `light` and
    `dark` are files of their own on a filled background. `name` keeps ids apart on one page,
    `label` is what a screen reader says. The reader's `matplotlibrc` has no say.
    """
    stream = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        # The reader's fonts draw the text; ours only measures it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message=".*does not support .* natively")
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        figure.patch.set_visible(theme != "page")
        figure.patch.set_facecolor(LIGHT["surface"])
        draw(figure)
        metadata: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(stream, metadata=metadata)
    return _serialise(stream.getvalue(), name=name, label=label, theme=theme)


def axes_within(figure: Figure, left: float, right: float, top: float, bottom: float) -> Axes:
    """Axes that leave these margins free, in pixels."""
    width, height = 72 * figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
    )


def _serialise(source: str, *, name: str, label: str, theme: Theme) -> str:
    root = ElementTree.fromstring(source)  # noqa: S314 - matplotlib wrote it
    for parent in list(root.iter()):
        for child in list(parent):
            # matplotlib's style sheet would reach out to the whole page.
            if child.tag == f"{_SVG}metadata" or child.find(f"{_SVG}style") is not None:
                parent.remove(child)
    colours = _colours(theme)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = _attributes(element.tag, element.attrib, name, colours)
        if element.tag != "text":
            element.text = None
        element.tail = None
    box = root.attrib["viewBox"]
    root.attrib = {"viewBox": box, "role": "img", "aria-label": label, "class": f"figure-{name}"}
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    if theme != "page":
        _, _, width, height = box.split()
        root.attrib |= {"width": width, "height": height, "xmlns": "http://www.w3.org/2000/svg"}
        title = ElementTree.Element("title")
        title.text = label
        root.insert(0, title)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _colours(theme: Theme) -> Mapping[str, str]:
    if theme == "page":
        return {colour: f"var(--{role})" for role, colour in LIGHT.items()}
    target = LIGHT if theme == "light" else DARK
    return {colour: target[role] for role, colour in LIGHT.items()}


def _attributes(
    tag: str, old: Mapping[str, str], name: str, colours: Mapping[str, str]
) -> dict[str, str]:
    new = {}
    for key, value in old.items():
        if key == "id":
            if tag in {"path", "clipPath"}:  # only these are referred to
                new["id"] = f"{name}-{value}"
        elif key == _HREF:
            new["href"] = f"#{name}-{value.removeprefix('#')}"
        elif key == "style":
            value = _HEX.sub(lambda match: colours.get(match[0], match[0]), value)
            new["style"] = _FONT_FAMILY.sub(f"font-family: {_FONT}", value)
        elif key == "clip-path":
            new[key] = _REFERENCE.sub(f"url(#{name}-", value)
        elif key == "d":
            new[key] = " ".join(value.split())
        elif not (key == "transform" and value.startswith("rotate(-0 ")):
            new[key] = value
    return new
