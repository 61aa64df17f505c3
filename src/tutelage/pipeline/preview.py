"""Preview: rendered prompts, tokens, and in colour what is trained; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import zip_longest

from rich.text import Text

from tutelage.config import RunConfig
from tutelage.data.ledger import Ledger
from tutelage.models.load import find_model, load_tokenizer
from tutelage.pipeline.examples import ExampleMaker, longest_example
from tutelage.pipeline.families import Families, task_families
from tutelage.pipeline.samples import sample
from tutelage.progress import Progress
from tutelage.records import Row
from tutelage.report.content import Sample
from tutelage.report.text import one_line, visible
from tutelage.tasks.mixture import load_task
from tutelage.templates.render import draw, training_templates
from tutelage.templates.renderer import SafeRenderer
from tutelage.tokens.encode import Encoder

_SHOWN_PIECES = 12


def preview_rows(config: RunConfig, count: int, progress: Progress) -> list[Sample]:
    """The first rows under their wordings, of as many wordings as possible."""
    loaded, facts = load_task(config.task, config.split)
    families = task_families(config, facts)
    templates = {name: training_templates(family) for name, family in families.items()}
    source = find_model(config.model, progress)
    encoder = Encoder(load_tokenizer(source.folder))
    maker = ExampleMaker(
        encoder,
        loaded.labels,
        longest_example(config, source.folder),
        tuple(config.task.truncate),
        renderer := SafeRenderer(),
    )
    samples = []
    with closing(renderer):
        for row in _varied(loaded.rows, templates, config.split.seed, count):
            template = draw(templates[row.task], config.split.seed, row.id)
            example = maker.make(row, row.id, template, (), Ledger())
            if example is not None:
                samples.append(sample(encoder, example))
    return samples


def block(shown: Sample) -> Text:
    """One example for the terminal: address, counts, prompt (dim) and what is trained (green)."""
    text = Text()
    address = f"{shown.where}  row {shown.id}  template {shown.template}"
    text.append(f"{one_line(address)}\n", style="bold")
    pieces = [repr(piece) for piece in shown.pieces[:_SHOWN_PIECES]]
    more = ", …" if len(shown.pieces) > _SHOWN_PIECES else ""
    text.append(
        f"{shown.prompt_tokens} prompt tokens, {shown.trained_tokens} trained tokens "
        f"({', '.join(pieces)}{more})\n",
        style="cyan",
    )
    for segment in shown.segments:
        style = "bold black on green" if segment.trained else "dim"
        text.append(visible(segment.text), style=style)
    text.append("\n")
    return text


def _varied(rows: Sequence[Row], families: Families, seed: int, count: int) -> list[Row]:
    """The first rows, of as many tasks and templates as possible, the tasks in turn."""
    seen: dict[tuple[str, str], list[Row]] = {}
    kinds = sum(map(len, families.values()))
    for row in rows:
        template = draw(families[row.task], seed, row.id)
        seen.setdefault((row.task, template.id), []).append(row)
        if len(seen) == kinds and min(map(len, seen.values())) >= count:
            break
    by_task: dict[str, list[list[Row]]] = {}
    for (task, _), pile in seen.items():
        by_task.setdefault(task, []).append(list(pile))
    rounds = zip_longest(*by_task.values())
    piles = [pile for every in rounds for pile in every if pile is not None]
    chosen: list[Row] = []
    while len(chosen) < count and any(piles):
        for pile in piles:
            if pile and len(chosen) < count:
                chosen.append(pile.pop(0))
    return chosen
