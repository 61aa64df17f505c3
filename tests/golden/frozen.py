"""What is frozen: the losses of a fixed training, and the prepared data of the tiny table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import tutelage
from tiny import TINY_SETTINGS, tiny_reviews, write_tiny_model, write_tiny_reviews
from tutelage.files import read_jsonl, sha256_file
from tutelage.machine.memory import ModelShape
from tutelage.pipeline.run import run_stages
from tutelage.pipeline.rundir import open_directory
from tutelage.progress import Quiet
from tutelage.records import Encoded
from tutelage.train.config import TrainingConfig
from tutelage.train.loop import fit
from tutelage.train.plan import make_plan
from tutelage.train.validation import Validation

HOME = Path(__file__).parent
STEPS = 10


def read(name: str) -> Any:
    """A committed value."""
    return json.loads((HOME / f"{name}.json").read_text(encoding="utf-8"))


def training_losses(folder: Path) -> list[float]:
    """Losses of ten steps of the real loop on a model and rows out of numpy's generator."""
    rows = _rows()
    model = _model()
    config = TrainingConfig(
        epochs=2, batch_size=8, learning_rate=0.01, warmup=0.2, weight_decay=0.1, schedule="cosine"
    )
    plan = make_plan(
        config,
        rows,
        ModelShape.of(model),
        precision="fp32",
        device_type="cpu",
        available=2**40,
        threads=torch.get_num_threads(),
    )
    assert plan.steps == STEPS
    folder.mkdir(parents=True, exist_ok=True)

    def validate(_model: Any) -> Validation:
        return Validation(1.0, {"accuracy": 0.5}, ())

    fit(model, [rows] * 20, plan, validate, "accuracy", folder, "golden", Quiet())
    return [r["loss"] for r in read_jsonl(folder / "log.jsonl") if r["kind"] == "step"]


def data_facts(folder: Path) -> dict[str, Any]:
    """sha256 of what `prepare` writes for the tiny table, and the fingerprint of its split."""
    table = folder / "reviews.csv"
    folder.mkdir(parents=True, exist_ok=True)
    write_tiny_reviews(table, tiny_reviews())
    settings = {**TINY_SETTINGS, "model": str(write_tiny_model(folder / "model"))}
    config, origins = tutelage.load_config(
        str(table), catalog=tutelage.Catalog(), overrides=settings
    )
    run = open_directory(config, folder / "run")
    run_stages(run, "prepare", origins, progress=Quiet())
    data = run.folder("prepare")
    summary = json.loads((data / "summary.json").read_text(encoding="utf-8"))
    # the manifest names the folder of the model, which is another one every time
    files = sorted(p for p in data.iterdir() if p.name != "manifest.json")
    return {
        "split_fingerprint": summary["split_fingerprint"],
        "files": {path.name: sha256_file(path) for path in files},
    }


def _rows() -> list[Encoded]:
    """Forty rows, every four of which begin alike."""
    draw = np.random.default_rng(1)
    rows = []
    for number in range(40):
        if number % 4 == 0:
            shared = draw.integers(0, 50, 5).tolist()
        prompt = (*shared, *draw.integers(0, 50, int(draw.integers(1, 6))).tolist())
        answer = (*draw.integers(0, 50, int(draw.integers(0, 3))).tolist(), 7)
        rows.append(Encoded(f"r{number}", prompt, answer))
    return rows


def _model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    draw = np.random.default_rng(0)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            if parameter.ndim > 1:
                values = draw.normal(0, 0.2, tuple(parameter.shape))
                parameter.copy_(torch.from_numpy(values))
    return model
