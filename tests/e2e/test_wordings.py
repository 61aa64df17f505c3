"""Encoded rows of every epoch: written once, found again by a run that goes on."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

from tutelage.draft import Origins
from tutelage.pipeline.run import open_context, run_stages
from tutelage.pipeline.rundir import existing
from tutelage.pipeline.wordings import Wordings
from tutelage.progress import Quiet


def written(folder: Path) -> dict[str, int]:
    """When each epoch was written."""
    return {path.name: (path / "ids.bin").stat().st_mtime_ns for path in folder.glob("epoch-*")}


def test_a_run_that_goes_on_encodes_nothing_again(tiny_run: Any, tmp_path: Path) -> None:
    context = open_context(existing(tiny_run.path), "cpu", Quiet())
    with closing(context.renderer):
        first = Wordings(context, tmp_path)
        seen = [list(first[epoch]) for epoch in range(4)]
        assert sorted(written(tmp_path)) == ["epoch-0", "epoch-2", "epoch-3"]
        assert [e.id for e in seen[3]] == [e.id for e in seen[0]], "the same rows in the same order"
        assert seen[3] != seen[0], "worded anew"
        before = written(tmp_path)
        (tmp_path / ".tmp-1-epoch-9").mkdir()  # as a killed process leaves it
        again = Wordings(context, tmp_path)
        assert list(again[0]) == seen[0]  # what every start plans by
        assert list(again[3]) == seen[3]
        assert written(tmp_path) == before


def test_the_next_run_clears_what_a_killed_one_left(tiny_run: Any, tmp_path: Path) -> None:
    """However deep; also where nothing is left to do."""
    run = tmp_path / "run"
    shutil.copytree(tiny_run.path, run)
    tokens = run / "training" / "tokens"
    for left in (run / ".tmp-1-data", tokens / ".tmp-1-epoch-9", run / "training" / ".tmp-1-a"):
        left.mkdir(parents=True)
    origins = Origins()
    assert run_stages(existing(run), "report", origins, progress=Quiet()) == []
    assert not list(run.rglob(".tmp-*"))
