"""Every rule of the linter fires on its fault, and on nothing else here."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tutelage.records import Row
from tutelage.templates import lint_rows
from tutelage.templates.lint import lint
from tutelage.templates.lint_finding import RULES, Finding
from tutelage.templates.render import Rendered, render_any
from tutelage.templates.schema import Template

LABELS = ("no", "yes")
ROWS = [
    Row(str(i), {"text": f"text number {i}"}, LABELS[i % 2], f"f.csv:{i + 2}") for i in range(9)
]
CHOICES = [
    replace(row, choices=("one", "two", "six"), label=("one", "two", "six")[i % 3])
    for i, row in enumerate(ROWS)
]
ANSWERS = [
    replace(row, label=f"answer {i}", answers=(f"answer {i}",)) for i, row in enumerate(ROWS)
]
GOOD = "Say {{ labels_text }} to this.\n{{ text }}"


def template(prompt: str = GOOD, **more: Any) -> Template:
    return Template(**{"id": "a/b", "name": "x", "prompt": prompt, **more})


def other(prompt: str, **more: Any) -> Template:
    return template(prompt, **{"id": "a/c", "name": "y", **more})


def rules(found: Sequence[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def test_nothing_to_find() -> None:
    system = template(system="You sort texts (briefly).", fields=["text"])
    assert lint([system], ROWS, LABELS, token_ids=lambda t: [*t.encode(), 0], context=99) == []
    assert lint([template(), other("{{ text }}\n\nNow {{ labels | join(' or ') }}?")]) == []
    letters = template(
        "{{ text }}\n{{ labels | lettered }}", completion="{{ label|letter(labels)}}"
    )
    assert lint([letters], CHOICES) == []
    assert lint([template("Sum up: {{ text }}")], ANSWERS) == []


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("syntax", {"prompt": "{{ text"}),
        ("syntax", {"system": "{{ text.upper() }}"}),
        ("syntax", {"completion": "{% include 'x' %}{{ label }}"}),
        ("leak", {"prompt": "{{ text }}{{ label }}"}),
        ("leak", {"system": "{% if label == 'x' %}y{% endif %}"}),
        ("leak", {"prompt": "{{ label }}{{ text }}", "completion": "{{ text }}", "direction": "i"}),
        ("constant-answer", {"completion": "yes"}),
        ("constant-answer", {"prompt": "{{ label }}", "direction": "i"}),
        ("special-token", {"prompt": "{{ text }}<|im_end|>"}),
        ("special-token", {"prompt": "{{ text }}{{ '</s>' }}"}),
        ("special-token", {"prompt": "[INST] {{ text }}"}),
        ("special-token", {"completion": "{{ label }}|||"}),
        ("special-token", {"system": "<start_of_turn>"}),
        ("undeclared-field", {"prompt": "{{ a }}{{ b }}", "fields": ["a"]}),
        ("unused-field", {"prompt": "{{ a }}", "fields": ["a", "b"]}),
        (
            "unused-choices",
            {
                "prompt": "Write.",
                "completion": "{{ text }}",
                "direction": "i",
                "choices": ["a", "b"],
            },
        ),
        ("shadowed-name", {"prompt": "{% for label in labels %}{{ label }}{% endfor %}"}),
        ("shadowed-name", {"prompt": "{% set a = 1 %}{{ a }}{{ text }}", "fields": ["text", "a"]}),
        ("stray-n", {"prompt": "{{ text }}n\nYes?"}),
        ("doubled-space", {"prompt": "Is  it? {{ text }}"}),
        ("doubled-space", {"prompt": "Is {{ labels_text }}  it? {{ text }}"}),
        ("literal-escape", {"prompt": "Is it?\\n{{ text }}"}),
        ("unbalanced", {"prompt": 'Is "{{ text }} it?'}),
        ("unbalanced", {"prompt": "Is ({{ text }} it?"}),
        ("trailing-space", {"prompt": "{{ text }} \n"}),
        ("trailing-space", {"completion": " {{ label }}"}),
    ],
)
def test_faults_of_one_template(rule: str, changed: dict[str, Any]) -> None:
    if changed.get("direction") == "i":
        changed = {**changed, "direction": "inverted"}
    found = lint([template(**{"prompt": GOOD, **changed})])
    assert rule in rules(found)
    assert {f.rule for f in found} <= {rule, "unused-field", "leak", "constant-answer"}
    assert all(f.template == "a/b" and f.severity == RULES[f.rule][0] for f in found)


@pytest.mark.parametrize(
    "prompt",
    [
        "It isn't {{ text }}n't?",
        "a) {{ text }}\n{{ labels[0] }}) and (b) it",
        "  - {{ text }}\n    {{ labels_text }}",
        '{% if text %}Is "{{ text }}{% else %}"{% endif %} it',
        "5 < 6 and C:\\new {{ text }}",
    ],
)
def test_what_only_looks_like_a_slip(prompt: str) -> None:
    assert lint([template(prompt)]) == []


@pytest.mark.parametrize(
    ("rule", "second"),
    [
        ("duplicate-id", other("Another thing entirely: {{ text }}", id="a/b")),
        ("duplicate-name", other("Another thing entirely: {{ text }}", name="X")),
        ("duplicate-body", other(GOOD.replace("\n", "\n\n"))),
        ("similar", other("Say {{ labels_text }}  to this. {{ text }}".replace("  ", " ") + "!")),
    ],
)
def test_two_templates(rule: str, second: Template) -> None:
    assert rules(lint([template(), second])) == [rule]


def test_how_much_wording_may_be_shared() -> None:
    words = "one two three four five six seven eight nine ten eleven twelve"
    shared = template(f"{words} {{{{ text }}}}")  # ten runs of three words
    eight = other(f"{words.rpartition(' ')[0]} but {{{{ text }}}}")  # nine of its ten
    assert "90%" in lint([shared, eight])[0].message
    seven = other(f"{words.rsplit(' ', 2)[0]} and no {{{{ text }}}}")  # eight of ten
    assert lint([shared, seven]) == []
    assert lint([shared, eight.model_copy(update={"id": "b/c"})]) == []


def on_rows(*templates: Template, rows: Sequence[Row] = ROWS, **more: Any) -> list[Finding]:
    return lint(templates, rows, LABELS, **more)


@pytest.mark.parametrize(
    ("rule", "prompt", "rows", "says"),
    [
        ("render", GOOD + "{{ txt }}", ROWS, r"Did you mean 'text'\? .*\(9 of 9 rows\)"),
        ("render", "{{ text }}{{ labels_text }}", ANSWERS, "text answers, no labels"),
        ("row", GOOD, [*ROWS[1:], replace(ROWS[0], fields={"text": "x" * 10**6})], "1 of 9 rows"),
        ("gold", GOOD, [*ROWS, replace(ROWS[0], label="maybe")], "'maybe' is not among"),
        ("gold", GOOD, [replace(r, label="ten") for r in CHOICES], "9 such rows"),
        ("hidden-choice", "Yes? {{ text }}", ROWS, "does not show the choice 'no'"),
        ("hidden-choice", "Yes? {{ text }}", CHOICES, "does not show the choice 'one'"),
        ("label-order", GOOD, [replace(r, label="two") for r in CHOICES], "number 2 of 3"),
        ("leak", GOOD, [replace(r, fields={"text": r.label}) for r in ROWS], "`text` is the right"),
        (
            "prefix-text",
            GOOD,
            [replace(r, choices=("two", "two ways")) for r in CHOICES[1:2]],
            "'two'",
        ),
    ],
)
def test_faults_on_rows(rule: str, prompt: str, rows: list[Row], says: str) -> None:
    found = [f for f in on_rows(template(prompt), rows=rows) if f.rule == rule]
    assert len(found) == 1
    assert Finding(RULES[rule][0], rule, found[0].template, "", None) == replace(
        found[0], message="", where=None
    )
    assert re.search(says, found[0].message), found[0].message
    assert found[0].where is not None
    assert found[0].where.startswith("f.csv:")


def test_a_prompt_that_depends_on_the_right_answer() -> None:
    def leaky(one: Template, row: Row, labels: Sequence[str]) -> Rendered:
        rendered = render_any(one, row, labels)
        return replace(rendered, prompt=f"{rendered.prompt} {row.label}")

    for rows in (ROWS, CHOICES, ANSWERS):
        prompt = "{{ text }}" if rows is ANSWERS else "{{ text }} {{ labels_text }}"
        found = on_rows(template(prompt), rows=rows, renderer=leaky)
        assert "leak" in rules(found)
        assert "another right answer gives another prompt" in found[0].message


def test_a_rendering_that_changes() -> None:
    count = itertools.count()

    def fickle(one: Template, row: Row, labels: Sequence[str]) -> Rendered:
        return replace(render_any(one, row, labels), system=str(next(count)))

    assert "nondeterministic" in rules(on_rows(template(), renderer=fickle))


def test_a_template_in_another_language_is_left_to_its_import() -> None:
    foreign = template("{{ text.split() }}", dialect="promptsource")
    assert foreign.dialect == "promptsource"
    assert rules(lint([foreign, template(id="a/c", name="y")], ROWS, LABELS)) == ["foreign"]


def test_a_slow_template(monkeypatch: pytest.MonkeyPatch) -> None:
    loops = "{% for a in text %}{% for b in text %}{% if a ~ b == '' %}{% endif %}{% endfor %}"
    slow = template(GOOD + loops + "{% endfor %}")
    rows = [replace(ROWS[0], fields={"text": "x" * 150})]
    assert on_rows(slow, rows=rows) == []
    monkeypatch.setattr(lint_rows, "_SLOW_SECONDS", 0.002)
    assert rules(on_rows(slow, rows=rows)) == ["slow"]
    assert on_rows(template(), rows=ROWS[:1]) == []


@pytest.mark.parametrize(("seconds", "expected"), [((9.0, 0.0), []), ((9.0, 9.0), ["slow"])])
def test_a_row_is_slow_only_if_it_is_slow_again(
    seconds: tuple[float, float], expected: list[str]
) -> None:
    first, second = seconds
    times = iter([0.0, first, first, first + second])
    assert rules(on_rows(template(), rows=ROWS[:1], clock=lambda: next(times))) == expected
    assert next(times, None) is None


def test_rows_that_come_out_alike() -> None:
    rows = [replace(r, fields={"text": "same", "date": str(i)}) for i, r in enumerate(ROWS[:2])]
    (found,) = on_rows(template(), rows=rows)
    assert found.rule == "field-dropped"
    assert found.message == "f.csv:2 and f.csv:3 differ in date and give one prompt."


def test_templates_that_come_out_alike() -> None:
    second = other("Say {{ labels | join(' or ') }} to this.\n{{ text }}")
    assert rules(on_rows(template(), second)) == ["similar", "same-render"]
    dotted = other("{{ text }}: which of {{ labels_text }}?", completion="{{ label | title }}.")
    (found,) = on_rows(template(), dotted)
    assert (found.rule, found.template) == ("answer-style", "a/c")
    assert "answers 'No.' where a/b answers 'no'" in found.message


def test_prefixes_by_tokens() -> None:
    labels = ("an", "ant")
    rows = [replace(ROWS[0], label="an")]
    (found,) = lint([template()], rows, labels, token_ids=lambda text: list(text.encode()))
    assert (found.rule, found.severity) == ("prefix-choice", "error")
    assert found.message == "the option 'an' begins 'ant'."
    scored_stop = lint([template()], rows, labels, token_ids=lambda text: [*text.encode(), 0])
    assert scored_stop == []
    assert lint([template()], rows, labels) == []  # as words, neither begins the other


def test_token_lengths() -> None:
    def words(text: str) -> list[int]:
        return [hash(word) for word in text.split()]

    labels = ("no", "yes it may well be")
    rows = [replace(r, label="no", fields={"text": "w " * n}) for n, r in enumerate(ROWS, 1)]
    found = lint([template()], rows, labels, token_ids=words, context=20)
    assert rules(found) == ["uneven-labels", "too-long"]
    assert found[0].message == "'yes it may well be' takes 5 tokens, 'no' 1."
    # 10 words of wording and labels, the text's 1 to 9, and 5 of the longest option: 16 to 24
    assert "4 of 9 rows (44%) take over 20 tokens" in found[1].message
    assert "p50 20, p95 23, p99 23, longest 24" in found[1].message


def test_every_rule_is_in_the_docs_and_tested() -> None:
    here = Path(__file__)
    docs = (here.parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in here.parent.glob("test_lint*.py"))
    for rule, (severity, _) in RULES.items():
        assert f"| `{rule}` | {severity} |" in docs
        assert f'"{rule}"' in tests
