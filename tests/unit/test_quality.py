"""Flags: what stands out is shown, and nothing is done about it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tutelage.data import quality
from tutelage.data.overlap import group_rows
from tutelage.data.quality import Flag, Quality, quality_flags
from tutelage.records import Row

NAMES = "the camera came with a strap and a case in a box on a day in may"
WORDS = NAMES.split()
CLUES = {"p": ["great", "sharp", "lovely"], "n": ["poor", "broken", "awful"]}


def table(count: int = 120) -> list[Row]:
    rng = random.Random(2)
    rows = []
    for i in range(count):
        label = "pn"[i % 2]
        text = " ".join((str(i), *rng.choices(WORDS, k=9), *rng.choices(CLUES[label], k=2)))
        rows.append(Row(f"{i:03}", {"text": text}, label, f"t:{i}"))
    return rows


def flags(rows: list[Row], kind: str) -> list[Flag]:
    return [flag for flag in looked(rows).flags if flag.kind == kind]


def looked(rows: list[Row]) -> Quality:
    return quality_flags(rows, group_rows(rows))


def changed(rows: list[Row], place: int, **more: Any) -> list[Row]:
    old = rows[place]
    values = {"id": old.id, "fields": old.fields, "label": old.label, "where": old.where, **more}
    return [*rows[:place], Row(**values), *rows[place + 1 :]]


def test_sound_rows_have_no_flags() -> None:
    found = looked(table())
    assert found.flags == ()
    assert set(found.counts.values()) == {0}
    assert found.notes == ()


def test_a_wrong_label_is_doubted() -> None:
    clear = {"text": "40 a great and sharp camera, lovely and great"}
    rows = changed(table(), 40, label="n", fields=clear)
    (flag, *_) = flags(rows, "label")
    assert (flag.id, flag.where) == ("040", "t:40")
    assert "labelled 'n'" in flag.detail
    assert "looks like 'p'" in flag.detail
    assert 0 < flag.score <= 1


def test_hardly_any_text() -> None:
    rows = table()
    for place, text in {3: "?!", 5: "N/A", 7: "ok"}.items():
        rows = changed(rows, place, fields={"text": text})
    rows = changed(rows, 9, fields={"text": "a sentence that is whole", "hint": " "})
    found = {flag.id: flag.detail for flag in flags(rows, "empty")}
    assert found == {
        "003": "hardly any text: '?!'",
        "005": "the text is 'N/A'",
        "007": "hardly any text: 'ok'",
        "009": "nothing in hint",
    }


def test_numbers_and_lists_are_text_too() -> None:
    rows = changed(table(), 3, fields={"text": {"n": [12345]}})
    assert flags(rows, "empty") == []


def test_another_script() -> None:
    rows = changed(table(), 3, fields={"text": "Камера хорошая, объектив резкий"})
    (flag,) = flags(rows, "language")
    assert (flag.id, flag.detail) == ("003", "written in Cyrillic, as 1 of 120 rows")
    assert any(note.startswith("scripts: Latin 99.2%") for note in looked(rows).notes)


def test_two_common_scripts_are_a_note_and_no_flag() -> None:
    rows = table()
    for place in range(0, 120, 3):
        rows = changed(rows, place, fields={"text": f"Камера хорошая {place}"})
    found = looked(rows)
    assert found.counts["language"] == 0
    assert "scripts: Latin 66.7%, Cyrillic 33.3%" in found.notes


def test_repetition_under_one_label() -> None:
    rows = table()
    for place in (20, 30, 40, 50, 60):
        rows = changed(rows, place, fields={"text": rows[10].fields["text"].upper()})
    (flag,) = flags(rows, "duplicate")
    assert (flag.id, flag.score) == ("010", 6)
    assert flag.detail == "the same input and label: t:20, t:30, t:40 and 2 more"
    other = changed(table(), 11, fields=table()[10].fields)  # another label: a conflict
    assert flags(other, "duplicate") == []


def test_length_that_tells_the_label() -> None:
    rows = [
        Row(r.id, {"text": r.fields["text"] * (3 if r.label == "p" else 1)}, r.label, r.where)
        for r in table()
    ]
    found = flags(rows, "length")
    assert [flag.where for flag in found] == ["label 'n'", "label 'p'"]
    assert "shorter" in found[0].detail
    assert "longer" in found[1].detail
    assert all(flag.score == pytest.approx(1, abs=0.01) for flag in found)


def test_text_answers_and_options_have_no_labels_to_doubt() -> None:
    rows = [Row(r.id, r.fields, r.label, r.where, answers=(r.label,)) for r in table()]
    rows = changed(rows, 40, label="n", answers=("n",))
    assert looked(rows).counts["label"] == 0
    assert looked(rows).notes == ()


def test_a_sample_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "_MOST_ROWS", 80)
    monkeypatch.setattr(quality, "_LEAST_SAMPLE", 60)
    sizes = []
    monkeypatch.setattr(
        quality, "suspected_labels", lambda texts, *rest: sizes.append(len(texts)) or []
    )
    assert "label errors: looked for in 80 of 120 rows, at random" in looked(table()).notes
    assert sizes == [80]


def test_too_few_rows_are_said() -> None:
    assert looked(table(30)).notes == ("label errors: not looked for in under 50 rows",)


def test_only_the_most_striking_are_kept_and_all_are_counted() -> None:
    rows = table(500)
    for place in range(0, 500, 2):
        rows = changed(rows, place, fields={"text": "?" * (1 + place)})
    found = looked(rows)
    assert found.counts["empty"] == 250
    assert sum(flag.kind == "empty" for flag in found.flags) == quality.KEPT
    assert json.loads(json.dumps(found.to_json()))["counts"] == found.counts


def test_tasks_of_a_mixture_are_looked_at_apart() -> None:
    one, two = (
        table(),
        [
            Row(f"x{r.id}", r.fields, {"p": "n", "n": "p"}[r.label], r.where, task="two")
            for r in table()
        ],
    )
    rows = [*(Row(r.id, r.fields, r.label, r.where, task="one") for r in one), *two]
    assert looked(rows).counts["label"] == 0
