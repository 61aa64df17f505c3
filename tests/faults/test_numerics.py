"""When numbers go bad, training stops at once, says on which rows, and keeps what was good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from few_steps import make_plan, random_rows, train
from interrupted import LongTraining
from safetensors.torch import load_file

from command import call
from tutelage.errors import NumericsError
from tutelage.models.load import load_model
from tutelage.records import Encoded
from tutelage.tokens.batches import micro_batches
from tutelage.tokens.order import SameRows
from tutelage.train.loop import train_step
from tutelage.train.optim import make_optimizer


@pytest.fixture
def model(tiny_model_dir: Path) -> Any:
    return load_model(tiny_model_dir)


def _weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def _step(model: Any, rows: list[Encoded]) -> None:
    optimizer = make_optimizer(model, 0.0)
    batches = list(micro_batches(rows, 64))
    train_step(model, optimizer, batches, rate=0.1, clip=1.0, precision="fp32")


def _expect_untouched(model: Any, step: Callable[[], None], match: str) -> None:
    before = _weights(model)
    with pytest.raises(NumericsError, match=match):
        step()
    for name, weight in _weights(model).items():
        assert torch.equal(weight.nan_to_num(7e7), before[name].nan_to_num(7e7)), name


def test_a_good_step_moves_the_weights(model: Any) -> None:
    """What the tests below find untouched does move."""
    before = _weights(model)
    _step(model, random_rows(model, 4))
    assert all(not torch.equal(weight, before[n]) for n, weight in _weights(model).items())


def test_a_loss_that_is_no_number(model: Any) -> None:
    rows = random_rows(model, 4)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
    _expect_untouched(model, lambda: _step(model, rows), r"nan on examples 'row-0\d'")


def test_a_gradient_that_is_not_finite(model: Any) -> None:
    rows = random_rows(model, 4)
    model.model.norm.weight.register_hook(lambda gradient: gradient * torch.inf)
    _expect_untouched(model, lambda: _step(model, rows), "gradient is not finite on .*'row-00'")


@pytest.mark.parametrize("count", [0, 3])
def test_a_step_without_a_trained_token(count: int, model: Any) -> None:
    rows = [Encoded(f"mute-{i}", (5, 6, 7 + i), ()) for i in range(count)]
    match = "without a trained token.*" + ".*".join(row.id for row in rows)
    _expect_untouched(model, lambda: _step(model, rows), match)


def test_the_last_checkpoint_stays_finite(model: Any, tmp_path: Path) -> None:
    rows, plan = random_rows(model), make_plan(micro_batch_tokens=512)
    passes = 0

    def poison(*_: Any) -> None:
        nonlocal passes
        passes += 1
        if passes == 4:  # one pass a step: after the checkpoint of step 2, before that of step 4
            with torch.no_grad():
                model.model.embed_tokens.weight[0, 0] = torch.nan

    model.register_forward_pre_hook(poison)
    with pytest.raises(NumericsError) as caught:
        train(model, rows, tmp_path, plan)
    fourth = [e.id for e in plan.stream(SameRows(rows)).rows(3)]
    assert all(repr(row) in str(caught.value) for row in fourth)
    checkpoints = sorted((tmp_path / "checkpoints").glob("step-*"))
    assert [path.name for path in checkpoints] == ["step-00000002"]
    for file in checkpoints[0].glob("*.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(file).values()), file


def test_the_command_ends_with_eight(long_training: LongTraining, tmp_path: Path) -> None:
    sets = ("training.learning_rate=1e30", "training.warmup=0")
    done = call(*long_training.arguments(tmp_path / "run", *sets)).expect(8)
    assert "on examples '" in done.err
    assert "learning_rate" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "run" / "model").exists()
