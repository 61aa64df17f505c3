"""One training step counted by hand, and a loop that resumes, stops and keeps the best."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_model import PLAN, ToyModel, plain_loss, toy_rows

from tutelage.errors import NumericsError, Preempted
from tutelage.files import read_jsonl
from tutelage.progress import Quiet
from tutelage.records import Prediction
from tutelage.tokens.batches import collate, micro_batches
from tutelage.train import loop
from tutelage.train.checkpoint import State, load_best
from tutelage.train.loop import fit, train_step
from tutelage.train.plan import Plan
from tutelage.train.validation import Validation

ROWS = toy_rows(12)


def step(model: ToyModel, rows: list[Any], *, lr: float = 0.1, clip: float = 1e9) -> Any:
    """One step of plain gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    batches = list(micro_batches(rows, 8))
    assert len(batches) > 1
    return train_step(model, optimizer, batches, rate=lr, clip=clip, precision="fp32")


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


# --- one step ---


def test_the_loss_is_the_mean_over_all_targets_of_the_step() -> None:
    model = ToyModel()
    found = step(model, ROWS)
    assert found.loss == pytest.approx(plain_loss(ToyModel(), ROWS).item(), rel=1e-6)
    assert found.labelled == sum(len(e.completion_ids) for e in ROWS)
    assert found.tokens == sum(len(e) - 1 for e in ROWS)
    assert found.unique < found.tokens


def test_a_step_goes_down_the_gradient_of_that_loss() -> None:
    model, twin = ToyModel(), ToyModel()
    found = step(model, ROWS, lr=0.1)
    plain_loss(twin, ROWS).backward()
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in twin.parameters()))
    assert found.grad_norm == pytest.approx(norm, rel=1e-5)
    for name, parameter in twin.named_parameters():
        wanted = parameter.detach() - 0.1 * parameter.grad
        torch.testing.assert_close(weights(model)[name], wanted, rtol=1e-5, atol=1e-7)


def test_a_long_gradient_is_clipped() -> None:
    model, before = ToyModel(), weights(ToyModel())
    found = step(model, ROWS, lr=2.0, clip=0.01)
    assert found.grad_norm > 0.01
    moved = sum(float((weights(model)[n] - w).square().sum()) for n, w in before.items())
    assert math.sqrt(moved) == pytest.approx(2.0 * 0.01, rel=1e-3)


def test_a_step_forgets_the_gradients_before_it() -> None:
    model, twin = ToyModel(), ToyModel()
    plain_loss(model, ROWS[:1]).backward()
    assert step(model, ROWS) == step(twin, ROWS)
    assert all(torch.equal(w, weights(twin)[n]) for n, w in weights(model).items())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_and_leaves_the_weights(bad: float) -> None:
    model = ToyModel()
    with torch.no_grad():
        model.bias[7] = bad
    before = weights(model)
    with pytest.raises(NumericsError, match=r"loss is (nan|inf) on examples '.*Look at these"):
        step(model, ROWS)
    for name, weight in weights(model).items():
        assert torch.equal(weight.nan_to_num(9), before[name].nan_to_num(9))


def test_a_gradient_that_is_no_number_stops_and_leaves_the_weights() -> None:
    model = ToyModel()
    model.bias.register_hook(lambda grad: grad * float("inf"))
    before = weights(model)
    with pytest.raises(NumericsError, match="gradient is not finite on examples 'r0'"):
        step(model, ROWS)
    assert all(torch.equal(w, before[n]) for n, w in weights(model).items())


def test_a_step_without_a_target_stops() -> None:
    empty = replace(
        collate(ROWS[:1]),
        rows=torch.zeros(0, dtype=torch.int64),
        targets=torch.zeros(0, dtype=torch.int64),
    )
    model = ToyModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(NumericsError, match="without a trained token: examples 'r0'"):
        train_step(model, optimizer, [empty], rate=1.0, clip=1.0, precision="fp32")


def test_a_complaint_names_eight_examples_at_most() -> None:
    model = ToyModel()
    with torch.no_grad():
        model.bias.fill_(float("nan"))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(NumericsError, match=r"examples ('r\d+', ){7}'r\d+' and 4 more\."):
        train_step(model, optimizer, [collate(ROWS)], rate=1.0, clip=1.0, precision="fp32")


# --- the loop ---


class Interrupted(Quiet):
    """Asks to stop after a number of polls."""

    def __init__(self, polls: int) -> None:
        self.polls = polls

    def stopping(self) -> bool:
        self.polls -= 1
        return self.polls < 0


def validations(*metrics: float, losses: tuple[float, ...] = ()) -> Iterator[Validation]:
    for number, metric in enumerate(metrics):
        loss = losses[number] if losses else 1.0
        yield Validation(loss, {"accuracy": metric}, (Prediction(f"v{number}", "g", "a", "a"),))


def train(
    folder: Path,
    found: Iterator[Validation] | None = None,
    *,
    plan: Plan = PLAN,
    progress: Any = None,
) -> tuple[State, ToyModel]:
    model = ToyModel()
    found = found or validations(*[0.5] * 8)
    progress = progress or Quiet()
    return (
        fit(model, [ROWS] * 9, plan, lambda _: next(found), "accuracy", folder, "key", progress),
        model,
    )


