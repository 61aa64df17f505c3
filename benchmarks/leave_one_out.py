"""What each technique of a training step is worth: it is left out, the others stay.

All variants take the same rows in the same round, one after the other in one process, and meet
the same noise; a ratio is of two steps of one round. Another order of rows takes the same ones over
all rounds. What the allocator keeps is of a whole
process, and is compared between two that take turns.

    .venv/bin/python benchmarks/leave_one_out.py --work a c --rounds 7
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tutelage.machine.allocator import keep_memory

keep_memory()

import torch  # noqa: E402

from result_file import write_result  # noqa: E402
from train_speed import Worker  # noqa: E402
from tutelage.kernels import tree_attention  # noqa: E402
from tutelage.kernels.library import kernels  # noqa: E402
from tutelage.machine.precision import Precision, probe  # noqa: E402
from tutelage.models import loss_rows, prefix_attention  # noqa: E402
from tutelage.models.compiled_layers import compiled_layers  # noqa: E402
from tutelage.models.embedding_rows import EmbeddingRows  # noqa: E402
from tutelage.models.load import find_model, load_model  # noqa: E402
from tutelage.records import Encoded  # noqa: E402
from tutelage.tokens import batches as batching  # noqa: E402
from tutelage.train.loop import train_step  # noqa: E402
from tutelage.train.optim import make_optimizer, rounded_weights  # noqa: E402
from works import BUDGET, WORKS, Row, make_work  # noqa: E402

PLAIN_UPDATE = "weights rounded, clipped and updated in one pass"
TILES = "attention in tiles (in registers instead)"
FILLED = "batches filled up to whole tiles"
TOGETHER = "rows of a template together (ratio of all rounds)"
# Any such name keeps our settings away, and glibc does not know this one: its own defaults.
GIVEN_BACK = {"MALLOC_LEFT_ALONE_": "1", "THP_MEM_ALLOC_ENABLE": "0"}


@contextmanager
def no_embedding_rows(_model: Any) -> Iterator[EmbeddingRows]:
    """The plain gradient of the embedding."""
    yield EmbeddingRows(None, None)


@contextmanager
def every_row_projected() -> Iterator[None]:
    """Logits of all tokens; those of the labelled ones are then picked out."""

    def all_logits(model: Any, batch: Any, inputs: dict[str, Any]) -> torch.Tensor:
        inputs.pop("logits_to_keep", None)
        logits_NV: torch.Tensor = model(**inputs).logits[0]
        return logits_NV.index_select(0, batch.rows)

    with (
        patch.object(loss_rows, "last_layer", lambda _: None),
        patch.object(loss_rows, "_logits", all_logits),
        patch.object(loss_rows, "CHUNK", 10**9),
    ):
        yield


def in_registers() -> AbstractContextManager[Any]:
    """Attention's products of bf16 by AVX-512."""
    without = replace(kernels(), tiles=False)
    return patch.object(tree_attention, "kernels", lambda: without)


def _unshared() -> AbstractContextManager[Any]:
    build = partial(batching.build_tree, worth=10**9, small=0)
    return patch.object(batching, "build_tree", build)


def variants(model: Any) -> dict[str, Callable[[], AbstractContextManager[Any]]]:
    """A context for each; what `step` itself has to know is in its name."""
    return {
        "all of it": nullcontext,
        "shared beginnings (rows packed, each with its own copy)": _unshared,
        "the kernel of attention (torch's, by blocks, instead)": lambda: patch.object(
            prefix_attention, "kernel_takes", lambda _: False
        ),
        TILES: in_registers,
        FILLED: lambda: patch.object(loss_rows, "likes_whole_tiles", lambda *_: False),
        "norms, rotations and gates in one pass each": lambda: patch.object(
            loss_rows, "fused_layers", lambda _: nullcontext()
        ),
        "attention over the tree (a dense mask instead)": lambda: patch.object(
            prefix_attention, "attends_by_blocks", lambda _: False
        ),
        "head on labelled rows only, and the last layer": every_row_projected,
        "last layer on labelled rows": lambda: patch.object(
            loss_rows, "last_layer", lambda _: None
        ),
        "embedding gradient by rows": lambda: patch.object(
            loss_rows, "embedding_rows", no_embedding_rows
        ),
        "bf16 (fp32 instead)": nullcontext,
        TOGETHER: nullcontext,
        PLAIN_UPDATE: nullcontext,
        "(added) compiled layers": lambda: compiled_layers(model),
    }


