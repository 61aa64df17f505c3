"""How a step's time and memory grow with rows, prompt length, shared beginning and model size.

Each point is a process of its own, so that peak memory is its own; medians of a few steps.

    .venv/bin/python benchmarks/growth.py
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from typing import Any

from tutelage.machine.allocator import keep_memory

STEPS = 3
BASE = {"rows": 8, "length": 128, "shared": 0, "layers": 30}
POINTS: dict[str, list[int]] = {
    "rows": [4, 8, 16, 32],
    "length": [64, 256, 512],
    "shared": [0, 512, 2048],
    "layers": [15, 30, 60],
}


def point(rows: int, length: int, shared: int, layers: int, precision: str) -> dict[str, Any]:
    """Seconds of a step and peak memory, on random tokens and random weights."""
    keep_memory()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tutelage.machine.memory import peak_bytes
    from tutelage.records import Encoded
    from tutelage.tokens.batches import micro_batches
    from tutelage.train.loop import train_step
    from tutelage.train.optim import make_optimizer
    from tutelage.train.plan import micro_batch_tokens

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model: Any = LlamaForCausalLM(config).train()
    optimizer = make_optimizer(model, 0.0, precision)  # type: ignore[arg-type]
    rng = random.Random(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(3, 49152) for _ in range(count))

    stem = tokens(shared)
    seconds = []
    for step in range(STEPS + 1):
        part = [Encoded(f"{step}-{i}", (*stem, *tokens(length)), tokens(2)) for i in range(rows)]
        started = time.perf_counter()
        budget = micro_batch_tokens("cpu", max(map(len, part)))
        batches = list(micro_batches(part, budget))
        done = train_step(model, optimizer, batches, rate=1e-5, clip=1.0, precision=precision)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - started)
    return {
        "seconds": statistics.median(seconds[1:]),
        "computed_tokens": done.unique,
        "tokens": done.tokens,
        "peak_gb": peak_bytes(torch.device("cpu")) / 1e9,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main() -> None:
    """All points, or the one that a child process was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="+", choices=list(POINTS), default=list(POINTS))
    given = parser.parse_args()
    if given.point:
        print(json.dumps(point(**given.point)))
        return
    import torch

    from result_file import write_result
    from tutelage.machine.precision import probe

    rates = probe(torch.device("cpu"), 576, 1536, 4096)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in given.only:
        for value in POINTS[name]:
            asked = {**BASE, name: value, "precision": rates.faster}
            command = [sys.executable, __file__, "--point", json.dumps(asked)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.setdefault(name, []).append({name: value, **json.loads(done.stdout)})
            print(found[name][-1])
    part = "" if given.only == list(POINTS) else "-" + "-".join(given.only)
    command = f"growth.py --only {' '.join(given.only)}"
    write_result(f"growth{part}", command, rates, {"base": BASE, "growth": found}, None)


if __name__ == "__main__":
    main()
