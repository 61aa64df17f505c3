"""What the Jinja of a template can and cannot do."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.errors import ConfigError
from tutelage.records import Row
from tutelage.templates.render import render_row
from tutelage.templates.sandbox import MAX_CHARACTERS, as_text, letter, lettered
from tutelage.templates.schema import Template

DATA = {
    "items": ["the", "items"],
    "keys": "k",
    "get": 3,
    "none": None,
    "yes": True,
    "deep": {"values": [1.5, {"count": "ü"}]},
}


def shown(prompt: str, **fields: Any) -> str:
    """The prompt of a row with a text answer."""
    template = Template(id="a/b", name="x", prompt=prompt)
    row = Row("1", fields or {"d": DATA, "text": "some text"}, "a", "f:1", answers=("a",))
    return render_row(template, row, ()).prompt


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("{{ d.items | join(' ') }}", "the items"),
        ("{{ d['items'][1] }}", "items"),
        ("{{ d.keys }}{{ d.get + 1 }}", "k4"),
        ("{{ d.deep['values'][1].count }}", "ü"),
        ("<{{ d.none }}>", "<>"),
        ("{{ d.yes }} {{ d.deep }}", 'true {"values": [1.5, {"count": "ü"}]}'),
        ("{{ d.deep | tojson(indent=1) }}", json.dumps(DATA["deep"], indent=1, ensure_ascii=False)),
        ("{% for k, v in d.deep | items %}{{ k }}={{ v[0] }}{% endfor %}", "values=1.5"),
        ("{% for i in d.items %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/2 2/2"),
        ("{{ d.items | lettered }}", "A. the\nB. items"),
        ("{{ 'items' | letter(d.items) }}", "B"),
        ("{{ d.items | reverse | join('<') }} {{ 'ab' | reverse }}", "items<the ba"),
        ("{{ text | replace('some', 'any') | title }}", "Any Text"),
        ("{{ 'a,b' | split(',') | last }}", "b"),
        ("{{ d.items | map('upper') | join }}", "THEITEMS"),
        ("{{ [d.deep] | map(attribute='values.0') | join }}", "1.5"),
        ("{{ [d.deep, d.deep] | join(' ', attribute='values') }}", '[1.5, {"count": "ü"}] ' * 2),
        ("{{ text ~ '!' ~ 3 }} {{ [1] + [2] }}", "some text!3 [1, 2]"),
        ("{{ d.missing | default('-') }}", "-"),
        ("{{ ' a ' | trim }}{{ d.items | length }}{{ d.items | first }}", "a2the"),
        ("{{ [3, 1] | sort | join(',') }}{{ 2.5 | round | int }}", "1,32"),
    ],
)
def test_what_templates_can_do(prompt: str, text: str) -> None:
    assert shown(prompt) == text.strip()


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("{{ d.missing }}", "has no attribute 'missing'"),
        ("{{ d.pop }}", "has no attribute 'pop'"),
        ("{{ d.items.append }}", "has no attribute 'append'"),
        ("{{ text.upper }}", "has no attribute 'upper'"),
        ("{{ text['upper'] }}", "has no"),
        ("{{ d.__class__ }}", "has no attribute '__class__'"),
        ("{{ d.deep['values'][7] }}", "has no element 7"),
        ("{% for x in d.items %}{{ loop }}{% endfor %}", "no plain data"),
        ("{% for x in d.items %}{{ loop._iterable }}{% endfor %}", "_iterable"),
        ("{% for x in d.items %}{{ loop.cycle('a') }}{% endfor %}", "a call is not available"),
        ("{{ d.items | map('upper') }}", "try `| list`"),
        ("{{ d.items() }}", "a call is not available"),
        ("{% macro m() %}{% endmacro %}x", "{% macro %} is not available"),
        ("{% include 'x' %}", "{% include %} is not available"),
        ("{% set a %}x{% endset %}{{ a }}", "{% set %} around a block is not available"),
        ("{% filter upper %}x{% endfilter %}", "{% filter %} is not available"),
        ("{{ d | tojson(indent=100000000) }}", "indents by 0 to 8"),
        ("{{ text | indent(100000000) }}", "indent"),
        ("{{ text + 1 }}", "cannot be rendered"),
        ("{{ 'x' | letter(d.items) }}", "'x' is not in the list"),
    ],
)
def test_what_they_cannot(prompt: str, says: str) -> None:
    with pytest.raises(ConfigError, match="template a/b: its prompt") as caught:
        shown(prompt)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "step",
    [
        "{% set a = a ~ a %}",
        "{% set a = a + a %}",
        "{% set a = [a, a] | join %}",
        "{% set a = [a, a, a] | join(a) %}",
        "{% set a = a | replace('x', 'xxxx') %}",
    ],
)
def test_texts_cannot_be_doubled_without_end(step: str) -> None:
    with pytest.raises(ConfigError, match=f"a text over {MAX_CHARACTERS} characters"):
        shown("{% set a = 'xxxx' %}" + step * 30 + "{{ a | length }}")


def test_letters_end() -> None:
    assert lettered(map(str, range(26))).endswith("\nZ. 25")
    assert letter("25", list(map(str, range(26)))) == "Z"
    with pytest.raises(ConfigError, match="letters for 26 choices only"):
        shown("{{ many | lettered }}", many=list(range(27)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(json_values)
def test_plain_data_reads_as_its_json(value: Any) -> None:
    if isinstance(value, str):
        assert as_text(value) == value
    elif value is None:
        assert as_text(value) == ""
    else:
        assert json.loads(as_text(value)) == value
