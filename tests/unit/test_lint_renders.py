"""Rules that compare renderings: with the rows, with each other, with what an import says."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tutelage.errors import ConfigError, InputError
from tutelage.records import Row
from tutelage.templates import lint_rows
from tutelage.templates.child import Limits
from tutelage.templates.library import family
from tutelage.templates.lint import lint
from tutelage.templates.lint_finding import Finding
from tutelage.templates.lint_process import TwoProcesses
from tutelage.templates.render import Rendered, render_any
from tutelage.templates.schema import Template

LABELS = ("no", "yes")
TEXTS = {
    "English": "the soup was cold and we had to wait for it, but this is not the place to say so",
    "German": "die Suppe war kalt und wir mussten auf sie warten, das ist nicht mit dem Preis zu",
    "Russian": "суп был холодным, и нам пришлось долго ждать",
    "Japanese": "このカメラは非常に良い",
}
ASKED = {
    "English": "Is the writer of this text happy with it, and was it good for them?",
    "German": "Ist der Text eine gute oder ist er eine schlechte Kritik, und ist sie zu lang?",
    "Russian": "Хорошо это или плохо?",
    "Japanese": "このカメラは良いですか",
}


def template(prompt: str, name: str = "x", **more: Any) -> Template:
    return Template(**{"id": f"a/{name}", "name": name, "prompt": prompt, **more})


def rows_of(text: str, count: int = 3) -> list[Row]:
    return [Row(str(i), {"text": f"{text} {i}"}, LABELS[i % 2], f"f:{i}") for i in range(count)]


def found_by(rule: str, templates: Sequence[Template], rows: Sequence[Row]) -> list[Finding]:
    return [f for f in lint(templates, rows, LABELS) if f.rule == rule]


# --- language ---


@pytest.mark.parametrize("rows", TEXTS)
@pytest.mark.parametrize("wording", ASKED)
def test_a_wording_in_another_language_than_the_rows(rows: str, wording: str) -> None:
    asks = template(ASKED[wording] + " {{ labels_text }}\n{{ text }}")
    found = found_by("language", [asks], rows_of(TEXTS[rows]))
    if rows == wording:
        assert found == []
    else:
        (one,) = found
        assert one.message == f"is worded in {wording}, but the rows are in {rows}."
        assert (one.severity, one.template, one.where) == ("warning", "a/x", "f:0")


def test_scripts_tell_where_no_language_does() -> None:
    rows = rows_of("Բարեւ ձեզ")
    (found,) = found_by("language", [template("Kannitverstan? {{ text }}")], rows)
    assert found.message == "is worded in Latin, but the rows are in Armenian."


def test_a_short_wording_has_its_family_s_language() -> None:
    short, long = template("Gut? {{ text }}"), template(ASKED["German"] + "{{ text }}", "y")
    assert found_by("language", [short], rows_of(TEXTS["English"])) == []
    found = found_by("language", [short, long], rows_of(TEXTS["English"]))
    assert [f.template for f in found] == ["a/x", "a/y"]


def test_translation_is_about_another_language() -> None:
    rows = [
        replace(r, fields={**r.fields, "target_language": "English"}, answers=("a",), label="a")
        for r in rows_of(TEXTS["German"])
    ]
    assert found_by("language", family("translation"), rows) == []


# --- near-render ---


def test_prompts_that_are_nearly_the_same() -> None:
    one = template("{{ 'Say whether this is good or bad: ' ~ text }} {{ labels_text }}")
    dash = template("{{ 'Say whether this is good or bad - ' ~ text }} {{ labels_text }}", "y")
    far = template("{{ text }}\n\nWould you come again, {{ labels_text }}?", "z")
    long = rows_of("w " * 3000)  # no wording is a twentieth of that
    for rows in (rows_of(TEXTS["English"]), long):
        (found,) = lint([one, dash, far], rows, LABELS)
        assert (found.rule, found.template) == ("near-render", "a/y")
        assert found.message.endswith("those of a/x.")
    same = template("{{ 'Say whether this is good or bad: ' }}{{ text }} {{ labels_text }}", "v")
    assert [f.rule for f in lint([one, same], rows, LABELS)] == ["same-render"]


def test_one_row_that_tells_two_templates_apart_is_enough() -> None:
    rows = rows_of(TEXTS["English"])
    always = template("{{ labels_text }}: {{ text }}")
    odd = template("{{ labels_text }}: {{ text }}{% if text[-1] == '2' %}, or not?{% endif %}", "y")
    assert found_by("near-render", [always, odd], rows[:2]) == []  # they are the same
    assert found_by("near-render", [always, odd], rows) == []
    stop = template("{{ labels_text }}: {{ text }}.", "y")
    assert len(found_by("near-render", [always, stop], rows)) == 1


def test_comparing_many_templates_takes_little_time() -> None:
    rows = rows_of("word " * 5000, 30)
    many = [
        template(f"{{{{ text }}}}{{{{ labels_text }}}} {i} {'abc'[i % 3] * 90}", f"t{i}")
        for i in range(12)
    ]
    began = time.process_time()
    assert {f.rule for f in lint(many, rows, LABELS)} >= {"near-render"}
    assert time.process_time() - began < 10


# --- choices-flag ---


@pytest.mark.parametrize(
    ("flag", "prompt", "rules"),
    [
        ("true", "No or yes? {{ text }}", []),
        ("false", "Well? {{ text }}", []),
        ("true", "Well? {{ text }}", ["hidden-choice", "choices-flag"]),
        ("false", "No or yes? {{ text }}", ["choices-flag"]),
        ("false", "Note what eyes say: yesterday? {{ text }}", []),  # parts of other words
        ("maybe", "No or yes? {{ text }}", []),
    ],
)
def test_what_an_import_says_of_its_choices(flag: str, prompt: str, rules: list[str]) -> None:
    imported = template(prompt, choices_in_prompt=flag)
    found = lint([imported], rows_of("so it goes"), LABELS)
    assert [f.rule for f in found] == rules
    for one in found[-1:]:
        assert f"`choices_in_prompt` is {flag}" in one.message


# --- two processes ---


def test_a_second_process_that_renders_otherwise() -> None:
    def elsewhere(one: Template, row: Row, labels: Sequence[str]) -> Rendered:
        rendered = render_any(one, row, labels)
        return replace(rendered, prompt=rendered.prompt + "!")

    asks = template("{{ labels_text }} {{ text }}")
    rows = rows_of("so it goes")
    assert lint([asks], rows, LABELS, again=render_any) == []
    (found,) = lint([asks], rows, LABELS, again=elsewhere)
    assert (found.rule, found.severity) == ("nondeterministic", "error")


@pytest.fixture(scope="module")
def processes() -> Iterator[TwoProcesses]:
    with TwoProcesses(Limits(cpu_seconds=0.3)) as processes:
        yield processes


def test_templates_from_outside_are_rendered_in_two_processes(processes: TwoProcesses) -> None:
    (row, *_) = rows = rows_of("so it goes")
    assert processes.first(family("sentiment")[0], row, LABELS).prompt
    one, other = processes.first.child, processes.second.child
    assert [one.starts, other.starts] == [0, 0], "ours need none"
    asks = template("{{ labels_text }} {{ text }}")
    assert lint([asks], rows, LABELS, renderer=processes.first, again=processes.second) == []
    assert [one.starts, other.starts] == [1, 1]
    assert one.hash_seed != other.hash_seed
    for render in (processes.first, processes.second):
        assert render(asks, row, LABELS) == render_any(asks, row, LABELS)
        with pytest.raises(ConfigError, match="Did you mean 'text'"):
            render(template("{{ txt }}"), row, LABELS)
        with pytest.raises(InputError, match="f:0"):
            render(template("{% if 0 %}{{ text }}{% endif %}"), row, LABELS)


def test_a_slow_template_in_another_process(
    processes: TwoProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = "{% for a in text %}" * 3 + "{% if 0 %}{% endif %}" + "{% endfor %}" * 3
    monkeypatch.setattr(lint_rows, "_SLOW_SECONDS", 0.02)
    monkeypatch.setattr(time, "process_time", lambda: 0.0)  # so only what the children say counts
    how: dict[str, Any] = {"renderer": processes.first, "again": processes.second}
    how["clock"] = processes.clock
    rows = rows_of("so it goes on " * 8, 1)
    plain, slow = template("{{ labels_text }} {{ text }}"), "{{ labels_text }} {{ text }}" + loops
    assert lint([plain], rows, LABELS, **how) == []
    assert [f.rule for f in lint([template(slow)], rows, LABELS, **how)] == ["slow"]


def test_a_template_past_the_limits(processes: TwoProcesses) -> None:
    loops = "{% for a in text %}" * 9 + "{% if 0 %}{% endif %}" + "{% endfor %}" * 9
    (found,) = lint(
        [template(loops)],
        rows_of("so it goes on", 1),
        LABELS,
        renderer=processes.first,
        again=processes.second,
    )
    assert (found.rule, found.severity) == ("limits", "error")
    assert "takes too long" in found.message
