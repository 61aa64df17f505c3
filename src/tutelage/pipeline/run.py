"""The stages in order, skipping what is done, under the run directory's lock."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing

from tutelage.draft import Origins
from tutelage.errors import LockedError
from tutelage.files import locked, remove_temporaries
from tutelage.machine.allocator import keep_memory
from tutelage.machine.device import choose_device
from tutelage.models.load import find_model, load_tokenizer
from tutelage.pipeline.baseline import baseline
from tutelage.pipeline.prepare import prepare
from tutelage.pipeline.reporting import report
from tutelage.pipeline.rundir import RunDirectory, StageName
from tutelage.pipeline.stage import Context
from tutelage.pipeline.testing import evaluate
from tutelage.pipeline.training import train
from tutelage.progress import Progress
from tutelage.tokens.encode import Encoder


def run_stages(
    run: RunDirectory,
    last: StageName,
    origins: Origins,
    *,
    device: str = "auto",
    progress: Progress,
) -> list[StageName]:
    """Run what `last` still needs, in order, and return the stages that ran.

    Raises:
        LockedError: another process works on this run.
        TutelageError: whatever stopped a stage; finished stages stay.
    """
    steps: dict[StageName, Callable[[Context], None]] = {
        "prepare": prepare,
        "baseline": baseline,
        "train": train,
        "evaluate": evaluate,
        "report": report,
    }
    fresh = not run.path.exists()
    run.claim(origins)
    try:
        with locked(run.path), origins.placing():
            remove_temporaries(run.path)
            pending = run.needed(last)
            context = open_context(run, device, progress) if pending else None
            if context is None:
                return pending
            with closing(context.renderer):
                for number, stage in enumerate(pending, 1):
                    progress.say(f"[{number}/{len(pending)}] {stage}")
                    steps[stage](context)
            return pending
    except LockedError:
        raise
    except BaseException:
        if fresh and not run.done("prepare"):  # bad input leaves nothing behind
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def open_context(run: RunDirectory, device: str, progress: Progress) -> Context:
    """Find the model and its tokenizer; nothing heavy is loaded yet."""
    keep_memory()
    chosen = choose_device(device)
    source = find_model(run.config.model, progress)
    encoder = Encoder(load_tokenizer(source.folder))
    return Context(run=run, device=chosen, progress=progress, source=source, encoder=encoder)
