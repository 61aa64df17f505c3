"""The result of a run: the same numbers as report.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutelage.errors import ConfigError, IntegrityError
from tutelage.files import write_json
from tutelage.result import Result, open_run

REPORT = {
    "primary_metric": "macro_f1",
    "verdict": {"says": "better"},
    "arms": {"tuned": {"metrics": {"accuracy": {"value": 0.9}, "macro_f1": {"value": 0.8}}}},
}


def test_a_finished_run(tmp_path: Path) -> None:
    write_json(tmp_path / "report.json", REPORT)
    result = open_run(str(tmp_path))
    assert result == Result(tmp_path, REPORT)
    assert result.verdict == {"says": "better"}
    assert list(result.arms) == ["tuned"]
    assert result.metric("tuned") == 0.8
    assert result.metric("tuned", "accuracy") == 0.9
    assert (result.model_path, result.page) == (tmp_path / "model", tmp_path / "report.html")


def test_a_run_that_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(ConfigError, match=f"not finished; go on with `tutelage run {tmp_path}`"):
        open_run(tmp_path)


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run is there; start one with `tutelage run TASK`"):
        open_run(tmp_path / "nowhere")


def test_a_broken_report(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(IntegrityError, match="is not valid JSON"):
        open_run(tmp_path)


def test_an_arm_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="few_shot_9"):
        Result(tmp_path, REPORT).metric("few_shot_9")
