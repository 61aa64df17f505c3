"""One process per run directory, and one configuration; neither is ever overwritten."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import Done, call
from tutelage.files import read_json

_HOLD = """
import sys, time
from pathlib import Path
from tutelage.files import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def table(tiny_reviews_csv: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny_reviews_csv, tmp_path / "my.csv"))


def _prepare(table: Path, model: Path, *more: str | Path) -> Done:
    columns = ["--text", "review", "--label", "sentiment"]
    return call("prepare", table, *columns, "--model", model, "--out", table.parent / "run", *more)


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if not path.name.startswith(".lock"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.is_file()}


@pytest.fixture
def prepared(table: Path, tiny_model_dir: Path) -> Path:
    _prepare(table, tiny_model_dir).expect(0)
    return table.parent / "run"


@pytest.fixture
def holder(prepared: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    command = [sys.executable, "-c", _HOLD, prepared]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_run_in_use_is_left_alone(
    holder: subprocess.Popen[str], prepared: Path, tmp_path: Path
) -> None:
    before = _files(prepared)
    started = time.monotonic()
    done = call("train", prepared).expect(7)
    assert time.monotonic() - started < 2
    assert f"{prepared}: in use by process {holder.pid}." in done.err
    assert "--out" in done.err
    call("train", prepared, "--new").expect(7)
    assert _files(prepared) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.csv", "run"]

    holder.kill()
    holder.wait()
    assert (prepared / ".lock-owner").exists(), "the dead process could not tidy up"
    assert "already done" in call("prepare", prepared).expect(0).out
    call("baseline", prepared).expect(0)


def test_another_configuration_is_refused(
    prepared: Path, table: Path, tiny_model_dir: Path
) -> None:
    before = _files(prepared)
    sets = ["--set", "training.epochs=3", "--set", "split.seed=5"]
    done = _prepare(table, tiny_model_dir, *sets).expect(4)
    assert "training.epochs: auto there, 3.0 here" in done.err
    assert "split.seed: 0 there, 5 here" in done.err
    assert "training.batch_size" not in done.err
    assert "--new" in done.err
    assert _files(prepared) == before


def test_other_data_is_refused(prepared: Path, table: Path, tiny_model_dir: Path) -> None:
    before = _files(prepared)
    with table.open("a", encoding="utf-8") as stream:
        stream.write("r999,A last flimsy lamp that broke in the morning,negative,author-01\n")
    assert "the data" in _prepare(table, tiny_model_dir).expect(4).err
    assert "the data" in call("train", prepared).expect(4).err
    assert _files(prepared) == before


def test_another_model_in_the_same_folder_is_refused(
    table: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model_dir, model)
    _prepare(table, model).expect(0)
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    assert "the model folder" in _prepare(table, model).expect(4).err


def test_new_sets_the_old_run_aside(prepared: Path, table: Path, tiny_model_dir: Path) -> None:
    before = _files(prepared)
    _prepare(table, tiny_model_dir, "--new", "--set", "split.seed=5").expect(0)
    _prepare(table, tiny_model_dir, "--new", "--set", "split.seed=6").expect(0)
    aside = prepared.with_name("run.old-1")
    assert _files(aside) == before
    fingerprints = {
        read_json(run / "data" / "summary.json")["split_fingerprint"]
        for run in (aside, prepared.with_name("run.old-2"), prepared)
    }
    assert len(fingerprints) == 3
    assert "already done" in call("prepare", aside).expect(0).out, "it can still be gone on with"
