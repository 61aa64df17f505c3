"""What a run decides once, before step 1, and reads back when it goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from tutelage.machine.memory import ModelShape, training_bytes
from tutelage.machine.precision import Precision
from tutelage.records import Encoded
from tutelage.tokens.batches import ALL, computed_tokens, total_steps
from tutelage.tokens.order import Epochs, Stream, rows_together
from tutelage.train.config import TrainingConfig

_MIN_STEPS = 300  # small data is passed over more often, up to _MAX_EPOCHS
_MAX_EPOCHS = 10
_WARMUP = 0.1
_LEARNING_RATE = 5e-5  # at _REFERENCE_SIZE parameters; see docs/training.md for what chose it
_REFERENCE_SIZE = 135e6
_LORA_FACTOR = 10.0  # adapters start at zero and want larger steps
_MICRO_BATCH = {"cpu": 2048, "mps": 1024, "cuda": 8192}  # tokens; on mps under a dense mask
_MEMORY_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the loop needs to know; times and memory are not in it.

    Attributes:
        validate_at: steps after which the model is validated, the last one included.
        checkpoint_every: steps between checkpoints; None: by the clock.
        micro_batch_tokens: most unique tokens of one forward pass.
        longest_merged: rows of up to so many tokens share what they begin with; 0 where the model
            or an adapter has active dropout, else as far as its attention allows.
        estimated_bytes: closed-form peak of a step.
        weights: what weights and optimiser are held in.
        together: rows under one template that follow one another; see `tokens.order`.
    """

    steps: int
    epochs: float
    batch_size: int
    learning_rate: float
    warmup_steps: int
    schedule: str
    weight_decay: float
    clip: float
    seed: int
    precision: Precision
    micro_batch_tokens: int
    longest_merged: int
    checkpoint_every: int | None
    keep_checkpoints: int
    validate_at: tuple[int, ...]
    early_stopping: int | None
    threads: int
    longest: int
    estimated_bytes: int
    weights: Precision = "fp32"
    together: int = 1

    def stream(self, epochs: Epochs) -> Stream:
        """The rows of every step."""
        return Stream(epochs, seed=self.seed, batch_size=self.batch_size, together=self.together)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The inverse of `to_json`."""
        return cls(**{**data, "validate_at": tuple(data["validate_at"])})

    def rate_at(self, step: int) -> float:
        """Learning rate of a step (0-based): linear warm-up, then linear or cosine decay to 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        left = max(1, self.steps - self.warmup_steps)
        done = (step - self.warmup_steps) / left
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * (1 - done)


def make_plan(
    config: TrainingConfig,
    encoded: Sequence[Encoded],
    shape: ModelShape,
    *,
    precision: Precision,
    device_type: str,
    available: int,
    threads: int,
    longest_merged: int = ALL,
    tasks: int = 1,
) -> Plan:
    """Turn `auto` into numbers.

    Args:
        config: the user's settings.
        encoded: the training examples.
        shape: sizes of the model.
        precision: as probed or named.
        device_type: "cpu", "cuda" or "mps".
        available: bytes that training may take.
        threads: of this process; part of what makes a resumed run byte-identical.
        longest_merged: see `Plan`.
        tasks: how many are mixed.
    """
    batch_size = 16 if config.batch_size == "auto" else config.batch_size
    epochs = _epochs(config, len(encoded), batch_size)
    steps = total_steps(len(encoded), epochs, batch_size)
    warmup = _WARMUP if config.warmup == "auto" else config.warmup
    validations = min(config.validations, steps)
    interval = steps / validations
    budget, estimate = _micro_batch(config, encoded, shape, precision, device_type, available)
    computed = partial(computed_tokens, token_budget=budget, merged=longest_merged)
    return Plan(
        steps=steps,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=_rate(config, shape),
        warmup_steps=math.ceil(warmup * steps),
        schedule=config.schedule,
        weight_decay=config.weight_decay,
        clip=config.clip,
        seed=config.seed,
        precision=precision,
        micro_batch_tokens=budget,
        longest_merged=longest_merged,
        checkpoint_every=None if config.checkpoint_every == "auto" else config.checkpoint_every,
        keep_checkpoints=config.keep_checkpoints,
        validate_at=tuple(round(interval * (i + 1)) for i in range(validations)),
        early_stopping=config.early_stopping,
        threads=threads,
        longest=max(len(e) for e in encoded),
        estimated_bytes=estimate,
        weights=config.weights,
        together=rows_together(
            encoded, computed, seed=config.seed, batch_size=batch_size, tasks=tasks
        ),
    )


def _epochs(config: TrainingConfig, rows: int, batch_size: int) -> float:
    if config.epochs != "auto":
        return float(config.epochs)
    return float(min(_MAX_EPOCHS, max(1, math.ceil(_MIN_STEPS * batch_size / rows))))


def _rate(config: TrainingConfig, shape: ModelShape) -> float:
    if config.learning_rate != "auto":
        return float(config.learning_rate)
    scaled = _LEARNING_RATE * min(2.0, math.sqrt(_REFERENCE_SIZE / shape.total))
    rate = max(1e-5, scaled) * (_LORA_FACTOR if config.method == "lora" else 1.0)
    return float(f"{rate:.2g}")


def micro_batch_tokens(device_type: str, longest: int) -> int:
    """The budget where memory allows it: long rows must leave room for others.

    Else rows that share a beginning of about the budget would each run it alone.
    """
    usual = _MICRO_BATCH.get(device_type, 1024)
    return max(usual, longest + usual // 2)


def _micro_batch(
    config: TrainingConfig,
    encoded: Sequence[Encoded],
    shape: ModelShape,
    precision: Precision,
    device_type: str,
    available: int,
) -> tuple[int, int]:
    """Token budget and its estimated peak; `auto` halves until the estimate fits."""
    longest = max(len(e) for e in encoded)
    shortest = min(len(e) for e in encoded)
    answer = max(len(e.completion_ids) for e in encoded)

    def estimate(budget: int) -> int:
        tokens = max(budget, longest)
        return training_bytes(
            shape,
            tokens,
            min(tokens, answer * max(1, tokens // shortest)),
            fp32=precision == "fp32",
            checkpointing=config.activation_checkpointing,
            weights=config.weights,
            device_type=device_type,
        )

    if config.micro_batch_tokens != "auto":
        return config.micro_batch_tokens, estimate(config.micro_batch_tokens)
    budget = micro_batch_tokens(device_type, longest)
    while budget > longest and estimate(budget) > _MEMORY_SHARE * available:
        budget //= 2
    return budget, estimate(budget)
