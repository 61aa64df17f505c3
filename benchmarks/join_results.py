"""Put the parts of a comparison into one file, `results/<date>.json`, with every ratio.

A ratio is to the best peer of all parts, and the run that it comes from is named. Parts that are in
the day's file already stay; the files that are joined go.

.venv/bin/python benchmarks/join_results.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from result_file import RESULTS

PARTS = ("*-train.json", "*-train-*.json", "*-score.json")


def joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One result of several, the worst ratio of each kind."""
    found: dict[str, Any] = {"date": max(p["date"] for p in parts), "ratios": {}, "run_of": {}}
    for part in parts:
        for name, ratio in part["ratios"].items():
            worse = max if name.startswith("memory") else min
            if worse(ratio, found["ratios"].get(name, ratio)) == ratio:
                found["ratios"][name], found["run_of"][name] = ratio, part["run"]
    return {**found, "parts": list(parts)}


def join(folder: Path) -> Path | None:
    """Join the parts that lie in a folder; where there are none, nothing happens."""
    paths = sorted(path for kind in PARTS for path in folder.glob(kind))
    if not paths:
        return None
    new = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    final = folder / f"{max(part['date'] for part in new)}.json"
    before = json.loads(final.read_text(encoding="utf-8"))["parts"] if final.exists() else []
    runs = {part["run"] for part in new}
    whole = joined([*(part for part in before if part["run"] not in runs), *new])
    made = final.with_suffix(".tmp")
    made.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    made.replace(final)
    for path in paths:
        path.unlink()
    return final


if __name__ == "__main__":
    print(join(RESULTS) or "There is nothing to join.")
