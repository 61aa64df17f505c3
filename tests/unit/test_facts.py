"""What is reported of the data, counted by hand."""

from __future__ import annotations

import json

from tutelage.data.config import SplitConfig
from tutelage.data.division import divide
from tutelage.data.facts import leak_facts
from tutelage.data.overlap import group_rows
from tutelage.records import Row, SplitName


def rows() -> list[Row]:
    names: list[SplitName] = ["train"] * 12 + ["validation"] * 3 + ["test"] * 5
    made = [
        Row(f"{i:02}", {"text": f"{i:02} " + chr(97 + i) * 20}, "pn"[i % 2], f"t:{i}", split=name)
        for i, name in enumerate(names)
    ]
    made[1] = Row("01", made[15].fields, "p", "t:1", split="train")
    made[3] = Row("03", made[2].fields, "n", "t:3", split="train")
    return made


def test_leak_facts_with_and_without_decontamination() -> None:
    table = rows()
    groups = group_rows(table)
    config = SplitConfig()
    told = leak_facts(groups, divide(table, groups, config), config)
    assert told["kind"] == "given"
    assert (told["pairs_across_splits"], told["removed"]) == (1, {})
    assert (told["exact_pairs"], told["near_pairs"]) == (2, 0)
    assert [leak["rows"] for leak in told["before"]] == [1]
    assert (told["conflict_count"], len(told["conflicts"])) == (2, 2)
    config = SplitConfig(decontaminate=True)
    told = leak_facts(groups, divide(table, groups, config), config)
    assert (told["pairs_across_splits"], told["removed"]) == (0, {"leak": 1})
    assert told["after"] == ()
    assert json.loads(json.dumps(told))["before"][0]["examples"][0]["of_where"] == "t:15"


def test_a_random_split_reports_zero() -> None:
    table = [Row(r.id, r.fields, r.label, r.where) for r in rows()]
    groups = group_rows(table)
    told = leak_facts(groups, divide(table, groups, SplitConfig()), SplitConfig())
    assert (told["kind"], told["pairs_across_splits"], told["moved"]) == ("random", 0, 0)
    assert told["groups"] == 18
