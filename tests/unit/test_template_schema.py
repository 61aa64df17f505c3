"""Templates as data: unknown keys, plain form, and YAML that reads back."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tutelage.tasks.schema import normal_label
from tutelage.templates.export import dump_templates
from tutelage.templates.library import built_in, read_templates
from tutelage.templates.schema import Template, template_data

LEAST = {"id": "a/b", "name": "x", "prompt": "{{ text }}"}


def test_unknown_keys_are_kept() -> None:
    found = Template.model_validate({**LEAST, "metadata": {"a": ["1"]}, "reference": "paper"})
    assert found.extra == {"metadata": {"a": ["1"]}, "reference": "paper"}
    assert template_data(found) == {**LEAST, "metadata": {"a": ["1"]}, "reference": "paper"}


@pytest.mark.parametrize("key", ["promt", "Prompt", "choises", "license", "held-out", "field"])
def test_a_slip_of_the_pen_is_refused(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Template.model_validate({**LEAST, key: "x"})
    (detail,) = caught.value.errors()
    assert (detail["type"], detail["loc"]) == ("extra_forbidden", (key,))


@pytest.mark.parametrize("key", ["answer_choices", "description", "jinja", "languages", "metadata"])
def test_keys_of_other_formats_are_no_slips(key: str) -> None:
    assert Template.model_validate({**LEAST, key: "x"}).extra == {key: "x"}


def test_a_key_beside_extra_and_in_it() -> None:
    both = {**LEAST, "extra": {"a": "1"}, "b": "2"}
    assert Template.model_validate(both).extra == {"a": "1", "b": "2"}
    with pytest.raises(ValidationError, match="`a` stands both in `extra` and beside it"):
        Template.model_validate({**LEAST, "extra": {"a": "1"}, "a": "2"})


def test_defaults_are_left_out_and_what_could_be_mistaken_stays_below_extra() -> None:
    template = Template(**LEAST, held_out=True, extra={"name": "n", "promt": "p", "free": "f"})
    data = template_data(template)
    assert data == {
        **LEAST,
        "held_out": True,
        "extra": {"name": "n", "promt": "p"},
        "free": "f",
    }
    assert Template.model_validate(data) == template


def test_fields_are_names() -> None:
    with pytest.raises(ValidationError):
        Template.model_validate({**LEAST, "fields": ["a b"]})


def test_the_library_reads_back_from_its_yaml(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(dump_templates(built_in()), encoding="utf-8")
    assert read_templates(file) == built_in()


# What YAML can hold at all: no surrogates, and control characters only escaped.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
lines = st.lists(st.sampled_from(["a: b", "", " x", "- y", "#", "tab\t", "z "]), min_size=1).map(
    "\n".join
)
plain = st.recursive(
    texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)


def _differ(choices: dict[str, str]) -> bool:
    return len({normal_label(text) for text in choices.values()}) == len(choices)


@settings(max_examples=60, deadline=None)
@given(
    texts | lines,
    st.dictionaries(texts, plain, max_size=3),
    st.dictionaries(texts, texts, max_size=2).filter(_differ),
)
def test_any_template_reads_back_from_its_yaml(
    tmp_path_factory: pytest.TempPathFactory,
    prompt: str,
    extra: dict[str, Any],
    choices: dict[str, str],
) -> None:
    raw = "{% raw %}" + prompt.replace("{%", "") + "{% endraw %}"
    template = Template(id="a/b", name="no", prompt=raw, extra=extra, choices=choices or None)
    assert Template.model_validate(template_data(template)) == template
    file = tmp_path_factory.mktemp("yaml") / "t.yaml"
    file.write_text(dump_templates([template]), encoding="utf-8")
    assert read_templates(file) == (template,)