def log(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [r for r in read_jsonl(folder / "log.jsonl") if r["kind"] == kind]


def test_the_loop_trains_validates_and_logs(tmp_path: Path) -> None:
    state, model = train(tmp_path, validations(0.1, 0.4, 0.3, 0.2))
    assert (state.step, state.examples, state.best_step) == (8, 24, 4)
    assert state.tokens == sum(r["tokens"] for r in log(tmp_path, "step"))
    steps = log(tmp_path, "step")
    assert [r["step"] for r in steps] == list(range(1, 9))
    assert [r["rate"] for r in steps] == [PLAN.rate_at(i) for i in range(8)]
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert plain_loss(model, ROWS) < plain_loss(ToyModel(), ROWS)
    assert [(r["step"], r["best"]) for r in log(tmp_path, "validation")] == [
        (2, True),
        (4, True),
        (6, False),
        (8, False),
    ]
    kept = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert kept == ["best-00000004", "step-00000006", "step-00000008"]


def test_the_best_is_kept_by_metric_and_then_by_loss(tmp_path: Path) -> None:
    losses = (0.9, 0.8, 0.8, 0.1)
    state, _ = train(tmp_path, validations(0.5, 0.5, 0.5, 0.4, losses=losses))
    assert state.best_step == 4
    assert state.best == {"value": 0.5, "loss": 0.8, "top": 0.5}
    model = ToyModel()
    (answer,) = load_best(tmp_path / "checkpoints", model, 4)
    assert answer.id == "v1"
    halfway, _ = train(tmp_path / "half", plan=replace(PLAN, validate_at=(4,)))
    assert halfway.best_step == 4
    twin = ToyModel()
    load_best(tmp_path / "half" / "checkpoints", twin, 4)
    assert all(torch.equal(w, weights(twin)[n]) for n, w in weights(model).items())


def test_early_stopping_counts_validations_without_a_new_best(tmp_path: Path) -> None:
    plan = replace(PLAN, early_stopping=2)
    state, _ = train(tmp_path / "a", validations(0.5, 0.4, 0.4, 0.9), plan=plan)
    assert (state.step, state.best_step, state.stale) == (6, 2, 2)
    assert "step-00000006" in {p.name for p in (tmp_path / "a" / "checkpoints").iterdir()}
    state, _ = train(tmp_path / "b", validations(0.5, 0.4, 0.6, 0.5), plan=plan)
    assert (state.step, state.best_step, state.stale) == (8, 6, 1)


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    plan = replace(PLAN, early_stopping=1)
    first, model = train(tmp_path, validations(0.5, 0.4), plan=plan)
    again, twin = train(tmp_path, validations(), plan=plan)
    assert first.step == again.step == 4
    assert all(torch.equal(w, weights(twin)[n]) for n, w in weights(model).items())


def honest(model: Any) -> Validation:
    """A metric that depends on nothing but the model."""
    loss = plain_loss(model, ROWS).item()
    return Validation(loss, {"accuracy": 1 / (1 + loss)}, ())


def judged(folder: Path, progress: Any = None) -> tuple[State, dict[str, torch.Tensor]]:
    model = ToyModel()
    progress = progress or Quiet()
    state = fit(model, [ROWS] * 9, PLAN, honest, "accuracy", folder, "key", progress)
    return replace(state, seconds=0.0), weights(model)


def timeless(folder: Path) -> list[dict[str, Any]]:
    records = read_jsonl(folder / "log.jsonl")
    return [{k: v for k, v in r.items() if k != "seconds"} for r in records]


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 7])
def test_an_interrupted_run_ends_in_the_same_weights(tmp_path: Path, steps: int) -> None:
    state, whole = judged(tmp_path / "whole")
    parts = tmp_path / "parts"
    with pytest.raises(Preempted, match=f"Stopped at step {steps} of 8; run it again"):
        judged(parts, Interrupted(steps))
    saved = [p.name for p in (parts / "checkpoints").glob("step-*")]
    assert (f"step-{steps:08d}" in saved) == (steps > 0)
    again, joined = judged(parts)
    assert again == state
    assert all(torch.equal(weight, joined[name]) for name, weight in whole.items())
    assert timeless(parts) == timeless(tmp_path / "whole")


def test_a_stop_inside_a_validation_leaves_a_checkpoint(tmp_path: Path) -> None:
    def stop(_: Any) -> Validation:
        raise Preempted("Stopped while scoring.")

    with pytest.raises(Preempted, match="while scoring"):
        fit(ToyModel(), [ROWS] * 9, PLAN, stop, "accuracy", tmp_path, "key", Quiet())
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    assert checkpoint.name == "step-00000002"
    state, _ = train(tmp_path)
    assert state.step == 8
    assert [r["step"] for r in log(tmp_path, "validation")] == [2, 4, 6, 8]


def test_what_a_resumed_run_repeats_is_dropped_from_the_log(tmp_path: Path) -> None:
    with pytest.raises(Preempted):
        train(tmp_path, progress=Interrupted(4))
    reached = log(tmp_path, "step")[-1]["step"]
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write(json.dumps({"kind": "step", "step": reached + 1, "loss": 99.0}) + "\n")
        stream.write(json.dumps({"kind": "validation", "step": 8, "loss": 99.0}) + "\n")
        stream.write('{"kind": "step", "st')  # torn
    train(tmp_path)
    records = list(read_jsonl(tmp_path / "log.jsonl"))
    assert [r["step"] for r in records if r["kind"] == "step"] == list(range(1, 9))
    assert 99.0 not in [r["loss"] for r in records]


def test_holes_go_back_where_more_is_held_than_a_step_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(loop, "give_back", lambda: given.append(1))
    monkeypatch.setattr(loop, "own_bytes", lambda: 1000)
    counts = []
    for needed, held in ((999, 0), (1000, 0), (699, 300), (700, 300)):
        given.clear()
        plan = replace(PLAN, validate_at=(8,), estimated_bytes=needed)
        folder = tmp_path / str(needed)
        folder.mkdir()
        fit(ToyModel(), [ROWS] * 9, plan, honest, "accuracy", folder, "key", Quiet(), held)
        counts.append(len(given))
    assert counts[0] == counts[2] == counts[1] + 8  # after every step
    assert counts[1] == counts[3]
