"""Memory: what is read from the system, and the closed form of a training step."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tutelage.machine import memory
from tutelage.machine.memory import (
    ModelShape,
    available_bytes,
    own_bytes,
    peak_bytes,
    reset_peak,
    resident_bytes,
    step_memory,
    training_bytes,
    weight_bytes,
)
from tutelage.models.load import load_model

CPU = torch.device("cpu")
SHAPE = ModelShape(
    total=1000, trained=1000, layers=4, width=16, inner=64, heads=4, kv_width=8, vocabulary=100
)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def estimate(shape: ModelShape = SHAPE, tokens: int = 50, labelled: int = 5, **how: bool) -> int:
    how = {"fp32": True, "checkpointing": False, "attention": "plain", **how}
    return step_memory(shape, tokens, labelled, **how).total


# --- closed form ---


def test_weights_gradients_and_two_moments_take_sixteen_bytes_per_parameter() -> None:
    assert estimate(tokens=0, labelled=0) == 16 * SHAPE.total


def test_frozen_weights_take_four() -> None:
    adapted = replace(SHAPE, total=1100, trained=100)
    assert estimate(adapted, tokens=0, labelled=0) == 4 * 1000 + 16 * 100


@pytest.mark.parametrize("fp32", [True, False])
@pytest.mark.parametrize("checkpointing", [True, False])
def test_more_of_anything_takes_more(fp32: bool, checkpointing: bool) -> None:
    how = {"fp32": fp32, "checkpointing": checkpointing}
    base = estimate(**how)
    assert estimate(tokens=51, **how) > base
    assert estimate(labelled=6, **how) > base
    for name in ("total", "trained", "layers", "width", "inner", "kv_width", "vocabulary"):
        bigger = replace(SHAPE, **{name: 2 * getattr(SHAPE, name)})
        assert estimate(bigger, **how) > base, name


def test_activations_grow_in_step_with_tokens_and_layers() -> None:
    rest = estimate(tokens=0)
    assert estimate(tokens=100) - rest == 2 * (estimate(tokens=50) - rest)
    double = replace(SHAPE, layers=8)
    assert estimate(double) - rest == 2 * (estimate() - rest)


def test_logits_are_counted_for_labelled_rows_only() -> None:
    assert estimate(labelled=7) - estimate(labelled=3) == 4 * 12 * SHAPE.vocabulary
    assert estimate(labelled=1) - estimate(labelled=0) == 12 * SHAPE.vocabulary
    whole = replace(SHAPE, total=2000, trained=2000)
    head = 4 * SHAPE.vocabulary * SHAPE.width  # its gradient, before it is added up
    assert estimate(whole, labelled=1) - estimate(whole, labelled=0) == 1200 + head


def test_the_parts_make_the_total() -> None:
    parts = step_memory(SHAPE, 50, 5, fp32=False, checkpointing=False)
    assert parts.weights == 4 * SHAPE.total
    assert parts.gradients == 4 * SHAPE.trained
    assert parts.optimizer == 8 * SHAPE.trained
    assert parts.casts == 2 * SHAPE.total
    rest = parts.activations + parts.logits
    assert parts.total == parts.casts + 16 * SHAPE.total + rest
    assert training_bytes(SHAPE, 50, 5, fp32=False, checkpointing=False) == parts.total


def test_bf16_weights_take_ten_bytes_each_and_adapters_stay_in_fp32() -> None:
    how: dict[str, Any] = {"fp32": False, "checkpointing": False, "weights": "bf16"}
    whole = replace(SHAPE, trained=SHAPE.total)
    parts = step_memory(whole, 50, 0, **how)
    assert parts.total - parts.activations == 10 * SHAPE.total
    assert parts.casts == 0
    adapted = replace(SHAPE, trained=SHAPE.total // 10)
    parts = step_memory(adapted, 50, 0, **how)
    frozen = SHAPE.total - adapted.trained
    assert parts.total - parts.activations == 2 * frozen + (16 + 2) * adapted.trained
    assert weight_bytes(adapted, "bf16") == parts.weights
    assert weight_bytes(adapted, "fp32") == 4 * SHAPE.total
    least = training_bytes(adapted, 0, 0, **how)  # the self-test, all in fp32, two gradients
    assert least == 6 * SHAPE.total + 8 * adapted.trained > step_memory(adapted, 0, 0, **how).total
    least = training_bytes(adapted, 0, 0, fp32=True, checkpointing=False, weights="bf16")
    assert least == 4 * SHAPE.total + 8 * adapted.trained


def test_a_mask_costs_keys_per_head_and_a_square() -> None:
    for fp32, copied, entry in ((True, 8, 4), (False, 4, 2)):
        masked, plain = (estimate(fp32=fp32, attention=how) for how in ("mask", "plain"))
        keys = copied * (SHAPE.width - SHAPE.kv_width)
        assert masked - plain == 50 * SHAPE.layers * (keys + entry * 50)


def test_checkpointing_and_bf16_save_activations() -> None:
    many = {"tokens": 10_000}
    assert estimate(checkpointing=True, **many) < estimate(**many)
    assert estimate(fp32=False, **many) < estimate(**many)
    deep = replace(SHAPE, layers=40)
    assert estimate(deep, checkpointing=True, **many) < 0.2 * estimate(deep, **many)


def test_the_sizes_of_a_model(tiny_model_dir: Path) -> None:
    model = load_model(tiny_model_dir)
    for parameter in model.model.layers.parameters():
        parameter.requires_grad = False
    shape = ModelShape.of(model)
    embeddings = 32 * shape.vocabulary  # tied, so counted once
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 2 * 32
    assert shape.total == embeddings + 2 * layer + 32
    assert shape.trained == embeddings + 32
    assert (shape.layers, shape.width, shape.inner) == (2, 32, 64)
    assert (shape.heads, shape.kv_width) == (2, 16)
    assert shape.vocabulary == model.config.vocab_size


# --- the system ---


@LINUX
def test_the_peak_follows_what_is_held() -> None:
    reset_peak(CPU)
    before = peak_bytes(CPU)
    now = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert now > 10 * 2**20
    slack = max(0, before - now)  # large where the system does not let the peak be reset
    held = torch.ones((slack + 96 * 2**20) // 4)
    assert 64 * 2**20 < peak_bytes(CPU) - before < 200 * 2**20
    assert float(held[-1]) == 1


@LINUX
def test_what_is_held_now_is_at_most_the_peak() -> None:
    before = resident_bytes(CPU)
    held = torch.ones(24 * 2**20)
    assert 64 * 2**20 < resident_bytes(CPU) - before < 200 * 2**20
    assert float(held[-1]) == 1
    assert resident_bytes(CPU) <= peak_bytes(CPU)


@LINUX
def test_pages_of_a_mapped_file_are_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(bytes(96 * 2**20))
    before, own = resident_bytes(CPU), own_bytes()
    mapped = np.memmap(path, np.uint8, mode="r")
    assert int(mapped.sum()) == 0
    assert resident_bytes(CPU) - before > 64 * 2**20 > 4 * (own_bytes() - own)


@LINUX
def test_available_memory_is_part_of_all_memory() -> None:
    total = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    assert 0 < available_bytes(CPU) <= total


@LINUX
def test_without_proc_the_systems_own_counter_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = peak_bytes(CPU)
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "nothing")
    monkeypatch.setattr(memory, "_STATM", tmp_path / "nothing")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "nothing" / "here")
    reset_peak(CPU)
    assert resident_bytes(CPU) >= usual
    assert peak_bytes(CPU) >= usual


@pytest.mark.parametrize(
    ("limit", "used", "free"),
    [
        ("1000000\n", "400000\n", 600_000),
        ("1000000\n", "1200000\n", 0),
        ("max\n", "400000\n", 5 * 2**30),
        (None, "400000\n", 5 * 2**30),
        ("1000000\n", None, 5 * 2**30),
        ("", "400000\n", 5 * 2**30),
    ],
)
def test_the_limit_of_a_container_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str | None, used: str | None, free: int
) -> None:
    contents = {
        "/proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {5 * 2**20} kB\n",
        "/sys/fs/cgroup/memory.max": limit,
        "/sys/fs/cgroup/memory.current": used,
    }
    for name, text in contents.items():
        if text is not None:
            path = tmp_path / name[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    monkeypatch.setattr(memory, "Path", lambda name: tmp_path / name[1:])
    assert available_bytes(CPU) == free


def test_without_meminfo_all_memory_is_the_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "Path", lambda name: tmp_path / name[1:])
    assert available_bytes(CPU) > 2**20
