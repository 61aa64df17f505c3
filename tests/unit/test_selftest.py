"""The self-test of the loss: passes on real families, notices each fault it is there for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tutelage.errors import NumericsError
from tutelage.machine.memory import ModelShape
from tutelage.machine.precision import Precision
from tutelage.models import loss_rows
from tutelage.models.load import load_model
from tutelage.models.lora import add_lora
from tutelage.records import Encoded
from tutelage.train import selftest
from tutelage.train.config import TrainingConfig
from tutelage.train.plan import Plan, make_plan
from tutelage.train.selftest import TOLERANCE, self_test

STEM = tuple(range(10, 22))
ROWS = [
    *(Encoded(f"r{i}", (*STEM, 30 + i), (60 + i % 3, 2)) for i in range(6)),
    Encoded("talk", (*STEM, 40), (61, 62, 63, 2), trained=(True, False, True, True)),
]


@pytest.fixture(params=["fp32", "bf16"])
def model(tiny_model_dir: Path, request: pytest.FixtureRequest) -> Any:
    return load_model(tiny_model_dir, weights=request.param).train()


def plan_for(model: Any, precision: Precision = "fp32") -> Plan:
    return make_plan(
        TrainingConfig(weights="bf16" if model.dtype == torch.bfloat16 else "fp32"),
        ROWS,
        ModelShape.of(model),
        precision=precision,
        device_type="cpu",
        available=2**33,
        threads=1,
    )


def test_merged_rows_agree_and_the_model_is_left_as_it_was(model: Any) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    found = self_test(model, ROWS, plan_for(model))
    assert found.worst < (1e-5 if before["model.norm.weight"].dtype == torch.float32 else TOLERANCE)
    assert found.rows >= 2
    assert found.loss > 0
    assert model.training
    for name, p in model.named_parameters():
        assert p.grad is None
        assert torch.equal(p, before[name])


@pytest.mark.parametrize("model", ["bf16"], indirect=True)
def test_adapters_over_bf16_weights(model: Any) -> None:
    adapted = add_lora(model, rank=4, alpha=8, dropout=0.0, targets="all-linear", seed=0)
    found = self_test(adapted, ROWS, plan_for(model))
    assert found.worst < 1e-5
    assert {p.dtype for p in adapted.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in adapted.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_the_precision_of_the_run_is_tested_too(model: Any) -> None:
    assert self_test(model, ROWS, plan_for(model)).rounded_gradient is None
    found = self_test(model, ROWS, plan_for(model, "bf16"))
    assert found.rounded_loss is not None
    assert found.rounded_gradient is not None
    assert 1e-5 < found.rounded_gradient < 0.1
    assert found.rounded_loss < 0.05


def test_a_kernel_that_fails_in_bf16_alone_stops_the_run(model: Any, monkeypatch: Any) -> None:
    def fault(model: Any, batch: Any, targets: int, precision: Any) -> float:
        sign = -1 if precision == "bf16" else 1  # the gradient points the other way
        return sign * loss_rows.loss_and_gradients(model, batch, sign * targets, precision)

    monkeypatch.setattr(selftest, "loss_and_gradients", fault)
    self_test(model, ROWS, plan_for(model))
    with pytest.raises(NumericsError, match="failed in bf16"):
        self_test(model, ROWS, plan_for(model, "bf16"))


def mean_of_means(model: Any, batch: Any, targets: int, precision: Any) -> float:
    return loss_rows.loss_and_gradients(model, batch, len(batch.targets), precision)


def shifted(model: Any, batch: Any, targets: int, precision: Any) -> float:
    batch.targets[:] = batch.targets.roll(1)
    return loss_rows.loss_and_gradients(model, batch, targets, precision)


def doubled_gradient(model: Any, batch: Any, targets: int, precision: Any) -> float:
    loss = loss_rows.loss_and_gradients(model, batch, targets, precision)
    for p in model.parameters():
        p.grad *= 2
    return loss


def blind(model: Any, batch: Any, targets: int, precision: Any) -> float:
    batch.positions_1N[:] = torch.arange(batch.unique)
    return loss_rows.loss_and_gradients(model, batch, targets, precision)


@pytest.mark.parametrize("fault", [mean_of_means, shifted, doubled_gradient, blind])
def test_a_wrong_loss_stops_the_run(model: Any, fault: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(selftest, "loss_and_gradients", fault)
    with pytest.raises(NumericsError, match="self-test of the loss failed") as caught:
        self_test(model, ROWS, plan_for(model))
    assert "Nothing was trained" in str(caught.value)
    assert all(p.grad is None for p in model.parameters())


def test_what_is_no_number_fails_too(model: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(selftest, "loss_and_gradients", lambda *_: float("nan"))
    with pytest.raises(NumericsError):
        self_test(model, ROWS, plan_for(model))
    assert TOLERANCE < 0.01