class Bench:
    """A model, its optimiser, and steps of one work."""

    def __init__(self, name: str, rounds: int, precision: Precision, compiled: bool) -> None:
        self._steps = make_work(name, rounds, 1).random
        rows = [row for step in self._steps[1:] for row in step]
        random.Random(0).shuffle(rows)
        size = len(self._steps[0])
        mixed = [rows[at : at + size] for at in range(0, len(rows), size)]
        self._mixed = [self._steps[0], *mixed]  # the same rows over all timed rounds
        self._precision: Precision = precision
        self._model: Any = load_model(find_model("smollm2-135m").folder)
        self._model.train()
        self._optimizer = make_optimizer(self._model, 0.0, precision)
        self._plain = torch.optim.AdamW(self._model.parameters(), weight_decay=0.0, fused=True)
        self._variants = variants(self._model)
        left_out = [] if compiled else ["(added) compiled layers"]
        left_out += [] if name in ("a", "b", "f") else [TOGETHER]
        left_out += ["bf16 (fp32 instead)"] if precision == "fp32" else []
        left_out += [] if kernels().tiles and precision == "bf16" else [TILES, FILLED]
        for variant in left_out:
            del self._variants[variant]

    def run(self, rounds: int) -> dict[str, list[float]]:
        """Seconds of every variant's step in every round, the first being thrown away."""
        seconds: dict[str, list[float]] = {name: [] for name in self._variants}
        for number in range(rounds + 1):
            for name in self._variants:
                taken = self._seconds(name, number)
                if number:
                    seconds[name].append(taken)
        return seconds

    def _seconds(self, name: str, number: int) -> float:
        steps = self._mixed if name == TOGETHER else self._steps
        precision: Precision = "fp32" if name.startswith("bf16") else self._precision
        with ExitStack() as without:
            without.enter_context(self._variants[name]())
            for weight in self._model.parameters():
                rounded_weights(self._optimizer).of(weight)  # the plain update leaves them behind
            started = time.perf_counter()
            micro = list(batching.micro_batches(encoded(steps[number]), BUDGET))
            optimizer = self._plain if name == PLAIN_UPDATE else self._optimizer
            train_step(self._model, optimizer, micro, rate=1e-6, clip=1.0, precision=precision)
            return time.perf_counter() - started


def encoded(step: Sequence[Row]) -> list[Encoded]:
    """Rows as the engine takes them."""
    return [Encoded(str(i), tuple(r[:f]), tuple(r[f:])) for i, (r, f) in enumerate(step)]


def allocator(name: str, rounds: int, precision: str) -> dict[str, list[float]]:
    """Seconds of steps in a process that keeps its memory, and in one that gives it back."""
    model = find_model("smollm2-135m").folder
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.json"
        make_work(name, rounds, 1).write(path)
        workers = {"all of it": Worker("ours", path, model, precision)}
        with patch.dict(os.environ, GIVEN_BACK):
            workers["memory kept by the allocator"] = Worker("ours", path, model, precision)
        try:
            for worker in workers.values():
                worker.step()  # the one to check on
                worker.step()
            seconds: dict[str, list[float]] = {which: [] for which in workers}
            for _ in range(rounds):
                for which, worker in workers.items():
                    seconds[which].append(worker.step()["seconds"])
        finally:
            for worker in workers.values():
                worker.stop()
    return seconds


def worth(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """How many times as long a step takes without it: median and quartiles over the rounds."""
    whole = seconds["all of it"]
    found = {}
    for name, taken in seconds.items():
        ratios = [a / b for a, b in zip(taken, whole, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        if name == TOGETHER:  # its rounds hold other rows
            low = middle = high = sum(taken) / sum(whole)
        found[name] = {"median": middle, "low": low, "high": high}
    del found["all of it"]
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", nargs="+", default=["a", "c"], choices=list(WORKS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compiled", action="store_true", help="also with compiled layers")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    rates = probe(torch.device("cpu"), 576, 1536, 4096)
    works = []
    for name in given.work:
        seconds = Bench(name, given.rounds, rates.faster, given.compiled).run(given.rounds)
        kept = allocator(name, given.rounds, rates.faster)
        found = {**worth(seconds), **worth(kept)}
        works.append({"work": name, "worth": found, "seconds": seconds, "allocator_seconds": kept})
        print(f"\n({name}) {WORKS[name]}: a step without it takes")
        for what, ratio in found.items():
            print(f"  {ratio['median']:5.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})  {what}")
    command = f"leave_one_out.py --work {' '.join(given.work)} --rounds {given.rounds}"
    command += " --compiled" if given.compiled else ""
    write_result("leave-one-out", command, rates, {"works": works}, given.out)


if __name__ == "__main__":
    main()
