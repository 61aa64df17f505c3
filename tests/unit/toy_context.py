"""A stage's context around a directory that a test chooses; no model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from toy_example import LABELS
from toy_tokenizer import chatml

from listener import Listener
from tutelage.config import RunConfig
from tutelage.files import write_json
from tutelage.models.load import ModelSource
from tutelage.pipeline.rundir import RunDirectory
from tutelage.pipeline.stage import Context
from tutelage.tokens.encode import Encoder


def toy_context(folder: Path, progress: Any = None, **sections: Any) -> Context:
    """A prepared run of the labels "bad" and "good" in `folder/run`."""
    task = {"name": "toy", "source": {"path": str(folder / "data.csv")}, "labels": list(LABELS)}
    config = RunConfig.model_validate({"task": task, "model": "toy", **sections})
    run = RunDirectory(folder / "run", config, "fingerprint")
    facts = {"labels": list(LABELS), "kind": "classification", "fields": ["text"]}
    summary = {
        **facts,
        "metrics": ["accuracy", "macro_f1"],
        "max_length": 100_000,
        "tasks": {"": {**facts, "held_out": False}},
    }
    write_json(run.folder("prepare") / "summary.json", summary)
    return Context(
        run=run,
        device=torch.device("cpu"),
        progress=progress or Listener(),
        source=ModelSource("toy", folder / "model", "Toy"),
        encoder=Encoder(chatml()),
    )
