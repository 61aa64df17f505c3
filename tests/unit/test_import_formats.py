"""Importing harness, Super-NaturalInstructions and FLAN files: nothing is lost or executed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import call, paragraph
from tutelage.errors import ConfigError
from tutelage.records import Row
from tutelage.templates.child import Child
from tutelage.templates.importers import flan, lm_eval, super_ni
from tutelage.templates.importers.foreign import raw_of
from tutelage.templates.importers.importing import import_templates, write_imported
from tutelage.templates.importers.rows import render_rows
from tutelage.templates.library import read_templates
from tutelage.templates.render import Rendered
from tutelage.templates.schema import Template
from tutelage.yamlfile import read


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as child:
        yield child


def row(label: str = "", answers: tuple[str, ...] = (), **fields: Any) -> Row:
    choices = fields.pop("choices", ())
    return Row("r1", fields, label, "f.csv:2", answers=answers, choices=choices)


def one(child: Child, template: Template, row: Row, labels: Any = (), seed: int = 0) -> Rendered:
    (got,) = render_rows(child, template, [row], labels, seed)
    assert isinstance(got, Rendered), got
    return got


LM_EVAL = """\
task: mine
dataset_path: someone/boolq
doc_to_text: "{{passage}}\\nQuestion: {{question}}?\\nAnswer:"
doc_to_target: label
doc_to_choice: [no, "yes"]
target_delimiter: ""
metadata: {version: 2.0}
filter_list: [{name: x, filter: [{function: take_first}]}]
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_lm_eval_round_trip(child: Child, tmp_path: Path) -> None:
    text = LM_EVAL.replace("[no,", '["no",')
    report = import_templates(write(tmp_path, "t.yaml", text), child)
    assert report.to_json()["clean"] == 1
    template = report.imported[0].template
    assert template.choices == ["no", "yes"]
    assert yaml.safe_load(lm_eval.write(template)) == yaml.safe_load(text)
    got = one(child, template, row("b", passage="P", question="Q"), ("a", "b"))
    assert got == Rendered(None, "P\nQuestion: Q?\nAnswer:", ("no", "yes"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"doc_to_text": "!function utils.text"}, "`doc_to_text` is Python"),
        ({"doc_to_target": "!function utils.target"}, "never executed"),
        ({"doc_to_choice": "!function utils.choice"}, "`!function utils.choice`"),
        ({"class": "!function task.Task"}, "`class`"),
        ({"doc_to_text": None, "include": "base.yaml"}, "`include: base.yaml`"),
        ({"doc_to_target": None}, "has no `doc_to_target`"),
        ({"doc_to_text": "0"}, "every choice is a prompt"),
        ({"doc_to_text": '"{{ a"'}, "not valid Jinja in line 1"),
    ],
)
def test_lm_eval_that_needs_more_is_reported(
    change: dict[str, str | None], why: str, child: Child, tmp_path: Path
) -> None:
    lines = {"doc_to_text": '"{{q}}"', "doc_to_target": "a", "doc_to_choice": "[x, z]", **change}
    text = "".join(f"{k}: {v}\n" for k, v in lines.items() if v is not None)
    write(tmp_path, "utils.py", "raise SystemExit('executed')")
    report = import_templates(write(tmp_path, "t.yaml", text), child)
    assert report.imported == ()
    (bad,) = report.exceptions
    assert bad.stage == "parse"
    assert why in bad.why


def test_keys_that_need_no_rendering_may_be_python(child: Child, tmp_path: Path) -> None:
    text = LM_EVAL + "process_docs: !function utils.process\n"
    (item,) = import_templates(write(tmp_path, "t.yaml", text), child).imported
    assert "process_docs: !function utils.process" in lm_eval.write(item.template).replace("'", "")


SUPER_NI: dict[str, Any] = {
    "Contributors": ["someone"],
    "Categories": ["Text Completion"],
    "Definition": ["Finish {{ the }} sentence.", "Use {% few %} words."],
    "Positive Examples": [{"input": "a", "output": "b", "explanation": "c"}],
    "Negative Examples": [],
    "Instances": [
        {"id": "i-1", "input": "I am {{ x }}", "output": ["fine", "well"]},
        {"id": "i-2", "input": "You", "output": ["are"]},
    ],
    "Unknown": {"kept": True},
}


def test_the_file_that_is_written_can_be_named(child: Child, tmp_path: Path) -> None:
    write(tmp_path, "task007_finish.json", json.dumps(SUPER_NI))
    report = import_templates(tmp_path, child)
    mine = tmp_path / "mine.yaml"
    assert write_imported(report, mine) == [mine, tmp_path / "mine.jsonl"]
    with pytest.raises(ConfigError, match=r"mine.yaml is already there. Name another"):
        write_imported(report, mine)
    write(tmp_path, "task008_finish.json", json.dumps(SUPER_NI))
    with pytest.raises(ConfigError, match=r"mine.yaml: is one file for 2\. Name a folder"):
        write_imported(import_templates(tmp_path, child), mine)


