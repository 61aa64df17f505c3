"""A model without its weights has the sizes of the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tutelage.errors import InputError
from tutelage.machine.memory import ModelShape
from tutelage.models.load import load_model
from tutelage.models.lora import add_lora
from tutelage.models.skeleton import skeleton


def test_a_skeleton_has_the_sizes_and_no_weights(tiny_model_dir: Path) -> None:
    frame = skeleton(tiny_model_dir)
    assert {p.device for p in frame.parameters()} == {torch.device("meta")}
    assert ModelShape.of(frame) == ModelShape.of(load_model(tiny_model_dir))


def test_adapters_count_on_a_skeleton_too(tiny_model_dir: Path) -> None:
    sizes = [
        ModelShape.of(add_lora(model, rank=4, alpha=8, dropout=0, targets="all-linear", seed=0))
        for model in (skeleton(tiny_model_dir), load_model(tiny_model_dir))
    ]
    assert sizes[0] == sizes[1]
    assert 0 < sizes[0].trained < sizes[0].total


def test_an_architecture_that_nobody_knows(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(tiny_model_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such"}))
    with pytest.raises(InputError, match="not a causal language model"):
        skeleton(folder)
