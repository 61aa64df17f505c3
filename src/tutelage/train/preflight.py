"""Before training: does the longest micro-batch fit, by arithmetic and then by running it?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import Any

import torch

from tutelage.errors import OutOfMemoryError, StorageError
from tutelage.machine.memory import (
    ModelShape,
    available_bytes,
    checkpoint_bytes,
    peak_bytes,
    weight_bytes,
)
from tutelage.models.loss_rows import loss_and_gradients
from tutelage.records import Encoded
from tutelage.tokens.batches import Batch, full_batches
from tutelage.train.plan import Plan

_DISK_MARGIN = 1.2


@dataclass(frozen=True, slots=True)
class Preflight:
    """Seconds and peak bytes of one forward and backward pass on the longest micro-batch."""

    tokens: int
    seconds: float
    peak_bytes: int
    estimated_bytes: int


def check_room(model: Any, plan: Plan, folder: Path) -> None:
    """Compare what training will take with what is free, before anything is computed.

    Raises:
        StorageError: the checkpoints would not fit on the disk.
        OutOfMemoryError: the longest batch would not fit into memory.
    """
    shape = ModelShape.of(model)
    check_disk(shape, plan, folder)
    held = weight_bytes(shape, plan.weights)
    available = available_bytes(model.device) + held
    if plan.estimated_bytes > available:
        raise OutOfMemoryError(advice(plan, available))


def preflight(model: Any, train: Sequence[Encoded], plan: Plan) -> Preflight:
    """Run the longest micro-batch once, without a step.

    Raises:
        OutOfMemoryError: it does not fit into memory.
    """
    batch = max(longest_batches(train, plan), key=lambda b: b.unique).to(model.device)
    started = time.perf_counter()
    model.train()
    try:
        loss_and_gradients(model, batch, len(batch.targets), plan.precision)
    except (torch.OutOfMemoryError, MemoryError) as error:
        held = weight_bytes(ModelShape.of(model), plan.weights)
        raise OutOfMemoryError(advice(plan, available_bytes(model.device) + held)) from error
    finally:
        model.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - started
    return Preflight(batch.unique, seconds, peak_bytes(model.device), plan.estimated_bytes)


def longest_batches(train: Sequence[Encoded], plan: Plan) -> list[Batch]:
    """Micro-batches of the longest examples: the largest that a step can meet."""
    longest = nlargest(plan.batch_size, train, key=len)
    return list(full_batches(longest, plan.micro_batch_tokens, merged=plan.longest_merged))


def check_disk(shape: ModelShape, plan: Plan, folder: Path) -> None:
    """Room for one checkpoint more than is kept, and for the best and the final weights."""
    checkpoint = checkpoint_bytes(shape, plan.weights)
    needed = int(_DISK_MARGIN * ((plan.keep_checkpoints + 1) * checkpoint + 12 * shape.total))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder}: {_gb(free)} free, {_gb(needed)} needed for {plan.keep_checkpoints} "
            "checkpoints and the model. Free space, or put --out on another disk."
        )


def advice(plan: Plan, available: int) -> str:
    """What to say, and to try, where the longest micro-batch does not fit."""
    fp32 = plan.weights == plan.precision == "fp32"
    low = "" if fp32 or plan.weights == "bf16" else "--set training.weights=bf16, "
    return (
        f"The longest micro-batch ({max(plan.longest, plan.micro_batch_tokens)} tokens) needs "
        f"about {_gb(plan.estimated_bytes)}, and {_gb(available)} are available. "
        "Nothing was trained. What saves memory, least costly first: "
        f"--set training.micro_batch_tokens={max(plan.longest, plan.micro_batch_tokens // 2)}, "
        f"--set training.activation_checkpointing=true, {low}--set training.method=lora, a smaller "
        f"training.max_length (now the longest row has {plan.longest} tokens), a smaller model."
    )


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
