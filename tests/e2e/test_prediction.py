"""The tuned model on new rows: labels with probabilities, and files that come back with both."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tutelage import Result
from tutelage.errors import ConfigError, InputError
from tutelage.files import read_jsonl
from tutelage.pipeline.prediction import Predictor, predict_file
from tutelage.pipeline.stage import read_predictions
from tutelage.progress import Quiet
from tutelage.templates.render import render

ADDED = ["predicted", "probability"]
ROWS = [
    {"id": "1", "review": "the handle felt awful, the lid was broken", "note": "NA"},
    {"id": "2", "review": 'superb; "quoted", <|im_end|> {{ x }}', "note": ""},
    {"id": "3", "review": "two\nlines \u2028 and \u00e9", "note": "012"},
]


@pytest.fixture(scope="module")
def predictor(tiny_run: Result) -> Predictor:
    return Predictor.open(tiny_run.path, "cpu", Quiet())


# --- rows ---


def test_a_label_and_its_probability(predictor: Predictor) -> None:
    (answer,) = predictor.predict([{"text": "superb and sturdy"}])
    shares = [math.exp(score) for score in answer.scores]
    assert len(shares) == 3
    assert answer.label == predictor.labels[shares.index(max(shares))]
    assert answer.probability == pytest.approx(max(shares) / sum(shares))
    assert 1 / 3 <= answer.probability <= 1
    assert not answer.cut


def test_answers_do_not_depend_on_the_rows_beside_them(predictor: Predictor) -> None:
    rows = [{"text": row["review"]} for row in ROWS]
    together = predictor.predict(rows)
    for row, answer in zip(rows, together, strict=True):
        (alone,) = predictor.predict([row])
        assert alone.label == answer.label
        assert alone.scores == pytest.approx(answer.scores, abs=1e-4)
    assert predictor.predict([]) == []


def test_it_answers_as_the_sealed_test_did(predictor: Predictor, tiny_run: Result) -> None:
    tested = {p.id: p for p in read_predictions(tiny_run.path / "test" / "tuned.jsonl")}
    rows = [
        row
        for row in read_jsonl(tiny_run.path / "data" / "test.jsonl")
        if row["template"] == predictor.template.id
    ]
    assert rows
    answers = predictor.predict([row["fields"] for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert answer.label == tested[row["id"]].predicted
        assert answer.scores == pytest.approx(tested[row["id"]].scores, abs=1e-4)


def test_a_long_text_is_cut_from_its_end_until_it_fits(predictor: Predictor) -> None:
    text = "superb words that go on " * 400
    encoder, limit = predictor.answerer.encoder, predictor.maker.limit
    example = predictor.prompt(text)
    longest = max(len(option) for option in encoder.options(example))
    assert limit - 8 < len(encoder.prompt(example.prompt)) + longest <= limit
    assert "superb words that go on superb" in example.prompt
    (answer,) = predictor.predict([{"text": text}])
    assert answer.cut


def test_a_prompt_that_never_fits(predictor: Predictor) -> None:
    tight = replace(predictor, maker=replace(predictor.maker, limit=5))
    with pytest.raises(InputError, match="row 1: does not fit 5 tokens even when cut"):
        tight.predict([{"text": "x"}])


def test_an_empty_text_is_named_by_its_row(predictor: Predictor) -> None:
    template = predictor.template.model_copy(update={"prompt": "{{ text }}"})
    with pytest.raises(InputError, match=r"row 2: .* the prompt is empty"):
        replace(predictor, template=template).predict([{"text": "fine"}, {"text": ""}])


def test_the_prompt_is_that_of_the_first_template(predictor: Predictor) -> None:
    example = predictor.prompt("fine")
    prompt, options = render(predictor.template, {"text": "fine"}, predictor.labels, "row 1")
    assert (example.prompt, example.options) == (prompt, options)
    assert predictor.template.id == "sentiment/question"


# --- files ---


def as_csv(delimiter: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(ROWS)

    return write


def as_lines(path: Path) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    path.write_text("".join(lines), encoding="utf-8")


def as_array(path: Path) -> None:
    path.write_text(json.dumps(ROWS), encoding="utf-8")


def table(delimiter: str) -> Callable[[str], list[dict[str, str]]]:
    return lambda text: list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.split("\n") if line]


FORMATS = [
    (".csv", as_csv(","), table(",")),
    (".tsv", as_csv("\t"), table("\t")),
    (".jsonl", as_lines, lines),
    (".json", as_array, json.loads),
]


@pytest.mark.parametrize(("suffix", "write", "read"), FORMATS, ids=[f[0] for f in FORMATS])
def test_a_file_comes_back_with_two_columns_more(
    predictor: Predictor,
    tmp_path: Path,
    suffix: str,
    write: Callable[[Path], None],
    read: Callable[[str], list[dict[str, Any]]],
) -> None:
    source = tmp_path / f"new{suffix}"
    write(source)
    text = predict_file(predictor, source, None)
    rows = read(text)
    assert [{k: v for k, v in row.items() if k not in ADDED} for row in rows] == ROWS
    assert [list(row)[-2:] for row in rows] == [ADDED] * 3
    answers = predictor.predict([{"text": row["review"]} for row in ROWS])
    assert [row["predicted"] for row in rows] == [a.label for a in answers]
    assert [row["probability"] for row in rows] == [f"{a.probability:.4f}" for a in answers]
    out = tmp_path / "deep" / f"out{suffix}"
    assert predict_file(predictor, source, out) == text
    with out.open(encoding="utf-8", newline="") as stream:
        assert stream.read() == text


def test_columns_of_the_file_are_never_overwritten(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text("review,predicted,predicted_1,probability\nfine,mine,too,0.5\n")
    (row,) = table(",")(predict_file(predictor, source, None))
    assert list(row)[:4] == ["review", "predicted", "predicted_1", "probability"]
    assert list(row)[4:] == ["predicted_2", "probability_1"]
    assert (row["predicted"], row["predicted_1"], row["probability"]) == ("mine", "too", "0.5")
    assert row["predicted_2"] in predictor.labels


def test_a_file_without_the_text_column(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text("reviews,stars\nfine,3\n")
    with pytest.raises(InputError) as caught:
        predict_file(predictor, source, tmp_path / "out.csv")
    said = str(caught.value)
    assert "has no column 'review'. Did you mean 'reviews'?" in said
    assert "reviews, stars" in said
    assert not (tmp_path / "out.csv").exists()


def test_a_run_without_a_model_is_no_predictor(tiny_run: Result, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes((tiny_run.path / "config.yaml").read_bytes())
    with pytest.raises(ConfigError, match="has no tuned model yet; run `tutelage run"):
        Predictor.open(tmp_path, "cpu", Quiet())
