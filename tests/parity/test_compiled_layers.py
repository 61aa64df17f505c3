"""Compiled layers compute what plain ones do, and are used where that is measured to pay."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from families import VOCABULARY, tiny_model

from tutelage.errors import InputError
from tutelage.machine.memory import ModelShape
from tutelage.models import compiled_layers as compiled
from tutelage.models.compiled_layers import compiled_layers
from tutelage.models.loss_rows import label_logits, loss_and_gradients, trained_merged
from tutelage.records import Encoded
from tutelage.tokens.batches import collate, micro_batches
from tutelage.train import compilation
from tutelage.train.compilation import decide_compilation, still_compiles
from tutelage.train.config import TrainingConfig
from tutelage.train.plan import Plan, make_plan
from tutelage.train.preflight import Preflight

COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


def rows(seed: int, count: int = 6) -> list[Encoded]:
    draw = random.Random(seed)
    stem = tuple(draw.randrange(VOCABULARY) for _ in range(20))
    return [
        Encoded(
            str(n),
            stem + tuple(draw.randrange(VOCABULARY) for _ in range(draw.randrange(4, 30))),
            (5, 2),
        )
        for n in range(count)
    ]


def passes(model: Any, encoded: list[Encoded]) -> tuple[float, torch.Tensor]:
    model.train()
    model.zero_grad(set_to_none=True)
    batches = micro_batches(encoded, 2048)
    loss = sum(loss_and_gradients(model, b, 2 * len(encoded), "fp32") for b in batches)
    return loss, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@COMPILER
@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
def test_loss_and_gradients_are_the_plain_ones(family: str) -> None:
    """For trees of several sizes, and for a single row, which has an attention of its own."""
    model = tiny_model(family)
    compiled_graphs = torch._dynamo.utils.counters["stats"]
    before = compiled_graphs["unique_graphs"]
    for seed, count in ((0, 6), (1, 9), (2, 1)):
        loss, gradient = passes(model, rows(seed, count))
        with compiled_layers(model):
            other, found = passes(model, rows(seed, count))
        assert other == pytest.approx(loss, rel=1e-5)
        assert (found - gradient).norm() <= 1e-5 * gradient.norm()
    assert compiled_graphs["unique_graphs"] > before, "nothing was compiled"


@COMPILER
@pytest.mark.parametrize("checkpointing", [False, True])
def test_dropout_draws_what_it_draws_in_plain_layers(checkpointing: bool) -> None:
    model = tiny_model("gpt_neox", hidden_dropout=0.2, attention_dropout=0.1)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    found = decided(model, "auto", seconds=1e5)
    assert found.trial is not None, found.why
    assert found.trial.loss_difference is not None
    assert found.trial.loss_difference < 1e-5
    assert found.trial.gradient_difference is not None
    assert found.trial.gradient_difference < 1e-5


def test_no_number_is_no_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """And can be written down: what was found is JSON."""
    plain = compilation.loss_and_gradients
    calls: list[int] = []

    def sometimes(*args: Any) -> float:
        calls.append(1)
        return float("nan") if len(calls) == 2 else plain(*args)

    monkeypatch.setattr(compilation, "loss_and_gradients", sometimes)
    monkeypatch.setattr(compilation, "compiled_layers", lambda _model: nullcontext())
    found = decided(tiny_model("llama"), "auto", seconds=1e5)
    assert not found.used
    assert "no number" in found.why
    json.dumps(asdict(found), allow_nan=False)


def test_what_compiles_no_more_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def broken(_model: Any) -> Iterator[None]:
        raise RuntimeError("no compiler")
        yield

    model, encoded = tiny_model("llama"), rows(0, 12)
    plan = planned(model, encoded)
    monkeypatch.setattr(compilation, "compiled_layers", lambda _model: nullcontext())
    assert still_compiles(model, encoded, plan)
    monkeypatch.setattr(compilation, "compiled_layers", broken)
    assert not still_compiles(model, encoded, plan)
    assert all(p.grad is None for p in model.parameters())


def test_evaluation_runs_the_plain_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a compiled layer ran")

    monkeypatch.setattr(compiled.torch, "compile", lambda *_, **__: never)
    model = tiny_model("gpt_neox")
    batch = collate(rows(0))
    expected = label_logits(model, batch)
    with compiled_layers(model):
        model.eval()
        assert torch.equal(label_logits(model, batch), expected)
        model.train()
        with torch.no_grad():
            label_logits(model, batch)
        with pytest.raises(AssertionError, match="a compiled layer ran"):
            passes(model, rows(0))
    passes(model, rows(0))  # and outside nothing is left of it


def planned(model: Any, encoded: list[Encoded]) -> Plan:
    return make_plan(
        TrainingConfig(epochs=1, batch_size=4),
        encoded,
        ModelShape.of(model),
        precision="fp32",
        device_type="cpu",
        available=10**10,
        threads=torch.get_num_threads(),
        longest_merged=trained_merged(model),
    )


def decided(model: Any, asked: Any, seconds: float = 1.0) -> compilation.Compilation:
    """What is decided where 100 tokens take so many seconds."""
    encoded = rows(0, 12)
    plan = planned(model, encoded)
    return decide_compilation(model, encoded, plan, Preflight(100, seconds, 0, 0), asked)


def test_a_short_run_does_not_compile() -> None:
    found = decided(tiny_model("llama"), "auto")
    assert not found.used
    assert found.trial is None
    assert found.why == "about 1 min of training do not pay for it"
    assert decided(tiny_model("llama"), asked=False, seconds=1e9).trial is None


@COMPILER
def test_a_long_run_measures_and_takes_what_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    before = [p.clone() for p in model.parameters()]
    found = decided(model, "auto", seconds=1e5)
    assert found.trial is not None
    assert found.used == (found.trial.gain >= 1.02)
    assert found.trial.gradient_difference < 1e-5
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
    for gain in (0.0, 1e9):
        monkeypatch.setattr(compilation, "_GAIN", gain)
        assert decided(model, "auto", seconds=1e5).used == (gain == 0.0)
        assert decided(model, asked=True).used, "what is asked for is done"


@contextmanager
def wrong(model: Any) -> Iterator[None]:
    """Layers that compute something else."""
    layer = model.model.layers[0]
    plain = layer.forward
    layer.forward = lambda *a, **k: plain(*a, **k) * 1.5
    try:
        yield
    finally:
        del layer.forward


def test_what_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "compiled_layers", wrong)
    found = decided(tiny_model("llama"), "auto", seconds=1e5)
    assert not found.used
    assert "they compute something else: loss and gradient differ by" in found.why
    with pytest.raises(InputError, match=r"compute something else.*Nothing was trained"):
        decided(tiny_model("llama"), asked=True)


WITHOUT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_compiled_layers import decided
from families import tiny_model
from tutelage.errors import InputError
print(decided(tiny_model("llama"), "auto", seconds=1e5))
try:
    decided(tiny_model("llama"), asked=True)
except InputError as error:
    print(error)
"""


def test_without_a_compiler_it_goes_on(tmp_path: Path) -> None:
    environment = {
        "CXX": str(tmp_path / "none"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
        "PATH": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    first, second = done.stdout.strip().splitlines()
    assert "used=False" in first
    assert "do not compile here" in first
    assert "compiler" in second
    assert "training.compile=auto goes on without" in second
