"""Any trainer of the `transformers` family, paused before every optimiser step.

The rows come in the driver's order. Padding is what the trainer's own collator does; a step is
timed from its first forward pass to the end of the update, batches being ready before.
"""

from __future__ import annotations

import tempfile
import time
from importlib.metadata import distributions, version
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback

from protocol import peak_gb, tell, wait, work

RATE = 1e-5
LIBRARIES = ("torch", "transformers", "accelerate", "trl", "llamafactory")


class Pause(TrainerCallback):
    """Waits for the driver before each step, and answers after it."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        self.sizes = sizes
        self.loss = torch.zeros(())
        self.started = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Between two steps."""
        self.loss = torch.zeros(())
        if not wait():
            raise SystemExit
        self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After the update."""
        seconds = time.perf_counter() - self.started
        examples, tokens = self.sizes[state.global_step - 1]
        tell(
            seconds=seconds,
            loss=float(self.loss),
            examples=examples,
            tokens=tokens,
            peak_gb=peak_gb(),
        )


def steps() -> tuple[list[list[dict[str, Any]]], list[tuple[int, int]]]:
    """All steps as features, and examples and real tokens of each."""
    plan = work()
    found, sizes = [], []
    for step in [*plan["check"], *plan["grouped"]]:
        features = []
        for ids, first in sorted(step, key=lambda row: -len(row[0])):
            labels = [-100] * first + ids[first:]
            mask = [0] * first + [1] * (len(ids) - first)
            features.append({"input_ids": ids, "labels": labels, "completion_mask": mask})
        found.append(features)
        sizes.append((len(step), sum(len(ids) - 1 for ids, _ in step)))
    return found, sizes


def arguments(micro: int, size: int, precision: str, count: int) -> dict[str, Any]:
    """What all trainers of the family are told."""
    return {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": size // micro,
        "max_steps": count,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "adam_beta2": 0.999,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused",
        "bf16": precision == "bf16",
        "use_cpu": True,
        "gradient_checkpointing": False,
        "train_sampling_strategy": "sequential",  # the driver has grouped by length already
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "seed": 0,
    }


def run(trainer: Any, pause: Pause, settings: dict[str, Any]) -> None:
    """Train, a step per word of the driver."""
    step = trainer.training_step

    def counting(*args: Any, **kwargs: Any) -> Any:
        loss = step(*args, **kwargs)
        pause.loss = pause.loss + loss.detach().float().cpu()
        return loss

    trainer.training_step = counting
    installed = {found.name.lower() for found in distributions()}
    versions = {name: version(name) for name in LIBRARIES if name in installed}
    told = {name: value for name, value in settings.items() if name != "output_dir"}
    tell(ready=True, versions=versions, settings=told)
    trainer.train()


def dataset(features: list[list[dict[str, Any]]], columns: tuple[str, ...]) -> Dataset:
    """All rows, in order."""
    return Dataset.from_list([{c: f[c] for c in columns} for step in features for f in step])
