"""What every stage gets and leaves: a context, a stopwatch, a manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from tutelage.files import read_json, read_jsonl, write_json
from tutelage.machine.allocator import give_back
from tutelage.machine.device import machine_facts
from tutelage.machine.memory import peak_bytes, reset_peak
from tutelage.machine.precision import Precision, probe
from tutelage.models.load import ModelSource
from tutelage.pipeline.examples import ExampleMaker
from tutelage.pipeline.families import Families, read_facts, task_families
from tutelage.pipeline.rundir import RunDirectory, StageName
from tutelage.progress import Progress
from tutelage.records import Example, Prediction
from tutelage.tasks.schema import Kind, Metric
from tutelage.templates.renderer import SafeRenderer
from tutelage.tokens.encode import Encoder

HELD_OUT = "test_held_out"  # test rows under wordings that are never trained on
UNSEEN_TASKS = "unseen_tasks"  # rows of a mixture's tasks that are never trained on


@dataclass(slots=True)
class Context:
    """A run while it runs."""

    run: RunDirectory
    device: torch.device
    progress: Progress
    source: ModelSource
    encoder: Encoder
    notes: list[str] = field(default_factory=list)
    renderer: SafeRenderer = field(default_factory=SafeRenderer)

    def examples(self, split: str) -> list[Example]:
        """The examples of a split, or of `HELD_OUT`, as `prepare` wrote them."""
        return list(self.stream(split))

    def stream(self, split: str) -> Iterator[Example]:
        """The same one by one, for what must not grow with their number."""
        path = self.run.folder("prepare") / f"{split}.jsonl"
        return (Example.from_json(line) for line in read_jsonl(path))

    def summary(self) -> dict[str, Any]:
        """What `prepare` found out about the data."""
        return dict(read_json(self.run.folder("prepare") / "summary.json"))

    def labels(self) -> tuple[str, ...]:
        """The task's labels in order; none where rows bring options or answers."""
        return tuple(self.summary()["labels"])

    def kind(self) -> Kind:
        """Classes, options per row, or text answers."""
        kind: Kind = self.summary()["kind"]
        return kind

    def metrics(self) -> tuple[Metric, ...]:
        """The task's metrics, the primary one first."""
        return tuple(self.summary()["metrics"])

    def families(self) -> Families:
        """The templates of every task, held-out ones too."""
        return task_families(self.run.config, read_facts(self.summary()))

    def maker(self) -> ExampleMaker:
        """What makes examples of this run's rows."""
        summary = self.summary()
        return ExampleMaker(
            self.encoder,
            tuple(summary["labels"]),
            int(summary["max_length"]),
            tuple(self.run.config.task.truncate),
            self.renderer,
        )


@dataclass(slots=True)
class Measured:
    """Filled when the block ends: seconds and peak bytes of a stage."""

    seconds: float = 0.0
    peak_memory_bytes: int = 0


@contextmanager
def measured(device: torch.device) -> Iterator[Measured]:
    """Measure the time and peak memory of a block."""
    result = Measured()
    give_back()  # the stage before may have left much that is free
    reset_peak(device)
    started = time.perf_counter()
    yield result
    result.seconds = round(time.perf_counter() - started, 3)
    result.peak_memory_bytes = peak_bytes(device)


def record(run: RunDirectory, stage: StageName, spent: Measured) -> None:
    """Add a stage's time and memory to `stages.json`, outside the stage's own directory."""
    path = run.path / "stages.json"
    stages = read_json(path) if path.exists() else {}
    write_json(path, {**stages, stage: asdict(spent)})


def decide_precision(context: Context, model: Any) -> Precision:
    """The run's precision: named, or probed once and read back ever after."""
    path = context.run.path / "measured.json"
    if path.exists():
        precision: Precision = read_json(path)["precision"]
        return precision
    named = context.run.config.training.named_precision
    config = model.config.get_text_config()
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    rates = probe(context.device, int(config.hidden_size), int(inner))
    chosen: Precision = rates.faster if named == "auto" else named
    write_json(
        path,
        {
            "precision": chosen,
            "origin": "measured" if named == "auto" else "configuration",
            "gflops": {"fp32": list(rates.fp32), "bf16": list(rates.bf16)},
            "gflops_of": ["forward", "input gradient", "weight gradient"],
            "machine": machine_facts(context.device),
        },
    )
    best = {k: round(max(v)) for k, v in (("fp32", rates.fp32), ("bf16", rates.bf16))}
    context.progress.say(
        f"Precision {chosen}: matrix products reach {best['fp32']} GFLOP/s in fp32, "
        f"{best['bf16']} in bf16."
    )
    return chosen


def read_predictions(path: Path) -> list[Prediction]:
    """Predictions of one arm on one split."""
    return [Prediction.from_json(line) for line in read_jsonl(path)]


def by_id(predictions: Sequence[Prediction]) -> dict[str, Prediction]:
    """Predictions by row id."""
    return {p.id: p for p in predictions}
