"""Small made-up tasks for runs with the tiny model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from command import call

WORDS = [
    "blue",
    "green",
    "old",
    "new",
    "warm",
    "cold",
    "tall",
    "short",
    "wide",
    "thin",
    "soft",
    "hard",
    "round",
    "flat",
    "dark",
    "light",
]
BRIEF = {
    "training": {"epochs": 1, "learning_rate": 0.003, "validations": 1},
    "baselines": {"shots": [0, 1]},
}


def run(model: Path, task: dict[str, Any], **sections: Any) -> Path:
    """Run a task given as plain data (JSON is YAML); returns the run directory."""
    Path("task.yaml").write_text(
        json.dumps({"task": task, "model": str(model), **BRIEF, **sections})
    )
    call("run", "task.yaml", "--out", "out").expect(0)
    return Path("out")


def some(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(count))


def write_lines(path: str, rows: list[dict[str, Any]]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def moods(count: int, salt: int) -> list[tuple[str, str]]:
    rng = random.Random(salt)
    found = []
    for number in range(count):
        good = rng.random() < 0.5
        middle = "superb" if good else "awful"
        text = f"{some(rng, 5)} {middle} {some(rng, 4)} {salt} {number}"
        found.append((text, "positive" if good else "negative"))
    return found
