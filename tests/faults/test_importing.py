"""Importing templates of four formats: nothing is lost, every trap of the formats is met."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tutelage.errors import InputError
from tutelage.records import Row
from tutelage.templates.child import Child, Failure
from tutelage.templates.importers import promptsource
from tutelage.templates.importers.foreign import is_foreign, slug
from tutelage.templates.importers.importing import import_templates, write_imported
from tutelage.templates.importers.report import ImportReport
from tutelage.templates.importers.rows import render_rows
from tutelage.templates.render import Rendered
from tutelage.templates.schema import Template
from tutelage.yamlfile import read

PROMPTSOURCE = """\
dataset: made/up
subset: small
note: an unknown key
templates:
  0a: !Template
    answer_choices: bad ||| good
    id: 0a
    jinja: '{{text}} Is that {{ answer_choices | join(" or ") }}? ||| {{answer_choices[label]}}'
    metadata: !TemplateMetadata
      choices_in_prompt: true
      languages: [en]
      made_up: 2021-05-04
      metrics: &m [Accuracy]
      more_metrics: *m
      original_task: null
    name: Plain
    reference: ''
  0b: !Template
    answer_choices: No ||| Yes
    id: 0b
    jinja: |-
      {% if label != -1 %}
      {{text}} Well? ||| {{ answer_choices[label] }}
      {% endif %}
    metadata: !TemplateMetadata {}
    name: Separator inside an if
    reference: 'yes'
    extra_key: 012
  0c: !Template
    answer_choices: null
    id: 0c
    jinja: '{{ ["Say it shorter", "Sum it up", "In brief"] | choice }}: {{text}} ||| {{summary}}'
    metadata: !TemplateMetadata {}
    name: Random wording
    reference: ''
  0d: !Template
    answer_choices: '{{ options | join("|||") }}'
    id: 0d
    jinja: '{{text}}: {{ answer_choices | join(", ") }}? ||| {{ answer_choices[label] }}'
    metadata: !TemplateMetadata {}
    name: Own choices
    reference: ''
  0e: !Template
    answer_choices: null
    id: 0e
    jinja: '{{ words.append("end") or "" }}{{ words | join(" ") }} ||| {{ words.pop() }}'
    metadata: !TemplateMetadata {}
    name: Changes its list
    reference: ''
  0f: !Template
    answer_choices: null
    id: 0f
    jinja: '{{text}} ||| {{summary}}'
    metadata: !TemplateMetadata {}
    name: Plain
    reference: ''