def test_super_ni(child: Child, tmp_path: Path) -> None:
    path = write(tmp_path, "task007_finish.json", json.dumps(SUPER_NI))
    report = import_templates(path, child)
    assert report.to_json()["clean"] == 1
    (item,) = report.imported
    assert item.template.id == "text-completion/task007-finish"
    yaml_path, rows_path = write_imported(report, tmp_path / "out")
    (again,) = [Template.model_validate(t) for t in read(yaml_path).data["templates"]]
    rows = [json.loads(line) for line in rows_path.read_text().splitlines()]
    assert json.loads(super_ni.write(again, rows)) == SUPER_NI
    first = rows[0]
    got = one(child, again, row("fine", tuple(first["output"]), input=first["input"]))
    prompt = "Finish {{ the }} sentence.\nUse {% few %} words.\n\nI am {{ x }}"
    assert got == Rendered(None, prompt, ("fine",))


FLAN = {
    "nli": [
        ["{premise}\nIs it so that {hypothesis}?\n{options_}", "{answer}"],
        ['Write a text after which "{hypothesis}" is {answer}.', "{premise}"],
    ],
    "sums": [{"input": "What is {{x}} in {equation}?", "target": "{solution}", "more": 1}],
}


@pytest.mark.parametrize("suffix", ["json", "yaml", "py"])
def test_flan_round_trip(suffix: str, child: Child, tmp_path: Path) -> None:
    text = json.dumps(FLAN) if suffix != "py" else f"import os\nx = os.sep\nP = {FLAN!r}\n"
    report = import_templates(write(tmp_path, f"pairs.{suffix}", text), child)
    assert report.to_json()["clean"] == 3, report.exceptions
    templates = [i.template for i in report.imported]
    expected = FLAN if suffix != "py" else {f"P {name}": FLAN[name] for name in FLAN}
    assert flan.write(templates) == expected
    assert [t.direction for t in templates] == ["forward", "inverted", "forward"]
    got = one(child, templates[0], row("b", premise="P", hypothesis="H"), ("a", "b"))
    assert got == Rendered(None, "P\nIs it so that H?\nOPTIONS:\n- a\n- b", ("a", "b"))
    got = one(child, templates[1], row("b", premise="P", hypothesis="H"), ("a", "b"))
    assert got == Rendered(None, 'Write a text after which "H" is b.', ("P",))
    got = one(child, templates[2], row("2", ("2",), equation="1 + 1"))
    assert got == Rendered(None, "What is {x} in 1 + 1?", ("2",))


def test_flan_list_and_what_is_no_field(child: Child, tmp_path: Path) -> None:
    pairs = [["{a}", "{answer}"], ["{a.__class__}", "{answer}"], ["{a!r} {", "x"]]
    report = import_templates(write(tmp_path, "pairs.json", json.dumps(pairs)), child)
    assert len(report.imported) == 1
    assert flan.write([report.imported[0].template]) == pairs[:1]
    assert ["more than the name" in report.exceptions[0].why, len(report.unread)] == [True, 2]


def test_a_python_file_is_never_executed(child: Child, tmp_path: Path) -> None:
    text = (
        "raise SystemExit('executed')\nA = [('{x}', '{answer}')]\n"
        "B = [('{x}' + str(1), '{answer}')]\nA.extend(B)\n"
    )
    report = import_templates(write(tmp_path, "templates.py", text), child)
    assert [raw_of(i.template)["group"] for i in report.imported] == ["A"]


PAGE = Path(__file__).parents[2] / "docs" / "importing.md"


def test_the_example_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text("utf-8")
    (source,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    (typed,) = re.findall(r"command `tutelage (.*?)`", text)
    write(tmp_path, "boolq.yaml", source)
    monkeypatch.chdir(tmp_path)
    assert "Wrote 1 files to imported" in call(*typed.split()).expect(0).out
    (template,) = read_templates(tmp_path / "imported" / "boolq.yaml")
    assert (template.id, template.choices) == ("boolq/boolq", ["no", "yes"])


def test_the_command_shows_why(tmp_path: Path) -> None:
    write(tmp_path, "t.yaml", "task: mine\ndoc_to_text: !function utils.text\ndoc_to_target: a\n")
    said = call("templates", "import", tmp_path).expect(0).out
    assert "t.yaml 'mine': parse: `doc_to_text` is Python" in said
    counts = json.loads(call("templates", "import", tmp_path, "--json").expect(0).out)
    assert (counts["total"], counts["parsed"], len(counts["exceptions"])) == (1, 0, 1)
    assert "no such file" in paragraph(call("templates", "import", tmp_path / "x").expect(2))
