"""The run directory: which stages are done, and what makes them be done again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tutelage.config import RunConfig, load_config
from tutelage.errors import ConfigError, InputError, ResumeError, StorageError
from tutelage.files import write_manifest
from tutelage.pipeline.rundir import (
    STAGES,
    RunDirectory,
    StageName,
    existing,
    fingerprint_of,
    open_directory,
)
from tutelage.tasks.catalog import Catalog

TEMPLATE = "templates:\n- {id: m/a, name: a, prompt: '{{ text }}'}\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("text,label\nfine,good\n")
    Path("mine.yaml").write_text(TEMPLATE)
    Path("model").mkdir()
    Path("model/model.safetensors").write_bytes(bytes(range(256)) * 40_000)  # 10 MB
    Path("model/config.json").write_text("{}")


def config(**settings: Any) -> RunConfig:
    base = {"model": "./model", "task.templates": ["mine.yaml"]}
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return load_config("data.csv", catalog=Catalog(), overrides={**base, **dotted})[0]


def run(**settings: Any) -> RunDirectory:
    made = config(**settings)
    return RunDirectory(Path("runs/x"), made, fingerprint_of(made))


def keys(**settings: Any) -> dict[StageName, str]:
    made = run(**settings)
    return {stage: made.key(stage) for stage in STAGES}


def finish(directory: RunDirectory, *stages: StageName) -> None:
    """Leave what a finished stage leaves."""
    for stage in stages:
        folder = directory.folder(stage)
        folder.mkdir(parents=True, exist_ok=True)
        name = "report.json" if stage == "report" else f"{stage}.jsonl"
        (folder / name).write_text("{}")
        if stage == "train":
            directory.model.mkdir(exist_ok=True)
            (directory.model / "config.json").write_text("{}")
            write_manifest(directory.model)
        others = [p.name for p in folder.iterdir() if p.name != name]
        write_manifest(folder, skip=others, key=directory.key(stage))


# --- keys ---


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"split__seed": 1}, STAGES),
        ({"task__labels": ["a", "b"]}, STAGES),
        ({"task__templates": ["classification/*"]}, STAGES),
        ({"model": "smollm2-135m"}, STAGES),
        ({"training__max_length": 64}, STAGES),
        ({"baselines__shots": [0]}, ("baseline", "evaluate", "report")),
        ({"training__learning_rate": 1e-3}, ("train", "evaluate", "report")),
        ({"training__seed": 1}, ("baseline", "train", "evaluate", "report")),
        ({"training__precision": "fp32"}, ("baseline", "train", "evaluate", "report")),
        ({"report__examples": 3}, ("report",)),
        ({}, ()),
    ],
)
def test_a_key_changes_with_what_its_stage_depends_on_and_only_then(
    settings: dict[str, Any], changed: tuple[StageName, ...]
) -> None:
    before, after = keys(), keys(**settings)
    assert {stage for stage in STAGES if before[stage] != after[stage]} == set(changed)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("data.csv", b"text,label\nfine,bad\n"),
        ("mine.yaml", f"{TEMPLATE}# other bytes\n".encode()),
        ("model/config.json", b"{ }"),
        ("model/tokenizer.json", b"{}"),
    ],
)
def test_all_keys_change_with_the_bytes_of_the_files_a_run_reads(file: str, content: bytes) -> None:
    before = keys()
    Path(file).write_bytes(content)
    after = keys()
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize("place", [0, 5_120_000, 10_239_999])
def test_the_fingerprint_samples_large_weights(place: int) -> None:
    weights = Path("model/model.safetensors")
    before = fingerprint_of(config())
    data = bytearray(weights.read_bytes())
    data[place] ^= 1
    weights.write_bytes(data)
    assert fingerprint_of(config()) != before
    data[place] ^= 1
    weights.write_bytes(data)
    assert fingerprint_of(config()) == before
    weights.write_bytes(data + b"\0")
    assert fingerprint_of(config()) != before


def test_paths_and_times_do_not_count() -> None:
    before = fingerprint_of(config())
    shutil.copy("data.csv", "moved.csv")
    moved = config(task__source__path="moved.csv")
    assert fingerprint_of(moved) == before
    assert RunDirectory(Path("x"), moved, before).key("report") == run().key("report")


def test_a_single_model_file_and_a_name() -> None:
    weights = str(Path("model/model.safetensors").absolute())
    assert fingerprint_of(config(model=weights)) != fingerprint_of(config())
    assert fingerprint_of(config(model="org/a")) != fingerprint_of(config(model="org/b"))


# --- what is done ---


def test_stages_are_needed_until_they_are_done() -> None:
    made = run()
    assert made.needed("report") == list(STAGES)
    assert made.needed("prepare") == ["prepare"]
    assert made.needed("baseline") == ["prepare", "baseline"]
    assert made.needed("train") == ["prepare", "train"]
    finish(made, "prepare", "baseline")
    assert made.needed("report") == ["train", "evaluate", "report"]
    assert made.needed("baseline") == []
    finish(made, "train", "evaluate", "report")
    assert made.needed("report") == []


def test_what_follows_a_stale_stage_is_stale() -> None:
    made = run()
    finish(made, *STAGES)
    (made.folder("train") / "train.jsonl").unlink()
    assert made.needed("report") == ["train", "evaluate", "report"]
    assert made.needed("baseline") == []


def test_a_stage_of_another_configuration_is_not_done() -> None:
    finish(run(), *STAGES)
    other = run(training__learning_rate=1e-3)
    assert other.needed("report") == ["train", "evaluate", "report"]


@pytest.mark.parametrize("damage", ["file", "manifest", "model"])
def test_damage_is_seen(damage: str) -> None:
    made = run()
    finish(made, *STAGES)
    if damage == "file":
        (made.folder("train") / "train.jsonl").write_text("longer than it was")
    elif damage == "manifest":
        (made.folder("train") / "manifest.json").write_text("{")
    else:
        (made.model / "config.json").unlink()
    assert not made.done("train")
    assert made.done("prepare")


# --- opening ---


def test_a_run_is_named_after_task_configuration_and_data() -> None:
    first = open_directory(config(), None)
    assert first.path.parent == Path("runs")
    assert first.path.name.startswith("data-")
    assert len(first.path.name) == len("data-") + 8
    assert open_directory(config(), None).path == first.path
    assert open_directory(config(report__examples=3), None).path == first.path
    assert open_directory(config(split__seed=1), None).path != first.path
    Path("data.csv").write_text("text,label\nfine,bad\n")
    assert open_directory(config(), None).path != first.path


def test_claim_writes_the_configuration_once() -> None:
    made = open_directory(config(), Path("out/deep"))
    made.claim({"model": "flag"})
    assert existing(made.path).config == made.config
    assert existing(made.path).key("report") == made.key("report")
    text = (made.path / "config.yaml").read_text()
    run(report__examples=3).claim({})
    other = RunDirectory(made.path, config(report__examples=3), made.fingerprint)
    other.claim({})
    assert (made.path / "config.yaml").read_text() == text
    assert '"model": "flag"' in (made.path / "origins.json").read_text()


def test_claim_says_where_it_cannot_write() -> None:
    Path("taken").write_text("a file")
    with pytest.raises(StorageError, match=r"taken/run: cannot be made .*another --out"):
        RunDirectory(Path("taken/run"), config(), "f").claim({})


def test_a_directory_of_another_run_is_refused() -> None:
    open_directory(config(), Path("out")).claim({})
    with pytest.raises(ResumeError) as caught:
        open_directory(config(split__seed=7), Path("out"))
    assert "split.seed: 0 there, 7 here" in str(caught.value)
    assert "--new" in str(caught.value)
    assert open_directory(config(report__examples=1), Path("out")).path == Path("out")


def test_other_data_under_the_same_path_is_refused() -> None:
    made = open_directory(config(), Path("out"))
    made.claim({})
    made.folder("prepare").mkdir()
    write_manifest(made.folder("prepare"), fingerprint=made.fingerprint)
    assert open_directory(config(), Path("out")).path == made.path
    Path("data.csv").write_text("text,label\nfine,bad\n")
    with pytest.raises(ResumeError, match="the data, the model folder or a template file has"):
        open_directory(config(), Path("out"))


def test_new_sets_the_old_run_aside() -> None:
    for _ in range(3):
        made = open_directory(config(split__seed=1), Path("out"), new=True)
        assert not made.path.exists()
        made.claim({})
    assert sorted(p.name for p in Path().glob("out*")) == ["out", "out.old-1", "out.old-2"]
    assert existing(Path("out.old-1")).config == made.config


def test_there_is_no_run() -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        existing(Path("nowhere"))
    made = open_directory(config(), Path("out"))
    made.claim({})
    Path("data.csv").unlink()
    with pytest.raises(InputError, match=r"data\.csv: does not exist"):
        existing(Path("out"))


def test_a_finished_run_is_found_without_anything_heavy() -> None:
    code = (
        "import sys, tutelage.pipeline.rundir; "
        "heavy = 'torch transformers numpy sklearn scipy requests bs4 pypi_simple rich'.split(); "
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
