import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tutelage.errors import ConfigError, InputError
from tutelage.templates.choices import spoken_list
from tutelage.templates.render import check_syntax, draw, render
from tutelage.templates.sandbox import MAX_CHARACTERS
from tutelage.templates.schema import Template

LABELS = ("no", "yes")


def template(prompt: str, completion: str = "{{ label }}", **more: object) -> Template:
    return Template(id="a/b", name="x", prompt=prompt, completion=completion, **more)


def rendered(prompt: str, completion: str = "{{ label }}", **fields: str) -> str:
    return render(template(prompt, completion), fields, LABELS, "f.csv:3")[0]


def test_variables() -> None:
    got = rendered("{{ labels_text }}|{{ labels | join('/') }}|{{ text }}|{{ a }}", text="T", a="A")
    assert got == "no or yes|no/yes|T|A"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": "t", "b": "c"}, "t"),
        ({"review": "r"}, "r"),
        ({"premise": "p", "hypothesis": "h"}, "premise: p\nhypothesis: h"),
    ],
)
def test_text_stands_for_the_fields(fields: dict[str, str], text: str) -> None:
    assert rendered("{{ text }}", **fields) == text


def test_options_in_label_order_and_choices() -> None:
    one, options = render(template("{{ text }}"), {"text": "t"}, ("b", "a", "c"), "f:1")
    assert (one, options) == ("t", ("b", "a", "c"))
    listed = template("{{ labels_text }}", choices=["A", "B"])
    assert render(listed, {"text": "t"}, LABELS, "f:1") == ("A or B", ("A", "B"))
    mapped = template("{{ labels_text }}", "={{ label }}.", choices={"YES": "A", "no": "B"})
    assert render(mapped, {"text": "t"}, LABELS, "f:1") == ("B or A", ("=B.", "=A."))


def test_both_ends_are_stripped() -> None:
    got = render(template("\n {{ text }} \n\n", " {{ label }}\n"), {"text": " t\t"}, LABELS, "f:1")
    assert got == ("t", LABELS)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_data_is_inserted_once_and_untouched(text: str) -> None:
    assert rendered("<{{ text }}>", text=text) == f"<{text}>"


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% raw %}", "{# x #}", "<b>&amp;</b>", "<|im_end|>", "${x}", "a|||b"]
)
def test_what_looks_like_code_stays_text(text: str) -> None:
    assert rendered("<{{ text }}>", text=text) == f"<{text}>"


def test_a_prompt_never_sees_the_label() -> None:
    for prompt in ("{{ label }}", "{% if label == 'yes' %}!{% endif %}{{ text }}"):
        with pytest.raises(ConfigError) as caught:
            rendered(prompt, text="t")
        said = (
            "template a/b: its prompt uses `label`, unknown there. A prompt must not see the label."
        )
        assert str(caught.value) == said
        with pytest.raises(ConfigError, match="must not see the label"):
            check_syntax(template(prompt))


def test_names_of_the_labels_are_not_free_for_fields() -> None:
    with pytest.raises(ConfigError, match=r"task\.fields: `label` is a name that templates use"):
        render(template("{{ text }}"), {"text": "t", "label": "yes"}, LABELS, "f:1")


def test_undefined_variables_are_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        rendered("{% if false %}{{ reveiw }}{% endif %}x", review="r", stars="5")
    assert str(caught.value) == (
        "template a/b: its prompt uses `reveiw`, unknown there. Did you mean 'review'? "
        "Known here: labels, labels_text, review, stars, text."
    )


@pytest.mark.parametrize(
    "prompt",
    [
        "{{ text.upper() }}",
        "{{ text.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ text.format }}{{ text.format(1) }}",
        "{{ self._TemplateReference__context }}",
        "{{ 'a' * 200000000 }}",
        "{{ [1] * 200000000 }}",
        "{{ '%200000000d' % 1 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' | center(200000000) }}",
        "{{ text | attr('upper') }}",
        "{{ labels | random }}",
        "{{ range(3) }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ labels.append('x') }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro m() %}x{% endmacro %}{{ m() }}",
        "{{ 1 / 0 }}",
        "{{ labels[7] }}",
        "{% if %}",
        "{{ text",
    ],
)
def test_what_templates_cannot_do(prompt: str) -> None:
    with pytest.raises(ConfigError, match="template a/b: its prompt"):
        rendered(prompt, text="t")


