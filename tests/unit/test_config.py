"""The configuration: layers, origins, paths, the dump that reads back, and the hash of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from config_case import CATALOG, MINIMAL, load, write
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tutelage.config import (
    RunConfig,
    config_hash,
    difference,
    dump_config,
    load_config,
    read_config,
)
from tutelage.tasks.schema import SourceSpec, TaskSpec, normal_label


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("review,sentiment\ngood,positive\n")
    return tmp_path


def test_a_table_needs_nothing_else(folder: Path) -> None:
    config, origins = load_config("reviews.csv", catalog=CATALOG)
    assert config.task.name == "reviews"
    assert config.task.source.path == str(folder / "reviews.csv")
    assert config.model == "smollm2-135m"
    assert {key for key, origin in origins.items() if origin != "default"} == {"task.source.path"}


@pytest.mark.parametrize(
    ("file", "name"),
    [("My reviews (2).csv", "My-reviews-2"), ("été.csv", "t"), ("日本.jsonl", "table")],
)
def test_a_table_names_its_task(file: str, name: str) -> None:
    write(file, "a,b\n")
    assert load(file).task.name == name


def test_flags_over_a_table() -> None:
    given = {"text": "review"}
    config, origins = load_config(
        "reviews.csv",
        catalog=CATALOG,
        overrides={"task.label": "a", "task.fields": given},
        sets=["task.label=sentiment", "task.fields.title=head", "task.labels=[no, 012, ~]"],
    )
    assert config.task.label == "sentiment"
    assert config.task.fields == {"text": "review", "title": "head"}
    assert config.task.labels == ["no", "012", "~"]
    assert given == {"text": "review"}
    assert origins["task.fields"] == origins["task.label"] == origins["task.labels"] == "flag"
    assert origins["training.epochs"] == "default"


@pytest.mark.parametrize("name", CATALOG.names)
def test_built_in_tasks_load(name: str) -> None:
    config, origins = load_config(name, catalog=CATALOG)
    assert config.task.name == name
    assert config.task.source.archive is not None
    assert set(origins.values()) == {"default"}


def test_a_file_and_the_origin_of_its_values() -> None:
    write(
        "conf/run.yaml",
        MINIMAL + "  labels: [no, 012, ~, 1:30, true]\n"
        "training:\n  epochs: 2\n  lora: {rank: 4}\n"
        "report:\nsplit: null\n",
    )
    write("conf/reviews.csv", "a,b\n")
    config, origins = load_config(
        "conf/run.yaml", catalog=CATALOG, sets=["training.learning_rate=5e-5"]
    )
    assert config.task.labels == ["no", "012", "~", "1:30", "true"]
    assert (config.training.epochs, config.training.learning_rate) == (2.0, 5e-5)
    assert (config.training.lora.rank, config.training.lora.alpha) == (4, 32)
    assert {key: origin for key, origin in origins.items() if origin != "default"} == {
        "task.name": "file",
        "task.source.path": "file",
        "task.labels": "file",
        "training.epochs": "file",
        "training.learning_rate": "flag",
        "training.lora.rank": "file",
    }


def test_paths_are_relative_to_the_file_that_holds_them(folder: Path) -> None:
    template = "templates:\n- {id: m/a, name: a, prompt: '{{ text }}'}\n"
    write("conf/my.yaml", template)
    write("conf/data.csv", "a,b\n")
    write(
        "conf/run.yaml", MINIMAL.replace("reviews.csv", "data.csv") + "  templates: [./my.yaml]\n"
    )
    config = load("conf/run.yaml")
    assert config.task.source.path == str(folder / "conf/data.csv")
    assert Path(config.task.templates[0]) == folder / "conf/my.yaml"
    config = load("conf/run.yaml", "task.source.path=reviews.csv", "model=./m")
    assert config.task.source.path == str(folder / "reviews.csv")
    assert Path(config.model) == folder / "m"


def test_a_file_above_a_built_in_task() -> None:
    write("run.yaml", "task: reviews\nsplit: {seed: 3}\ntraining: {epochs: 2}\n")
    config, origins = load_config("run.yaml", catalog=CATALOG)
    below = load("reviews")
    assert config.task == below.task
    assert config.split == below.split.model_copy(update={"seed": 3})
    assert config.training.epochs == 2
    assert {key for key, origin in origins.items() if origin == "file"} == {
        "split.seed",
        "training.epochs",
    }


_LABELS = st.lists(
    st.one_of(
        st.sampled_from(["no", "012", "~", "null", "1:30", "a: b", "#", "- x", "yes", "", " é\n"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    ),
    min_size=2,
    max_size=4,
    unique_by=normal_label,
).filter(lambda labels: all(normal_label(label) for label in labels))


@settings(max_examples=40, deadline=None)
@given(labels=_LABELS, column=st.text("abyn01~:# '\"", min_size=1), seed=st.integers(0, 99))
def test_dump_reads_back(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], column: str, seed: int
) -> None:
    task = TaskSpec(
        name="r", source=SourceSpec(path="/d.csv"), labels=labels, fields={column: column}
    )
    config = RunConfig.model_validate({"task": task, "split": {"seed": seed}})
    text = dump_config(config)
    file = tmp_path_factory.mktemp("dump") / "config.yaml"
    file.write_text(text, encoding="utf-8")
    assert read_config(file) == config
    for version in ((1, 1), (1, 2)):  # and other readers see the same labels
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        assert yaml.load(text)["task"]["labels"] == labels


def test_a_dump_runs_again_as_the_same_run(folder: Path) -> None:
    write("conf/run.yaml", MINIMAL + "  labels: [no, 012]\ntraining: {epochs: 3}\n")
    write("conf/reviews.csv", "a,b\n")
    config = load("conf/run.yaml")
    write("runs/x/config.yaml", dump_config(config))
    again = load("runs/x/config.yaml")
    assert again == config
    assert config_hash(again, "f") == config_hash(config, "f")
    Path("conf/reviews.csv").unlink()
    assert read_config(folder / "runs/x/config.yaml") == config


def test_hash_counts_what_changes_the_run() -> None:
    write("other/moved.csv", "a,b\n")
    write("run.yaml", MINIMAL)
    base = load("run.yaml")
    same = load("run.yaml", "report.examples=3", "task.source.path=other/moved.csv")
    name = config_hash(base, "f1")
    assert len(name) == 8
    assert int(name, 16) >= 0
    assert config_hash(same, "f1") == name
    assert difference(base, same) == []
    others = [
        config_hash(base, "f2"),
        config_hash(load("run.yaml", "split.seed=1"), "f1"),
        config_hash(load("run.yaml", "training.lora.rank=8"), "f1"),
        config_hash(load("run.yaml", "task.labels=[no, yes]"), "f1"),
    ]
    assert len({name, *others}) == 5


def test_a_template_file_counts_by_its_bytes() -> None:
    text = "templates:\n- {id: m/a, name: a, prompt: '{{ text }}'}\n"
    write("one.yaml", text)
    write("two.yaml", text)
    hashes = [
        config_hash(load("reviews.csv", f"task.templates=[{n}.yaml]"), "f") for n in ("one", "two")
    ]
    assert hashes[0] == hashes[1]
    before = load("reviews.csv", "task.templates=[two.yaml]")
    write("two.yaml", text + "# changed\n")
    assert config_hash(load("reviews.csv", "task.templates=[two.yaml]"), "f") != hashes[0]
    Path("two.yaml").unlink()
    (line,) = difference(before, load("reviews.csv", "task.templates=[one.yaml]"))
    assert line.startswith("task.templates: ['/")


def test_difference_names_keys_and_both_values() -> None:
    there = load("reviews.csv", "training.epochs=1", "task.fields={text: review}")
    here = load("reviews.csv", "training.epochs=2", "task.labels=[no, yes]")
    assert difference(there, here) == [
        "task.fields.text: review there, nothing here",
        "task.labels: None there, ['no', 'yes'] here",
        "training.epochs: 1.0 there, 2.0 here",
    ]


def test_every_setting_says_what_it_is() -> None:
    def fields(model: type) -> None:
        for name, info in model.model_fields.items():
            inner = info.annotation
            if hasattr(inner, "model_fields"):
                fields(inner)
            else:
                assert info.description, f"{model.__name__}.{name}"

    for section in ("baselines", "training", "report", "split"):
        fields(RunConfig.model_fields[section].annotation)


def test_the_configuration_loads_nothing_heavy() -> None:
    code = (
        "import sys; from tutelage.config import load_config; "
        "from tutelage.tasks.catalog import Catalog; "
        "load_config('reviews', catalog=Catalog()); "
        "heavy = 'torch transformers sklearn scipy matplotlib datasketch'.split(); "
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert found.strip() == "[]"
