"""Proof, before anything is trained, that what is trained is what the task says.

Every stack in this field has shipped a wrong mask; see docs/design.md. A failed check names the
row, the template and the tokens, and stops the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tutelage.errors import IntegrityError
from tutelage.records import Encoded, Example
from tutelage.tokens.encode import Encoder


@dataclass(frozen=True, slots=True)
class Proof:
    """What was checked: examples, trained tokens, and the checks by name."""

    examples: int
    trained_tokens: int
    prompt_tokens: int
    stop_token: str
    checks: tuple[str, ...] = (
        "trained ids decode to exactly the completion plus the stop token",
        "prompt ids are what inference sends",
        "no doubled beginning-of-sequence token",
        "the stop token is trained once, at the end",
        "no control token comes out of data",
        "no two options of a row are equal or end inside one another",
    )


def prove(encoder: Encoder, pairs: Iterable[tuple[Example, Encoded]]) -> Proof:
    """Check every example against its encoding.

    Raises:
        IntegrityError: the first example for which a check fails.
    """
    examples = trained = prompts = 0
    stop_text = encoder.decode([encoder.stop_id])
    for example, encoded in pairs:
        _prove_completion(encoder, example, encoded, stop_text)
        _prove_prompt(encoder, example, encoded)
        _prove_options(encoder, example)
        examples += 1
        trained += len(encoded.completion_ids)
        prompts += len(encoded.prompt_ids)
    return Proof(examples, trained, prompts, stop_text)


def _prove_completion(encoder: Encoder, example: Example, encoded: Encoded, stop_text: str) -> None:
    ids = encoded.completion_ids
    if not ids or ids[-1] != encoder.stop_id:
        _fail(encoder, example, ids, f"the last trained token is not the stop token {stop_text!r}")
    if encoder.stop_id in ids[:-1] or not encoder.control_ids.isdisjoint(ids[:-1]):
        _fail(encoder, example, ids, "a control token stands inside the completion")
    if encoder.decode(ids[:-1]) != example.completion:
        _fail(encoder, example, ids, f"the trained ids do not decode to {example.completion!r}")


def _prove_prompt(encoder: Encoder, example: Example, encoded: Encoded) -> None:
    ids = encoded.prompt_ids
    if not ids:
        _fail(encoder, example, ids, "the prompt is empty")
    bos = encoder.tokenizer.bos_token_id
    if bos is not None and any(a == b == bos for a, b in pairwise(ids)):
        _fail(encoder, example, ids, "the beginning-of-sequence token is doubled")
    if encoder.form == "chat":
        empty = encoder.prompt("")
        controls = [i for i in empty if i in encoder.control_ids]
        if [i for i in ids if i in encoder.control_ids] != controls:
            _fail(encoder, example, ids, "the prompt's control tokens are not the template's own")
        if not encoder.has_control(example.prompt):
            sent = encoder.tokenizer.apply_chat_template(
                [{"role": "user", "content": example.prompt}],
                add_generation_prompt=True,
                return_dict=False,
            )
            if list(ids) != list(sent):
                _fail(encoder, example, ids, "the prompt ids differ from the chat template's own")


def _prove_options(encoder: Encoder, example: Example) -> None:
    options = encoder.options(example)
    if len(set(options)) != len(options):
        _fail(encoder, example, options[0], f"two of the options {example.options} are one")
    for a in options:
        for b in options:
            if a is not b and b[: len(a)] == a:
                _fail(encoder, example, a, "one option with its stop token begins another")


def _fail(encoder: Encoder, example: Example, ids: Sequence[int], what: str) -> None:
    shown = ", ".join(f"{i}={encoder.decode([i])!r}" for i in list(ids)[-12:])
    raise IntegrityError(
        f"{example.where}: row {example.id!r} under template {example.template!r}: {what}. "
        f"Last tokens: {shown}. Nothing was trained; change the template, the labels or the model."
    )
