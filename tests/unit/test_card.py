"""The model card: metadata that the hub's own reader takes, and text that stays text."""

from __future__ import annotations

import ast
from itertools import count
from typing import Any

import pytest
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report_case import PAYLOADS, SMALLEST, arm, content, report
from ruamel.yaml import YAML

from tutelage.report.card import build_card
from tutelage.report.content import Message, PageContent, Provenance, Usage
from tutelage.report.text import markdown, one_line


def parts(card: str) -> tuple[str, str]:
    """Front matter and body, split as the hub does: at the first line of three dashes."""
    assert card.startswith("---\n")
    matter, _, body = card[4:].partition("\n---\n")
    return matter, body


def tokens(markdown_text: str) -> list[Token]:
    """Blocks and inline parts in order, read with GitHub's tables and raw HTML switched on."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return [t for block in reader.parse(markdown_text) for t in (block, *(block.children or ()))]


def structure(card: str) -> list[tuple[str, str]]:
    kinds = {"text", "text_special", "softbreak"}
    return [(t.type, t.tag) for t in tokens(parts(card)[1]) if t.type not in kinds]


def shown(markdown_text: str) -> str:
    return "".join(t.content for t in tokens(markdown_text) if t.type in {"text", "text_special"})


def test_the_hub_reads_the_front_matter() -> None:
    data = ModelCard(build_card(content(lambda text: text))).data
    assert data.license == "mit"
    assert data.license_link == "link"
    assert data.base_model == "org/base"
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-generation"
    assert "tutelage" in data.tags
    values = {(r.metric_name, r.metric_value, r.dataset_split) for r in data.eval_results or ()}
    assert values == {("Accuracy", 0.84, "test"), ("Macro-F1", 0.74, "test")}


def text_report() -> dict[str, Any]:
    case = {**report(), "kind": "text", "labels": [], "primary_metric": "rougeL"}
    measured = {
        name: {"value": value, "ci95": [value - 0.1, value + 0.1]}
        for name, value in (("rougeL", 0.4), ("rouge1", 0.5), ("token_f1", 0.6), ("chrf", 0.3))
    }
    case["arms"] = {"tuned": {**arm("tuned", 0.4), "metrics": measured}}
    return case


def test_a_model_that_answers_in_text_is_no_classifier() -> None:
    card = build_card(PageContent(text_report()))
    known = YAML(typ="safe").load(parts(card)[0])
    assert known["pipeline_tag"] == "text-generation"
    assert known["tags"] == ["tutelage", "text-generation", "fine-tuned"]
    (result,) = known["model-index"][0]["results"]
    assert result["task"] == {"type": "text-generation", "name": "Text generation"}
    assert [(m["type"], m["name"]) for m in result["metrics"]] == [
        ("rouge", "ROUGE-L"),
        ("rouge", "ROUGE-1"),
        ("f1", "Token F1"),
        ("chrf", "chrF"),
    ]
    assert len(ModelCard(card).data.eval_results or ()) == 4
    assert "classification" not in card
    assert "trained to answer as the training rows do" in card
    assert "label" not in card


@pytest.mark.parametrize(
    ("kind", "task"),
    [("classification", "text-classification"), ("choice", "multiple-choice")],
)
def test_the_task_goes_by_the_kind(kind: str, task: str) -> None:
    known = YAML(typ="safe").load(parts(build_card(PageContent({**report(), "kind": kind})))[0])
    assert known["tags"] == ["tutelage", task, "fine-tuned"]
    assert known["model-index"][0]["results"][0]["task"]["type"] == task
    assert known["pipeline_tag"] == "text-generation"


def test_what_is_not_known_is_left_out() -> None:
    card = build_card(PageContent(SMALLEST))
    known = YAML(typ="safe").load(parts(card)[0])
    assert set(known) == {"library_name", "pipeline_tag", "tags"}
    assert "No comparison" in card
    assert "```" not in card
    assert "best baseline" not in card


def test_the_card_says_what_the_report_says() -> None:
    card = build_card(content())
    assert "> **Better.** Better by 14 points." in card
    assert "| **tuned** | 84.0% (81.0% to 87.0%) | 0.740 (0.690 to 0.790) | what it is" in card
    assert "best baseline; what it is" in card
    assert "reference; what it is" in card
    assert "+14.0 points (+11.0 to +17.0 points)" in card
    assert "the weights went through 4-bit" in card
    assert card.index("| **tuned**") < card.index("| human\\_rater") < card.index("| zero\\_shot")
    assert card == build_card(content())
    assert card.endswith("\n")
    assert not card.endswith("\n\n")


def test_fifty_payloads_in_every_field_add_no_markup() -> None:
    everything = " ".join(PAYLOADS)
    plain, hostile = build_card(content()), build_card(content(lambda t: f"{t} {everything}"))
    assert structure(hostile) == structure(plain)
    assert {t for t, _ in structure(plain)}.isdisjoint({"html_block", "html_inline", "link_open"})


def test_each_payload_alone_adds_no_markup_and_is_shown() -> None:
    plain, number = build_card(content()), count()

    def turn(_: str) -> str:
        return f"{PAYLOADS[next(number) % len(PAYLOADS)]}{next(number)}"

    for _ in range(4):  # the number of fields and of payloads share no factor, so all move on
        assert structure(build_card(content(turn))) == structure(plain)
        next(number)
    for payload in PAYLOADS:
        case = {**report(), "notes": [payload], "task": payload, "arms": {"a": arm("a", 0.5)}}
        case["arms"]["a"]["title"] = payload
        calm = {**report(), "notes": ["x"], "task": "x", "arms": {"a": arm("a", 0.5)}}
        card = build_card(PageContent(case))
        assert structure(card) == structure(build_card(PageContent(calm)))
        assert shown(parts(card)[1]).count(one_line(payload)) >= 3


@pytest.mark.parametrize(
    "name", ["no", "null", "1e3", "0x1f", "2020-01-01", "- a", "a: b", "#", "~"]
)
def test_names_stay_strings_for_every_reader_of_yaml(name: str) -> None:
    origin = Provenance(name, licence=name, base_model=name)
    case = PageContent({**report(), "task": name}, provenance=origin)
    data = ModelCard(build_card(case)).data  # PyYAML, 1.1
    assert (data.license, data.base_model) == (name, name)
    known = YAML(typ="safe").load(parts(build_card(case))[0])  # 1.2
    assert known["model-index"][0]["results"][0]["dataset"]["name"] == name


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_escaped_text_is_one_paragraph_of_text(text: str) -> None:
    written = markdown(text)
    for found in (tokens(written), tokens(f"- {written}")[2:-2], tokens(f"> **{written}.**")):
        kinds = {t.type for t in found}
        assert kinds <= {
            *("paragraph_open", "inline", "text", "text_special", "paragraph_close"),
            *("blockquote_open", "blockquote_close", "strong_open", "strong_close"),
        }
    assert shown(f"x{written}") == "x" + one_line(text)


@pytest.mark.parametrize(
    "text",
    [
        *("- a", "1. a", "12) a", "+ a", "---", "- - -", "===", "# a", "> a", "    a", "\ta"),
        *("http://evil.example", "www.evil.example", "a|b\\|c", "~~a~~", "*a*", "[a](b)"),
        *("<!-- a -->", "&lt;b&gt;", "&#60;", "@someone", "`a`", "![a](b)", "[a]: /b"),
    ],
)
def test_markdown_that_would_mean_something_means_nothing(text: str) -> None:
    assert shown(markdown(text)) == one_line(text)
    kinds = {t.type for t in tokens(markdown(text))}
    assert kinds <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    assert "http:" not in markdown(text)
    assert "www." not in markdown(text)
    cells = tokens(f"| a | b |\n|---|---|\n| {markdown(text)} | z |")
    assert len([t for t in cells if t.type == "td_open"]) == 2


def code_of(card: str) -> ast.Module:
    (fence,) = [t for t in tokens(parts(card)[1]) if t.type == "fence"]
    return ast.parse(fence.content)


def strings(code: ast.Module) -> list[str]:
    return [n.value for n in ast.walk(code) if isinstance(n, ast.Constant) and n.value != n]


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("prompt", [*PAYLOADS, "Say \"no\" or 'yes'.\n\n```\nx\n", "", "\\", '"'])
def test_the_example_sends_exactly_the_prompt(prompt: str, chat: bool) -> None:
    case = PageContent(SMALLEST, usage=Usage((Message("user", prompt),), chat=chat))
    code = code_of(build_card(case))
    assert (prompt if chat else f"{prompt}\n") in strings(code)
    calls = {n.func.attr for n in ast.walk(code)
             if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}  # fmt: skip
    assert {"generate", "decode"} <= calls
    assert ("apply_chat_template" in calls) == chat


def test_the_example_sends_every_turn() -> None:
    turns = (Message("system", "Be brief."), Message("user", "Good?\nReally?"))
    code = code_of(build_card(PageContent(SMALLEST, usage=Usage(turns))))
    (messages,) = [
        n.value for n in code.body
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "messages"
    ]  # fmt: skip
    assert ast.literal_eval(messages) == [{"role": t.role, "content": t.content} for t in turns]


def test_the_plain_form_is_that_of_the_encoder() -> None:
    turns = (Message("system", "Be brief."), Message("user", "Good?"), Message("assistant", "Yes."))
    usage = Usage((*turns, Message("user", "Really?")), chat=False)
    (call,) = [
        n for n in ast.walk(code_of(build_card(PageContent(SMALLEST, usage=usage))))
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "tokenizer"
    ]  # fmt: skip
    assert ast.literal_eval(call.args[0]) == "Be brief.\n\nGood?\nYes.\n\nReally?\n"
