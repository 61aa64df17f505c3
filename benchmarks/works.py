"""The works that trainers are compared on: token ids and where their labels begin.

Real sentences of the built-in corpora, rendered, tokenised and cut here; nothing is downloaded
that Tutelage does not download itself. Everybody gets the same ids.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tutelage.config import load_config
from tutelage.models.load import find_model, load_tokenizer
from tutelage.records import Encoded
from tutelage.tasks.catalog import Catalog
from tutelage.tasks.rows import load_rows
from tutelage.templates.library import select
from tutelage.templates.render import draw, render, training_templates
from tutelage.tokens.batches import computed_tokens
from tutelage.tokens.encode import Encoder
from tutelage.tokens.order import SameRows, Stream, rows_together

WORKS = {
    "a": "reviews as the demo runs it",
    "b": "reviews behind a 500-token system prompt",
    "c": "prompts of about 300 tokens that share nothing, answers of 1 to 5 tokens",
    "d": "summarisation: a shared instruction, prompts of 150 to 400 tokens, answers of 25 to 60",
    "e": "loss on every token, rows of 100 to 400 tokens that share nothing",
    "f": "reviews behind five examples in every prompt",
}
EXAMPLES = {"a": 16, "b": 16, "c": 8, "d": 8, "e": 8, "f": 16}  # of one step
BUDGET = 2048  # tokens of a micro-batch of ours: the default on a CPU
_SORTED = 50  # steps whose rows are sorted together: `LengthGroupedSampler` of transformers
PEERS_TAKE = {"b": 4, "f": 4}  # of one step, where sixteen would take them a minute

Row = tuple[list[int], int]  # ids, and the place of the first label


@dataclass(frozen=True, slots=True)
class Work:
    """Steps for everybody.

    Attributes:
        budget: tokens of a micro-batch of ours.
        check: steps that all run on the same rows, in the same order: their losses must agree.
        random: steps as we draw them; of the demo's rows, some under one template each, as its
            plan decides.
        grouped: steps of the same rows, each of similar length, as peers' `group_by_length`
            makes them out of 50 steps.
    The first of both is the longest, to warm up on, which decides the peak of memory; the others
    are spread evenly over all steps by length.
    """

    name: str
    budget: int
    check: list[list[Row]]
    random: list[list[Row]]
    grouped: list[list[Row]]

    def write(self, path: Path) -> None:
        """As JSON, for workers in other environments."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def make_work(
    name: str, steps: int, check: int, examples: int | None = None, budget: int = BUDGET
) -> Work:
    """So many timed steps of a work after one to warm up on, and so many to check on."""
    rng = random.Random(f"{name}-0")
    size = examples or EXAMPLES[name]
    small = PEERS_TAKE.get(name, size)
    rows = _ROWS[name](rng, check * small + _SORTED * size)
    first, pool = rows[: check * small], rows[check * small :]
    grouped = _steps(sorted(pool, key=lambda row: -len(row[0])), small)
    return Work(
        name,
        budget,
        _steps(first, small),
        _spread(_steps(pool, size), steps, rng),
        _spread(grouped, steps, rng),
    )


def _spread(made: list[list[Row]], count: int, rng: random.Random) -> list[list[Row]]:
    """The longest step, then so many at even distances from the shortest to the longest.

    A few steps at random would hold too many long ones or none, and grouped by length they differ
    most.
    """
    ordered = sorted(made, key=lambda step: sum(len(ids) for ids, _ in step))
    chosen = [ordered[int((i + 0.5) * len(ordered) / count)] for i in range(count)]
    rng.shuffle(chosen)
    return [ordered[-1], *chosen]


def _steps(rows: Sequence[Row], size: int) -> list[list[Row]]:
    return [list(rows[at : at + size]) for at in range(0, len(rows), size)]


def encoder() -> Encoder:
    """Of the built-in model."""
    return Encoder(load_tokenizer(find_model("smollm2-135m").folder))


def _reviews(rng: random.Random, count: int, shots: int = 0) -> list[Row]:
    """Steps of the demo's first epoch, at random: its templates, and its order of rows.

    With `shots`, as many rows stand before each as earlier turns, the same for all of a template.
    """
    config, _ = load_config("reviews", catalog=Catalog())
    loaded = load_rows(config.task)
    templates = training_templates(select(config.task.templates, loaded.labels))
    encode, found = encoder(), []

    def said(row: Any, template: Any) -> tuple[str, str]:
        prompt, options = render(template, row.fields, loaded.labels, row.where)
        return prompt, options[loaded.labels.index(row.label)]

    examples, rows = loaded.rows[:shots], loaded.rows[shots:]
    before = {t.id: [said(row, t) for row in examples] for t in templates}
    for row in rows:
        template = draw(templates, config.split.seed, row.id)
        prompt, answer = said(row, template)
        prompt_ids = encode.prompt(prompt, before[template.id])
        found.append(Encoded(row.id, prompt_ids, encode.completion(answer), template=template.id))
    size = EXAMPLES["a"]
    together = rows_together(
        found, partial(computed_tokens, token_budget=BUDGET), seed=0, batch_size=size, tasks=1
    )
    stream = Stream(SameRows(found), seed=0, batch_size=size, together=together)
    steps = rng.sample(range(len(found) // size), -(-count // size))
    rows = [e for step in steps for e in stream.rows(step)][:count]
    return [([*e.prompt_ids, *e.completion_ids], len(e.prompt_ids)) for e in rows]


def _behind_a_system_prompt(rng: random.Random, count: int) -> list[Row]:
    opening = text(random.Random(500), 500)
    return [([*opening, *ids], first + len(opening)) for ids, first in _reviews(rng, count)]


def _behind_examples(rng: random.Random, count: int) -> list[Row]:
    return _reviews(rng, count, shots=5)


def _unshared(rng: random.Random, count: int) -> list[Row]:
    made = []
    for _ in range(count):
        length = rng.randint(240, 360)
        made.append((text(rng, length + rng.randint(1, 5)), length))
    return made


def _summaries(rng: random.Random, count: int) -> list[Row]:
    instruction = encoder().prompt("Summarise the conversation in one or two sentences.\n\n")[:-8]
    made = []
    for _ in range(count):
        prompt = [*instruction, *text(rng, rng.randint(150, 400))]
        made.append(([*prompt, *text(rng, rng.randint(25, 60))], len(prompt)))
    return made


def _whole(rng: random.Random, count: int) -> list[Row]:
    return [(text(rng, rng.randint(100, 400)), 1) for _ in range(count)]


_ROWS = {
    "a": _reviews,
    "b": _behind_a_system_prompt,
    "c": _unshared,
    "d": _summaries,
    "e": _whole,
    "f": _behind_examples,
}


def text(rng: random.Random, length: int) -> list[int]:
    """So many tokens of review sentences in random order."""
    sentences = _sentences()
    ids: list[int] = []
    while len(ids) < length:
        ids += sentences[rng.randrange(len(sentences))]
    return ids[:length]


_CACHE: list[list[int]] = []


def _sentences() -> list[list[int]]:
    if not _CACHE:
        config, _ = load_config("reviews", catalog=Catalog())
        encode = encoder()
        rows = load_rows(config.task).rows
        _CACHE.extend(list(encode.completion(" " + row.fields["text"])[:-1]) for row in rows)
    return _CACHE
