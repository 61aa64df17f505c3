"""Norms, rotations and gates in one pass against the model's own code in fp64 and in bf16."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import pytest
import torch
from families import FAMILIES, tiny_model
from gradient_cases import CASES, Result, assert_equal, encoded, ours, result, theirs
from kernel_cases import draw, needs_bf16, needs_kernels
from torch.nn.functional import silu

from tutelage.kernels.layer import (
    gate_takes,
    norm_takes,
    rms_norm,
    rotate,
    rotation_takes,
    silu_gate,
)
from tutelage.models import fused_layers, loss_rows
from tutelage.models.loss_rows import label_logits, loss_and_gradients
from tutelage.tokens.batches import micro_batches

pytestmark = needs_kernels
FUSED = ("llama", "mistral", "qwen2", "qwen3", "smollm3")


def norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon)


def gap(found: torch.Tensor | None, expected: torch.Tensor | None) -> float:
    assert found is not None
    assert expected is not None
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def gradients(out: torch.Tensor, given: torch.Tensor, *leaves: torch.Tensor) -> list[Any]:
    return list(torch.autograd.grad(out, leaves, given.to(out.dtype)))


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("width", [16, 576])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_the_norm(rows: int, width: int, scale: float) -> None:
    x = draw(1, rows, width, scale=scale).requires_grad_()
    weight = (1 + 0.3 * draw(width, seed=1)).requires_grad_()
    given = draw(1, rows, width, seed=2)
    assert norm_takes(x, weight)
    out = rms_norm(x, weight, 1e-5)
    x64, weight64 = (t.detach().double().requires_grad_() for t in (x, weight))
    expected = norm(x64, weight64, 1e-5)
    assert out.dtype == torch.float32
    assert gap(out, expected) < 1e-6
    pairs = zip(
        gradients(out, given, x, weight), gradients(expected, given, x64, weight64), strict=True
    )
    assert max(gap(a, b) for a, b in pairs) < 5e-6


@needs_bf16
def test_the_norm_rounds_once_under_autocast() -> None:
    x, weight = draw(1, 40, 64).requires_grad_(), draw(64, seed=1).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = rms_norm(x, weight, 1e-5)
    exact = norm(x, weight, 1e-5)
    assert out.dtype == torch.bfloat16
    assert float((out.float() - exact).abs().max() / exact.abs().max()) < 2**-8
    given = draw(1, 40, 64, seed=2).bfloat16()
    found, expected = (gradients(y, given, x, weight) for y in (out, exact))
    assert all(a.dtype == torch.float32 for a in found)
    assert max(gap(a, b) for a, b in zip(found, expected, strict=True)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bf16)])
def test_the_gate(dtype: torch.dtype) -> None:
    gate, up = (draw(3, 48, seed=s, scale=4).to(dtype).requires_grad_() for s in (0, 1))
    given = draw(3, 48, seed=2).to(dtype)
    assert gate_takes(gate, up)
    out = silu_gate(gate, up)
    leaves = [t.detach().double().requires_grad_() for t in (gate, up)]
    expected = silu(leaves[0]) * leaves[1]
    bound = 2e-6 if dtype == torch.float32 else 3e-3
    assert gap(out, expected) < bound
    pairs = zip(gradients(out, given, gate, up), gradients(expected, given, *leaves), strict=True)
    assert max(gap(a, b) for a, b in pairs) < bound


def test_the_gate_at_the_ends_of_fp32() -> None:
    gate = torch.tensor([-torch.inf, -1e30, -200, -88, -1e-30, 0, 1e-30, 88, 200, 1e30, torch.nan])
    gate = torch.nn.functional.pad(gate, (0, 5)).requires_grad_()
    out = silu_gate(gate, torch.ones(16))
    (found,) = gradients(out, torch.ones(16), gate)
    (expected,) = gradients(silu(gate), torch.ones(16), gate)
    for a, b in ((out, silu(gate)), (found, expected)):
        finite = b[1:].isfinite()
        assert torch.allclose(a[1:][finite], b[1:][finite], atol=1e-6)
        assert bool(a[10].isnan())


def rotation(x_NHD: torch.Tensor, cos_ND: torch.Tensor, sin_ND: torch.Tensor) -> torch.Tensor:
    """Complex numbers (x1 + i x2) turned by their angles, where both halves have the same."""
    one, two = x_NHD.chunk(2, dim=-1)
    turned = torch.complex(one, two) * torch.complex(
        *(x[:, None, : one.shape[-1]].expand_as(one).contiguous() for x in (cos_ND, sin_ND))
    )
    return torch.cat([turned.real, turned.imag], dim=-1)


def angles(tokens: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    angle = draw(tokens, width // 2, seed=4, scale=9).repeat(1, 2)
    return angle.cos(), angle.sin()


DTYPES = [torch.float32, pytest.param(torch.bfloat16, marks=needs_bf16)]


@pytest.mark.parametrize("out_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [2, 16, 30, 64, 80])
def test_the_rotation(width: int, dtype: torch.dtype, out_dtype: torch.dtype) -> None:
    held = draw(7, 5, width + 2, seed=1).to(dtype)  # what is read may have gaps
    x = held[:, 1:4, :width].detach().requires_grad_()
    cos, sin = angles(7, width)
    given = draw(7, 3, width, seed=2)
    assert rotation_takes(x, cos, sin)
    out = rotate(x, cos, sin, out_dtype)
    x64 = x.detach().double().requires_grad_()
    expected = rotation(x64, cos.double(), sin.double())
    assert out.dtype == out_dtype
    rounds = torch.bfloat16 in (dtype, out_dtype)
    assert gap(out, expected) < (3e-3 if out_dtype == torch.bfloat16 else 3e-7)
    (found,) = gradients(out, given, x)
    (wanted,) = gradients(expected, given.to(out_dtype), x64)
    assert found.dtype == dtype
    assert gap(found, wanted) < (3e-3 if rounds else 3e-7)


def test_gradients_of_a_rotation_may_have_gaps() -> None:
    cos, sin = angles(7, 16)
    for given in (draw(7, 16, 3).transpose(1, 2), draw(7, 1, 16).expand(7, 3, 16)):
        x = draw(7, 3, 16, seed=1).requires_grad_()
        (found,) = torch.autograd.grad(rotate(x, cos, sin, torch.float32), x, given)
        (wanted,) = torch.autograd.grad(rotation(x, cos, sin), x, given)
        assert gap(found, wanted) < 1e-6


@needs_bf16
@pytest.mark.parametrize("family", FUSED)
def test_without_bf16_on_the_processor_the_model_s_own_rotation_is_used(
    family: str, monkeypatch: Any
) -> None:
    model = tiny_model(family).train()
    expected = theirs(model, CASES["prefix tree"])
    monkeypatch.setattr(fused_layers, "rotation_takes", lambda *_: False)
    assert_equal(ours(model, CASES["prefix tree"], 4096, True), expected)


def test_the_halves_of_a_rotation_may_have_angles_of_their_own() -> None:
    x, (cos, sin) = draw(3, 2, 8, seed=1).requires_grad_(), (draw(3, 8), draw(3, 8, seed=2))
    out = rotate(x, cos, sin, torch.float32)
    half = torch.cat([-x[..., 4:], x[..., :4]], dim=-1)
    expected = x * cos[:, None] + half * sin[:, None]
    given = draw(3, 2, 8, seed=3)
    assert gap(out, expected) < 1e-6
    assert gap(gradients(out, given, x)[0], gradients(expected, given, x)[0]) < 1e-6


def test_what_does_not_fit_is_left_to_the_model() -> None:
    odd = torch.ones(2, 15)
    assert not norm_takes(odd, torch.ones(15))
    assert not norm_takes(torch.ones(2, 16).bfloat16(), torch.ones(16))
    assert not gate_takes(odd, odd)
    assert not gate_takes(torch.ones(16), torch.ones(16).double())
    x, cos = torch.ones(2, 3, 8), torch.ones(2, 8)
    assert rotation_takes(x, cos, cos)
    assert not rotation_takes(x, cos[:, :4], cos[:, :4])  # a part of each head
    assert not rotation_takes(x.double(), cos, cos)
    assert not rotation_takes(torch.ones(2, 3, 7), torch.ones(2, 7), torch.ones(2, 7))
    assert not rotation_takes(x, cos, cos.clone().requires_grad_())


@pytest.mark.parametrize("family", FAMILIES)
def test_where_they_are_used_and_that_nothing_stays_changed(family: str) -> None:
    model = tiny_model(family).train()
    calls = list[str]()
    for name in ("rms_norm", "silu_gate", "rotate"):
        real = getattr(fused_layers, name)
        spy = patch.object(fused_layers, name, lambda *a, f=real, n=name: calls.append(n) or f(*a))
        spy.start()
    try:
        (batch,) = micro_batches(encoded(CASES["prefix tree"]), 4096)
        label_logits(model, batch)
    finally:
        patch.stopall()
    layers = model.config.num_hidden_layers
    turned = sum(getattr(m, "use_rope", True) for m in model.modules() if hasattr(m, "q_proj"))
    expected = {"rms_norm": 2 * layers, "silu_gate": layers, "rotate": 2 * turned}
    expected = expected if family in FUSED else {}
    assert {name: calls.count(name) for name in calls} == expected
    assert not any("forward" in vars(m) for m in model.modules())


def ours_in_bf16(model: Any) -> Result:
    rows = CASES["prefix tree"]
    targets = sum(len(completion) for _, completion in rows)
    parts = micro_batches(encoded(rows), 4096)
    return result(model, sum(loss_and_gradients(model, b, targets, "bf16") for b in parts))


@needs_bf16
@pytest.mark.parametrize("family", FUSED)
def test_under_autocast_they_are_no_worse_than_the_model_s_own(family: str) -> None:
    model = tiny_model(family).train()
    exact = theirs(model, CASES["prefix tree"])
    found = ours_in_bf16(model)
    with patch.object(loss_rows, "fused_layers", lambda _: nullcontext()):
        plain = ours_in_bf16(model)

    def off(of: Result) -> float:
        names = exact[1]
        squares = sum(float((of[1][n] - names[n]).pow(2).sum()) for n in names)
        return (squares / sum(float(g.pow(2).sum()) for g in names.values())) ** 0.5

    assert 1e-4 < off(plain) < 0.1
    assert off(found) < 1.25 * off(plain)
    with pytest.raises(AssertionError):
        assert_equal(found, exact)  # it is bf16
