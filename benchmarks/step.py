"""One optimiser step on `reviews`: padded rows with a mask against the prefix tree.

The padded path is the plain one of other trainers: right-padded rows, attention mask, logits of
every position, -100 labels. Both see the same 16 rows a step, in fp32, without a step being
counted before each path ran once.
"""

from __future__ import annotations

import datetime as dt
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tutelage.config import load_config
from tutelage.machine.device import machine_facts
from tutelage.models.load import find_model, load_model, load_tokenizer
from tutelage.records import Encoded
from tutelage.tasks.catalog import Catalog
from tutelage.tasks.rows import load_rows
from tutelage.templates.library import select
from tutelage.templates.render import draw, render
from tutelage.tokens.batches import micro_batches, step_rows
from tutelage.tokens.encode import Encoder
from tutelage.train.loop import train_step
from tutelage.train.optim import make_optimizer

REPEATS = 9
BATCH = 16
BUDGETS = (256, 384, 768, 1024)


def encoded_reviews(encoder: Encoder) -> list[Encoded]:
    """Every row of the built-in task under its template."""
    config, _ = load_config("reviews", catalog=Catalog())
    loaded = load_rows(config.task)
    templates = select(config.task.templates, loaded.labels)
    found = []
    for row in loaded.rows:
        template = draw(templates, config.split.seed, row.id)
        prompt, options = render(template, row.fields, loaded.labels, row.where)
        completion = encoder.completion(options[loaded.labels.index(row.label)])
        found.append(Encoded(row.id, encoder.prompt(prompt), completion))
    return found


def padded_step(model: Any, optimizer: torch.optim.Optimizer, rows: Sequence[Encoded]) -> float:
    """The plain path, in micro-batches of 8 rows sorted by length."""
    targets = sum(len(e.completion_ids) for e in rows)
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    ordered = sorted(rows, key=len)
    for part in (ordered[:8], ordered[8:]):
        width = max(map(len, part))
        ids = torch.zeros(len(part), width, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        labels = torch.full_like(ids, -100)
        for i, e in enumerate(part):
            ids[i, : len(e)] = torch.tensor([*e.prompt_ids, *e.completion_ids])
            mask[i, : len(e)] = 1
            labels[i, len(e.prompt_ids) : len(e)] = torch.tensor(e.completion_ids)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        flat = logits[:, :-1].reshape(-1, logits.shape[-1])
        loss = cross_entropy(flat, labels[:, 1:].reshape(-1), reduction="sum") / targets
        loss.backward()
        total += float(loss.detach())
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return total


def main() -> None:
    """Measure, print, write."""
    source = find_model("smollm2-135m")
    encoded = encoded_reviews(Encoder(load_tokenizer(source.folder)))
    model = load_model(source.folder)
    model.train()
    optimizer = make_optimizer(model, 0.0)  # its rate stays 0: every path sees the same weights

    def tree(budget: int) -> Callable[[Sequence[Encoded]], float]:
        def run(rows: Sequence[Encoded]) -> float:
            batches = list(micro_batches(rows, budget))
            return train_step(model, optimizer, batches, rate=0.0, clip=1.0, precision="fp32").loss

        return run

    paths: dict[str, Callable[[Sequence[Encoded]], float]] = {
        "padded": lambda rows: padded_step(model, optimizer, rows),
        **{f"tree-{budget}": tree(budget) for budget in BUDGETS},
    }
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for step in range(REPEATS + 1):
        rows = [encoded[i] for i in step_rows(0, step, BATCH, len(encoded))]
        losses = {}
        for name, run in paths.items():
            start = time.perf_counter()
            losses[name] = run(rows)
            if step:
                seconds[name].append(time.perf_counter() - start)
        assert max(losses.values()) - min(losses.values()) < 1e-3, losses
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:10} {median:6.2f} s a step   {medians['padded'] / median:5.2f} x padded")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    result = {
        "date": today,
        "machine": machine_facts(torch.device("cpu")),
        "torch": torch.__version__,
        "batch": BATCH,
        "seconds": seconds,
        "ratios": {name: medians["padded"] / median for name, median in medians.items()},
    }
    path = Path(__file__).parent / "results" / f"{today}-step.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
