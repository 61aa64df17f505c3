"""Models that cannot or must not be loaded are refused before anything of them runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tutelage.files import read_json


@pytest.fixture
def model(tiny_model_dir: Path, folder: Path) -> Path:
    shutil.copytree(tiny_model_dir, folder / "model")
    return folder / "model"


def _run_with(refused: Callable[..., str], model: str) -> str:
    return refused(2, "run", "good.csv", "--label", "sentiment", model=model)


def test_pickled_weights(model: Path, refused: Callable[..., str]) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    said = _run_with(refused, str(model))
    assert "weights must be safetensors" in said
    assert "pytorch_model.bin" in said


def test_remote_code(model: Path, refused: Callable[..., str]) -> None:
    config = read_json(model / "config.json")
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_evil.Evil"}
    (model / "config.json").write_text(json.dumps(config))
    (model / "modeling_evil.py").write_text("raise SystemExit('this ran')")
    assert "config.json: has 'auto_map'" in _run_with(refused, str(model))


@pytest.mark.parametrize("shard", ["../outside.safetensors", "a/b.safetensors", "/etc/passwd"])
def test_shards_outside_the_folder(shard: str, model: Path, refused: Callable[..., str]) -> None:
    index = {"weight_map": {"lm_head.weight": shard}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "names files outside the folder" in _run_with(refused, str(model))


def test_models_that_are_not_there(folder: Path, refused: Callable[..., str]) -> None:
    assert "Did you mean 'smollm2-135m'?" in _run_with(refused, "smollm2-135")
    assert "is not a model folder" in _run_with(refused, str(folder))


def test_no_tokenizer(model: Path, refused: Callable[..., str]) -> None:
    for path in model.glob("*token*"):
        path.unlink()
    assert "tokenizer" in _run_with(refused, str(model))


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "cuda"])
def test_devices(device: str, refused: Callable[..., str]) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has one")
    command = ["run", "good.csv", "--label", "sentiment", "--device", device]
    assert f"--device {device}: not usable here" in refused(2, *command)
