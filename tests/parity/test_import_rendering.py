"""What imported templates render is what their own projects render, byte for byte."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from reference_templates import flan as reference_flan
from reference_templates import lm_eval as reference_lm_eval
from reference_templates import promptsource as reference_promptsource
from reference_templates import read_yaml
from reference_templates import super_ni as reference_super_ni

from tutelage.records import Row
from tutelage.tasks.rows import load_rows
from tutelage.tasks.schema import TaskSpec
from tutelage.templates.child import Child, Failure
from tutelage.templates.importers.foreign import engine_of
from tutelage.templates.importers.importing import import_templates, write_imported
from tutelage.templates.importers.rows import render_rows

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("TUTELAGE_SHARED", ROOT.parent / "shared")) / "data" / "promptsource"

ROWS: list[dict[str, Any]] = [
    {
        "text": "A plain text.",
        "label": 1,
        "items": ["red", "green", "blue"],
        "spans": {"text": ["one", "two"], "start": [3, 1]},
        "turns": [{"who": "A", "said": "hi"}, {"who": "B", "said": "bye"}],
    },
    {
        "text": "Ünïcode ☃ {{ braces }} {% raw %} ||| pipes & <tags>\n two lines",
        "label": 0,
        "items": ["x", "x", "y"],
        "spans": {"text": ["", "zwei"], "start": [0, 9]},
        "turns": [{"who": "C", "said": "…"}],
    },
]

PROMPTSOURCE = [
    ("{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good"),
    (
        "{{ text }}\nPick: {{ answer_choices | join(', ') }}\n|||\n{{ answer_choices[label] }}\n",
        "a|||b",
    ),
    ("{% if label == 1 %}{{ text }} ||| yes{% else %}No: {{ text }}\n|||no{% endif %}", None),
    ("{% if label == 1 %}{{ text }} ||| {{ items[0] }}{% endif %}", None),
    (
        "{% set seen = [] %}{% for i in items %}{% if i not in seen %}"
        "{{ seen.append(i) | default('', True) }}{% endif %}{% endfor %}"
        "{{ seen | join('+') }} ||| {{ seen | length }}",
        None,
    ),
    ("{{ items.append('new') or '' }}{{ items | join(' ') }}|||{{ items.pop() }}", None),
    (
        "{% set d = {'a': 1} %}{{ d.update({'b': text}) or '' }}{{ d['b'] }}|||{{ d | length }}",
        None,
    ),
    ("{{ ['One', 'Two', 'Three'] | choice }}: {{ text }} ||| {{ items | choice }}", None),
    ("{{ items | random }}{{ items | random }} ||| {{ range(0, 9) | choice }}", None),
    ("{{ items | most_frequent | choice }} ||| {{ items | most_frequent | join(', ') }}", None),
    (
        "Which? {{ answer_choices | join(' or ') }} ||| {{ items[label] }}",
        "{{ items | join('|||') }}",
    ),
    ("{{ answer_choices | choice }} ||| b", "{{ items | join(' ||| ') }}"),
    (
        "{% for t, s in zip(spans.text, spans['start']) %}{{ t }}@{{ s }} {% endfor %}|||"
        "{{ turns | map(attribute='said') | join('/') }}",
        None,
    ),
    ("{%- for t in turns -%}\n{{ loop.index }}. {{ t.who }}: {{ t.said }}\n{% endfor %}|||x", None),
    (
        "{% macro shout(x) %}{{ x | upper }}!{% endmacro %}{{ shout(text) }}|||{{ shout('a') }}",
        None,
    ),
    (
        "{{ text.split(' ')[0] }} {{ '%d' % label }} {{ label + 1 }}|||{{ text[:3] ~ text[-3:] }}",
        None,
    ),
    ("{{ 'a' * 3 }} {{ [1, 2] + [3] }} {{ None }} {{ {'k': true} }}|||{{ items }}", None),
    (
        "{% set ns = namespace(n=0) %}{% for i in items %}{% set ns.n = ns.n + 1 %}{% endfor %}n"
        "|||{{ ns.n }}",
        None,
    ),
]

LM_EVAL: list[dict[str, Any]] = [
    {
        "doc_to_text": "{{text}}\nQuestion?\nAnswer:",
        "doc_to_target": "label",
        "doc_to_choice": ["no", "yes"],
    },
    {"doc_to_text": "text", "doc_to_target": "{{items[0]}}"},
    {"doc_to_text": "{{text}}", "doc_to_target": "{{label}}", "doc_to_choice": "{{items}}"},
    {"doc_to_text": "{{text}}", "doc_to_target": "label", "doc_to_choice": "items"},
    {"doc_to_text": "{{text}}", "doc_to_target": 0, "doc_to_choice": {"a": "yes", "b": "no"}},
    {"doc_to_text": "{{text}}\n", "doc_to_target": "{{items}}", "description": "Read this: "},
    {
        "doc_to_text": "Q: {{text}}",
        "doc_to_target": " {{items[1]}}",
        "gen_prefix": "A:",
        "target_delimiter": "\n",
    },
    {
        "doc_to_text": "{% if label %}{{text}}{% else %}none {{label}}{% endif %}",
        "doc_to_target": "{{text}}",
    },
    {
        "doc_to_text": "{{text | regex_replace('[aeiou]', '_')}}",
        "doc_to_target": "{{items | length}}",
    },
    {
        "doc_to_text": "{{text}}",
        "doc_to_target": "{{items.index('x') if 'x' in items else 0}}",
        "doc_to_choice": ["p", "q", "r"],
    },
]


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as child:
        yield child


@pytest.mark.parametrize(("jinja", "choices"), PROMPTSOURCE)
def test_promptsource(child: Child, jinja: str, choices: str | None) -> None:
    template = {"id": "an id", "dialect": "promptsource", "prompt": jinja, "choices": choices}
    items = [{"id": f"row {n}", "fields": row} for n, row in enumerate(ROWS)]
    got = child.run("render", {"template": template, "seed": 7}, items)
    source = {"id": "an id", "jinja": jinja, "answer_choices": choices}
    for n, row in enumerate(ROWS):
        expected = reference_promptsource(source, copy.deepcopy(row), 7, f"row {n}")
        if len(expected) != 2:
            assert isinstance(got[n], Failure)
            assert got[n].kind == "parts"
        elif not all(expected):
            assert isinstance(got[n], Failure)
            assert got[n].kind == "empty"
        else:
            assert [got[n]["prompt"], got[n]["completion"]] == expected


@pytest.mark.parametrize("task", LM_EVAL)
def test_lm_eval(child: Child, task: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump({"task": "mine", **task}))
    (item,) = import_templates(path, child).imported
    got = _engine_results(child, item.template, ROWS) if "dialect" in item.template.extra else None
    for n, row in enumerate(ROWS):
        prompt, target, choices = reference_lm_eval(task, copy.deepcopy(row))
        if got is not None:
            assert (got[n]["prompt"], got[n]["completion"]) == (prompt, target)
            assert got[n]["choices"] == choices
        else:
            (rendered,) = render_rows(
                child, item.template, [_row(row, target, choices)], choices or ()
            )
            assert not isinstance(rendered, Failure), rendered
            assert rendered.prompt == prompt.strip()
            assert rendered.options == tuple(choices or (target,))


def _engine_results(child: Child, template: Any, rows: list[dict[str, Any]]) -> list[Any]:
    items = [{"id": "r", "fields": row} for row in rows]
    return child.run("render", {"template": engine_of(template), "seed": 0}, items)


def _row(fields: dict[str, Any], target: str, choices: list[str] | None) -> Row:
    texts = {name: value for name, value in fields.items() if name != "label"}
    return Row("r", texts, target, "rows:1", answers=() if choices else (target,))


@pytest.mark.parametrize(
    "pair",
    [
        ("{text}\n\nIs that good?\n{options_}", "{answer}"),
        ("{{literal}} {text} 100% {{ {spans[text][0]} }}", "{answer}"),
        ("{text} and {text}: {options_}\n\n", "So: {answer}."),
    ],
)
def test_flan(child: Child, pair: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_text(json.dumps([pair]))
    (item,) = import_templates(tmp_path / "pairs.json", child).imported
    labels = ["no", "yes"]
    for source in ROWS:
        row = Row("r", {k: v for k, v in source.items() if k != "label"}, "yes", "rows:1")
        (got,) = render_rows(child, item.template, [row], labels)
        assert not isinstance(got, Failure), got
        expected = [reference_flan(pair, {**source, "answer": label}, labels) for label in labels]
        assert got.prompt == expected[0][0].strip()
        assert got.options == tuple(target.strip() for _, target in expected)


@pytest.mark.parametrize(
    "definition",
    [
        "Say what the text is about.",
        ["In this task you are given a text.", "Write {{ its }} title; {% use %} {# few #} words."],
        " Ünïcode ☃ \\n is no line break, \t is a tab.\r\nA line of Windows.\n\nA paragraph.\n",
        "{% endraw %} {{ '{{' }} }} %} {{ input }} ||| {",
    ],
)
def test_super_ni(child: Child, definition: str | list[str], tmp_path: Path) -> None:
    """By way of the files that an import writes, read as a task reads them."""
    inputs = [str(row["text"]) for row in ROWS]
    inputs += ["{{ input }}\r\nsecond line\n\nthird", "Sentence: x. Question: y?", " a {# b #} c "]
    outputs = [["fine"], ["ja", "{{ yes }}", "x ||| y"], ["a\nb"], ["0"], ["None", "none"]]
    instances = [
        {"id": f"task-{n}", "input": given, "output": outputs[n]} for n, given in enumerate(inputs)
    ]
    task = {"Definition": definition, "Categories": ["Title"], "Instances": instances}
    (tmp_path / "task9_title.json").write_text(json.dumps(task))
    report = import_templates(tmp_path / "task9_title.json", child)
    template = report.imported[0].template
    _, rows_path = write_imported(report, tmp_path / "out")
    source = {"path": str(rows_path)}
    keys = {"fields": {"input": "input"}, "answer": "output", "id": "id"}
    rows = load_rows(TaskSpec.model_validate({"name": "title", "source": source, **keys})).rows
    rendered = render_rows(child, template, rows, ())
    for (prompt, answers), row, got in zip(reference_super_ni(task), rows, rendered, strict=True):
        assert not isinstance(got, Failure), got
        assert got.prompt == prompt
        assert got.options == (answers[0],)
        assert list(row.answers) == answers


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared PromptSource files are not here")
def test_real_files_render_as_the_reference(child: Child) -> None:
    """On made-up rows that render, every template of every file."""
    compared = 0
    for path in sorted(SHARED.rglob("*.yaml")):
        sources = list(read_yaml(path.read_text("utf-8"))["templates"].values())
        templates = [
            {
                "id": source["id"],
                "dialect": "promptsource",
                "prompt": source["jinja"],
                "choices": source["answer_choices"] or None,
            }
            for source in sources
        ]
        inspected = child.run("inspect", {}, templates)
        for source, found in zip(sources, inspected, strict=True):
            assert not isinstance(found, Failure), (path, found)
            for row in found["rows"]:
                expected = reference_promptsource(source, copy.deepcopy(row["fields"]), 0, "row")
                result = row["result"]
                assert [result["prompt"], result["completion"]] == expected, (path, source["name"])
                compared += 1
    assert compared > 15_000
