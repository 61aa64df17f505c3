"""What stages leave beside their results: time, memory, and the precision decided once."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toy_context import toy_context
from toy_example import example

from tutelage.files import read_json, write_jsonl
from tutelage.machine.precision import Probe
from tutelage.pipeline import stage
from tutelage.pipeline.stage import (
    Measured,
    by_id,
    decide_precision,
    measured,
    read_predictions,
    record,
)
from tutelage.records import Prediction

FASTER_IN_BF16 = Probe((100.0, 100.0, 100.0), (300.0, 300.0, 300.0))
FASTER_IN_FP32 = Probe((100.0, 100.0, 100.0), (10.0, 300.0, 10.0))


def model(**config: Any) -> Any:
    text = SimpleNamespace(hidden_size=8, **config)
    return SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: text))


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[Probe]:
    """Results that the probe gives in turn."""
    waiting: list[Probe] = []

    def probe(device: torch.device, width: int, inner: int) -> Probe:
        assert (width, inner) == (8, 32)
        return waiting.pop(0)

    monkeypatch.setattr(stage, "probe", probe)
    return waiting


@pytest.mark.parametrize(("found", "chosen"), [(FASTER_IN_BF16, "bf16"), (FASTER_IN_FP32, "fp32")])
def test_precision_is_measured_once_and_read_back(
    tmp_path: Path, probes: list[Probe], found: Probe, chosen: str
) -> None:
    probes.append(found)
    context = toy_context(tmp_path)
    assert decide_precision(context, model(intermediate_size=32)) == chosen
    assert probes == []
    held = read_json(context.run.path / "measured.json")
    assert (held["precision"], held["origin"]) == (chosen, "measured")
    assert held["gflops"] == {"fp32": list(found.fp32), "bf16": list(found.bf16)}
    assert held["machine"]["device"] == "cpu"
    (said,) = context.progress.said
    assert f"Precision {chosen}: matrix products reach 100 GFLOP/s in fp32, 300 in bf16." == said
    assert decide_precision(context, model()) == chosen  # another probe would fail
    assert len(context.progress.said) == 1


def test_a_named_precision_is_taken_and_stays(tmp_path: Path, probes: list[Probe]) -> None:
    probes.append(FASTER_IN_BF16)
    named = toy_context(tmp_path, training={"precision": "fp32"})
    assert decide_precision(named, model()) == "fp32"
    assert read_json(named.run.path / "measured.json")["origin"] == "configuration"
    assert decide_precision(toy_context(tmp_path), model()) == "fp32"


def test_time_and_memory_of_a_block() -> None:
    with measured(torch.device("cpu")) as spent:
        time.sleep(0.02)
        assert spent == Measured()
    assert 0.02 <= spent.seconds < 2
    assert spent.peak_memory_bytes > 2**20


def test_stages_are_recorded_side_by_side(tmp_path: Path) -> None:
    run = toy_context(tmp_path).run
    record(run, "prepare", Measured(1.5, 100))
    record(run, "train", Measured(2.5, 200))
    record(run, "prepare", Measured(3.5, 300))
    assert read_json(run.path / "stages.json") == {
        "prepare": {"seconds": 3.5, "peak_memory_bytes": 300},
        "train": {"seconds": 2.5, "peak_memory_bytes": 200},
    }


def test_examples_and_labels_as_prepare_wrote_them(tmp_path: Path) -> None:
    context = toy_context(tmp_path)
    rows = [example("1", "a\u2028b"), example("2", label="bad")]
    write_jsonl(context.run.folder("prepare") / "test.jsonl", (row.to_json() for row in rows))
    assert context.examples("test") == rows
    assert context.labels() == ("bad", "good")


def test_predictions_as_they_were_written(tmp_path: Path) -> None:
    made = [Prediction("1", "g", "good", "bad", "t", (-1.0, -2.0)), Prediction("2", "g", "a", "b")]
    write_jsonl(tmp_path / "test.jsonl", (p.to_json() for p in made))
    assert read_predictions(tmp_path / "test.jsonl") == made
    assert by_id(made) == {"1": made[0], "2": made[1]}
