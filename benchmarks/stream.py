"""A JSONL of any size from reading to token ids on disk, and the memory that takes.

The file is made on the spot in a temporary folder, streamed through `stream_rows`, tokenised in
batches, and the ids appended to a file that is read back as a memory map. Memory is the peak
resident set of the whole process; torch is not imported.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tutelage.tasks.rows import stream_rows
from tutelage.tasks.schema import TaskSpec

LIMIT = 1.5 * 2**30  # bytes of resident memory
BATCH = 500  # rows
WORDS = 30_000


def make_file(path: Path, size: int) -> int:
    """Write JSON lines until the file has `size` bytes; returns their number."""
    rng = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(WORDS)]
    weights = [1 / (rank + 5) for rank in range(WORDS)]  # as words of a language are
    rows = 0
    with path.open("w", encoding="utf-8") as stream:
        while stream.tell() < size:
            pool = rng.choices(words, weights, k=60_000)
            for start in range(0, len(pool), 60):
                text = " ".join(pool[start : start + rng.randint(20, 60)])
                row = {"id": f"row-{rows}", "text": text, "label": "ab"[rows % 2], "n": rows}
                stream.write(json.dumps(row) + "\n")
                rows += 1
    return rows


def make_tokenizer(texts: Iterator[str]) -> Tokenizer:
    """A byte-level BPE of 8,000 tokens, trained on the spot."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def store_tokens(task: TaskSpec, tokenizer: Tokenizer, folder: Path) -> tuple[int, int]:
    """Append the ids of all rows to `ids.bin` and their ends to `ends.bin`; (rows, tokens)."""
    rows = tokens = 0
    with (folder / "ids.bin").open("wb") as ids, (folder / "ends.bin").open("wb") as ends:
        for batch in _batches(task):
            for encoding in tokenizer.encode_batch_fast(batch):
                part = np.asarray(encoding.ids, np.uint16)
                rows, tokens = rows + 1, tokens + len(part)
                part.tofile(ids)
                np.asarray([tokens], np.int64).tofile(ends)
    return rows, tokens


def _batches(task: TaskSpec) -> Iterator[list[str]]:
    rows = (str(row.fields["text"]) for row in stream_rows(task))
    while batch := list(islice(rows, BATCH)):
        yield batch


def check(task: TaskSpec, tokenizer: Tokenizer, folder: Path) -> None:
    """The stored ids of the first rows spell their texts, and the last end is that of the file."""
    ids = np.memmap(folder / "ids.bin", np.uint16, "r")
    ends = np.memmap(folder / "ends.bin", np.int64, "r")
    start = 0
    for row, end in zip(islice(stream_rows(task), 1000), ends, strict=False):
        assert tokenizer.decode(ids[start:end].tolist()) == row.fields["text"]
        start = end
    assert ends[-1] == len(ids)


def peak_memory() -> int:
    """Largest resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2000, help="size of the file")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "data.jsonl"
        written = make_file(path, asked.megabytes * 10**6)
        task = TaskSpec.model_validate(
            {
                "name": "stream",
                "source": {"path": str(path)},
                "id": "id",
                "fields": {"text": "text"},
            }
        )
        texts = (str(row.fields["text"]) for row in stream_rows(task))
        tokenizer = make_tokenizer(islice(texts, 5000))
        before = peak_memory()
        started = time.perf_counter()
        rows, tokens = store_tokens(task, tokenizer, folder)
        seconds = time.perf_counter() - started
        peak = peak_memory()
        assert rows == written
        check(task, tokenizer, folder)
        size = path.stat().st_size
    figures = {
        "bytes": size,
        "rows": rows,
        "tokens": tokens,
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "peak_bytes_before": before,
        "peak_bytes": peak,
        "limit_bytes": int(LIMIT),
        "within_limit": peak <= LIMIT,
        "machine": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "tokenizers": version("tokenizers"),
        },
    }
    print(f"{size / 1e6:,.0f} MB, {rows:,} rows, {tokens:,} tokens in {seconds:,.0f} s")
    print(f"peak memory {peak / 2**20:,.0f} MiB ({before / 2**20:,.0f} before), limit 1,536 MiB")
    asked.results.mkdir(exist_ok=True)
    target = asked.results / f"{dt.date.today().isoformat()}-stream.json"
    target.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if peak > LIMIT:
        raise SystemExit("over the limit")


if __name__ == "__main__":
    main()
