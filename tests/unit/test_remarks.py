"""The first rows behind counts: three of every kind, with what is said of them."""

from __future__ import annotations

from pathlib import Path

from toy_context import toy_context
from toy_example import example

from tutelage.files import write_json, write_jsonl
from tutelage.pipeline.remarks import first_remarks, flag_remarks, leak_remarks, ledger_remarks


def entry(reason: str, number: int) -> dict[str, str]:
    return {"id": f"{reason}{number}", "where": f"a.csv:{number}", "reason": reason, "detail": "d"}


def repeat(number: int, kind: str = "near") -> dict[str, object]:
    return {
        "id": f"r{number}",
        "where": f"train.csv:{number}",
        "of": f"t{number}",
        "of_where": f"test.csv:{number}",
        "kind": kind,
        "similarity": 0.912,
    }


def leak(earlier: str, later: str, rows: int, kind: str = "near") -> dict[str, object]:
    examples = [repeat(i, kind) for i in range(rows)]
    return {"earlier": earlier, "later": later, "rows": rows, "examples": examples}


def test_three_entries_per_reason_in_the_order_of_reasons() -> None:
    entries = [entry(reason, i) for i in range(5) for reason in ("duplicate", "conflict")]
    found = list(ledger_remarks(entries))
    assert [r.id for r in found] == [
        *("conflict0", "conflict1", "conflict2"),
        *("duplicate0", "duplicate1", "duplicate2"),
    ]
    assert (found[0].kind, found[0].where, found[0].detail) == ("conflict", "a.csv:0", "d")


def test_three_flags_per_kind_the_most_striking_first() -> None:
    flags = [
        {"id": f"{kind}{i}", "where": "w", "kind": kind, "detail": "d", "score": 1.0}
        for kind in ("label", "empty")
        for i in range(4)
    ]
    ids = [r.id for r in flag_remarks(flags)]
    assert ids == ["label0", "label1", "label2", "empty0", "empty1", "empty2"]


def test_leaks_name_both_rows() -> None:
    found = list(leak_remarks([leak("train", "test", 5), leak("train", "validation", 1, "exact")]))
    assert [(r.kind, r.id) for r in found] == [
        ("train in test", "r0"),
        ("train in test", "r1"),
        ("train in test", "r2"),
        ("train in validation", "r0"),
    ]
    assert found[0].detail == "is nearly test row t0 at test.csv:0 (Jaccard 0.91)"
    assert found[3].detail == "equals validation row t0 at test.csv:0"


def test_rows_get_their_text_from_any_split(tmp_path: Path) -> None:
    context = toy_context(tmp_path)
    folder = context.run.folder("prepare")
    write_jsonl(folder / "ledger.jsonl", [entry("conflict", 0), entry("dropped", 0)])
    flags = [{"id": "odd", "where": "w", "kind": "empty", "detail": "d", "score": 0.0}]
    write_json(folder / "quality.json", {"flags": flags})
    write_json(folder / "leaks.json", {"before": [leak("train", "test", 1)]})
    written = {
        "train": [example("conflict0", "<b>first</b>"), example("r0", "x" * 5000)],
        "validation": [],
        "test": [example("odd", "?")],
        "unseen_tasks": [],
    }
    for split, examples in written.items():
        write_jsonl(folder / f"{split}.jsonl", (e.to_json() for e in examples))
    found = first_remarks(context)
    assert [(r.id, r.text) for r in found.ledger] == [
        ("conflict0", "<b>first</b>"),
        ("dropped0", ""),
    ]
    assert [(r.id, r.text) for r in found.quality] == [("odd", "?")]
    assert len(found.leaks[0].text) == 400
