"""What an import finds out about templates on made-up rows, besides that they render."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tutelage.templates.child import Child
from tutelage.templates.export import dump_templates
from tutelage.templates.importers import importing
from tutelage.templates.importers.importing import import_templates
from tutelage.templates.importers.report import ImportReport
from tutelage.templates.library import read_templates
from tutelage.templates.lint_shown import flag_of

FILE = """\
dataset: mine
templates:
  a: !Template
    id: a
    name: shown
    jinja: "{{ text }} Is it bad or good? ||| {{ answer_choices[label] }}"
    answer_choices: bad ||| good
    metadata: !TemplateMetadata {choices_in_prompt: true}
  b: !Template
    id: b
    name: shown and denied
    jinja: "{% if text %}{{ text }}{% endif %} Bad or good, then? ||| {{ answer_choices[label] }}"
    answer_choices: bad ||| good
    metadata: !TemplateMetadata {choices_in_prompt: false}
  c: !Template
    id: c
    name: hidden
    jinja: "{{ text }} What do you think of it? ||| {{ answer_choices[label] }}"
    answer_choices: bad ||| good
    metadata: !TemplateMetadata {choices_in_prompt: true}
  d: !Template
    id: d
    name: says nothing
    jinja: "How did they like it? {{ text }} ||| {{ answer_choices[label] }}"
    answer_choices: bad ||| good
"""


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as child:
        yield child


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "templates.yaml"
    path.write_text(FILE)
    return path


def test_choices_that_are_shown_or_not_against_the_file_s_word(child: Child, path: Path) -> None:
    report = import_templates(path, child)
    counts = report.to_json()
    assert counts["clean"] == counts["total"] == 4
    said = {i.template.name: " ".join(i.doubts) for i in report.imported if i.doubts}
    assert said == {
        "shown and denied": "choices-flag: `choices_in_prompt` is false, but every prompt shows "
        "all choices.",
        "hidden": "choices-flag: `choices_in_prompt` is true, but no prompt shows every choice.",
    }
    flags = [True, False, True, None]
    assert [flag_of(item.template) for item in report.imported] == flags
    own = path.with_name("own.yaml")
    own.write_text(dump_templates([item.template for item in report.imported]))
    assert [flag_of(template) for template in read_templates(own)] == flags


def test_a_template_that_another_process_renders_otherwise(
    child: Child, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []

    class Fickle(Child):
        def run(self, task: str, common: Any, items: Any) -> list[Any]:
            seeds.append(self.hash_seed)
            found = super().run(task, common, items)
            found[1]["prompt"] += "!"
            return found

    monkeypatch.setattr(importing, "Child", Fickle)
    report: ImportReport = import_templates(path, child)
    (bad,) = report.exceptions
    assert (bad.name, bad.stage) == ("shown and denied", "lint")
    assert "nondeterministic: another process" in bad.why
    assert seeds == [1]
    assert child.hash_seed == 0
