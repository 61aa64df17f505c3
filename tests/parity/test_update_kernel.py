"""Norm, sums and AdamW in one pass each, against torch in fp64 and torch's own optimiser."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from kernel_cases import draw, needs_bf16, needs_kernels

from tutelage.kernels.library import kernels
from tutelage.kernels.update import (
    Gradient,
    Updated,
    adamw,
    gradient_norm,
    sum_gradients,
    update_takes,
)
from tutelage.models.rounded_weights import RoundedWeights
from tutelage.train.kernel_adamw import KernelAdamW
from tutelage.train.optim import clip_gradients, held, make_optimizer, put_back

pytestmark = needs_kernels
SHAPES = [(1,), (15,), (16,), (17, 3), (32_768,), (300, 257)]
BETAS, EPSILON = (0.9, 0.999), 1e-8


def parts(shape: tuple[int, ...], seed: int) -> list[Gradient]:
    """In fp32, in bf16, and in both."""
    high, low = draw(*shape, seed=seed), draw(*shape, seed=seed + 1).bfloat16()
    return [Gradient(high, None), Gradient(None, low), Gradient(high, low)]


def whole(gradient: Gradient) -> torch.Tensor:
    given = [g.double() for g in (gradient.fp32, gradient.bf16) if g is not None]
    return torch.stack(given).sum(0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_norm_and_sums(shape: tuple[int, ...]) -> None:
    for gradient in parts(shape, 0):
        assert gradient_norm([gradient]) == pytest.approx(float(whole(gradient).norm()), rel=1e-6)
        to = torch.full(shape, 7.0)
        sum_gradients([(to, gradient)])
        assert torch.equal(to, whole(gradient).float())
    found = Gradient(draw(*shape), draw(*shape, seed=3).bfloat16())
    expected = whole(found).float()
    assert found.fp32 is not None
    sum_gradients([(found.fp32, found)])  # in place
    assert torch.equal(found.fp32, expected)


def test_the_norm_of_all_and_of_none() -> None:
    every = [g for seed, shape in enumerate(SHAPES) for g in parts(shape, seed)]
    expected = torch.stack([whole(g).norm() for g in every]).norm()
    assert gradient_norm(every) == pytest.approx(float(expected), rel=1e-6)
    assert gradient_norm([]) == gradient_norm([Gradient(None, None)]) == 0


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_the_norm_of_what_is_no_number_is_none(wrong: float) -> None:
    gradient = torch.ones(100)
    gradient[70] = wrong
    assert not torch.isfinite(torch.tensor(gradient_norm([Gradient(gradient, None)])))


def test_results_are_the_same_on_any_number_of_threads() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            weight, mean, square = (draw(300, 257, seed=s).abs() for s in (5, 6, 7))
            gradient = Gradient(draw(300, 257, seed=8), draw(300, 257, seed=9).bfloat16())
            norm, to = gradient_norm([gradient]), torch.empty(300, 257)
            sum_gradients([(to, gradient)])
            low = torch.zeros(300, 257, dtype=torch.bfloat16)
            one = Updated(
                weight, mean, square, gradient, low if kernels().bf16 else None, 3, 1e-3, 0.1
            )
            adamw([one], betas=BETAS, epsilon=EPSILON, factor=0.5)
            found.append(
                (torch.tensor(norm), to, weight, mean, square, *([low] if low is not None else []))
            )
    finally:
        torch.set_num_threads(before)
    assert all(
        torch.equal(*pair) for a, b in combinations(found, 2) for pair in zip(a, b, strict=True)
    )


class Matrices(torch.nn.Module):
    """Weights of every shape, those of linear layers among them."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = torch.nn.ParameterList(
            torch.nn.Parameter(draw(*shape, seed=n)) for n, shape in enumerate(SHAPES)
        )
        self.layer = torch.nn.Linear(17, 5)
        with torch.no_grad():
            self.layer.weight.copy_(draw(5, 17, seed=9))
            self.layer.bias.copy_(draw(5, seed=10))


def give_gradients(model: Matrices, dtype: torch.dtype, seed: int) -> None:
    for n, p in enumerate(model.parameters()):
        p.grad = draw(*p.shape, seed=100 * seed + n, scale=10.0**-n).to(dtype)


