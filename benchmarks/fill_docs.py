"""Write what runs measured into the `measured:` blocks of README and docs, from their files.

.venv/bin/python benchmarks/fill_docs.py demo runs/reviews-0b3d3958 --whole "17 min 3 s"
.venv/bin/python benchmarks/fill_docs.py task runs/gsm8k gsm8k
.venv/bin/python benchmarks/fill_docs.py seeds runs/seed0 runs/seed1 runs/seed2
.venv/bin/python benchmarks/fill_docs.py speed benchmarks/results/2026-11-29.json ...
.venv/bin/python benchmarks/fill_docs.py growth benchmarks/results/2026-11-29-growth.json
.venv/bin/python benchmarks/fill_docs.py curves benchmarks/results/2026-11-29-curves.json ...
.venv/bin/python benchmarks/fill_docs.py worth benchmarks/results/2026-11-29-leave-one-out.json
.venv/bin/python benchmarks/fill_docs.py profile benchmarks/results/2026-11-29-profile.json
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from run_tables import arms, clock, machine, share, verdict
from speed_tables import (
    answers_table,
    comparison_origin,
    curves_table,
    growth_table,
    joined_versions,
    profile_table,
    ratio_table,
    score_table,
    train_table,
    versions_of,
    worth_table,
)

ROOT = Path(__file__).parents[1]
FIGURE = "Accuracy of every arm on the sealed test, with 95 % intervals"


def fill(path: Path, block: str, text: str) -> None:
    """Replace one block of one page."""
    page = path.read_text(encoding="utf-8")
    pattern = rf"(<!-- measured:{re.escape(block)} -->\n).*?(<!-- /measured -->)"
    assert re.search(pattern, page, re.DOTALL), f"{path} has no block {block}"
    new = re.sub(pattern, lambda m: f"{m[1]}{text.strip()}\n{m[2]}", page, flags=re.DOTALL)
    path.write_text(new, encoding="utf-8")


def demo(run: Path, whole: str) -> None:
    """README, index, tutorial and results of split seed 0."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    rows, stages = report["rows"], report["stages"]
    total = clock(sum(s["seconds"] for s in stages.values()))
    peak = max(s["peak_memory_bytes"] for s in stages.values()) / 1e9
    counts = f"{rows['test']:,} test sentences, {rows['train']:,} for training, "
    counts += f"{rows['validation']:,} for validation"
    for page, folder in ((ROOT / "README.md", "docs/assets"), (ROOT / "docs/index.md", "assets")):
        text = (
            f"{arms(report, ['accuracy', 'macro_f1'])}\n\n{verdict(report)} {counts}; values on "
            "the test, with 95 % intervals by bootstrap over groups. The run took "
            f"{total} and at most {peak:.1f} GB of memory; `make demo` took {whole} from a fresh "
            "clone, with installation and downloads.\n\n"
            f"![{FIGURE}]({folder}/reviews.svg)"
        )
        fill(page, "result", text)
    shutil.copy(run / "report.svg", ROOT / "docs/assets/reviews.svg")
    templates = report["arms"]["tuned"]["per_template"]
    zero = report["arms"]["zero_shot"]["per_template"]
    per = "\n".join(
        f"| `{t}` | {100 * share(zero[t]):.1f} % | {100 * share(templates[t]):.1f} % |"
        for t in sorted(templates)
    )
    fill(
        ROOT / "docs/results.md",
        "seed 0",
        f"{counts}. Split fingerprint `{report['splits']['fingerprint'][:16]}…`.\n\n"
        f"{arms(report, ['accuracy', 'macro_f1'])}\n\n{verdict(report)}\n\n"
        f"![{FIGURE}](assets/reviews.svg)\n\n"
        f"Accuracy by template:\n\n| template | zero-shot | tuned |\n|---|---|---|\n{per}",
    )
    fill(ROOT / "docs/results.md", "machine", machine(report))
    command = [sys.executable, "-m", "tutelage", "show", str(run)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=_wide()).stdout
    shown = shown.replace(str(run), f"runs/{run.name}").rstrip()
    fill(ROOT / "docs/tutorial.md", "show", f"```text\n{shown}\n```")


def _wide() -> dict[str, str]:
    import os

    return {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}


