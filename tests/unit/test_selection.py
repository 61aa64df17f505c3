"""Filters, samples, label rules and answers: what becomes a row, and what is left out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.errors import DataGateError, InputError
from tutelage.records import Row
from tutelage.tasks.answers import gold_answers
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import LabelBin, RowFilter, Sample, TaskSpec
from tutelage.tasks.selection import Filters, sample_rows
from tutelage.tasks.skips import Skips


def _rows(folder: Path, records: list[dict[str, Any]], **task: Any) -> Rows:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return load_rows(
        TaskSpec.model_validate({"name": "toy", "source": {"path": str(path)}, **task})
    )


# --- filters ---


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"equals": "10"}, ["10"]),
        ({"equals": ["9", ""]}, ["9", ""]),
        ({"not_equals": ["9", "10"]}, ["", "x", "nan", "9.5"]),
        ({"matches": "^9"}, ["9", "9.5"]),
        ({"at_least": 9.5}, ["10", "9.5"]),
        ({"at_most": 9.5}, ["9", "9.5"]),
        ({"at_least": 9, "at_most": 9}, ["9"]),
        ({"shortest": 2}, ["10", "nan", "9.5"]),
        ({"longest": 1}, ["9", "", "x"]),
    ],
)
def test_conditions(condition: dict[str, Any], kept: list[str]) -> None:
    filters = Filters([RowFilter(column="c", **condition)])
    cells = ["9", "10", "", "x", "nan", "9.5"]
    assert [cell for cell in cells if filters.reason({"c": cell}) is None] == kept


def test_a_filter_sees_lists_as_json_and_missing_cells_as_empty() -> None:
    filters = Filters([RowFilter(column="c", matches='"b"')])
    assert filters.reason({"c": ["a", "b"]}) is None
    assert filters.reason({}) == "filtered: task.filters.0: 'c' does not match '\"b\"'"


@pytest.mark.parametrize("wrong", [{}, {"matches": "("}, {"column": "x", "shortest": -1}])
def test_filters_that_ask_for_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"condition|regular expression|greater than or equal"):
        RowFilter.model_validate({"column": "c", **wrong})


def test_many_rows_with_one_reason_are_counted(tmp_path: Path) -> None:
    records = [
        {"text": "t" if n % 2 else "", "label": "ab"[n % 4 // 2], "n": n} for n in range(4000)
    ]
    fields, filters = {"text": "text"}, [{"column": "n", "at_most": 2999}]
    found = _rows(tmp_path, records, fields=fields, filters=filters)
    assert len(found.rows) == 1500
    counted: Counter[str] = Counter()
    for skipped in found.skipped:
        counted[skipped.reason] += skipped.rows
    assert counted == {
        "filtered: task.filters.0: 'n' is not a number of at most 2999": 1000,
        "empty text": 1500,
    }
    assert len(found.skipped) == 1000 + 2
    assert len(found.rows) + counted.total() == 4000


# --- samples ---


def _row(number: int, label: str) -> Row:
    return Row(str(number), {"text": f"t{number}"}, label, f"a:{number}")


@settings(max_examples=40)
@given(
    labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=60),
    size=st.integers(1, 20),
    per_label=st.booleans(),
    seed=st.integers(0, 3),
)
def test_a_sample(labels: list[str], size: int, per_label: bool, seed: int) -> None:
    rows = [_row(n, label) for n, label in enumerate(labels)]
    skips = Skips("a")
    sample = Sample(rows=size, per_label=per_label, seed=seed)
    kept = sample_rows(iter(rows), sample, skips)
    assert kept == [row for row in rows if row in kept]  # in source order
    counts = Counter(labels)
    expected = sum(min(size, n) for n in counts.values()) if per_label else min(size, len(rows))
    assert len(kept) == expected
    assert skips.counts["not sampled"] == len(rows) - expected
    # another order draws the same rows, and a larger sample keeps them
    again = sample_rows(reversed(rows), sample, Skips("a"))
    assert sorted(r.id for r in again) == sorted(r.id for r in kept)
    larger = sample_rows(rows, Sample(rows=size + 1, per_label=per_label, seed=seed), Skips("a"))
    assert {r.id for r in kept} <= {r.id for r in larger}


def test_a_sample_is_even() -> None:
    rows = [_row(n, "a") for n in range(100)]
    drawn = Counter(
        row.id
        for seed in range(400)
        for row in sample_rows(rows, Sample(rows=10, seed=seed), Skips(""))
    )
    # binomial(400, 0.1): mean 40, standard deviation 6
    assert len(drawn) == 100
    assert 40 - 5 * 6 < min(drawn.values()) <= max(drawn.values()) < 40 + 5 * 6


def test_a_sample_of_a_task(tmp_path: Path) -> None:
    records = [{"text": f"t{n}", "label": "ab"[n % 2]} for n in range(100)]
    found = _rows(tmp_path, records, sample={"rows": 5, "per_label": True})
    assert Counter(row.label for row in found.rows) == {"a": 5, "b": 5}
    assert [(s.reason, s.rows) for s in found.skipped] == [("not sampled", 90)]


# --- labels ---


def test_names_for_labels(tmp_path: Path) -> None:
    records = [{"text": "t", "label": n} for n in (0, 1, 0, None)]
    names = {"0": "negative", "1": "positive", "2": "mixed"}
    found = _rows(tmp_path, records, label_names=names)
    assert [row.label for row in found.rows] == ["negative", "positive", "negative"]
    assert found.labels == ("negative", "positive")
    assert "label_names: no row has the label '2'" in found.notes
    with pytest.raises(DataGateError) as caught:
        _rows(tmp_path, [*records, {"text": "t", "label": "-1"}], label_names=names)
    assert "labels outside task.label_names: '-1' in 1 rows" in str(caught.value)


BINS = [
    {"label": "low", "below": 2.5},
    {"label": "middle", "below": 4},
    {"label": "high"},
]


def test_bins(tmp_path: Path) -> None:
    records = [{"text": "t", "label": n} for n in (1, 2.5, 3.999, 4, 1e9)]
    found = _rows(tmp_path, records, label_bins=BINS)
    assert [row.label for row in found.rows] == ["low", "middle", "middle", "high", "high"]
    with pytest.raises(InputError, match=r"data\.jsonl:6: the rating 'many' is not a number"):
        _rows(tmp_path, [*records, {"text": "t", "label": "many"}], label_bins=BINS)
    bounded = [*BINS[:2], {"label": "high", "below": 10}]
    with pytest.raises(InputError, match=r"data\.jsonl:5: the number 1e\+09 is in none of"):
        _rows(tmp_path, records, label_bins=bounded)


@pytest.mark.parametrize(
    "bins",
    [
        BINS[::-1],
        [BINS[0], BINS[0]],
        [BINS[2], BINS[0]],
        [BINS[0]],
        [BINS[0], {**BINS[1], "label": "low"}],
    ],
)
def test_bins_that_make_no_sense(bins: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"rises from bin to bin|at least two labels"):
        TaskSpec.model_validate({"name": "t", "source": {"path": "a"}, "label_bins": bins})
    assert LabelBin(label="x").below is None


# --- answers ---


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ({"a": "x"}, ("x",)),
        ({"a": ["x", "y", "x"], "b": "z"}, ("x", "y", "z")),
        ({"b": "z"}, ("z",)),
        ({"a": {"text": ["x", "y"], "answer_start": [1, 2]}}, ("x", "y")),
        ({"a": {"n": 1}}, ('{"n":1}',)),
        ({"a": [1, 2.5, None, True, ["u"]]}, ("1", "2.5", "true", '["u"]')),
        ({"a": " ", "b": []}, ()),
    ],
)
def test_gold_answers(cells: dict[str, Any], found: tuple[str, ...]) -> None:
    assert gold_answers(cells, ("a", "b")) == found


def test_rows_with_answers(tmp_path: Path) -> None:
    records = [
        {"question": "q", "context": "c", "gold": ["a", "b"]},
        {"question": "r", "context": "c", "gold": []},
    ]
    found = _rows(tmp_path, records, answer="gold")
    row = found.rows[0]
    assert (row.fields, row.label, row.answers) == (
        {"context": "c", "question": "q"},
        "a",
        ("a", "b"),
    )
    assert [s.reason for s in found.skipped] == ["empty answer"]
    assert found.kind == "text"
    with pytest.raises(InputError, match=r"task\.fields\.hint: 'gold' is the answer column"):
        _rows(tmp_path, records, answer="gold", fields={"hint": "gold"})


def test_answers_may_stand_in_other_columns_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "t", "summary": "s"}\n')
    (tmp_path / "test.jsonl").write_text('{"text": "u", "summary1": "v", "summary2": "w"}\n')
    answer = ["summary", "summary1", "summary2"]
    task = {"name": "t", "source": {"path": str(tmp_path)}, "answer": answer}
    found = load_rows(TaskSpec.model_validate(task))
    assert [(row.split, row.answers) for row in found.rows] == [
        ("test", ("v", "w")),
        ("train", ("s",)),
    ]
