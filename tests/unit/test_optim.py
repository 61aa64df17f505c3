"""The optimiser of fp32 and of bf16 weights, and what a checkpoint takes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tutelage.progress import Quiet
from tutelage.train.checkpoint import State, resume, save_checkpoint
from tutelage.train.optim import clip_gradients, held, make_optimizer, put_back, set_rate

RATE = 1e-4


class Model(torch.nn.Module):
    """A matrix and a vector, each far larger than one update."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.full((4, 4), 1.0, dtype=dtype))
        self.vector = torch.nn.Parameter(torch.full((4,), 1.0, dtype=dtype))


def steps(model: Model, optimizer: Any, count: int, seed: int = 0) -> None:
    """Gradients that point the same way, so that weights should move by about the rate a step."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for p in model.parameters():
            noise = torch.rand(p.shape, generator=generator)
            p.grad = (0.5 + noise).to(p.dtype)
        set_rate(optimizer, RATE)
        optimizer.step()


def test_updates_below_the_spacing_of_bf16_are_not_lost() -> None:
    """200 steps of 1e-4 where bf16 is spaced by 4e-3: fp32 moves by 0.02, plain bf16 by 0."""
    exact, ours, plain = Model(torch.float32), Model(torch.bfloat16), Model(torch.bfloat16)
    steps(exact, make_optimizer(exact, 0.0), 200)
    steps(ours, make_optimizer(ours, 0.0), 200)
    steps(plain, torch.optim.AdamW(plain.parameters(), lr=0.0, weight_decay=0.0), 200)
    assert torch.all(plain.matrix == 1)
    moved = 1 - exact.matrix.mean().item()
    assert moved == pytest.approx(200 * RATE, rel=0.05)
    assert 1 - ours.matrix.float().mean().item() == pytest.approx(moved, rel=0.15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matrices_decay_and_vectors_do_not(dtype: torch.dtype) -> None:
    """300 steps at 1e-4 and 0.1: 0.3 % in all, and 1e-5 a step, which bf16 cannot hold alone."""
    model = Model(dtype)
    optimizer = make_optimizer(model, 0.1)
    for _ in range(300):
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        set_rate(optimizer, RATE)
        optimizer.step()
    left = {w: moments.get("kahan_comp", torch.zeros(1)) for w, _, moments in held(optimizer)}
    whole = {p: p.float() + left[p].float() for p in model.parameters()}
    assert 1 - whole[model.matrix].mean().item() == pytest.approx(0.003, rel=0.2)
    assert torch.all(model.vector == 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_held_and_put_back_goes_on_to_the_bit(dtype: torch.dtype) -> None:
    whole, parted = Model(dtype), Model(dtype)
    optimizer = make_optimizer(whole, 0.1)
    steps(whole, optimizer, 5)
    first = make_optimizer(parted, 0.1)
    steps(parted, first, 5)
    kept = {w: (n, {k: v.clone() for k, v in moments.items()}) for w, n, moments in held(first)}
    assert {n for n, _ in kept.values()} == {5}
    second = make_optimizer(parted, 0.1)
    put_back(second, kept)
    steps(whole, optimizer, 5, seed=1)
    steps(parted, second, 5, seed=1)
    assert torch.equal(whole.matrix, parted.matrix)
    assert torch.equal(whole.vector, parted.vector)
    assert {n for _, n, _ in held(second)} == {10}


@pytest.mark.parametrize(("dtype", "each"), [(torch.float32, 8), (torch.bfloat16, 6)])
def test_bytes_that_are_held(dtype: torch.dtype, each: int) -> None:
    """Two moments, and in bf16 what rounding took: as `step_memory` counts them."""
    model = Model(dtype)
    optimizer = make_optimizer(model, 0.0)
    steps(model, optimizer, 1)
    found = sum(t.nbytes for _, _, moments in held(optimizer) for t in moments.values())
    assert found == each * sum(p.numel() for p in model.parameters())


def test_a_model_of_two_dtypes_goes_on_from_its_files(tmp_path: Path) -> None:
    """Some families keep a few weights in fp32 whatever they are loaded in."""

    def fresh() -> Model:
        model = Model(torch.bfloat16)
        model.vector.data = model.vector.data.float()
        return model

    whole, parted = fresh(), fresh()
    optimizer = make_optimizer(whole, 0.1)
    steps(whole, optimizer, 5)
    first = make_optimizer(parted, 0.1)
    steps(parted, first, 5)
    save_checkpoint(tmp_path, parted, first, State("key", step=5), keep=2)
    again = fresh()
    second = make_optimizer(again, 0.1)
    assert resume(tmp_path, again, second, "key", Quiet()).step == 5
    steps(whole, optimizer, 5, seed=1)
    steps(again, second, 5, seed=1)
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, dict(again.named_parameters())[name]), name


def test_the_norm_of_bf16_gradients_is_that_of_fp32() -> None:
    weights = [torch.nn.Parameter(torch.zeros(n, dtype=torch.bfloat16)) for n in (1000, 7)]
    optimizer = torch.optim.SGD(weights)
    for weight in weights:
        weight.grad = torch.full_like(weight, 0.1)
    exact = torch.cat([w.grad.double() for w in weights]).norm().item()
    assert clip_gradients(optimizer, 1.0).item() == pytest.approx(exact, rel=1e-5)
    assert exact != pytest.approx(float(torch.tensor(exact).bfloat16()), rel=1e-4)
    assert torch.cat([w.grad.double() for w in weights]).norm().item() == pytest.approx(1, rel=5e-3)
