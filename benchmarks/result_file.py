"""The dated file that a benchmark leaves behind."""

from __future__ import annotations

import datetime as dt
import json
import platform
import uuid
from pathlib import Path
from typing import Any

import torch

from tutelage.machine.device import machine_facts
from tutelage.machine.precision import Probe

RESULTS = Path(__file__).parent / "results"


def write_result(
    name: str, command: str, rates: Probe, found: dict[str, Any], out: Path | None
) -> None:
    """Write `results/<date>-<name>.json`, or `out`, with what says where it comes from."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    result = {
        "date": today,
        "run": uuid.uuid4().hex[:12],
        "command": f"benchmarks/{command}",
        "machine": machine_facts(torch.device("cpu")),
        "python": platform.python_version(),
        "precision": rates.faster,
        "gflops": {"fp32": rates.fp32, "bf16": rates.bf16},
        **found,
    }
    path = out or RESULTS / f"{today}-{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(path)
