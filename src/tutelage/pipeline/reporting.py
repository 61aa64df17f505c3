"""Report: gather what the stages wrote into report.json, report.html and the model card."""

from __future__ import annotations

import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import tutelage
from tutelage.files import (
    MANIFEST,
    read_json,
    sha256_file,
    write_json,
    write_text,
)
from tutelage.machine.device import machine_facts
from tutelage.pipeline.pagedata import page_content
from tutelage.pipeline.rundir import RunDirectory
from tutelage.pipeline.stage import Context, measured, record
from tutelage.report.card import build_card
from tutelage.report.figures import arms_figure
from tutelage.report.page import build_page

_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "scikit-learn", "scipy", "numpy")


def report(context: Context) -> None:
    """Write report.json, report.html, report.svg and `model/README.md`; compute nothing new."""
    run = context.run
    with measured(context.device) as spent:
        data = report_data(context)
        content = page_content(context, data, _command(run))
        page, card = build_page(content), build_card(content)
        picture = arms_figure(data, theme="light")
    record(run, "report", spent)
    data["stages"] = read_json(run.path / "stages.json")
    write_text(run.path / "report.html", page)
    if picture is not None:
        write_text(run.path / "report.svg", picture)
    write_text(run.model / "README.md", card)
    write_json(run.path / "report.json", data)
    names = [n for n in ("report.html", "report.svg", "report.json") if (run.path / n).exists()]
    files = {
        n: {"bytes": (run.path / n).stat().st_size, "sha256": sha256_file(run.path / n)}
        for n in names
    }
    write_json(run.path / MANIFEST, {"stage": "report", "key": run.key("report"), "files": files})


def report_data(context: Context) -> dict[str, Any]:
    """report.json, schema 1."""
    run = context.run
    summary = read_json(run.folder("prepare") / "summary.json")
    looks = read_json(run.folder("evaluate") / "looks.json")
    source = context.source
    return {
        "schema": 1,
        "task": run.config.task.name,
        "model": run.config.model,
        "tutelage": tutelage.__version__,
        "rows": {name: facts["rows"] for name, facts in summary["splits"].items()},
        "labels": summary["labels"],
        "primary_metric": summary["metrics"][0],
        "kind": summary["kind"],
        "arms": read_json(run.folder("evaluate") / "scores.json"),
        "verdict": read_json(run.folder("evaluate") / "verdict.json"),
        "unseen_tasks": read_json(run.folder("evaluate") / "unseen_tasks.json"),
        "stages": read_json(run.path / "stages.json"),
        "training": read_json(run.folder("train") / "summary.json"),
        "splits": {
            "fingerprint": summary["split_fingerprint"],
            "seed": run.config.split.seed,
            "looks": looks["looks"],
            **summary["splits"],
        },
        "ledger": summary["ledger"],
        "quality": summary["quality"]["counts"],
        "leaks": {
            k: v
            for k, v in read_json(run.folder("prepare") / "leaks.json").items()
            if k != "conflicts"
        },
        "notes": _notes(summary, looks, source.quantisation),
        "provenance": {
            "title": source.title,
            "licence": source.licence,
            "quantisation": source.quantisation,
        },
        "machine": machine_facts(context.device),
        "versions": _versions(),
    }


def _notes(summary: dict[str, Any], looks: dict[str, Any], quantisation: str | None) -> list[str]:
    notes = list(summary["notes"])
    if quantisation:
        notes.append(
            f"The untuned weights went through {quantisation}: baselines of the original model "
            "may be a little higher."
        )
    if summary["prompt_form"] == "plain":
        notes.append(
            "The tokenizer has no chat template: prompts are plain text, answers end in the "
            "end-of-sequence token."
        )
    if looks["looks"] > 1:
        others = ", ".join(looks["others"])
        notes.append(
            f"This test split was looked at {looks['looks']} times by runs beside this one "
            f"({others}); every further choice made on it weakens what the p value says."
        )
    return notes


def _command(run: RunDirectory) -> str:
    """A command that finds this run again, or makes it anew from its configuration."""
    return f"tutelage run {shlex.quote(str(run.path / 'config.yaml'))}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "tutelage": tutelage.__version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