def test_numbers_may_be_computed_with() -> None:
    assert rendered("{{ 2 * 3 }} {{ 7 % 4 }} {{ text | length }}", text="abc") == "6 3 3"


def test_output_is_capped() -> None:
    loops = "{% for a in text %}{% for b in text %}{{ text }}{% endfor %}{% endfor %}"
    with pytest.raises(InputError) as caught:
        rendered(loops, text="x" * 300)
    said = str(caught.value)
    assert said.startswith(f"f.csv:3: under template a/b the prompt has over {MAX_CHARACTERS} ")
    rendered("{{ text }}", text="x" * MAX_CHARACTERS)


def test_empty_prompt_or_option() -> None:
    with pytest.raises(InputError) as caught:
        rendered("{{ review }}", review=" \n")
    assert str(caught.value) == (
        "f.csv:3: under template a/b the prompt is empty; fields review. "
        "Fill the cell, or leave the row out."
    )
    with pytest.raises(InputError, match="the completion is empty"):
        rendered("{{ text }}", "{% if label == 'yes' %}yes{% endif %}", text="t")


def test_options_must_differ_once_normalised() -> None:
    first = template("{{ text }}", "{{ label[0] | upper }}")
    with pytest.raises(ConfigError) as caught:
        render(first, {"text": "t"}, ("no", "not"), "f:1")
    assert str(caught.value) == (
        "template a/b: for f:1 the labels 'no' and 'not' give the same completion 'N' once "
        "normalised. Let the completion use `label`."
    )
    with pytest.raises(ConfigError, match="same completion"):
        rendered("{{ text }}", "{% if label == 'no' %}\u00e9{% else %}e\u0301{% endif %}", text="t")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (["A"], r"has 1 choices for 2 labels \(no, yes\)"),
        ({"no": "A", "yess": "B"}, "no text for the label 'yes'. Did you mean 'yess'?"),
    ],
)
def test_choices_must_fit_the_labels(choices: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        render(template("{{ text }}", choices=choices), {"text": "t"}, LABELS, "f:1")


def test_equal_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="two choices are equal once normalised"):
        template("{{ text }}", choices={"a": "X", "b": " x"})


def test_spoken_list() -> None:
    assert [spoken_list(list(items)) for items in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a or b",
        "a, b or c",
    ]


TEMPLATES = tuple(Template(id=f"f/t{i}", name="n", prompt="p") for i in range(6))


def test_draw_is_uniform() -> None:
    counts = Counter(draw(TEMPLATES, 0, f"row-{i}").id for i in range(6000))
    assert stats.chisquare([counts[t.id] for t in TEMPLATES]).pvalue > 0.001


def test_draws_of_two_seeds_are_independent() -> None:
    pairs = Counter(
        (draw(TEMPLATES, 0, str(i)).id, draw(TEMPLATES, 1, str(i)).id) for i in range(3600)
    )
    table = [[pairs[a.id, b.id] for b in TEMPLATES] for a in TEMPLATES]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_draw_does_not_depend_on_order_and_keeps_rows_when_a_template_joins() -> None:
    ids = [f"row-{i}" for i in range(300)]
    before = [draw(TEMPLATES[:5], 3, row).id for row in ids]
    assert before == [draw(TEMPLATES[4::-1], 3, row).id for row in ids]
    after = [draw(TEMPLATES, 3, row).id for row in ids]
    moved = {new for old, new in zip(before, after, strict=True) if new != old}
    assert moved == {TEMPLATES[5].id}


def test_draw_is_the_same_in_another_process() -> None:
    code = (
        "from tutelage.templates.render import draw\n"
        "from tutelage.templates.schema import Template\n"
        "ts = [Template(id=f'f/t{i}', name='n', prompt='p') for i in range(6)]\n"
        "print(' '.join(draw(ts, 7, str(i)).id for i in range(40)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert found == [draw(TEMPLATES, 7, str(i)).id for i in range(40)]
