"""The one encoder: what comes from data stays data, and what is trained is what inference sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_example import example
from toy_tokenizer import CHATML, chatml, gemma, toy_tokenizer

from tutelage.errors import InputError
from tutelage.models.load import load_tokenizer
from tutelage.records import Turn
from tutelage.tokens.encode import Encoder
from tutelage.tokens.proof import prove

SPELLINGS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<bos>", "<eos>", "<s>", "</s>")
SPELLINGS += ("<start_of_turn>", "<end_of_turn>", "<|im_end", "|>", "<", "im_start", "assistant\n")
DATA = st.lists(
    st.sampled_from(SPELLINGS) | st.text(st.characters(codec="utf-8"), max_size=3), max_size=6
).map("".join)
SHOTS = st.lists(st.tuples(DATA, DATA), max_size=2)


def encoder_of(name: str) -> Encoder:
    plain = {"plain": False, "plain with BOS": True}
    made = {"chatml": chatml, "gemma": gemma}
    if name in made:
        return Encoder(made[name]())
    return Encoder(toy_tokenizer(adds_bos=plain[name]))


ENCODERS = {n: encoder_of(n) for n in ("chatml", "gemma", "plain", "plain with BOS")}
NAMED = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS.keys())


def controls(encoder: Encoder, ids: tuple[int, ...]) -> list[int]:
    return [i for i in ids if i in encoder.control_ids]


# --- text from data ---


@NAMED
@settings(max_examples=60, deadline=None)
@given(text=DATA, shots=SHOTS)
def test_no_control_token_comes_out_of_data(
    encoder: Encoder, text: str, shots: list[tuple[str, str]]
) -> None:
    ids = encoder.prompt(text, shots)
    template = encoder.prompt("", [("", "")] * len(shots))
    assert controls(encoder, ids) == controls(encoder, template)
    completion = encoder.completion(text)
    assert controls(encoder, completion) == [encoder.stop_id] == [completion[-1]]
    assert encoder.decode(completion[:-1]) == text


@settings(max_examples=60, deadline=None)
@given(text=DATA, shots=SHOTS)
def test_the_prompt_reads_as_the_chat_template_writes_it(
    text: str, shots: list[tuple[str, str]]
) -> None:
    encoder = ENCODERS["chatml"]
    turns = [*(part for shot in shots for part in shot), text]
    roles = ["user", "assistant"] * len(shots) + ["user"]
    messages = [{"role": r, "content": c} for r, c in zip(roles, turns, strict=True)]
    written = encoder.tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    assert encoder.decode(encoder.prompt(text, shots)) == written


@pytest.mark.parametrize("name", ["chatml", "gemma", "tiny"])
@pytest.mark.parametrize(
    "text", ["a kettle", "{{ x }}", "line\n\nline ", "\u2028 \u00e9 \U0001f600"]
)
def test_ordinary_text_takes_the_ids_that_inference_sends(
    name: str, text: str, tiny_model_dir: Path
) -> None:
    encoder = ENCODERS.get(name) or Encoder(load_tokenizer(tiny_model_dir))
    sent = encoder.tokenizer.apply_chat_template(
        [{"role": "user", "content": text.strip()}], add_generation_prompt=True, return_dict=False
    )
    assert list(encoder.prompt(text.strip())) == list(sent)


def test_earlier_turns_stand_before_the_question() -> None:
    encoder = ENCODERS["gemma"]
    assert encoder.decode(encoder.prompt("q", [("p", "a")])) == (
        "<bos><start_of_turn>user\np<end_of_turn>\n<start_of_turn>model\na<end_of_turn>\n"
        "<start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\n"
    )


def test_an_ordinary_piece_that_spells_a_control_token_is_broken_in_two() -> None:
    merged = toy_tokenizer(merges=[("o", "k")], eos="ok", bos=None)
    encoder = Encoder(merged)
    assert merged("ok")["input_ids"] == [encoder.stop_id]
    ids = encoder.prompt("ok, ok")
    assert encoder.stop_id not in ids
    assert encoder.decode(ids) == "ok, ok\n"


def test_a_control_token_of_one_letter_cannot_be_kept_out() -> None:
    encoder = Encoder(toy_tokenizer(bos=None, eos="~"))
    assert encoder.prompt("fine")
    with pytest.raises(InputError, match="encodes to a control token"):
        encoder.prompt("a ~ b")


def test_what_spells_a_control_token_is_known() -> None:
    encoder = ENCODERS["chatml"]
    assert encoder.has_control("so <|im_end|> it ends")
    assert not encoder.has_control("so <|im_end| > it goes on")


# --- where an answer ends ---


@pytest.mark.parametrize(
    ("name", "stop"),
    [("chatml", "<|im_end|>"), ("gemma", "<end_of_turn>"), ("plain", "</s>")],
)
def test_the_stop_token(name: str, stop: str) -> None:
    encoder = ENCODERS[name]
    assert encoder.decode([encoder.stop_id]) == stop
    assert encoder.decode(encoder.completion("very good")) == f"very good{stop}"


def test_without_a_token_after_the_answer_the_eos_token_stops() -> None:
    template = "{% for turn in messages %}{{ turn.role }}: {{ turn.content }}\n{% endfor %}"
    encoder = Encoder(toy_tokenizer(template, eos="</s>"))
    assert encoder.form == "chat"
    assert encoder.decode([encoder.stop_id]) == "</s>"


def test_a_tokenizer_without_an_end_is_an_error() -> None:
    with pytest.raises(InputError, match="no end-of-sequence token"):
        Encoder(toy_tokenizer(eos=None))


# --- forms ---


@pytest.mark.parametrize(("name", "opening"), [("plain", ""), ("plain with BOS", "<s>")])
def test_the_plain_form(name: str, opening: str) -> None:
    encoder = ENCODERS[name]
    assert encoder.form == "plain"
    assert encoder.decode(encoder.prompt("q")) == f"{opening}q\n"
    assert encoder.decode(encoder.prompt("q", [("p", "a")])) == f"{opening}p\na\n\nq\n"


def test_an_example_and_its_options() -> None:
    encoder = ENCODERS["gemma"]
    row = example("7", "Is it?", options=("no", "not sure"))
    encoded = encoder.example(row, [("p", "a")])
    assert encoded.id == "7"
    assert encoded.prompt_ids == encoder.prompt("Is it?", [("p", "a")])
    assert encoded.completion_ids == encoder.completion("not sure")
    assert encoder.options(row) == (encoder.completion("no"), encoder.completion("not sure"))


ROLES = st.lists(st.sampled_from(["user", "assistant", "tool"]), max_size=5)


@settings(max_examples=60, deadline=None)
@given(system=st.none() | DATA, roles=ROLES, texts=st.lists(DATA, min_size=8), trains=st.booleans())
def test_a_conversation_reads_as_the_chat_template_writes_it(
    system: str | None, roles: list[Any], texts: list[str], trains: bool
) -> None:
    """And the targets are the trained turns, each with its stop token, and nothing else."""
    encoder = ENCODERS["chatml"]
    turns = [Turn("system", system)] if system is not None else []
    turns += [Turn(r, texts[i], trains and r == "assistant") for i, r in enumerate(roles)]
    row = example("1", "so?" + texts[6], options=("no", texts[7]), turns=tuple(turns))
    encoded = encoder.example(row)
    ids = encoded.prompt_ids + encoded.completion_ids
    contents = [(t.role, t.content) for t in turns]
    whole = [*contents, ("user", row.prompt), ("assistant", texts[7])]
    written = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in whole)
    assert encoder.decode(ids) == written.removesuffix("\n")
    marks = encoded.trained or (True,) * len(encoded.completion_ids)
    targets = tuple(i for i, mark in zip(encoded.completion_ids, marks, strict=True) if mark)
    answers = [t.content for t in turns if t.trained] + [texts[7]]
    assert targets == tuple(i for text in answers for i in encoder.completion(text))
    assert prove(encoder, [(row, encoded)]).trained_tokens == len(targets)


def test_a_chat_template_without_a_system_turn_takes_it_in_the_first() -> None:
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    encoder = Encoder(
        toy_tokenizer(
            refusing + CHATML, bos=None, eos="<|endoftext|>", special=["<|im_start|>", "<|im_end|>"]
        )
    )
    turns = (Turn("system", "Be brief."),)
    assert encoder.prompt("Hi", turns=turns) == encoder.prompt("Be brief.\n\nHi")


def test_several_turns_cannot_be_trained_without_a_chat_template() -> None:
    turns = (Turn("user", "a"), Turn("assistant", "b", trained=True))
    with pytest.raises(InputError, match=r"task\.loss_on=last"):
        ENCODERS["plain"].example(example("1", turns=turns))


TURN = "{{ turn.role }}: {{ turn.content }}</s>"


@pytest.mark.parametrize(
    "template",
    [
        f"{{% for turn in messages[-1:] %}}{TURN}{{% endfor %}}",
        f"{{% for turn in messages | reverse %}}{TURN}{{% endfor %}}",
        f"{{% for turn in messages %}}{TURN}{TURN}{{% endfor %}}",
        "{% for turn in messages %}{{ turn.role }}</s>{% endfor %}",
    ],
    ids=["drops", "reorders", "repeats", "says nothing"],
)
def test_a_template_that_does_not_place_every_turn_once(template: str) -> None:
    with pytest.raises(InputError, match="does not place every turn once and in order"):
        Encoder(toy_tokenizer(template))


def test_a_template_that_refuses_turns_is_an_error() -> None:
    template = "{{ raise_exception('a system message is needed') }}"
    with pytest.raises(InputError, match="a system message is needed"):
        Encoder(toy_tokenizer(template))


def test_a_template_is_held_to_every_number_of_turns() -> None:
    encoder = Encoder(toy_tokenizer(CHATML.replace("in messages", "in messages[:2]")))
    with pytest.raises(InputError, match="of 3 turns"):
        encoder.prompt("q", [("p", "a")])


def test_a_tokenizer_without_a_fast_version_is_an_error() -> None:
    class Slow:
        is_fast = False
        chat_template = None
        eos_token_id = 2

    slow: Any = Slow()
    with pytest.raises(InputError, match=r"no fast version \(tokenizer\.json is needed\)"):
        Encoder(slow)
