"""The report page: one HTML file without scripts that loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tutelage.report import numbers, tables
from tutelage.report.arms import arms, interval_note, metrics
from tutelage.report.content import PageContent, Sample
from tutelage.report.figures import arms_figure, loss_figure, metric_figure, rate_figure
from tutelage.report.generality import tasks, wordings
from tutelage.report.matrices import confusion_figures
from tutelage.report.palette import css_variables
from tutelage.report.text import clipped, one_line, visible
from tutelage.report.verdict import verdict_of

_HERE = Path(__file__).parent


def build_page(content: PageContent) -> str:
    """The whole page as HTML; the same content gives the same bytes.

    Text from data is escaped, isolated from its neighbours' writing direction, and shown with
    its control characters visible. A section without content is left out.
    """
    return _environment().get_template("page.html.jinja").render(_view(content))


def build_preview(title: str, samples: Sequence[Sample]) -> str:
    """A page of training examples, the trained tokens in colour."""
    template = _environment().get_template("preview.html.jinja")
    return template.render(
        title=title,
        samples=samples,
        light=_ours(css_variables(dark=False)),
        dark=_ours(css_variables(dark=True)),
        css=_ours((_HERE / "page.css").read_text(encoding="utf-8")),
    )


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        finalize=_finalise,
        loader=FileSystemLoader(_HERE),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    filters: dict[str, Callable[..., Any]] = {
        "clipped": clipped,
        "count": numbers.count,
        "data": _data,
        "difference": numbers.difference,
        "duration": numbers.duration,
        "metric": lambda x, metric: numbers.metric(metric, x),
        "one_line": one_line,
        "p_value": numbers.p_value,
        "plain": numbers.plain,
        "size": numbers.size,
    }
    environment.filters.update(filters)
    return environment


def _finalise(value: Any) -> Any:
    """What every expression goes through before it is escaped."""
    if value is None:
        return numbers.MISSING
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _data(value: object) -> Markup:
    """Text from data: escaped and kept from reordering what stands around it."""
    return Markup("<bdi>{}</bdi>").format(visible(str(value)))


def _ours(markup: str) -> Markup:
    """Markup that holds no text from data: our style sheet, and SVG from an XML writer."""
    return Markup(markup)  # noqa: S704


def _view(content: PageContent) -> dict[str, Any]:
    report = content.report
    shown = arms(report)
    verdict = verdict_of(report)
    view: dict[str, Any] = {
        "content": content,
        "report": report,
        "verdict": verdict,
        "sizes": tuple((report.get("rows") or {}).items()),
        "arms": shown,
        "metrics": metrics(report),
        "metric_titles": [numbers.metric_title(name) for name in metrics(report)],
        "primary": metrics(report)[0],
        "tuned": next((arm for arm in shown if arm.kind == "tuned"), None),
        "best": next((arm for arm in shown if arm.best), None),
        "has_references": any(arm.kind == "reference" for arm in shown),
        "has_validation": any(arm.validation for arm in shown),
        "interval_note": interval_note(report),
        "templates": tables.by_template(shown),
        "wordings": wordings(report),
        "tasks": tasks(report),
        "label_rows": tables.labels_by_split(content.splits, report.get("labels") or ()),
        "stages": tables.stages(report),
        "split_facts": tables.split_facts(report),
        "training": tables.facts(report.get("training")),
        "setup": tables.setup(report, content.provenance),
        "notes": report.get("notes") or (),
        "answer_metric": numbers.metric_title(content.answers.metric) if content.answers else "",
        "figures": _figures(content),
        "light": _ours(css_variables(dark=False)),
        "dark": _ours(css_variables(dark=True)),
        "css": _ours((_HERE / "page.css").read_text(encoding="utf-8")),
    }
    return {**view, "sections": _sections(view)}


def _figures(content: PageContent) -> dict[str, Any]:
    """The drawings, as markup made of numbers and escaped labels."""
    curves = content.curves
    drawn = (
        [loss_figure(curves), metric_figure(curves), rate_figure(curves)]
        if curves is not None
        else []
    )
    matrices = confusion_figures(content.confusion) if content.confusion is not None else ()
    wide, narrow = (arms_figure(content.report, narrow=narrow) for narrow in (False, True))
    return {
        "arms": _ours(wide or ""),
        "arms_narrow": _ours(narrow or ""),
        "curves": [_ours(svg) for svg in drawn if svg is not None],
        "confusion": [_ours(svg) for svg in matrices],
    }


def _sections(view: dict[str, Any]) -> dict[str, str]:
    """Anchor and short title of the sections that have something to show, in order."""
    content: PageContent = view["content"]
    data = (content.splits, content.ledger, content.leaks, content.data_source)
    candidates = (
        ("arms", "Arms", view["arms"]),
        ("learning", "Learning curves", view["figures"]["curves"]),
        ("confusion", "Confusion", view["figures"]["confusion"]),
        ("examples", "Fixed and broken", content.changes),
        ("answers", "Gains and losses", content.answers),
        ("trained", "What was trained", content.samples),
        ("data", "Data", any(data) or view["split_facts"]),
        ("cost", "Time and memory", view["stages"] or view["training"]),
        ("setup", "Configuration", view["setup"] or content.command or content.config_yaml),
    )
    return {anchor: title for anchor, title, filled in candidates if filled}
