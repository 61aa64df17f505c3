"""Zero-shot option scores against lm-evaluation-harness, on real rows and the real model.

Token ids are handed over through `HFLM._loglikelihood_tokens`. The text interface would compare
something else: `HFLM.loglikelihood` tokenises context and continuation together, moves whitespace
from the end of one to the beginning of the other, and has no notion of the stop token.
"""

from __future__ import annotations

import pytest
import torch

from tutelage.config import load_config
from tutelage.evaluate.score import Question, score_options
from tutelage.models.load import find_model, load_model, load_tokenizer
from tutelage.tasks.catalog import Catalog
from tutelage.tasks.rows import load_rows
from tutelage.templates.library import select
from tutelage.templates.render import draw, render
from tutelage.tokens.encode import Encoder

pytest.importorskip("lm_eval", reason="needs the extra `parity`")

ROWS = 100


def shortest_questions(encoder: Encoder) -> list[Question]:
    """Zero-shot questions of the built-in reviews task: its shortest prompts, all templates."""
    config, _ = load_config("reviews", catalog=Catalog())
    loaded = load_rows(config.task)
    templates = select(config.task.templates, loaded.labels)
    found: dict[str, list[Question]] = {template.id: [] for template in templates}
    for row in loaded.rows:
        template = draw(templates, config.split.seed, row.id)
        prompt, options = render(template, row.fields, loaded.labels, row.where)
        completions = tuple(encoder.completion(option) for option in options)
        found[template.id].append(
            Question(row.id, template.id, encoder.prompt(prompt), completions)
        )
    share = -(-ROWS // len(templates))
    chosen = [
        question
        for questions in found.values()
        for question in sorted(questions, key=lambda q: len(q.prompt_ids))[:share]
    ]
    return chosen[:ROWS]


def harness_scores(model, encoder: Encoder, questions: list[Question]) -> list[tuple[float, ...]]:
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(pretrained=model, tokenizer=encoder.tokenizer, batch_size=12)
    requests = [
        (
            (encoder.decode(question.prompt_ids), encoder.decode(option)),
            list(question.prompt_ids),
            list(option),
        )
        for question in questions
        for option in question.options
    ]
    with torch.inference_mode():
        answers = iter(harness._loglikelihood_tokens(requests, disable_tqdm=True))
    return [tuple(next(answers)[0] for _ in question.options) for question in questions]


@pytest.mark.real_model
def test_zero_shot_scores_are_the_harnesses() -> None:
    folder = find_model("smollm2-135m").folder
    model, encoder = load_model(folder), Encoder(load_tokenizer(folder))
    questions = shortest_questions(encoder)
    assert len(questions) == len({question.id for question in questions}) == ROWS
    assert all(option[-1] == encoder.stop_id for q in questions for option in q.options)

    found = score_options(model, questions, precision="fp32")
    expected = harness_scores(model, encoder, questions)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
        assert ours.index(max(ours)) == theirs.index(max(theirs))
