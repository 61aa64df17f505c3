"""`tutelage templates`: list, show, lint and try the wordings of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tutelage.cli_import import import_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from tutelage.records import Row
    from tutelage.tasks.rows import Rows
    from tutelage.templates.lint_finding import Finding
    from tutelage.templates.schema import Template

app = typer.Typer(
    help="Templates, the wordings of prompts: [bold]list[/], [bold]show[/], [bold]lint[/], "
    "[bold]try[/], [bold]import[/].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Examples:  tutelage templates list sentiment  ·  tutelage templates show "
    "sentiment/question  ·  tutelage templates lint mine.yaml",
)

app.command("import")(import_)

_WIDTH = 120  # of tables that go into a file or a pipe

Data = Annotated[
    str | None, typer.Option(help="Table, task YAML or built-in task whose rows are used.")
]
TextColumn = Annotated[str | None, typer.Option("--text", help="Column with the text.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the task, with --data."),
]


@app.command("list")
def list_(
    family: Annotated[
        str | None, typer.Argument(help="A family, a pattern such as nli/*, or a YAML file.")
    ] = None,
) -> None:
    """The families, or the templates of one.

    Examples: [bold]tutelage templates list[/] · [bold]tutelage templates list sentiment[/]
    """
    from tutelage.template_view import families_table, family_table
    from tutelage.templates import library

    if family is None:
        _print(families_table({name: library.family(name) for name in library.families()}))
    else:
        _print(family_table(_find(family)))


@app.command()
def show(
    template: Annotated[str, typer.Argument(metavar="ID", help="family/name, or a YAML file.")],
) -> None:
    """A template as YAML, ready to be copied into a file of your own.

    Example: [bold]tutelage templates show sentiment/question[/]
    """
    from tutelage.report.text import visible
    from tutelage.templates.export import dump_templates

    text = visible(dump_templates(_find(template))).rstrip("\n")
    if _console().is_terminal:
        from rich.syntax import Syntax

        _print(Syntax(text, "yaml", background_color="default", word_wrap=True))
    else:
        print(text)


@app.command()
def lint(
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE|FAMILY]...", help="Default: the library.")
    ] = None,
    data: Data = None,
    text: TextColumn = None,
    label: Annotated[str | None, typer.Option(help="Column with the label.")] = None,
    set_: Sets = None,
    rows: Annotated[int, typer.Option(help="Rows to check, spread over the data.", min=1)] = 200,
    model: Annotated[
        str | None, typer.Option(help="Model whose tokens and context count too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Say what is checked, and end.")] = False,
) -> None:
    """Faults of templates, by themselves and on rows of yours; ends with 2 if there are errors.

    Examples:

    [bold]tutelage templates lint[/]

    [bold]tutelage templates lint mine.yaml --data my.csv --text review --label sentiment[/]
    """
    from tutelage.template_view import findings_table, rules_table

    if rules:
        _print(rules_table())
        return
    found, count = _findings(targets or [], data, _overrides(text, label), set_ or [], rows, model)
    errors = sum(finding.severity == "error" for finding in found)
    if as_json:
        _print_json(found, count, errors)
    elif found:
        _print(findings_table(found))
    else:
        print(f"{count} templates, nothing to find fault with.")
    if errors:
        raise typer.Exit(2)


@app.command("try")
def try_(
    template: Annotated[
        str, typer.Argument(metavar="ID|FILE", help="family/name, family/*, or a YAML file.")
    ],
    data: Data = None,
    text: TextColumn = None,
    label: Annotated[
        str | None, typer.Option(help="The right answer; with --data the column that holds it.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A field of a row made up here; repeatable."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="All labels or choices, parted by commas; with --field.")
    ] = None,
    set_: Sets = None,
    rows: Annotated[int, typer.Option(help="Rows to show, with --data.", min=1)] = 2,
) -> None:
    """Rows under a template: the prompt, the answer (green) and the other options.

    Examples:

    [bold]tutelage templates try sentiment/question --field text="worth it" --labels bad,good[/]

    [bold]tutelage templates try mine.yaml --data my.csv --text review --label sentiment[/]
    """
    from tutelage.errors import ConfigError

    if (data is None) == (not field):
        raise ConfigError("templates try: give either --data or --field.")
    if data is None:
        _try_row(_find(template), field or [], label, labels)
    else:
        loaded = _load(data, _overrides(text, label), set_ or [])
        _show_examples(_find(template), loaded.rows[:rows], loaded.labels)


def _findings(
    targets: Sequence[str],
    data: str | None,
    overrides: dict[str, Any],
    sets: list[str],
    count: int,
    model: str | None,
) -> tuple[list[Finding], int]:
    """What the linter says, and of how many templates; a file that cannot be read says why."""
    from tutelage.errors import ConfigError
    from tutelage.templates.library import families
    from tutelage.templates.lint import lint as find_faults
    from tutelage.templates.lint_finding import finding
    from tutelage.templates.lint_process import TwoProcesses

    templates: list[Template] = []
    unread: list[Finding] = []
    for target in targets or families():
        try:
            templates += _find(target)
        except ConfigError as error:
            unread += [finding("syntax", "", line, target) for line in str(error).splitlines()]
    rows: Sequence[Row] = ()
    labels: tuple[str, ...] = ()
    if data is not None:
        loaded = _load(data, overrides, sets)
        rows, labels = _spread(loaded.rows, count), loaded.labels
    tokens = _tokens(model) if model else {}
    with TwoProcesses() as processes:
        how: dict[str, Any] = {"renderer": processes.first, "again": processes.second}
        how |= {"clock": processes.clock, **tokens}
        found = find_faults(templates, rows, labels, **how)
    return [*unread, *found], len(templates)


def _tokens(model: str) -> dict[str, Any]:
    """Ids of a text, the stop token behind them, and the context of a model."""
    from tutelage.console import Terminal
    from tutelage.models.load import context_length, find_model, load_tokenizer
    from tutelage.tokens.encode import Encoder

    folder = find_model(model, Terminal()).folder
    encoder = Encoder(load_tokenizer(folder))
    return {"token_ids": encoder.completion, "context": context_length(folder)}


def _find(target: str) -> tuple[Template, ...]:
    """A template, the templates of a family or pattern, or those of a file."""
    from tutelage.templates import library

    if "/" in target or library.is_template_path(target):
        return library.find_templates(target)
    return library.family(target)


def _overrides(text: str | None, label: str | None) -> dict[str, Any]:
    flags = {"task.fields": None if text is None else {"text": text}, "task.label": label}
    return {key: value for key, value in flags.items() if value is not None}


def _load(data: str, overrides: dict[str, Any], sets: list[str]) -> Rows:
    from tutelage.config import load_config
    from tutelage.tasks.catalog import Catalog
    from tutelage.tasks.rows import load_rows

    config, _ = load_config(data, catalog=Catalog(), sets=sets, overrides=overrides)
    return load_rows(config.task)


def _spread(rows: Sequence[Row], count: int) -> Sequence[Row]:
    """At most `count` rows, evenly from the whole."""
    step = max(1, len(rows) / count)
    return [rows[int(i * step)] for i in range(min(count, len(rows)))]


def _try_row(
    templates: Sequence[Template], pairs: Sequence[str], label: str | None, labels: str | None
) -> None:
    """Show templates on a row made of `name=value` pairs."""
    from tutelage.errors import ConfigError
    from tutelage.templates.trial import trial_row

    fields = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f'--field {pair}: is not NAME=VALUE. Write --field text="some text".')
        fields[name] = value
    known = tuple(part.strip() for part in labels.split(",")) if labels else ()
    for template in templates:
        row, all_labels = trial_row(template, fields, known, label)
        _show_examples([template], [row], all_labels)


def _show_examples(
    templates: Sequence[Template], rows: Sequence[Row], labels: Sequence[str]
) -> None:
    from contextlib import closing

    from tutelage.template_view import example_text
    from tutelage.templates.renderer import SafeRenderer

    with closing(SafeRenderer()) as render:
        for template in templates:
            for row in rows:
                rendered = render(template, row, labels)
                known = row.choices or labels
                gold = known.index(row.label) if len(rendered.options) > 1 else 0
                _console().print(example_text(template, row, rendered, gold), soft_wrap=True)


def _print(what: RenderableType) -> None:
    _console().print(what)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=_WIDTH)


def _print_json(found: Sequence[Finding], count: int, errors: int) -> None:
    import json
    from dataclasses import asdict

    report = {
        "templates": count,
        "errors": errors,
        "warnings": len(found) - errors,
        "findings": [asdict(finding) for finding in found],
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))