@pytest.mark.parametrize("clip", [1e9, 0.5])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_it_is_adamw(clip: float, decay: float) -> None:
    ours, exact = Matrices(), Matrices().double()
    optimizer = make_optimizer(ours, decay)
    assert isinstance(optimizer, KernelAdamW)
    groups = [
        {"params": [p for p in exact.parameters() if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in exact.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    plain = torch.optim.AdamW(groups, lr=0.0, foreach=False, fused=False)
    for step in range(6):
        for model, of, dtype in (
            (ours, optimizer, torch.float32),
            (exact, plain, torch.float64),
        ):
            of.zero_grad()
            give_gradients(model, dtype, step)
            if model is ours:
                norm = clip_gradients(of, clip)
            else:
                exactly = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
                assert float(norm) == pytest.approx(float(exactly), rel=1e-6)
            for group in of.param_groups:
                group["lr"] = 1e-2 * (step + 1)
            of.step()
    for a, b in zip(ours.parameters(), exact.parameters(), strict=True):
        assert float((a - b).abs().max()) < 2e-6 * float(b.abs().max())


def test_small_decays_are_not_rounded_away() -> None:
    """1e-8 a step: 1 - 1e-8 is one in fp32, and no update of weights near one shows it."""
    weights = [torch.full((64,), 1e-3) for _ in range(2)]
    for weight, decay in zip(weights, (0.0, 1e-3), strict=True):
        zeros = [torch.zeros(64) for _ in range(3)]
        part = Updated(weight, *zeros[:2], Gradient(zeros[2], None), None, 1, 1e-3, decay)
        for _ in range(2000):
            adamw([part], betas=BETAS, epsilon=EPSILON, factor=1.0)
    gone = float(((weights[0] - weights[1]).double() / weights[0].double()).mean())
    plain = torch.full((64,), 1e-3)
    for _ in range(2000):
        plain -= 1e-6 * plain
    expected = float(((weights[0] - plain).double() / 1e-3).mean())
    assert gone == pytest.approx(expected, rel=0.02)
    assert gone == pytest.approx(2e-3, rel=0.05)


def test_a_weight_without_a_gradient_stays() -> None:
    model = Matrices()
    optimizer = make_optimizer(model, 0.1)
    give_gradients(model, torch.float32, 0)
    model.layer.weight.grad = None
    before = model.layer.weight.detach().clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    assert torch.equal(model.layer.weight, before)
    assert model.layer.weight not in optimizer.state


@pytest.mark.parametrize("ours_first", [True, False])
def test_either_goes_on_from_the_other_s_state(ours_first: bool) -> None:
    """A checkpoint of a machine with kernels is taken up by one without, and back."""

    def plain(model: Any) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0, fused=True)

    def run(model: Matrices, optimizer: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            give_gradients(model, torch.float32, step)
            for group in optimizer.param_groups:
                group["lr"] = 1e-2
            optimizer.step()

    def mine(model: Any) -> torch.optim.Optimizer:
        return make_optimizer(model, 0.0)

    first, second = (mine, plain) if ours_first else (plain, mine)
    whole_run, parted = Matrices(), Matrices()
    run(whole_run, plain(whole_run), range(6))
    before = first(parted)
    run(parted, before, range(3))
    after = second(parted)
    put_back(after, {w: (n, moments) for w, n, moments in held(before)})
    run(parted, after, range(3, 6))
    assert {n for _, n, _ in held(after)} == {6}
    for a, b in zip(parted.parameters(), whole_run.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6)


@needs_bf16
def test_copies_are_written_with_the_weights() -> None:
    model = Matrices()
    optimizer = make_optimizer(model, 0.1, "bf16")
    assert isinstance(optimizer, KernelAdamW)
    weight = model.layer.weight
    with torch.autocast("cpu", dtype=torch.bfloat16), optimizer.rounded.used():
        model.layer(draw(3, 17)).float().pow(2).sum().backward()
    assert weight.grad is None
    copy, before = optimizer.rounded.of(weight), weight.detach().clone()
    assert copy is not None
    assert copy.grad is not None
    assert copy.grad.dtype == torch.bfloat16
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    assert float((weight - before).abs().min()) > 0.05  # the first update is of the rate's size
    assert torch.equal(copy, weight.bfloat16())
    assert optimizer.rounded.of(weight) is copy


def test_what_it_takes() -> None:
    assert update_takes([torch.ones(3), torch.ones(2, 2)])
    assert not update_takes([torch.ones(3).bfloat16()])
    assert not update_takes([torch.ones(3, 2).T])
    assert not update_takes([torch.ones(3, device="meta")])
    tied = torch.nn.Parameter(torch.ones(2))
    optimizer = KernelAdamW([{"params": [tied]}], RoundedWeights())
    with pytest.raises(AssertionError):
        optimizer.step(lambda: 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        Gradient(torch.ones(4), None),
        Gradient(torch.ones(3).double(), None),
        Gradient(torch.ones(6)[::2], None),
        Gradient(None, torch.ones(3)),
        Gradient(None, torch.ones(2).bfloat16()),
    ],
)
def test_a_gradient_of_another_kind_is_refused(wrong: Gradient) -> None:
    """Its memory would be read past its end."""
    three = [torch.ones(3) for _ in range(3)]
    with pytest.raises(RuntimeError, match="does not take"):
        adamw(
            [Updated(*three, wrong, None, 1, 0.1, 0.0)],
            betas=BETAS,
            epsilon=EPSILON,
            factor=1.0,
        )
    with pytest.raises(RuntimeError, match="does not take"):
        sum_gradients([(three[0], wrong)])
    assert torch.equal(three[0], torch.ones(3))
