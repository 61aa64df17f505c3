"""Which device the model runs on."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch

from tutelage.errors import ConfigError


def choose_device(name: str = "auto") -> torch.device:
    """The named device, or the best of cuda, mps and cpu.

    Raises:
        ConfigError: the device is unknown or absent.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--device {name}: not usable here ({reason}). Use auto, cpu, cuda or mps."
        ) from error
    return device


def machine_facts(device: torch.device) -> dict[str, Any]:
    """What a reader needs to judge times: processor, cores, threads, device."""
    facts: dict[str, Any] = {
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device.type,
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
