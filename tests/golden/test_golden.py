"""Numbers that may only change on purpose; `python tests/golden/regenerate.py` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from frozen import STEPS, data_facts, read, training_losses

from tutelage.records import SPLITS


def test_losses_of_ten_steps(tmp_path: Path) -> None:
    frozen = read("losses")
    assert len(frozen) == STEPS
    assert training_losses(tmp_path) == pytest.approx(frozen, rel=1e-4)


def test_prepared_data_byte_for_byte(tmp_path: Path) -> None:
    frozen = read("data")
    assert {f"{name}.jsonl" for name in SPLITS} < frozen["files"].keys()
    assert data_facts(tmp_path) == frozen
