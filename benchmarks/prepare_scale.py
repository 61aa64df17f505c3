"""Preparing many rows: time and memory of each stage, and the planted near duplicates found.

Rows are made on the spot: sentences of a long-tailed vocabulary, all distinct, of which one in a
hundred is an earlier one with a word or a sign changed (Jaccard index of at least 0.8, computed).
Each size runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tutelage.data.config import SplitConfig
from tutelage.data.division import divide
from tutelage.data.facts import leak_facts, split_sizes
from tutelage.data.overlap import group_rows
from tutelage.data.quality import quality_flags
from tutelage.machine.device import machine_facts
from tutelage.machine.memory import peak_bytes, reset_peak, resident_bytes
from tutelage.models.load import load_tokenizer
from tutelage.tasks.rows import load_rows
from tutelage.tasks.schema import SourceSpec, TaskSpec
from tutelage.templates.library import find_templates
from tutelage.templates.render import draw, render_row, training_templates
from tutelage.tokens.encode import Encoder

LABELS = ("negative", "neutral", "positive")
PLANTED = 0.01
THRESHOLD = 0.8


def five_grams(text: str) -> set[str]:
    folded = " ".join(text.lower().split())
    return {folded[i : i + 5] for i in range(len(folded) - 4)}


def jaccard(one: str, other: str) -> float:
    a, b = five_grams(one), five_grams(other)
    return len(a & b) / len(a | b)


def altered(words: list[str], rng: random.Random, vocabulary: list[str]) -> str:
    """The sentence with a few words or signs changed, still near enough."""
    while True:
        changed = list(words)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(changed))
            changed[place] = rng.choice((rng.choice(vocabulary), changed[place] + ",", ""))
        text = " ".join(filter(None, changed))
        if text != " ".join(words) and jaccard(text, " ".join(words)) >= THRESHOLD:
            return text


def write_rows(path: Path, count: int, seed: int) -> dict[str, str]:
    """Write the rows; returns the planted ones, id of the copy: id of its original."""
    rng = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    weights = [1 / (i + 2) for i in range(len(letters))]
    vocabulary = [
        "".join(rng.choices(letters, weights, k=rng.randint(2, 11))) for _ in range(50_000)
    ]
    tail = list(itertools.accumulate(1 / (i + 10) for i in range(len(vocabulary))))
    planted: dict[str, str] = {}
    written: set[str] = set()
    sources: list[tuple[int, list[str]]] = []
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            text = ""
            if sources and rng.random() < PLANTED:
                origin, words = sources.pop(rng.randrange(len(sources)))
                text = altered(words, rng, vocabulary)
                if text not in written:
                    planted[f"r{number}"] = f"r{origin}"
            while not text or text in written:
                words = rng.choices(vocabulary, cum_weights=tail, k=rng.randint(8, 40))
                text = " ".join(words)
                if rng.random() < 2 * PLANTED:
                    sources.append((number, words))
            written.add(text)
            label = LABELS[rng.randrange(3)]
            row = {"id": f"r{number}", "text": text, "label": label}
            stream.write(json.dumps(row) + "\n")
    return planted


class Stages:
    """Seconds and peak resident bytes by stage."""

    def __init__(self) -> None:
        self.facts: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        before = resident_bytes()
        reset_peak()
        start = time.perf_counter()
        yield
        self.facts[name] = {
            "seconds": round(time.perf_counter() - start, 2),
            "peak_bytes": peak_bytes(),
            "peak_above_start_bytes": max(0, peak_bytes() - before),
            "kept_bytes": resident_bytes() - before,
        }


def measure(count: int, seed: int, tokenizer: Path | None) -> dict[str, Any]:
    """Prepare `count` rows and say what it took."""
    stages = Stages()
    start = resident_bytes()
    config = SplitConfig()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        planted = write_rows(path, count, seed)
        size = path.stat().st_size
        task = TaskSpec(name="scale", source=SourceSpec(path=str(path)), id="id")
        with stages.stage("read"):
            loaded = load_rows(task)
    with stages.stage("group"):
        groups = group_rows(loaded.rows, threshold=THRESHOLD)
    with stages.stage("split"):
        split = divide(loaded.rows, groups, config)
    with stages.stage("facts"):
        split_sizes(loaded.rows, split)
        leaks = leak_facts(groups, split, config)
    with stages.stage("quality"):
        quality = quality_flags(loaded.rows, groups)
    templates = training_templates(find_templates("sentiment/*"))
    rendered = (
        (render_row(draw(templates, config.seed, row.id), row, loaded.labels), row)
        for row in loaded.rows
    )
    encoder = None if tokenizer is None else Encoder(load_tokenizer(tokenizer))
    tokens = 0
    with stages.stage("render" if encoder is None else "render_and_tokenise"):
        for made, row in rendered:
            if encoder is not None:
                tokens += len(encoder.prompt(made.prompt))
                tokens += len(encoder.completion(made.options[loaded.labels.index(row.label)]))
    group_of = {row.id: group for row, group in zip(loaded.rows, groups.of, strict=True)}
    found = sum(group_of[copy] == group_of[origin] for copy, origin in planted.items())
    return {
        "rows": count,
        "bytes": size,
        "planted": len(planted),
        "planted_found": found,
        "recall": found / max(len(planted), 1),
        "near_pairs": leaks["near_pairs"],
        "pairs_across_splits": leaks["pairs_across_splits"],
        "flags": quality.counts,
        "tokens": tokens,
        "resident_before_bytes": start,
        "peak_bytes": max(int(facts["peak_bytes"]) for facts in stages.facts.values()),
        "stages": stages.facts,
    }


def show(result: dict[str, Any]) -> None:
    """A table of one size."""
    rows = result["rows"]
    print(f"{rows:,} rows, {result['bytes'] / 1e6:,.0f} MB, recall {result['recall']:.4f}")
    for name, facts in result["stages"].items():
        print(
            f"  {name:20} {facts['seconds']:8.1f} s {1e6 * facts['seconds'] / rows:7.1f} us a row "
            f"{facts['peak_above_start_bytes'] / rows:7.0f} bytes a row at most, "
            f"{facts['kept_bytes'] / rows:6.0f} kept"
        )
    print(f"  peak {result['peak_bytes'] / 1e9:.2f} GB", flush=True)


def main() -> None:
    """Measure every size, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="+", help="numbers of rows")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer; default: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", action="store_true", help="write results/<date>-prepare.json")
    parser.add_argument("--json", action="store_true", help="one size, printed as JSON")
    asked = parser.parse_args()
    if asked.json:
        print(json.dumps(measure(asked.sizes[0], asked.seed, asked.tokenizer)))
        return
    results = []
    for size in asked.sizes:
        words = [sys.executable, __file__, str(size), "--json", "--seed", str(asked.seed)]
        words += ["--tokenizer", str(asked.tokenizer)] if asked.tokenizer else []
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        show(results[-1])
    today = dt.datetime.now(dt.UTC).date().isoformat()
    facts = {"date": today, "machine": machine_facts(torch.device("cpu")), "results": results}
    if asked.out:
        path = Path(__file__).parent / "results" / f"{today}-prepare.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    else:
        print(json.dumps(facts))


if __name__ == "__main__":
    main()
