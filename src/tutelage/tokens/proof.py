"""Proof, before anything is trained, that what is trained is what the task says.

Every stack in this field has shipped a wrong mask; see docs/design.md. A failed check names the
row, the template and the tokens, and stops the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
        "the stop token is trained once, at the end of every answer",
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
        trained += sum(encoded.trained) if encoded.trained else len(encoded.completion_ids)
        prompts += len(encoded.prompt_ids)
    return Proof(examples, trained, prompts, stop_text)


def _prove_completion(encoder: Encoder, example: Example, encoded: Encoded, stop_text: str) -> None:
    ids = encoded.completion_ids
    if not ids or ids[-1] != encoder.stop_id:
        _fail(encoder, example, ids, f"the last trained token is not the stop token {stop_text!r}")
    wanted = [turn.content for turn in example.turns if turn.trained] + [example.completion]
    runs = _trained_runs(encoded, encoder.stop_id)
    if len(runs) != len(wanted):
        what = "a control token stands inside the completion, or an answer is not trained"
        _fail(encoder, example, ids, f"{what} ({len(runs)} answers end, {len(wanted)} are due)")
    for run, text in zip(runs, wanted, strict=True):
        if not encoder.control_ids.isdisjoint(run):
            _fail(encoder, example, ids, "a control token stands inside the completion")
        if encoder.decode(run) != text:
            _fail(encoder, example, ids, f"the trained ids do not decode to {text!r}")


def _trained_runs(encoded: Encoded, stop_id: int) -> list[list[int]]:
    """Trained ids, cut at every stop token; what follows the last stop token is a run too."""
    marks = encoded.trained or (True,) * len(encoded.completion_ids)
    runs: list[list[int]] = []
    run: list[int] = []
    for i, trained in zip(encoded.completion_ids, marks, strict=True):
        if trained and i == stop_id:
            runs.append(run)
            run = []
        elif trained:
            run.append(i)
    return [*runs, run] if run else runs


def _prove_prompt(encoder: Encoder, example: Example, encoded: Encoded) -> None:
    ids = encoded.prompt_ids
    if not ids:
        _fail(encoder, example, ids, "the prompt is empty")
    bos = encoder.tokenizer.bos_token_id
    if bos is not None and any(a == b == bos for a, b in pairwise(ids)):
        _fail(encoder, example, ids, "the beginning-of-sequence token is doubled")
    if encoder.form != "chat":
        return
    messages = encoder.messages(example.prompt, (), example.turns)
    if any(turn.trained for turn in example.turns):
        messages = messages[: _first_trained(example, len(messages))]
    elif _controls(encoder, ids) != _controls(encoder, _empty_prompt(encoder, example)):
        _fail(encoder, example, ids, "the prompt's control tokens are not the template's own")
    if messages and not any(encoder.has_control(text) for _, text in messages):
        sent = encoder.tokenizer.apply_chat_template(
            [{"role": role, "content": text} for role, text in messages],
            add_generation_prompt=True,
            return_dict=False,
        )
        if list(ids) != list(sent):
            _fail(encoder, example, ids, "the prompt ids differ from the chat template's own")


def _first_trained(example: Example, messages: int) -> int:
    """Position among the messages of the first trained turn."""
    first = next(i for i, turn in enumerate(example.turns) if turn.trained)
    return messages - len(example.turns) - bool(example.prompt) + first


def _controls(encoder: Encoder, ids: Sequence[int]) -> list[int]:
    return [i for i in ids if i in encoder.control_ids]


def _empty_prompt(encoder: Encoder, example: Example) -> tuple[int, ...]:
    turns = tuple(replace(turn, content="") for turn in example.turns)
    return encoder.prompt("." if example.prompt else "", turns=turns)


def _prove_options(encoder: Encoder, example: Example) -> None:
    if example.answers:  # gold answers may well be alike; only the first is trained
        return
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
