"""A training of a few steps through `fit`, without a table, a pipeline or a command line.

As a script it trains the built-in model on real rows: `python few_steps.py FOLDER EVERY`, with a
checkpoint after so many steps.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tutelage import load_config, load_rows
from tutelage.models.load import find_model, load_model, load_tokenizer
from tutelage.progress import Quiet
from tutelage.records import Encoded, Prediction
from tutelage.tasks.catalog import Catalog
from tutelage.tokens.batches import ALL
from tutelage.tokens.encode import Encoder
from tutelage.train.checkpoint import State
from tutelage.train.loop import fit
from tutelage.train.plan import Plan
from tutelage.train.validation import Validation

_LONGEST_TEXT = 40  # characters


def make_plan(**changes: Any) -> Plan:
    """Six steps of four rows, a checkpoint after every second one, validated at the end."""
    values: dict[str, Any] = {
        "steps": 6,
        "epochs": 1.0,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "warmup_steps": 2,
        "schedule": "linear",
        "weight_decay": 0.01,
        "clip": 1.0,
        "seed": 0,
        "precision": "fp32",
        "micro_batch_tokens": 64,
        "longest_merged": ALL,
        "checkpoint_every": 2,
        "keep_checkpoints": 2,
        "validate_at": (6,),
        "early_stopping": None,
        "threads": torch.get_num_threads(),
        "longest": 32,
        "estimated_bytes": 0,
    }
    return Plan(**{**values, **changes})


def random_rows(model: Any, count: int = 24) -> list[Encoded]:
    """Examples of random tokens that share how they begin."""
    rng = random.Random(0)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(rng.randrange(3, model.config.vocab_size) for _ in range(length))

    opening = ids(6)
    return [Encoded(f"row-{i:02d}", opening + ids(rng.randint(2, 9)), ids(2)) for i in range(count)]


@dataclass
class Listener(Quiet):
    """Keeps what is said."""

    said: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        """Keep a message."""
        self.said.append(message)


def even(_model: Any) -> Validation:
    """A validation that costs nothing."""
    return Validation(1.0, {"accuracy": 0.5}, (Prediction("row-00", "group", "yes", "no"),))


def train(
    model: Any,
    rows: Sequence[Encoded],
    folder: Path,
    plan: Plan | None = None,
    *,
    key: str = "key",
    validate: Callable[[Any], Validation] = even,
    listener: Listener | None = None,
) -> State:
    """Train, or go on, in `folder`."""
    plan, listener = plan or make_plan(), listener or Listener()
    return fit(model, [rows] * 20, plan, validate, "accuracy", folder, key, listener)


def train_built_in(folder: Path, checkpoint_every: int) -> None:
    """Six steps of the built-in model on short rows of the built-in reviews."""
    source = find_model("smollm2-135m")
    encoder = Encoder(load_tokenizer(source.folder))
    config, _ = load_config("reviews", catalog=Catalog())
    texts = [row for row in load_rows(config.task).rows if len(row.fields["text"]) < _LONGEST_TEXT]
    rows = [
        Encoded(
            row.id,
            encoder.prompt(f"Is this negative, neutral or positive? {row.fields['text']}"),
            encoder.completion(row.label),
        )
        for row in texts[:24]
    ]
    plan = make_plan(micro_batch_tokens=128, learning_rate=5e-5, checkpoint_every=checkpoint_every)
    listener = Listener()
    train(load_model(source.folder), rows, folder, plan, listener=listener)
    print("\n".join(listener.said))


if __name__ == "__main__":
    train_built_in(Path(sys.argv[1]), int(sys.argv[2]))
