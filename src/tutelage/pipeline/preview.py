"""Preview: rendered prompts, tokens, and in colour what is trained; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from tutelage.config import RunConfig
from tutelage.models.load import find_model, load_tokenizer
from tutelage.progress import Progress
from tutelage.records import Row
from tutelage.report.text import one_line, visible
from tutelage.tasks.rows import load_rows
from tutelage.templates.library import select
from tutelage.templates.render import draw, render
from tutelage.templates.schema import Template
from tutelage.tokens.encode import Encoder


def preview_rows(config: RunConfig, count: int, progress: Progress) -> Iterator[Text]:
    """One block per row: address, tokens, prompt (dim) and what is trained (green)."""
    loaded = load_rows(config.task)
    templates = select(config.task.templates, loaded.labels)
    source = find_model(config.model, progress)
    encoder = Encoder(load_tokenizer(source.folder))
    for row in _varied(loaded.rows, templates, config.split.seed, count):
        template = draw(templates, config.split.seed, row.id)
        prompt, options = render(template, row.fields, loaded.labels, row.where)
        completion = options[loaded.labels.index(row.label)]
        yield block(encoder, row, template.id, prompt, completion)


def block(encoder: Encoder, row: Row, template: str, prompt: str, completion: str) -> Text:
    """One example as the model sees it; tokens are parted by a thin mark."""
    prompt_ids, trained_ids = encoder.prompt(prompt), encoder.completion(completion)
    text = Text()
    text.append(f"{one_line(f'{row.where}  row {row.id}  template {template}')}\n", style="bold")
    text.append(
        f"{len(prompt_ids)} prompt tokens, {len(trained_ids)} trained tokens "
        f"({', '.join(repr(encoder.decode([i])) for i in trained_ids)})\n",
        style="cyan",
    )
    text.append(visible(encoder.decode(prompt_ids)), style="dim")
    text.append(visible(encoder.decode(trained_ids)), style="bold black on green")
    text.append("\n")
    return text


def _varied(
    rows: tuple[Row, ...], templates: tuple[Template, ...], seed: int, count: int
) -> list[Row]:
    """The first rows, of as many templates as possible."""
    seen: dict[str, list[Row]] = {}
    for row in rows:
        seen.setdefault(draw(templates, seed, row.id).id, []).append(row)
        if len(seen) == len(templates) and min(map(len, seen.values())) >= count:
            break
    piles = [list(pile) for pile in seen.values()]
    chosen: list[Row] = []
    while len(chosen) < count and any(piles):
        for pile in piles:
            if pile and len(chosen) < count:
                chosen.append(pile.pop(0))
    return chosen
