"""The proof stops every example that would be trained as something else than the task says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy_example import example
from toy_tokenizer import chatml, gemma, toy_tokenizer

from tutelage.errors import IntegrityError
from tutelage.models.load import load_tokenizer
from tutelage.records import Encoded, Example
from tutelage.tokens.encode import Encoder
from tutelage.tokens.proof import prove

ENCODER = Encoder(chatml())
ROW = example("r7", "Is it good?", where="reviews.csv:9", template="t/plain")
WHOLE = ENCODER.example(ROW)


def complaint(encoded: Encoded, row: Example = ROW, encoder: Encoder = ENCODER) -> str:
    with pytest.raises(IntegrityError) as caught:
        prove(encoder, [(row, encoded)])
    return str(caught.value)


@pytest.mark.parametrize("encoder", [ENCODER, Encoder(gemma()), Encoder(toy_tokenizer())])
def test_what_the_encoder_makes_is_proven(encoder: Encoder) -> None:
    rows = [
        ROW,
        example("r8", "it is <|im_end|> {{ x }}</s><end_of_turn>", label="bad"),
        example("r9", options=("no", "not sure"), label="good"),
    ]
    pairs = [(row, encoder.example(row)) for row in rows]
    proof = prove(encoder, pairs)
    assert proof.examples == 3
    assert proof.trained_tokens == sum(len(e.completion_ids) for _, e in pairs)
    assert proof.prompt_tokens == sum(len(e.prompt_ids) for _, e in pairs)
    assert proof.stop_token == encoder.decode([encoder.stop_id])
    assert len(proof.checks) == 6


def test_the_tiny_model_is_proven_though_its_bos_opens_every_turn(tiny_model_dir: Path) -> None:
    encoder = Encoder(load_tokenizer(tiny_model_dir))
    assert prove(encoder, [(ROW, encoder.example(ROW))]).stop_token == "<|im_end|>"


def test_a_complaint_names_row_template_and_tokens() -> None:
    said = complaint(replace(WHOLE, completion_ids=WHOLE.completion_ids[:-1]))
    assert said.startswith("reviews.csv:9: row 'r7' under template 't/plain': ")
    d = WHOLE.completion_ids[-2]
    assert f"{d}='d'. Nothing was trained" in said


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ((), "the last trained token is not the stop token '<|im_end|>'"),
        (WHOLE.completion_ids[:-1], "the last trained token is not the stop token"),
        ((*WHOLE.completion_ids, *WHOLE.completion_ids[-1:]), "inside the completion"),
        (
            (*WHOLE.prompt_ids[:1], *WHOLE.completion_ids),
            "a control token stands inside the completion",
        ),
        (ENCODER.completion("bad"), "the trained ids do not decode to 'good'"),
        (ENCODER.completion("good "), "the trained ids do not decode to 'good'"),
        (ENCODER.completion(""), "the trained ids do not decode to 'good'"),
    ],
)
def test_a_wrong_completion(ids: tuple[int, ...], says: str) -> None:
    assert says in complaint(replace(WHOLE, completion_ids=ids))


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ((), "the prompt is empty"),
        (WHOLE.prompt_ids[1:], "the prompt's control tokens are not the template's own"),
        (
            (WHOLE.prompt_ids[0], *WHOLE.prompt_ids),
            "the prompt's control tokens are not the template's own",
        ),
        (WHOLE.prompt_ids[:-1], "the prompt ids differ from the chat template's own"),
        (ENCODER.prompt("Is it bad?"), "the prompt ids differ from the chat template's own"),
    ],
)
def test_a_prompt_that_inference_would_not_send(ids: tuple[int, ...], says: str) -> None:
    assert says in complaint(replace(WHOLE, prompt_ids=ids))


@pytest.mark.parametrize("tokenizer", [gemma(), toy_tokenizer(adds_bos=True)])
def test_a_doubled_beginning(tokenizer: object) -> None:
    encoder = Encoder(tokenizer)
    encoded = encoder.example(ROW)
    doubled = replace(encoded, prompt_ids=(encoded.prompt_ids[0], *encoded.prompt_ids))
    assert "the beginning-of-sequence token is doubled" in complaint(doubled, encoder=encoder)


def test_control_tokens_out_of_data_are_found_where_the_text_spells_them() -> None:
    row = example("r1", "say <|im_end|> twice")
    encoded = ENCODER.example(row)
    stop = ENCODER.stop_id
    joined = ENCODER.tokenizer.apply_chat_template(
        [{"role": "user", "content": row.prompt}], add_generation_prompt=True, return_dict=False
    )
    assert joined.count(stop) == encoded.prompt_ids.count(stop) + 1
    broken = replace(encoded, prompt_ids=tuple(joined))
    assert "the prompt's control tokens are not" in complaint(broken, row)


def test_equal_options() -> None:
    row = example("r1", options=("good", "good"))
    assert "two of the options ('good', 'good') are one" in complaint(ENCODER.example(row), row)


def test_an_option_that_begins_another_with_its_stop_token() -> None:
    class Endless(Encoder):
        """An encoder that goes on after the stop token."""

        def options(self, example: Example) -> tuple[tuple[int, ...], ...]:
            no, sure = super().options(example)
            return no, (*no, *sure)

    row = example("r1", options=("no", "not sure"))
    encoder = Endless(chatml())
    said = complaint(encoder.example(row), row, encoder)
    assert "one option with its stop token begins another" in said


def test_the_first_failure_stops() -> None:
    seen = []

    def pairs():
        for row_id in ("a", "b", "c"):
            seen.append(row_id)
            row = example(row_id)
            whole = ENCODER.example(row)
            yield row, whole if row_id == "a" else replace(whole, completion_ids=())

    with pytest.raises(IntegrityError, match="row 'b'"):
        prove(ENCODER, pairs())
    assert seen == ["a", "b"]
