"""Plan: what a run would do, what it would cost and what would stop it; nothing is written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tutelage.config import RunConfig
from tutelage.data.inputs import row_text
from tutelage.data.ledger import REASONS, Ledger
from tutelage.data.splits import Split
from tutelage.draft import Origins
from tutelage.errors import LockedError, TutelageError
from tutelage.machine.device import choose_device, machine_facts
from tutelage.models.load import find_model, load_tokenizer
from tutelage.pipeline.dataplan import Data, Source, check_gate, read_source, word
from tutelage.pipeline.dry import DryContext
from tutelage.pipeline.modelplan import ModelPlan, plan_model
from tutelage.pipeline.powerplan import power_facts
from tutelage.pipeline.problems import Problems
from tutelage.pipeline.remarks import flag_remarks, leak_remarks
from tutelage.pipeline.rundir import RunDirectory, open_directory
from tutelage.pipeline.shotplan import ShotBook, shot_facts
from tutelage.progress import Progress, Quiet
from tutelage.report.content import Remark
from tutelage.tasks.schema import Metric
from tutelage.tokens.encode import Encoder

_SCHEMA = 1
_SHOWN = 3  # ledger entries per reason
_TEXT = 200  # characters


def plan_run(
    config: RunConfig,
    out: Path | None = None,
    origins: Origins | None = None,
    *,
    device: str = "auto",
    measure: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The plan of a run as plain data (docs/plan.md lists its keys).

    What cannot be found out because of a problem is null. With `measure`, a few answers and
    training steps are timed on weights that are thrown away.
    """
    started = time.perf_counter()
    progress = progress or Quiet()
    problems = Problems((origins or Origins()).located)
    run = _directory(config, out, problems)
    reading = time.perf_counter()
    source = read_source(config, problems)
    context = _context(config, run, device, progress, problems)
    data = made = book = None
    if context is not None and source is not None:
        with closing(context.renderer):
            data = word(context, source, problems, reading)
            if data is not None:
                book = ShotBook(context)
                made = plan_model(book, data, problems, measure=measure)
    elif source is not None:
        check_gate(config, source, problems)
    plan = _plan(config, run, source, book, data, made)
    plan["model"] = context.source.title if context is not None else config.model
    plan["machine"] = machine_facts(context.device) if context is not None else None
    return _ended(plan, problems, started)


def failed_plan(target: str, error: TutelageError) -> dict[str, Any]:
    """The plan of a target whose configuration cannot be read."""
    problems = Problems()
    problems.add("configuration", error)
    return _ended({"task": target}, problems, time.perf_counter())


def _directory(config: RunConfig, out: Path | None, problems: Problems) -> RunDirectory:
    """The run's directory, which need not be there; one that cannot be used is a problem."""
    found = problems.attempt("configuration", lambda: open_directory(config, out))
    run = found or RunDirectory(out or Path("runs") / config.task.name, config, "")
    problems.attempt("configuration", lambda: _check_free(run.path))
    return run


def _check_free(path: Path) -> None:
    """Raise where a living process holds the run."""
    owner = path / ".lock-owner"
    try:
        pid = int(owner.read_text())
        os.kill(pid, 0)
    except (FileNotFoundError, NotADirectoryError, ValueError, ProcessLookupError):
        return
    except PermissionError:  # another user's process is alive
        pass
    raise LockedError(
        f"{path}: in use by process {owner.read_text()}. Wait for it, stop it, or choose "
        "another --out."
    )


def _context(
    config: RunConfig, run: RunDirectory, device: str, progress: Progress, problems: Problems
) -> DryContext | None:
    """Device, model folder and tokenizer, as a run opens them."""
    chosen = problems.attempt("model", lambda: choose_device(device))
    found = problems.attempt("model", lambda: find_model(config.model, progress))
    if found is None:
        return None
    encoder = problems.attempt("model", lambda: Encoder(load_tokenizer(found.folder)))
    if chosen is None or encoder is None:
        return None
    return DryContext(run=run, device=chosen, progress=progress, source=found, encoder=encoder)


