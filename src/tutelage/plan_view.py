"""A plan on the terminal: tables with short notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tutelage.data.splits import MIN_TEST_ROWS
from tutelage.report.text import one_line, visible

_HOLDERS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimiser (two moments)",
    "casts": "weights in bf16",
    "activations": "activations",
    "logits": "logits and their gradient",
}
Facts = Mapping[str, Any]


def plan_tables(plan: Facts) -> Iterator[RenderableType]:
    """What there is of a plan, in the order of a run; problems first."""
    yield _head(plan)
    yield from _problems(plan)
    sections: dict[str, Callable[[Any], Iterator[RenderableType]]] = {
        "rows": _rows,
        "ledger": _ledger,
        "quality": _quality,
        "leaks": _leaks,
        "tokens": _tokens,
        "shots": _shots,
        "power": _power,
        "training": _training,
        "memory": _memory,
        "time": _time,
    }
    for name, draw in sections.items():
        if plan.get(name) is not None:
            yield Text()
            yield from draw(plan[name])
    yield Text(f"\nPlanned in {plan['seconds']:.0f} s; nothing was written.", style="dim")


def _head(plan: Facts) -> Text:
    about = plan["task"] + (f" with {plan['model']}" if plan.get("model") else "")
    if plan["would_run"]:
        return Text(f"{one_line(about)}: would run.", style="bold green")
    count = len(plan["problems"])
    what = "1 problem" if count == 1 else f"{count} problems"
    return Text(
        f"{one_line(about)}: would not run, {what} (exit code {plan['exit_code']}).",
        style="bold red",
    )


def _problems(plan: Facts) -> Iterator[Text]:
    for number, problem in enumerate(plan["problems"], 1):
        text = Text(f"{number}. {problem['stage']}: ", style="red")
        text.append(visible(problem["says"]), style="not red")
        yield text


def _rows(rows: Facts) -> Iterator[RenderableType]:
    sampled = rows["planned_with"] < rows["source"]
    aside = f"; planned with {rows['planned_with']:,} of them" if sampled else ""
    out = f"; {rows['left_out']:,} left out as empty" if rows["left_out"] else ""
    table = _table(f"Rows: {rows['source']:,} in the source{out}{aside}", "split")
    for name in (
        "rows",
        "groups",
        "mean tokens",
        "95 %",
        "longest",
        "mean answer",
        "longest answer",
    ):
        table.add_column(name, justify="right")
    table.add_column("labels")
    for name, facts in (rows["splits"] or {}).items():
        numbers = (facts["rows"], facts["groups"], facts["mean_tokens"])
        tokens = (facts["p95_tokens"], facts["max_tokens"])
        answers = (facts["mean_answer_tokens"], facts["max_answer_tokens"])
        table.add_row(
            name, *(f"{n:,}" for n in (*numbers, *tokens, *answers)), _labels(facts["labels"])
        )
    yield table
    notes = [f"{len(rows['templates'])} templates.", *rows["notes"]]
    yield _note(" ".join(_sentence(note) for note in notes))


def _labels(counts: Mapping[str, int]) -> str:
    shown = [f"{label} {count:,}" for label, count in list(counts.items())[:6]]
    more = f", {len(counts) - 6} more" if len(counts) > 6 else ""
    return escape(one_line(", ".join(shown) + more, 80))


def _ledger(ledger: Facts) -> Iterator[RenderableType]:
    counts = ", ".join(f"{count:,} {reason}" for reason, count in ledger["counts"].items() if count)
    yield Text(f"Ledger: {counts or 'nothing cut, dropped, doubled or in conflict'}.")
    for entry in ledger["first"]:
        yield _note(f"  {entry['reason']}: {entry['where']} (row {entry['id']}): {entry['detail']}")


def _quality(quality: Facts) -> Iterator[RenderableType]:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in quality["counts"].items() if count)
    yield Text(f"Worth a look, never acted on: {counts or 'nothing'}.")
    yield from _remarks(quality["first"])
    if quality["notes"]:
        yield _note(" ".join(_sentence(note) for note in quality["notes"]))


def _leaks(leaks: Facts) -> Iterator[RenderableType]:
    if leaks["rows"]:
        yield Text(f"Leaks: {leaks['rows']:,} rows repeat a row of a later split.")
        yield from _remarks(leaks["first"])


def _remarks(remarks: list[Facts]) -> Iterator[Text]:
    for remark in remarks:
        row = f" (row {remark['id']})" if remark["id"] else ""
        text = f' "{one_line(remark["text"], 80)}"' if remark["text"] else ""
        about = f"{remark['kind']}: {remark['where']}{row}: {remark['detail']}"
        yield _note(f"  {one_line(about, 200)}{text}")


def _tokens(tokens: Facts) -> Iterator[RenderableType]:
    yield Text(
        f"Tokens: {tokens['tokens']:,} in {tokens['examples']:,} training examples, of which "
        f"{tokens['labelled_share']:.1%} are labelled ({tokens['labelled']:,}); longest "
        f"{tokens['longest']:,}, limit {tokens['limit']:,}."
    )
    if tokens["sharing"] is not None:
        trie, steps = tokens["sharing"]["trie"], tokens["sharing"]["steps"]
        yield Text(
            f"Shared beginnings would save {trie['saved']:.1%} if all rows were one trie; the "
            f"micro-batches of {steps['sampled']} sampled steps save {steps['saved']:.1%}."
        )


def _shots(shots: list[Facts]) -> Iterator[RenderableType]:
    table = _table("Examples in the prompt", "asked for")
    for name in ("fit", "tokens sent per answer", "tokens computed per answer"):
        table.add_column(name, justify="right")
    for shot in shots:
        asked = f"the most: {shot['asked']}" if shot["most"] else str(shot["asked"])
        cells = (shot["sent_tokens"], shot["computed_tokens"])
        table.add_row(asked, str(shot["fits"]), *(f"{cell:,.0f}" for cell in cells))
    yield table
    yield _note("Computed: the beginning that prompts share is run once per template.")


def _power(power: Facts) -> Iterator[RenderableType]:
    rows, metric = power["rows"], power["metric"]
    if not power["comparable"]:
        what = "are too few" if rows < MIN_TEST_ROWS else "of one label are not enough"
        yield Text(f"Test: {rows} rows {what}; no comparison would be made.", style="yellow")
        return
    grouped = power["design_effect"] > 1
    spread = "discordant" if "discordant" in power["detectable"][0] else "deviation"
    title = f"Smallest difference in {metric} that {rows:,} test rows show with 80 % power"
    table = _table(title, "discordant rows" if spread == "discordant" else "deviation per row")
    table.add_column("points", justify="right")
    if grouped:
        table.add_column(f"points, {power['groups']:,} groups", justify="right")
    for line in power["detectable"]:
        cells = [line["points"], *([line["grouped_points"]] if grouped else [])]
        table.add_row(f"{line[spread]:.0%}", *("none" if c is None else f"{c:.1f}" for c in cells))
    yield table
    note = f"Two-sided level {power['level']}, paired. {' '.join(power['assumes'])}"
    if grouped:
        note += f" Rows of a group are taken to correlate by {power['correlation']}."
    yield _note(note)


def _training(training: Facts) -> Iterator[RenderableType]:
    yield Text(
        f"Training: {training['steps']:,} steps of {training['batch_size']} examples "
        f"({training['epochs']:g} epochs), {training['method']}, "
        f"{training['parameters_trained'] / 1e6:,.1f} of {training['parameters'] / 1e6:,.1f} "
        f"million weights, learning rate {training['learning_rate']:g}, "
        f"{training['precision']}, {training['validations']} validations."
    )


def _memory(memory: Facts) -> Iterator[RenderableType]:
    estimate = memory["estimate"]
    table = _table(
        f"Peak memory of training (largest micro-batch: {memory['tokens']:,} tokens, "
        f"{memory['labelled']:,} labelled)",
        "held by",
    )
    table.add_column("MB", justify="right")
    for name, title in _HOLDERS.items():
        if estimate[name]:
            table.add_row(title, _mb(estimate[name]))
    table.add_row("closed form", _mb(estimate["total"]), style="bold")
    measured = memory.get("measured")
    if measured is not None:
        table.add_row("measured", _mb(measured["peak_bytes"]), style="bold")
    table.add_row("available", _mb(memory["available_bytes"]))
    yield table
    if measured is not None:
        yield _note(
            f"The measured steps took {measured['ratio']:.2f} times their closed form "
            f"({_mb(measured['estimated_bytes'])} MB)."
        )


def _time(spent: Facts) -> Iterator[RenderableType]:
    table = _table(f"Time: about {_duration(spent['seconds'])}", "stage")
    table.add_column("part")
    table.add_column("time", justify="right")
    table.add_column("from")
    for part in spent["parts"]:
        what = escape(one_line(part["what"]))
        table.add_row(part["stage"], what, _duration(part["seconds"]), escape(part["how"]))
    yield table
    yield _note("The report takes some seconds more. Other work on this machine slows all parts.")


def _table(title: str, first: str) -> Table:
    table = Table(title=escape(visible(title)), title_justify="left")
    table.add_column(first, no_wrap=True)
    return table


def _note(text: str) -> Text:
    return Text(visible(text), style="dim")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
