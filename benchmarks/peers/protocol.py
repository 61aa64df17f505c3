"""How a worker talks to the driver: one JSON line in, one JSON line out, nothing else on stdout.

Runs in every peer's environment, so it needs the standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

_OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # whatever a library prints goes to stderr


def work() -> dict[str, Any]:
    """The work that the driver wrote."""
    return json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))


def model_folder() -> str:
    """Where the weights are, as a plain Hugging Face folder."""
    return sys.argv[2]


def precision() -> str:
    """fp32 or bf16."""
    return sys.argv[3]


def wait() -> bool:
    """Until the driver says go; false where it says stop."""
    return sys.stdin.readline().strip() == "go"


def tell(**values: Any) -> None:
    """One answer."""
    _OUT.write(json.dumps(values) + "\n")


def peak_gb() -> float:
    """Peak resident memory of this process so far, in 10⁹ bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    return float("nan")