"""


class Loader(yaml.SafeLoader):
    """The reference for what a file says."""


Loader.add_multi_constructor(
    "!", lambda loader, tag, n: (tag, loader.construct_mapping(n, deep=True))
)


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as child:
        yield child


@pytest.fixture(scope="module")
def imported(child: Child, tmp_path_factory: pytest.TempPathFactory) -> ImportReport:
    folder = tmp_path_factory.mktemp("source")
    (folder / "sub").mkdir()
    (folder / "sub" / "templates.yaml").write_text(PROMPTSOURCE)
    return import_templates(folder, child, "Apache-2.0")


def named(report: ImportReport, name: str) -> Template:
    return next(i.template for i in report.imported if i.template.name == name)


def row(label: str = "", answers: tuple[str, ...] = (), **fields: Any) -> Row:
    choices = fields.pop("choices", ())
    return Row("r1", fields, label, "f.csv:2", answers=answers, choices=choices)


def one(child: Child, template: Template, row: Row, labels: Any = (), seed: int = 0) -> Rendered:
    (got,) = render_rows(child, template, [row], labels, seed)
    assert isinstance(got, Rendered), got
    return got


def test_counts_and_what_every_template_says(imported: ImportReport) -> None:
    assert imported.to_json() == {
        "total": 6,
        "parsed": 6,
        "rendered": 6,
        "clean": 6,
        "exceptions": [],
    }
    assert not any(i.doubts for i in imported.imported)
    ids = [i.template.id for i in imported.imported]
    assert ids[0] == "made-up-small/plain"
    assert ids[-1] == "made-up-small/plain-2"
    for item in imported.imported:
        assert item.template.licence == "Apache-2.0"
        assert item.template.origin.startswith("PromptSource made/up/small 0")
        assert item.template.extra["file"] == "sub/templates.yaml"


def test_promptsource_round_trip(imported: ImportReport, tmp_path: Path) -> None:
    templates = [i.template for i in imported.imported]
    back = yaml.load(promptsource.write(templates), Loader=Loader)
    expected = yaml.load(PROMPTSOURCE.replace("2021-05-04", "'2021-05-04'"), Loader=Loader)
    assert back == expected
    assert back["note"] == "an unknown key"
    # And through our own file.
    (path,) = write_imported(imported, tmp_path)
    again = [Template.model_validate(item) for item in read(path).data["templates"]]
    assert again == templates
    assert yaml.load(promptsource.write(again), Loader=Loader) == expected


def test_what_ours_can_say_becomes_ours(imported: ImportReport, child: Child) -> None:
    plain = named(imported, "Plain")
    assert not is_foreign(plain)
    assert plain.choices == ["bad", "good"]
    assert "|||" not in plain.prompt
    got = one(child, plain, row("+", text="Fine"), ("-", "+"))
    assert got == Rendered(None, "Fine Is that bad or good?", ("bad", "good"))
    summary = imported.imported[-1].template
    assert (summary.completion, summary.extra["gold"]) == ("{{ label }}", "summary")
    assert one(child, summary, row("S", ("S",), text="T")) == Rendered(None, "T", ("S",))


def test_the_separator_inside_an_if(imported: ImportReport, child: Child) -> None:
    template = named(imported, "Separator inside an if")
    assert is_foreign(template)
    assert (template.extra["gold"], template.extra["gold_kind"]) == ("label", "index")
    got = one(child, template, row("n", text="a ||| b|"), ("n", "y"))
    assert got == Rendered(None, "a ||| b| Well?", ("No", "Yes"))


def test_random_wording_depends_on_seed_template_and_row_only(
    imported: ImportReport, child: Child
) -> None:
    template = named(imported, "Random wording")
    rows = [Row(f"r{n}", {"text": "t"}, "s", "f:1", answers=("s",)) for n in range(60)]
    first = render_rows(child, template, rows, ())
    assert {str(r.prompt) for r in first if isinstance(r, Rendered)} == {
        *("Say it shorter: t", "Sum it up: t", "In brief: t")
    }
    with Child() as other:
        assert render_rows(other, template, rows[::-1], ()) == first[::-1]
    assert render_rows(child, template, rows, (), seed=1) != first


def test_choices_of_each_row(imported: ImportReport, child: Child) -> None:
    template = named(imported, "Own choices")
    fields = {"text": "Q", "options": ["a|||b", "c"]}
    got = one(child, template, row("c", choices=("x", "c"), text="Q", options=["x", "c"]))
    assert got == Rendered(None, "Q: x, c?", ("x", "c"))
    got = one(child, template, row("c", choices=("a|||b", "c"), **fields))
    assert got.options == ("a|||b", "c"), "a separator in the data is data"
    (failed,) = render_rows(child, template, [row("c", choices=("c", "d", "e"), **fields)], ())
    assert isinstance(failed, Failure)
    assert "2 choices where the row has 3" in str(failed)


def test_a_row_is_never_changed(imported: ImportReport, child: Child) -> None:
    template = named(imported, "Changes its list")
    words = ["so", "on"]
    for _ in range(2):
        (got,) = render_rows(child, template, [row("", ("x",), words=words)], ())
        assert isinstance(got, Rendered)
        assert (got.prompt, got.options) == ("so on end", ("end",))
    assert words == ["so", "on"]


def test_a_prompt_that_depends_on_the_answer_is_a_leak(child: Child, tmp_path: Path) -> None:
    jinja = "{% if label == 1 %}Great: {% endif %}{{text}} ||| {{ answer_choices[label] }}"
    file = {"dataset": "d", "templates": {"1": {"name": "n", "jinja": jinja, "id": "1"}}}
    file["templates"]["1"]["answer_choices"] = "no ||| yes"
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(file))
    report = import_templates(tmp_path, child)
    (bad,) = report.exceptions
    assert bad.stage == "lint"
    assert bad.why.startswith("leak")
    (failed,) = render_rows(child, report.imported[0].template, [row("a", text="t")], ("a", "b"))
    assert isinstance(failed, Failure)
    assert failed.kind == "leak"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.yaml", "a: [1, 2", "not valid YAML"),
        ("a.yaml", "a: !!python/object/apply:os.system ['true']", "constructor"),
        ("a.yaml", "a: &a [*a]", "inside what it names"),
        ("a.yaml", "hello", "none of the formats"),
        ("a.yaml", "a: " + "[" * 5000, "valid"),
        ("a.json", "{", "not valid"),
        ("a.json", "[" * 100_000, "not valid"),
        ("a.py", "def", "not Python"),
        (
            "a.yaml",
            "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9 if n else 1}]\n" for n in range(12)),
            "over",
        ),
        ("a.yaml", "dataset: d\ntemplates: {x: !Template {name: n}}", "no text under `jinja`"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    name: str, text: str, why: str, child: Child, tmp_path: Path
) -> None:
    report = import_templates(write(tmp_path, name, text), child)
    assert report.imported == ()
    (bad,) = report.exceptions
    assert bad.file == name
    assert why in bad.why
    assert report.to_json()["total"] == 1


def test_bytes_that_are_no_text(child: Child, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (bad,) = import_templates(tmp_path, child).exceptions
    assert "cannot be read" in bad.why


def test_a_path_without_templates(child: Child, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no"):
        import_templates(tmp_path, child)
    with pytest.raises(InputError, match="no such file"):
        import_templates(tmp_path / "missing", child)


def test_one_attack_leaves_the_other_templates(child: Child, tmp_path: Path) -> None:
    loops = "{% for a in range(100000) %}" * 3 + "{% endfor %}" * 3
    bodies = {"good": "{{ a }}|||{{ b }}", "loop": loops + "a|||b", "peek": "{{ a.__class__ }}|||b"}
    templates = {k: {"name": k, "jinja": v, "answer_choices": None} for k, v in bodies.items()}
    text = yaml.safe_dump({"dataset": "d", "templates": templates})
    report = import_templates(write(tmp_path, "t.yaml", text), child)
    assert {bad.name: bad.stage for bad in report.exceptions} == {
        "loop": "render",
        "peek": "render",
    }
    counts = report.to_json()
    assert (counts["total"], counts["rendered"]) == (3, 1)


def test_a_dialect_that_does_not_exist(child: Child) -> None:
    template = Template(id="a/b", name="n", prompt="a|||b", extra={"dialect": "promptsauce"})
    (failed,) = render_rows(child, template, [row("", ("x",), text="t")], ())
    assert isinstance(failed, Failure)
    assert "there is no dialect 'promptsauce'; known: promptsource, lm_eval" in str(failed)


def test_slugs() -> None:
    assert slug("  Ça va? ") == "ca-va"
    assert len(slug("x" * 300)) <= 60
    assert slug("…") == ""
