"""Which device the model runs on, and what is said of the machine."""

from __future__ import annotations

import builtins
import os
from typing import Any

import pytest
import torch

from tutelage.errors import ConfigError
from tutelage.machine.device import choose_device, machine_facts


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == choose_device().type == chosen


def test_a_named_device_is_taken() -> None:
    assert choose_device("cpu") == torch.device("cpu")


def _absent() -> str:
    return "mps" if torch.cuda.is_available() else "cuda"


@pytest.mark.parametrize("name", ["tpuu", "", _absent()])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device(name)
    said = str(caught.value)
    assert said.startswith(f"--device {name}: not usable here (")
    assert said.endswith("Use auto, cpu, cuda or mps.")
    assert "\n" not in said


def test_what_a_reader_needs_to_judge_times() -> None:
    facts = machine_facts(torch.device("cpu"))
    assert facts["device"] == "cpu"
    assert facts["cores"] == os.cpu_count()
    assert facts["threads"] == torch.get_num_threads()
    assert facts["system"]
    assert facts["processor"]
    assert "gpu" not in facts


def test_a_machine_without_proc_has_a_processor_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> Any:
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    assert machine_facts(torch.device("cpu"))["processor"]
