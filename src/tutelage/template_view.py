"""Templates on the terminal: tables of families, of templates and of findings, and one example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tutelage.records import Row
from tutelage.report.text import one_line, visible
from tutelage.templates.lint_finding import RULES, Finding
from tutelage.templates.render import Rendered
from tutelage.templates.schema import Template
from tutelage.templates.wording import VALUE, skeleton


def families_table(families: Mapping[str, Sequence[Template]]) -> Table:
    """One row per family: how many templates train, are held out, are inverted, and on what."""
    table = Table(title=f"{len(families)} families of templates", title_justify="left")
    table.add_column("family", no_wrap=True)
    for title in ("training", "held out", "inverted"):
        table.add_column(title, justify="right")
    table.add_column("fields")
    for name, templates in families.items():
        uses = [use(template) for template in templates]
        fields = dict.fromkeys(field for template in templates for field in template.fields)
        counts = [str(uses.count(each)) for each in ("training", "held out", "inverted")]
        table.add_row(name, *counts, ", ".join(fields))
    return table


def family_table(templates: Sequence[Template]) -> Table:
    """One row per template: its id, its use, and how its prompt reads."""
    table = Table(title=f"{len(templates)} templates", title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("use", no_wrap=True)
    table.add_column("prompt; … is what a row fills in")
    for template in templates:
        prompt = template.prompt if template.dialect else skeleton(template, "prompt")
        style = "" if use(template) == "training" else "dim"
        table.add_row(
            template.id, use(template), _safe(prompt.replace(VALUE, "…"), 160), style=style
        )
    return table


def use(template: Template) -> str:
    """What a template is for: training, held out, or inverted."""
    if template.direction == "inverted":
        return "inverted"
    return "held out" if template.held_out else "training"


def findings_table(findings: Sequence[Finding]) -> Table:
    """One row per finding, errors first."""
    errors = sum(finding.severity == "error" for finding in findings)
    counts = ((errors, "error"), (len(findings) - errors, "warning"))
    title = ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts)
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("rule", no_wrap=True)
    table.add_column("template")
    table.add_column("finding", ratio=1)
    for finding in findings:
        style = "red" if finding.severity == "error" else "yellow"
        where = (
            f" [{finding.where}]" if finding.where and finding.where not in finding.message else ""
        )
        table.add_row(
            f"[{style}]{finding.severity}[/]",
            finding.rule,
            _safe(finding.template or "(rows)"),
            _safe(f"{finding.message}{where}"),
        )
    return table


def example_text(template: Template, row: Row, rendered: Rendered, gold: int) -> Text:
    """A row under a template: system turn, prompt, and the answer (green) among the options."""
    text = Text()
    text.append(one_line(f"{template.id} ({use(template)})  {row.where}") + "\n", style="bold")
    if rendered.system is not None:
        text.append(visible(rendered.system) + "\n\n", style="cyan")
    text.append(visible(rendered.prompt) + "\n\n", style="dim")
    text.append(visible(rendered.options[gold]) + "\n", style="bold black on green")
    others = [option for index, option in enumerate(rendered.options) if index != gold]
    if others:
        text.append(f"other options: {one_line(', '.join(others), 500)}\n", style="cyan")
    return text


def rules_table() -> Table:
    """All rules of the linter."""
    table = Table(title="Rules", title_justify="left")
    for title in ("rule", "severity", "found where"):
        table.add_column(title)
    for rule, (severity, meaning) in RULES.items():
        table.add_row(rule, severity, meaning)
    return table


def _safe(text: str, limit: int | None = None) -> str:
    return escape(one_line(text, limit))
