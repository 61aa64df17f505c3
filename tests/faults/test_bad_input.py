"""Bad input ends in the right exit code and one clear paragraph, and leaves nothing behind."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from command import call, paragraph
from tiny import tiny_reviews
from tutelage import Result
from tutelage.files import read_json

Row = Sequence[str]


def _write(name: str, rows: Sequence[Row], header: Row = ("text", "label")) -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return name


def _texts(count: int) -> list[str]:
    return [row.review for row in tiny_reviews()[:count]]


# --- names and paths ---


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "godo.csv"], "is neither a built-in task nor a file. Did you mean 'good"),
        (["run", "reviws"], "Did you mean 'reviews'? Built-in tasks: reviews, movies"),
        (["run", "elsewhere/good.csv"], "elsewhere/good.csv: is neither"),
        (["run", "."], "is a directory"),
        (["preview", "."], "is a directory"),
        (["run", "good.csv", "--text", "reviw", "--label", "sentiment"], "Did you mean 'review'?"),
        (["run", "good.csv", "--label", "sentimnt"], "Did you mean 'sentiment'?"),
        (["run", "good.csv", "--label", "sentiment", "--group-by", "autor"], "mean 'author'?"),
        (["run", "good.csv", "--text", "review", "--label", "review"], "is the label column"),
        (["run", "good.csv", "--set", "training.epoch=2"], "Did you mean 'epochs'?"),
        (["run", "good.csv", "--set", "training.epochs=two"], "'two', but must be a number"),
        (["run", "good.csv", "--set", "training.keep_checkpoints=1"], "at least 2"),
        (["run", "good.csv", "--set", "split.test=0.7"], "at most 0.5"),
        (["run", "good.csv", "--set", "epochs"], "section.key=value"),
        (["run", "good.csv", "--set", "task.templates=[sentimnt/*]"], "'sentiment/*'"),
        (["run", "good.csv", "--set", "task.source.encoding=utf-88"], "not a text encoding"),
        (["show", "good.csv"], "no run is there"),
        (["show", "runs/none"], "no run is there"),
        (["predict", "runs/none", "--text", "x"], "runs/none"),
        (["chat", "runs/none"], "runs/none"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_names(arguments: list[str], says: str, refused: Callable[..., str]) -> None:
    assert says in refused(2, *arguments)


def test_an_unknown_option_is_a_usage_error(folder: Path) -> None:
    done = call("run", "good.csv", "--lable", "sentiment").expect(2)
    assert "--lable" in done.err
    assert "Traceback" not in done.err


def test_an_unknown_key_of_a_file_has_its_line(folder: Path, refused: Callable[..., str]) -> None:
    Path("task.yaml").write_text(
        "task:\n  name: mine\n  source: {path: good.csv}\n  lable: sentiment\n"
        "training:\n  epochs: 1\n  learnin_rate: 0.1\n"
    )
    said = refused(2, "run", "task.yaml")
    assert "task.yaml:4:task.lable: there is no such key. Did you mean 'label'?" in said
    assert "task.yaml:7:training.learnin_rate: there is no such key. Did you mean" in said


# --- tables ---


def _table(data: str | bytes, name: str = "bad.csv") -> str:
    path = Path(name)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return name


_RAGGED = "text,label\n" + "a good one,yes\n" * 3 + "one, two,yes\nshort\n"
_JSONL = '{"text": "a", "label": "yes"}\n{"text": "b", "label": no}\n'
_REPEATED = '{"text": "a", "text": "b", "label": "yes"}\n'
_MIXED = "text,label\n" + "naïve but good,yes\n" * 3


@pytest.mark.parametrize(
    ("code", "name", "data", "says"),
    [
        (3, "bad.csv", "", "bad.csv: has no rows"),
        (3, "bad.csv", "text,label\n", "bad.csv: has no rows"),
        (3, "bad.jsonl", "\n\n", "bad.jsonl: has no rows"),
        (2, "bad.csv", _RAGGED, "bad.csv:5: 3 cells where the header has 2; "),
        (2, "bad.csv", _RAGGED, "bad.csv:6: 1 cells where the header has 2"),
        (2, "bad.csv", 'text,label\n"open,yes\n', "quote"),
        (2, "bad.csv", "text,text\na,b\n", "'text' appears twice"),
        (2, "bad.csv", b"text,label\n\0,yes\n", "NUL"),
        (2, "bad.csv", _MIXED.encode() + "naïve,no\n".encode("latin-1"), "bad.csv:5: byte"),
        (2, "bad.csv", _MIXED.encode("utf-16"), "task.source.encoding=utf-16"),
        (2, "bad.jsonl", _JSONL, "bad.jsonl:2: is not valid JSON (column"),
        (2, "bad.jsonl", _REPEATED, "bad.jsonl:1: key 'text' appears twice"),
        (2, "bad.json", '{"text": "a"}', "is not an array of objects"),
        (2, "bad.xlsx", "PK", "is not an Excel file"),
    ],
)
def test_tables(
    code: int, name: str, data: str | bytes, says: str, folder: Path, refused: Callable[..., str]
) -> None:
    assert says in refused(code, "run", _table(data, name))


def test_repeated_ids(folder: Path, refused: Callable[..., str]) -> None:
    rows = [("7", "a good lamp", "yes"), ("8", "a bad lamp", "no"), ("7", "a chair", "no")]
    name = _write("ids.csv", rows, ("id", "text", "label"))
    assert "ids.csv:4: id '7' is also on line 2" in refused(2, "run", name, "--set", "task.id=id")


# --- the data gate ---


@pytest.mark.parametrize(
    ("count", "label", "says"),
    [
        (100, lambda i: "yes", "every row has the label 'yes'"),
        (9, lambda i: "yn"[i % 2], "9 labelled rows; 10 are the least"),
        (100, lambda i: f"label {i}", "looks like ids or free text"),
        (100, lambda i: ["Yes", "yes", "no"][i % 3], "differ only in case"),
        (100, lambda i: "", "no row is left"),
    ],
    ids=["one class", "too few", "free text", "spellings", "no label"],
)
def test_labels(
    count: int, label: Callable[[int], str], says: str, folder: Path, refused: Callable[..., str]
) -> None:
    rows = [(text, label(i)) for i, text in enumerate(_texts(count))]
    assert says in refused(3, "run", _write("few.csv", rows))


def test_labels_outside_the_list(folder: Path, refused: Callable[..., str]) -> None:
    command = ["run", "good.csv", "--text", "review", "--label", "sentiment"]
    said = refused(3, *command, "--set", "task.labels=[negative, Positive]")
    assert "labels outside task.labels: 'positive' in" in said
    assert "Did you mean 'Positive'?" in said
    assert "'neutral' in" in said


def test_rows_that_contradict_each_other(folder: Path, refused: Callable[..., str]) -> None:
    rows = [(text, "yn"[i % 2]) for i, text in enumerate(_texts(60))]
    rows += [(text, "ny"[i % 2]) for i, text in enumerate(_texts(10))]
    said = refused(3, "run", _write("torn.csv", rows))
    assert "same input, different labels" in said
    assert "--set split.max_conflict_share=" in said


def test_few_rows_make_a_model_but_no_comparison(folder: Path, tiny_model_dir: Path) -> None:
    rows = [(text, "yn"[i % 2]) for i, text in enumerate(_texts(40))]
    command = ["run", _write("forty.csv", rows), "--model", str(tiny_model_dir), "--out", "run"]
    done = call(*command, "--set", "training.epochs=1", "--set", "baselines.shots=[0]").expect(0)
    assert "no comparison is made" in done.out
    report = read_json(Path("run/report.json"))
    assert report["verdict"]["says"] == "no comparison"
    assert "p_value" not in report["verdict"]
    assert report["rows"]["test"] < 30
    assert any("under 30" in note for note in report["notes"])
    assert "no comparison" in Path("run/report.html").read_text()
    assert Path("run/model/model.safetensors").exists()
    assert "no comparison is made" in call("show", "run").expect(0).out


# --- where to write, and predictions ---


@pytest.mark.parametrize("out", ["good.csv", "good.csv/run"])
def test_a_file_where_a_directory_must_be(out: str, refused: Callable[..., str]) -> None:
    command = ["run", "good.csv", "--label", "sentiment", "--out", out]
    assert f"{out}: cannot be made" in refused(6, *command)


def test_predictions(folder: Path, tiny_run: Result, refused: Callable[..., str]) -> None:
    run = str(tiny_run.path)
    Path("new.csv").write_text("id,revew\n1,a flimsy lamp\n")
    assert "either --text or a file" in refused(2, "predict", run)
    assert "either --text or a file" in refused(2, "predict", run, "good.csv", "--text", "x")
    said = refused(2, "predict", run, "new.csv")
    assert "new.csv: has no column 'review'. Did you mean 'revew'?" in said
    assert "does not exist. Did you mean 'new.csv'?" in refused(2, "predict", run, "nwe.csv")
    assert "is a directory" in refused(2, "predict", run, str(tiny_run.model_path))
    out = ["good.csv", "--out", "good.csv/labelled.csv"]
    assert "could not be written" in refused(6, "predict", run, *out)


def test_a_run_that_is_not_finished(folder: Path, tiny_model_dir: Path) -> None:
    command = ["prepare", "good.csv", "--text", "review", "--label", "sentiment", "--out", "run"]
    call(*command, "--model", str(tiny_model_dir)).expect(0)
    for arguments in (["show", "run"], ["predict", "run", "--text", "x"], ["chat", "run"]):
        done = call(*arguments).expect(2)
        assert "`tutelage run run`" in paragraph(done)
