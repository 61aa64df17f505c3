"""What is kept of a comparison: the worst ratio of each kind, and what others measured."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def part(folder: Path, name: str, run: str, **ratios: float) -> None:
    found = {"date": name[:10], "run": run, "ratios": ratios, "works": []}
    (folder / name).write_text(json.dumps(found))


def test_the_worst_ratio_of_all_runs_stands(script: Any, tmp_path: Path) -> None:
    join = script("join_results").join
    assert join(tmp_path) is None
    part(tmp_path, "2026-01-01-train.json", "r1", a=3.0, memory_a=0.3)
    part(tmp_path, "2026-01-01-train-litgpt.json", "r2", a=2.5, memory_a=0.4)
    final = join(tmp_path)
    part(tmp_path, "2026-01-01-score.json", "r3", score_5shot=9.0)
    assert join(tmp_path) == final
    assert [path.name for path in tmp_path.iterdir()] == ["2026-01-01.json"]
    found = json.loads(final.read_text())
    assert found["ratios"] == {"a": 2.5, "memory_a": 0.4, "score_5shot": 9.0}
    assert found["run_of"] == {"a": "r2", "memory_a": "r2", "score_5shot": "r3"}
    assert {p["run"] for p in found["parts"]} == {"r1", "r2", "r3"}


def test_a_contender_that_ends_is_named(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train_speed = script("train_speed")
    (tmp_path / "peers").mkdir()
    says = "import sys\nprint('no room', file=sys.stderr)\n" + "print('{}', flush=True)\n"
    (tmp_path / "peers" / "ours.py").write_text(says)
    monkeypatch.setattr(train_speed, "HERE", tmp_path)
    worker = train_speed.Worker("ours", tmp_path / "work.json", tmp_path, "fp32")
    with pytest.raises(train_speed.EndedError, match="ours ended with 0:\nno room"):
        worker.step()
    worker.stop()