def _plan(
    config: RunConfig,
    run: RunDirectory,
    source: Source | None,
    book: ShotBook | None,
    data: Data | None,
    made: ModelPlan | None,
) -> dict[str, Any]:
    return {
        "task": config.task.name,
        "kind": source.loaded.kind if source is not None else None,
        "model": config.model,
        "run": str(run.path),
        "rows": _rows(source, data),
        "ledger": None if data is None else _remarks(data.ledger),
        "quality": None if data is None else _flags(data),
        "leaks": None if source is None or source.split is None else _leaks(source, source.split),
        "tokens": None if data is None else _tokens(data, made),
        "shots": None if book is None else shot_facts(book),
        "power": None if data is None else _power(data, data.context.metrics()[0]),
        "training": None if made is None else made.training,
        "memory": None if made is None else made.memory,
        "time": None if made is None or made.parts is None else _times(made.parts),
    }


def _rows(source: Source | None, data: Data | None) -> dict[str, Any] | None:
    if source is None:
        return None
    facts: dict[str, Any] = {
        "source": source.rows,
        "planned_with": len(source.loaded.rows),
        "left_out": sum(skipped.rows for skipped in source.loaded.skipped),
        "labels": list(source.loaded.labels),
        "templates": sorted({t.id for family in (source.families or {}).values() for t in family}),
        "notes": list(source.loaded.notes),
        "splits": None,
    }
    if data is not None:
        facts["splits"] = data.context.facts["splits"]
        facts["notes"] = list(data.context.facts["notes"])
    return facts


def _remarks(ledger: Ledger) -> dict[str, Any]:
    """Entries per reason, and the first few of each."""
    first: list[dict[str, Any]] = []
    for reason in REASONS:
        first += [asdict(e) for e in ledger.entries if e.reason == reason][:_SHOWN]
    return {"counts": ledger.counts(), "first": first}


def _flags(data: Data) -> dict[str, Any]:
    """Flags per kind, and the first few of each with the beginning of their text."""
    quality = data.quality
    flags = (asdict(flag) for flag in quality.flags)
    first = _worded(flag_remarks(flags), data.source)
    return {"counts": quality.counts, "notes": list(quality.notes), "first": first}


def _leaks(source: Source, split: Split) -> dict[str, Any]:
    """Rows that repeat a row of a later split, before any was moved or removed."""
    found = [asdict(leak) for leak in split.leaks.before]
    return {
        "rows": sum(leak.rows for leak in split.leaks.before),
        "first": _worded(leak_remarks(found), source),
    }


def _worded(remarks: Iterable[Remark], source: Source) -> list[dict[str, Any]]:
    held = list(remarks)
    ids = {remark.id for remark in held}
    texts = {row.id: row_text(row)[:_TEXT] for row in source.seen if row.id in ids}
    return [asdict(replace(remark, text=texts.get(remark.id, ""))) for remark in held]


def _tokens(data: Data, made: ModelPlan | None) -> dict[str, Any]:
    """Of the training examples of one epoch."""
    lengths = [len(e) for e in data.encoded]
    total = sum(lengths)
    labelled = sum(sum(e.trained) if e.trained else len(e.completion_ids) for e in data.encoded)
    factor = data.source.factor
    return {
        "examples": data.count("train"),
        "tokens": round(total * factor),
        "labelled": round(labelled * factor),
        "labelled_share": round(labelled / total, 4),
        "mean": round(total / len(lengths), 1),
        "longest": max(lengths),
        "limit": data.context.facts["max_length"],
        "sharing": None if made is None else made.sharing,
    }


def _power(data: Data, metric: Metric) -> dict[str, Any]:
    test, factor = data.context.examples("test"), data.source.factor
    return power_facts(test, factor, metric, comparable=bool(data.context.facts["comparable"]))


def _times(parts: Sequence[Any]) -> dict[str, Any]:
    return {
        "seconds": round(sum(part.seconds for part in parts), 1),
        "parts": [part.to_json() for part in parts],
    }


def _ended(plan: Mapping[str, Any], problems: Problems, started: float) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        **plan,
        "problems": [asdict(problem) for problem in problems.in_order()],
        "would_run": not problems.found,
        "exit_code": problems.exit_code,
        "seconds": round(time.perf_counter() - started, 1),
    }
