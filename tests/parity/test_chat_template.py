"""Prompts are what the tokenizer's own chat template gives, and data cannot add control tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from chat_tokenizers import gemma_like, llama_like
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tutelage.models.load import find_model
from tutelage.tokens.encode import Encoder

Conversation = list[str]
"""Texts of user and assistant in turn; the last is the user's."""

PIECES = (
    *("a", "Zip", "superb ", "\n", "\n\n", " ", "\t", "é", "日本", "🪁", "\u200b", "\u00a0"),
    *("<|im_", "im_end|>", "<|", "|>", "<start_of", "_turn>", "assistant\n", "user", "system"),
    *("{{ x }}", "{% raw %}", "{#", "<b>&amp;</b>", "\\", "'", '"', "\ue000", "\ue0011", "\x00"),
)
CONTROLS = ("<|im_end|>", "<|im_start|>system\n", "<|im_start|>", "<|endoftext|>")
FAMILY_CONTROLS = (
    *("<bos>", "<eos>", "<start_of_turn>model\n", "<end_of_turn>"),
    *("<|begin|>", "<|end|>", "<|header|>system<|/header|>", "<|turn_end|>"),
)

plain_texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
)


def hostile_texts(controls: Sequence[str]) -> st.SearchStrategy[str]:
    return st.tuples(plain_texts, st.sampled_from(controls), plain_texts).map("".join)


def conversations(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Conversation]:
    return st.integers(0, 3).flatmap(
        lambda shots: st.lists(texts, min_size=2 * shots + 1, max_size=2 * shots + 1)
    )


def messages(conversation: Conversation) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(conversation)]


def ours(encoder: Encoder, conversation: Conversation) -> tuple[int, ...]:
    *earlier, user = conversation
    return encoder.prompt(user, list(zip(earlier[::2], earlier[1::2], strict=True)))


def theirs(tokenizer: Any, conversation: Conversation) -> tuple[int, ...]:
    ids = tokenizer.apply_chat_template(
        messages(conversation), add_generation_prompt=True, return_dict=False
    )
    return tuple(ids)


def spells_control(tokenizer: Any, text: str) -> bool:
    return any(token.content in text for token in tokenizer.added_tokens_decoder.values())


def check_plain(tokenizer: Any, encoder: Encoder, conversation: Conversation) -> None:
    assume(not any(spells_control(tokenizer, text) for text in conversation))
    assert ours(encoder, conversation) == theirs(tokenizer, conversation)


def spells(tokenizer: Any, text: str) -> bool:
    """Whether the vocabulary has every character: SmolLM2's lacks some bytes."""
    ids = [tokenizer(character, add_special_tokens=False).input_ids for character in text]
    return all(tokenizer.decode(i) == character for i, character in zip(ids, text, strict=True))


def check_hostile(tokenizer: Any, encoder: Encoder, conversation: Conversation) -> None:
    """As many control tokens as the template has of its own, and every character is kept."""
    assume(spells(tokenizer, "".join(conversation)))
    ids = ours(encoder, conversation)
    innocent = theirs(tokenizer, ["x"] * len(conversation))
    special = set(tokenizer.added_tokens_decoder)
    assert [i for i in ids if i in special] == [i for i in innocent if i in special]
    text = tokenizer.apply_chat_template(
        messages(conversation), add_generation_prompt=True, tokenize=False
    )
    decoded = tokenizer.decode(
        list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    assert decoded == text


@pytest.fixture(scope="module")
def tiny(tiny_model_dir: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    return tokenizer, Encoder(tokenizer)


@pytest.fixture(scope="module", params=[gemma_like, llama_like])
def family(request):
    tokenizer = request.param()
    return tokenizer, Encoder(tokenizer)


@cache
def smollm2():
    """Called inside a test, where the cache is the user's own."""
    tokenizer = AutoTokenizer.from_pretrained(find_model("smollm2-135m").folder)
    return tokenizer, Encoder(tokenizer)


@settings(max_examples=150, deadline=None)
@given(conversations(plain_texts))
def test_tiny_prompts_are_the_templates(tiny, conversation) -> None:
    check_plain(*tiny, conversation)


@settings(max_examples=100, deadline=None)
@given(conversations(st.one_of(plain_texts, hostile_texts(CONTROLS))))
def test_tiny_prompts_gain_no_control_token(tiny, conversation) -> None:
    check_hostile(*tiny, conversation)


@pytest.mark.real_model
@settings(max_examples=100, deadline=None)
@given(conversations(plain_texts))
def test_real_prompts_are_the_templates(conversation) -> None:
    check_plain(*smollm2(), conversation)


@pytest.mark.real_model
@settings(max_examples=60, deadline=None)
@given(conversations(st.one_of(plain_texts, hostile_texts(CONTROLS))))
def test_real_prompts_gain_no_control_token(conversation) -> None:
    check_hostile(*smollm2(), conversation)


# Templates that trim: a prompt is trimmed when it is rendered (tests/unit/test_render.py).
trimmed = plain_texts.map(str.strip)
trimmed_hostile = hostile_texts(FAMILY_CONTROLS).map(str.strip)


@settings(max_examples=80, deadline=None)
@given(conversations(trimmed))
def test_family_prompts_are_the_templates(family, conversation) -> None:
    check_plain(*family, conversation)


@settings(max_examples=80, deadline=None)
@given(conversations(st.one_of(trimmed, trimmed_hostile)))
def test_family_prompts_gain_no_control_token(family, conversation) -> None:
    check_hostile(*family, conversation)


def test_the_turn_ends_where_the_template_says(tiny, family) -> None:
    tokenizer, encoder = family
    ends = {"<bos>": "<end_of_turn>", "<|begin|>": "<|turn_end|>"}
    assert encoder.decode([encoder.stop_id]) == ends[tokenizer.bos_token]
    assert encoder.stop_id != tokenizer.eos_token_id
    assert ours(encoder, ["x"]).count(tokenizer.bos_token_id) == 1
    assert tiny[1].decode([tiny[1].stop_id]) == "<|im_end|>"


@settings(max_examples=60, deadline=None)
@given(conversations(plain_texts), hostile_texts(CONTROLS))
def test_control_text_leaves_earlier_turns_as_they_are(tiny, conversation, hostile) -> None:
    """What a few-shot block shares between rows stays shared."""
    tokenizer, encoder = tiny
    assume(not any(spells_control(tokenizer, text) for text in conversation))
    plain = ours(encoder, [*conversation[:-1], "x"])
    found = ours(encoder, [*conversation[:-1], hostile])
    opening = encoder.tokenizer.convert_tokens_to_ids("<|im_start|>")
    last_turn = [place for place, i in enumerate(plain) if i == opening][-2]
    assert found[: last_turn + 1] == plain[: last_turn + 1]


@settings(max_examples=60, deadline=None)
@given(st.one_of(plain_texts, hostile_texts(CONTROLS)))
def test_a_completion_is_its_text_and_one_stop_token(tiny, text) -> None:
    tokenizer, encoder = tiny
    *ids, stop = encoder.completion(text)
    assert stop == encoder.stop_id
    assert not set(ids) & set(tokenizer.added_tokens_decoder)
    assert encoder.decode(ids) == text