def task(run: Path, block: str) -> None:
    """Any other run, on the page of results."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    metrics = list(next(iter(report["arms"].values()))["metrics"])[:2]
    rows = report["rows"]
    text = (
        f"{rows['train']:,} rows for training, {rows['validation']:,} for validation, "
        f"{rows['test']:,} in the test.\n\n{arms(report, metrics)}\n\n{verdict(report)}"
    )
    for name, found in report.get("unseen_tasks", {}).items():
        said = found["verdict"]["sentence"]
        text += f"\n\nUnseen task `{name}` ({found['rows']:,} rows): {said}"
    text += f"\n\n{machine(report)}"
    fill(ROOT / "docs/results.md", block, text)


def seeds(runs: list[Path]) -> None:
    """The repeats over split seeds, one line each."""
    lines = [
        "| split seed | test rows | zero-shot | best baseline | tuned | difference (95 %) | p |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    values = []
    for run in runs:
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        found, counted = report["verdict"], report["arms"]
        best = counted[found["best_baseline"]]

        def accuracy(arm: dict[str, Any]) -> float:
            return float(arm["metrics"]["accuracy"]["value"])

        values.append(accuracy(counted["tuned"]))
        low, high = found["ci95"]
        p = "< 0.0001" if found["p_value"] < 1e-4 else f"{found['p_value']:.4f}"
        lines.append(
            f"| {report['splits']['seed']} | {report['rows']['test']} | "
            f"{100 * accuracy(counted['zero_shot']):.1f} % | {100 * accuracy(best):.1f} % "
            f"({best['title']}) | **{100 * values[-1]:.1f} %** | {100 * found['difference']:+.1f} "
            f"({100 * low:+.1f} to {100 * high:+.1f}) | {p} |"
        )
    mean = statistics.mean(values)
    lines += ["", f"Mean accuracy of the tuned model: {100 * mean:.1f} %."]
    fill(ROOT / "docs/results.md", "seeds", "\n".join(lines))


TABLES = {  # of one benchmark, by block: the page, and what makes a table of a result file
    "growth": ("docs/speed.md", growth_table),
    "worth": ("docs/speed.md", worth_table),
    "profile": ("docs/speed.md", profile_table),
    "curves": ("docs/training.md", curves_table),
}


README_WORKS = {
    "a": "`reviews`, as the demo trains it",
    "b": "the same behind a 500-token system prompt",
    "f": "the same behind five examples",
    "c": "long prompts that share nothing, short answers",
    "d": "a shared instruction, long prompts, long answers",
    "e": "loss on every token, nothing shared",
    "score_zero_shot": "scoring options, zero-shot",
    "score_5shot": "scoring options behind five examples",
    "decoding": "greedy decoding",
}


def speed(paths: list[Path]) -> None:
    """The tables of `docs/speed.md` and README, of what `join_results.py` made on each machine."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    parts = [part for found in files for part in found["parts"]]
    page = ROOT / "docs/speed.md"
    for block, table in (("train", train_table), ("score", score_table)):
        lines = []
        for part in parts:
            if isinstance(part["works"], list) == (block == "train"):
                lines += [comparison_origin(part), "", *table(part), ""]
        fill(page, block, "\n".join(lines))
    answers = [
        f"Run `{part['run']}`, {processor(found)}:\n\n{answers_table(part)}"
        for found in files
        for part in found["parts"]
        if "same_answers" in part
    ]
    fill(page, "answers", "\n\n".join(answers))
    machines = {processor(found): found for found in files}
    lines = ratio_table(machines, README_WORKS)
    versions = joined_versions(versions_of(part) for part in parts)
    memory = max(found["ratios"]["memory_a"] for found in files)
    measured = ", ".join(f"{name} on {found['date']}" for name, found in machines.items())
    text = "\n".join(
        [
            *lines,
            "",
            f"Peak memory of `reviews`: {memory:.2f} of the leanest peer's. "
            f"{measured}, two cores each, no GPU; "
            f"{', '.join(f'{n} {v}' for n, v in sorted(versions.items()))}; "
            "`make bench`, `make bench-all`. "
            "How it is measured, all figures and where the limits are: "
            "[docs/speed.md](docs/speed.md).",
        ]
    )
    fill(ROOT / "README.md", "speed", text)


def processor(found: dict[str, Any]) -> str:
    """Of a joined file, without marks of trade."""
    name = str(found["parts"][0]["machine"]["processor"])
    return " ".join(name.replace("(R)", "").replace("Processor", "").split())


def main() -> None:
    """One kind of block."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("demo")
    one.add_argument("run", type=Path)
    one.add_argument("--whole", required=True, help="time of make demo from a fresh clone")
    other = kinds.add_parser("task")
    other.add_argument("run", type=Path)
    other.add_argument("block")
    for name in ("seeds", "speed", *TABLES):
        kinds.add_parser(name).add_argument("paths", type=Path, nargs="+")
    given = parser.parse_args()
    if given.kind == "demo":
        demo(given.run, given.whole)
    elif given.kind == "task":
        task(given.run, given.block)
    elif given.kind == "seeds":
        seeds(given.paths)
    elif given.kind == "speed":
        speed(given.paths)
    else:
        page, made = TABLES[given.kind]
        found = [made(json.loads(path.read_text(encoding="utf-8"))) for path in given.paths]
        fill(ROOT / page, given.kind, "\n\n".join(found))


if __name__ == "__main__":
    main()
