"""Rows of every kind of task under templates, and the draw of a template."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from tutelage.errors import ConfigError, InputError
from tutelage.records import Row
from tutelage.templates.render import (
    Rendered,
    check_syntax,
    draw,
    held_out_templates,
    render,
    render_inverted,
    render_row,
    row_kind,
    training_templates,
)
from tutelage.templates.schema import Template

LABELS = ("no", "yes")
CLASS = Row("1", {"text": "t"}, "yes", "f.csv:3")
CHOICE = Row("1", {"question": "q"}, "B b", "f.csv:3", choices=("A a", "B b", "C c"))
TEXT = Row("1", {"dialogue": "d"}, "one", "f.csv:3", answers=("one", "two"))


def template(prompt: str = "{{ text }}", **more: Any) -> Template:
    return Template(**{"id": "a/b", "name": "x", "prompt": prompt, **more})


@pytest.mark.parametrize(
    ("row", "kind"), [(CLASS, "classification"), (CHOICE, "choice"), (TEXT, "text")]
)
def test_the_kind_of_a_row(row: Row, kind: str) -> None:
    assert row_kind(row) == kind


def test_fixed_labels_give_an_option_each_as_render_does() -> None:
    one = template("{{ text }} {{ labels_text }}", system=" S {{ text }}\n")
    got = render_row(one, CLASS, LABELS)
    assert got == Rendered("S t", "t no or yes", ("no", "yes"))
    assert (got.prompt, got.options) == render(one, CLASS.fields, LABELS, CLASS.where)


def test_choices_of_the_row_stand_in_for_labels() -> None:
    one = template(
        "{{ question }}\n{{ labels | lettered }}", completion="{{ label | letter(labels) }}"
    )
    got = render_row(one, CHOICE, LABELS)
    assert got == Rendered(None, "q\nA. A a\nB. B b\nC. C c", ("A", "B", "C"))
    with pytest.raises(ConfigError, match=r"has `choices`, but the rows .* \(f\.csv:3\)"):
        render_row(template(choices=["x", "y"]), CHOICE, ())
    with pytest.raises(InputError, match=r"f\.csv:3: the choice 'x' is there twice"):
        render_row(template(), replace(CHOICE, choices=("x", "X ")), ())


def test_a_text_answer_is_the_one_option_and_no_prompt_sees_it() -> None:
    got = render_row(template(completion="Answer: {{ label }}"), TEXT, LABELS)
    assert got == Rendered(None, "d", ("Answer: one",))
    for name in ("label", "labels", "labels_text", "answers"):
        with pytest.raises(ConfigError, match=f"its prompt uses `{name}`, unknown there"):
            render_row(template("{{ text }}{{ " + name + " }}"), TEXT, LABELS)


def test_the_system_turn_is_checked_like_the_prompt() -> None:
    with pytest.raises(ConfigError, match=r"its system uses `label`.*must not see the label"):
        render_row(template(system="{{ label }}"), CLASS, LABELS)
    with pytest.raises(ConfigError, match="its system uses `label`"):
        check_syntax(template(system="{{ label }}"))
    with pytest.raises(InputError, match="the system is empty"):
        render_row(template(system="{{ '' }}"), CLASS, LABELS)


def test_a_declared_field_that_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        render_row(template(fields=["dialog"]), TEXT, ())
    assert str(caught.value) == (
        "template a/b: needs the field `dialog`, which f.csv:3 does not have. Did you mean "
        "'dialogue'? Fields here: dialogue. Name it under task.fields, or take other templates."
    )
    assert render_row(template(fields=["text"]), TEXT, ()).prompt == "d"


def test_plain_data_stands_in_text() -> None:
    row = replace(TEXT, fields={"a": [1, "ü"], "b": None, "c": 2})
    assert render_row(template(), row, ()).prompt == 'a: [1, "ü"]\nb: \nc: 2'


INVERTED = template(
    "Write something {{ label }}.", completion="{{ text }}", direction="inverted", system="S"
)


def test_inverted_templates_show_the_label_and_ask_for_the_input() -> None:
    assert render_inverted(INVERTED, CLASS, LABELS) == Rendered("S", "Write something yes.", ("t",))
    mapped = INVERTED.model_copy(update={"choices": {"yes": "good", "no": "bad"}})
    assert render_inverted(mapped, CLASS, LABELS).prompt == "Write something good."
    assert render_inverted(INVERTED, TEXT, ()).prompt == "Write something one."
    assert render_inverted(INVERTED, CHOICE, ()).prompt == "Write something B b."
    check_syntax(INVERTED)


def test_inverted_templates_never_measure_the_task() -> None:
    for row in (CLASS, CHOICE, TEXT):
        with pytest.raises(ConfigError, match="is inverted: it shows the label"):
            render_row(INVERTED, row, LABELS)
    with pytest.raises(ConfigError, match="is inverted"):
        render(INVERTED, CLASS.fields, LABELS, "f:1")
    with pytest.raises(ConfigError, match="is not inverted"):
        render_inverted(template(), CLASS, LABELS)


def test_inverted_templates_that_give_the_answer_away_or_ask_for_nothing() -> None:
    leaking = template("{{ label }} {{ text }}", completion="{{ text }}", direction="inverted")
    with pytest.raises(ConfigError, match="its prompt shows `text`, which its completion asks"):
        render_inverted(leaking, CLASS, LABELS)
    with pytest.raises(ConfigError, match="asks for no field"):
        check_syntax(template("{{ label }}", direction="inverted"))
    with pytest.raises(InputError, match="the label 'maybe' is not among no, yes"):
        render_inverted(INVERTED, replace(CLASS, label="maybe"), LABELS)


def test_templates_of_another_language_are_not_rendered_here() -> None:
    foreign = template("{{ text.split() }}", dialect="promptsource")
    check_syntax(foreign)
    with pytest.raises(ConfigError, match="is in the language of promptsource"):
        render_row(foreign, CLASS, LABELS)
    with pytest.raises(ConfigError, match="is in the language of promptsource"):
        render_inverted(foreign.model_copy(update={"direction": "inverted"}), CLASS, LABELS)


def test_a_completion_must_use_the_label() -> None:
    with pytest.raises(ConfigError, match="completion does not use `label`"):
        check_syntax(template(completion="yes"))
    check_syntax(template(completion="{% if label == 'yes' %}1{% else %}0{% endif %}"))


# --- the draw ---

TEMPLATES = tuple(template(id=f"f/t{i}", name=str(i), held_out=i == 3) for i in range(5))


def _ids(templates: Sequence[Template]) -> list[str]:
    return [t.id for t in templates]


def test_training_and_held_out_templates() -> None:
    every = [*TEMPLATES, INVERTED]
    assert _ids(training_templates(every)) == ["f/t0", "f/t1", "f/t2", "f/t4"]
    assert _ids(held_out_templates(every)) == ["f/t3"]
    assert held_out_templates([INVERTED]) == ()
    with pytest.raises(ConfigError, match="every template is held out or inverted"):
        training_templates([INVERTED, TEMPLATES[3]])


def test_epochs_draw_anew_and_the_first_as_ever() -> None:
    rows = [f"row-{i}" for i in range(2000)]
    first, second, third = ([draw(TEMPLATES, 0, r, epoch=e).id for r in rows] for e in range(3))
    assert first == [draw(TEMPLATES, 0, r).id for r in rows]
    # The draw of the first version of Tutelage, written down so that old runs stay what they are.
    assert "".join(name[-1] for name in first[:20]) == "01031141221413212133"
    for one, other in ((first, second), (second, third)):
        pairs = Counter(zip(one, other, strict=True))
        table = [[pairs[a, b] for b in _ids(TEMPLATES)] for a in _ids(TEMPLATES)]
        assert stats.chi2_contingency(table).pvalue > 0.001
