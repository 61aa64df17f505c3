"""What is said about configurations that cannot be run: every problem, its address, its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_case import MINIMAL, complaints, write

from tutelage.templates.library import families


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("review,sentiment\ngood,positive\n")
    return tmp_path


BAD = """\
task:
  name: re views
  source: {path: reviews.csv}
  labels: [a, A]
  metrics: [acc]
training:
  epoch: 1
  epochs: -2
  learning_rate: fast
  batch_size: 0.5
  clip: .nan
  keep_checkpoints: 1
  lora: {rnk: 3}
epochs: 3
baselines: {shots: [5, 0], classic: maybe}
split: 3
"""


def test_every_problem_at_once_with_address_and_remedy() -> None:
    known = "Known here: task, model, split, baselines, training, report."
    found = complaints(
        write("bad.yaml", BAD),
        "foo",
        "training.epochs.x=1",
        "task.labels=[a",
        "training.warmup=1.5",
        "modl=x",
        "training.seed=null",
        task__label=3,
    )
    sections = [line for line in found if "training.epoch: " in line]
    assert sections[0].startswith(
        "bad.yaml:7:training.epoch: there is no such key. Did you mean 'epochs'? Known here: "
    )
    assert sorted(set(found) - set(sections)) == sorted(
        [
            "--set foo: write it as section.key=value.",
            "--set training.epochs.x: `training.epochs` holds a value and no keys. "
            "Set it as a whole.",
            "--set task.labels: value:1: is not valid YAML (while parsing a flow sequence expected "
            "',' or ']', but got '<stream end>'). Correct it.",
            "bad.yaml:2:task.name: is 're views', but must be text that matches "
            "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$. Correct it.",
            "option task.label: is 3, but must be text. Correct it or leave it out "
            "(default: label).",
            "bad.yaml:4:task.labels: labels 'a' and 'A' are equal once normalised. Correct it.",
            "bad.yaml:5:task.metrics.0: is 'acc', but must be 'accuracy', 'macro_f1', "
            "'exact_match', 'token_f1', 'rouge1', 'rouge2', 'rougeL', 'rougeLsum', 'chrf', "
            "'bleu', 'json_valid', 'json_f1' or 'numeric_match'. "
            "Correct it.",
            "bad.yaml:16:split: is '3', but must be a section of keys. Correct it or leave it out.",
            "bad.yaml:15:baselines.shots: numbers rise and appear once: write [0, 5]. Correct it.",
            "bad.yaml:15:baselines.classic: is 'maybe', but must be true or false. Correct it or "
            "leave it out (default: true).",
            "bad.yaml:8:training.epochs: is '-2', but must be above 0 or 'auto'. Correct it or "
            "leave it out (default: auto).",
            "bad.yaml:9:training.learning_rate: is 'fast', but must be a number or 'auto'. Correct "
            "it or leave it out (default: auto).",
            "bad.yaml:10:training.batch_size: is '0.5', but must be a whole number or 'auto'. "
            "Correct it or leave it out (default: 16).",
            "--set training.warmup: is '1.5', but must be below 1 or 'auto'. Correct it or leave "
            "it out (default: auto).",
            "bad.yaml:11:training.clip: is '.nan', but must be a number. Correct it or leave it "
            "out (default: 1.0).",
            "bad.yaml:12:training.keep_checkpoints: is '1', but must be at least 2. Correct it or "
            "leave it out (default: 2).",
            "--set training.seed: is empty, but must be a whole number. Correct it or leave it out "
            "(default: 0).",
            "bad.yaml:13:training.lora.rnk: there is no such key. Did you mean 'rank'? "
            "Known here: rank, alpha, dropout, targets.",
            f"bad.yaml:14:epochs: there is no such key. Did you mean 'training.epochs'? {known}",
            f"--set modl: there is no such key. Did you mean 'model'? {known}",
        ]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["a.yaml:1:task: is missing. Add it."]),
        (
            "- a\n",
            ["a.yaml:1: holds no sections. Write `task:`, `model:`, `training:` … as its keys."],
        ),
        (
            "model: m\ntask: revews\ntraining: 3\n",
            [
                "a.yaml:2:task: there is no built-in task 'revews'. Did you mean 'reviews'? "
                "Name one, or write the task's own keys here.",
                "a.yaml:3:training: is '3', but must be a section of keys. Correct it or leave it "
                "out.",
            ],
        ),
        (
            "task:\n  name: r\n  source: {}\n",
            [
                "a.yaml:3:task.source: give exactly one of `path`, `sql`, `hub`, `archive` and "
                "`mixture`. Correct it."
            ],
        ),
        (
            "task: {name: r, source: reviews.csv}\n",
            ["a.yaml:1:task.source: is 'reviews.csv', but must be a section of keys. Correct it."],
        ),
        (
            "task: {name: r, source: {path: reviews.csv}}\ntask: {}\n",
            ["a.yaml:2: the key `task` is already there in line 1. Remove one."],
        ),
    ],
)
def test_golden_messages(text: str, said: list[str]) -> None:
    assert complaints(write("a.yaml", text)) == said


def test_an_inverted_template_is_refused_with_line_and_remedy() -> None:
    text = MINIMAL + "  templates:\n    - sentiment/*\n    - sentiment/write\n"
    (line,) = complaints(write("a.yaml", text))
    assert line.startswith("a.yaml:4:task.templates: sentiment/write is inverted: ")
    assert line.endswith("Take it out, or name sentiment/*, which leaves it out.")


def test_a_template_that_a_part_of_a_mixture_names_is_checked_too() -> None:
    for name, templates in (("good", "sentiment/*"), ("bad", "sentiment/write")):
        part = MINIMAL.replace("name: r", f"name: {name}")
        write(f"{name}.yaml", part + f"  templates: [{templates}]\n")
    text = "task:\n  name: m\n  source:\n    mixture:\n      tasks: [good.yaml, bad.yaml]\n"
    (line,) = complaints(write("m.yaml", text))
    assert line.startswith("m.yaml:5:task.source.mixture.tasks.1: sentiment/write is inverted: ")


def test_missing_files_and_templates_are_named_with_line_and_nearest(folder: Path) -> None:
    text = MINIMAL.replace("reviews.csv", "revews.csv") + "  templates: [sentimnt/*, ./my.yaml]\n"
    assert complaints(write("a.yaml", text)) == [
        f"a.yaml:3:task.source.path: there is no file 'revews.csv' in {folder}. "
        "Did you mean 'reviews.csv'? Correct the path.",
        "a.yaml:4:task.templates: there is no template 'sentimnt/*'. Did you mean 'sentiment/*'? "
        f"Known: auto, {', '.join(f'{name}/*' for name in families())}, or the path of a YAML "
        "file.",
        f"a.yaml:4:task.templates: {folder}/my.yaml: cannot be read (No such file or directory). "
        "Check the path.",
    ]


@pytest.mark.parametrize(
    ("target", "meant"),
    [("review", "reviews"), ("tweet", "tweets"), ("revews.csv", "reviews.csv"), ("zzz", None)],
)
def test_a_target_that_is_nothing(target: str, meant: str | None) -> None:
    hint = f" Did you mean {meant!r}?" if meant else ""
    assert complaints(target) == [
        f"{target}: is neither a built-in task nor a file.{hint} "
        "Built-in tasks: reviews, movies, editorials, tweets."
    ]


def test_a_directory_is_no_target(folder: Path) -> None:
    assert "is a directory" in complaints(str(folder))[0]
