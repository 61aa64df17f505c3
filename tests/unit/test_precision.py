"""Precision by measurement: the faster of the two, and a context that does what its name says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tutelage.machine import precision
from tutelage.machine.precision import Probe, autocast, probe

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("fp32", "bf16", "faster"),
    [
        ((100, 100, 100), (200, 200, 200), "bf16"),
        ((100, 100, 100), (50, 50, 50), "fp32"),
        ((100, 100, 100), (100, 100, 100), "fp32"),
        ((100, 100, 100), (104, 104, 104), "fp32"),  # not worth its rounding
        ((100, 100, 100), (110, 110, 110), "bf16"),
        ((100, 100, 100), (400, 400, 5), "fp32"),  # an emulated weight gradient
        ((100, 100, 100), (400, 90, 90), "bf16"),
    ],
)
def test_all_three_products_count(
    fp32: tuple[float, float, float], bf16: tuple[float, float, float], faster: str
) -> None:
    assert Probe(fp32, bf16).faster == faster


@pytest.mark.parametrize(("seconds_in_bf16", "faster"), [(0.5, "bf16"), (4.0, "fp32")])
def test_the_probe_picks_what_it_measures(
    monkeypatch: pytest.MonkeyPatch, seconds_in_bf16: float, faster: str
) -> None:
    shapes = []

    def seconds(product: Callable[[], torch.Tensor], device: torch.device) -> float:
        found = product()
        shapes.append(tuple(found.shape))
        return seconds_in_bf16 if found.dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(precision, "_seconds", seconds)
    found = probe(CPU, width=8, inner=24, tokens=4)
    assert found.faster == faster
    flop = 2 * 4 * 8 * 24 / 1e9
    assert found.fp32 == pytest.approx((flop, flop, flop))
    assert found.bf16 == pytest.approx((flop / seconds_in_bf16,) * 3)
    assert set(shapes) == {(4, 24), (4, 8), (24, 8)}  # forward, input and weight gradient


def test_one_slow_moment_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def seconds(product: Callable[[], torch.Tensor], device: torch.device) -> float:
        nonlocal calls
        calls += 1
        slow = calls <= 6 or calls in (7, 14)  # the first round, and twice later on
        return 100.0 if slow else 1.0

    monkeypatch.setattr(precision, "_seconds", seconds)
    found = probe(CPU, width=8, inner=8, tokens=4)
    assert len(set(found.fp32 + found.bf16)) == 1


def test_a_real_probe_measures() -> None:
    found = probe(CPU, width=16, inner=32, tokens=8)
    assert all(rate > 0 for rate in (*found.fp32, *found.bf16))


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_context_decides_the_type_of_products(name: str, dtype: torch.dtype) -> None:
    weight = torch.ones(2, 2, requires_grad=True)
    with autocast(name, CPU):
        product = weight @ weight
    assert product.dtype == dtype
    assert weight.dtype == torch.float32
    assert (weight @ weight).dtype == torch.float32
