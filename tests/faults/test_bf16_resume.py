"""A run in bf16 that was interrupted ends in the same bytes as one that was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from few_steps import make_plan, random_rows, train

from tutelage.files import sha256_file
from tutelage.kernels.library import kernels
from tutelage.models.load import load_model
from tutelage.train import loop


def _interrupted_at(number: int) -> Callable[..., Any]:
    real, calls = loop.train_step, list[int]()

    def step(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            raise InterruptedError
        return real(*args, **kwargs)

    return step


@pytest.mark.skipif(not kernels().bf16, reason="no kernels, or no bf16")
@pytest.mark.parametrize("tokens", [24, 64])
def test_in_bf16_a_run_goes_on_to_the_same_bytes(
    tokens: int, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of weights, and memory for sums, are made anew; one micro-batch a step and several."""
    plan = make_plan(precision="bf16", micro_batch_tokens=tokens)
    results = []
    for name, breaks in (("whole", False), ("parted", True)):
        folder = tmp_path / name
        folder.mkdir()
        if breaks:
            model = load_model(tiny_model_dir)
            with monkeypatch.context() as patch:
                patch.setattr(loop, "train_step", _interrupted_at(5))
                with pytest.raises(InterruptedError):
                    train(model, random_rows(model), folder, plan)
        model = load_model(tiny_model_dir)
        train(model, random_rows(model), folder, plan)
        last = folder / "checkpoints" / "step-00000006" / "weights.safetensors"
        results.append(sha256_file(last))
    assert results[0] == results[1]
