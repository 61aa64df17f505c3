"""Checkpoints: whole or absent, verified before they are read, free of pickle.

A checkpoint is written under a temporary name, every file flushed, hashed in a manifest written
last, and renamed: the rename is the commit. Readers take the newest one whose hashes hold.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tutelage.errors import IntegrityError, ResumeError, StorageError
from tutelage.files import (
    manifest_problems,
    read_json,
    read_jsonl,
    remove_temporaries,
    whole_directory,
    write_json,
    write_jsonl,
    write_manifest,
)
from tutelage.progress import Progress
from tutelage.records import Prediction
from tutelage.train.optim import held, put_back

_NAME = re.compile(r"step-(\d{8})")
_BEST = re.compile(r"best-(\d{8})")
_WEIGHTS = "weights.safetensors"


@dataclass(slots=True)
class State:
    """Where training stands; with (seed, step) the data order and dropout follow.

    Attributes:
        step: optimiser steps done.
        validated: step of the last validation that is part of this state.
        best_step: step of the best validation, None before the first.
        stale: validations since the best one.
        seconds: spent in training steps.
    """

    key: str
    step: int = 0
    validated: int = 0
    best_step: int | None = None
    best: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    seconds: float = 0.0
    tokens: int = 0
    unique: int = 0
    examples: int = 0


def save_checkpoint(
    folder: Path, model: Any, optimizer: torch.optim.Optimizer, state: State, keep: int
) -> None:
    """Commit weights, optimiser and state of this step; then drop all but the newest `keep`."""
    final = folder / f"step-{state.step:08d}"
    with whole_directory(final) as temporary:
        if state.best_step == state.step:  # just written as the best: no second copy
            _link(folder / f"best-{state.step:08d}", temporary)
        if not (temporary / _WEIGHTS).exists():
            save_weights(model, temporary / _WEIGHTS)
        names = {id(p): n for n, p in model.named_parameters()}
        moments: dict[str, dict[str, torch.Tensor]] = {}
        steps: dict[str, int] = {}
        for weight, count, tensors in held(optimizer):
            steps[names[id(weight)]] = count
            for moment, tensor in tensors.items():
                moments.setdefault(moment, {})[names[id(weight)]] = tensor.contiguous().cpu()
        for moment, of_weights in moments.items():
            _save(of_weights, temporary / f"{moment}.safetensors")
        write_json(temporary / "state.json", {**asdict(state), "optimizer_steps": steps})
        write_manifest(temporary, step=state.step)
    for old in _committed(folder)[:-keep]:
        shutil.rmtree(old)
    referenced = {read_json(c / "state.json")["best_step"] for c in _committed(folder)}
    for best in _committed(folder, _BEST):
        if int(best.name.removeprefix("best-")) not in referenced | {state.best_step}:
            shutil.rmtree(best)


def save_best(folder: Path, model: Any, step: int, predictions: Sequence[Prediction]) -> None:
    """Keep weights and answers of the best validation so far beside the checkpoints."""
    with whole_directory(folder / f"best-{step:08d}") as temporary:
        save_weights(model, temporary / _WEIGHTS)
        write_jsonl(temporary / "validation.jsonl", (p.to_json() for p in predictions))
        write_manifest(temporary, step=step)


def load_best(folder: Path, model: Any, step: int) -> list[Prediction]:
    """Load the weights of the best validation and return its answers.

    Raises:
        IntegrityError: they are gone or damaged.
    """
    best = folder / f"best-{step:08d}"
    problems = manifest_problems(best, hashes=True)
    if problems:
        raise IntegrityError(f"{problems[0]}. The best model is lost; train again with --new.")
    _load_weights(model, best / _WEIGHTS)
    return [Prediction.from_json(line) for line in read_jsonl(best / "validation.jsonl")]


def resume(
    folder: Path, model: Any, optimizer: torch.optim.Optimizer, key: str, progress: Progress
) -> State:
    """Load the newest whole checkpoint, or start at step 0 where there is none.

    Damaged ones above it are removed: they must not count among those that are kept.

    Raises:
        ResumeError: the checkpoint belongs to another configuration or other data.
        IntegrityError: there are checkpoints, and none is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_temporaries(folder)
    damaged: dict[Path, str] = {}
    for checkpoint in reversed(_committed(folder)):
        problems = manifest_problems(checkpoint, hashes=True)
        if problems:
            damaged[checkpoint] = problems[0]
            progress.say(f"Skipped a damaged checkpoint: {problems[0]}.")
            continue
        state = _load(checkpoint, model, optimizer, key, progress)
        for useless in damaged:
            shutil.rmtree(useless)
        return state
    if damaged:
        first = next(iter(damaged.values()))
        raise IntegrityError(f"{folder}: no checkpoint is whole ({first}). Start again with --new.")
    return State(key)


def save_weights(model: Any, path: Path) -> None:
    """Trained weights by name, in safetensors."""
    tensors = {
        n: p.detach().contiguous().cpu() for n, p in model.named_parameters() if p.requires_grad
    }
    _save(tensors, path)


def _link(best: Path, folder: Path) -> None:
    with suppress(OSError):  # a file system without links
        (folder / _WEIGHTS).hardlink_to(best / _WEIGHTS)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(tensors, path)
    except (OSError, SafetensorError) as error:  # a full disk is the latter
        raise StorageError(
            f"{path}: could not be written ({error}). Free space or permissions?"
        ) from error


def _load_weights(model: Any, path: Path) -> None:
    tensors = load_file(path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(tensors[name])


def _committed(folder: Path, name: re.Pattern[str] = _NAME) -> list[Path]:
    """Checkpoints under their final names, oldest step first; never ordered by time."""
    return sorted(
        p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and name.fullmatch(p.name)
    )


def _load(
    checkpoint: Path, model: Any, optimizer: torch.optim.Optimizer, key: str, progress: Progress
) -> State:
    raw = read_json(checkpoint / "state.json")
    steps = raw.pop("optimizer_steps")
    state = State(**raw)
    if state.key != key:
        raise ResumeError(
            f"{checkpoint}: belongs to another configuration, other data or another model. "
            "Use another --out, or --new to start afresh."
        )
    _load_weights(model, checkpoint / _WEIGHTS)
    files = {path.stem: path for path in checkpoint.glob("*.safetensors") if path.name != _WEIGHTS}
    moments = {name: load_file(path) for name, path in files.items()}
    weights = {n: p for n, p in model.named_parameters() if n in steps}
    put_back(
        optimizer,
        {
            p: (steps[n], {m: found[n] for m, found in moments.items() if n in found})
            for n, p in weights.items()
        },
    )
    progress.say(f"Going on from step {state.step} ({checkpoint.name}).")
    return state
