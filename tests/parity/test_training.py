"""The training loop against a plain one: the same losses, gradient norms and weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import reference_loop
import torch

from tiny import tiny_reviews
from tutelage.machine.memory import ModelShape
from tutelage.models.load import load_model, load_tokenizer
from tutelage.models.lora import add_lora
from tutelage.progress import Quiet
from tutelage.records import Encoded
from tutelage.tokens.encode import Encoder
from tutelage.tokens.order import SameRows, Stream
from tutelage.train.config import TrainingConfig
from tutelage.train.loop import fit
from tutelage.train.plan import Plan, make_plan
from tutelage.train.validation import Validation

ROWS, BATCH, STEPS = 48, 8, 12
INSTRUCTION = "Is the review positive, neutral or negative?\n\n"


@pytest.fixture(scope="module")
def rows(tiny_model_dir: Path) -> list[Encoded]:
    """Two prompts in turn, so that a step has two branches and rows of many lengths."""
    encoder = Encoder(load_tokenizer(tiny_model_dir))
    return [
        Encoded(
            review.id,
            encoder.prompt((INSTRUCTION if number % 2 else "") + review.review),
            encoder.completion(review.sentiment),
        )
        for number, review in enumerate(tiny_reviews()[:ROWS])
    ]


def planned(model, rows, **settings) -> Plan:
    config = TrainingConfig(
        epochs=STEPS * BATCH / ROWS, batch_size=BATCH, validations=2, seed=3, **settings
    )
    return make_plan(
        config,
        rows,
        ModelShape.of(model),
        precision="fp32",
        device_type="cpu",
        available=10**10,
        threads=torch.get_num_threads(),
    )


def no_validation(model) -> Validation:
    return Validation(loss=1.0, metrics={"accuracy": 0.5}, predictions=())


def weights_of(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("settings", "lora"),
    [
        ({"learning_rate": 3e-3}, False),
        ({"learning_rate": 3e-3, "micro_batch_tokens": 64, "schedule": "cosine"}, False),
        ({"learning_rate": 1e-3, "weight_decay": 0.1, "clip": 0.3}, False),
        ({"learning_rate": 1e-2, "micro_batch_tokens": 200}, True),
    ],
    ids=["default", "small micro-batches", "decay and clipping", "lora"],
)
def test_fit_is_the_plain_loop(rows, tiny_model_dir, tmp_path, settings, lora) -> None:
    def fresh():
        model = load_model(tiny_model_dir)
        if not lora:
            return model
        return add_lora(model, rank=4, alpha=8, dropout=0.0, targets="all-linear", seed=0)

    model, plain = fresh(), fresh()
    before = weights_of(model)
    plan = planned(model, rows, **settings)
    assert plan.steps == STEPS
    fit(model, [rows] * 20, plan, no_validation, "accuracy", tmp_path, "key", Quiet())

    stream = Stream(SameRows(rows), seed=plan.seed, batch_size=BATCH)
    order = [[row for _, row in stream.places(step)] for step in range(STEPS)]
    rates = [plan.rate_at(step) for step in range(STEPS)]
    pairs = [(e.prompt_ids, e.completion_ids) for e in rows]
    expected = reference_loop.train(
        plain, pairs, order, rates, clip=plan.clip, weight_decay=plan.weight_decay
    )

    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [record for record in log if record["kind"] == "step"]
    assert [record["rate"] for record in steps] == rates
    assert [record["loss"] for record in steps] == pytest.approx(
        [step.loss for step in expected], rel=1e-4
    )
    assert [record["grad_norm"] for record in steps] == pytest.approx(
        [step.grad_norm for step in expected], rel=1e-3
    )
    assert steps[-1]["loss"] < steps[0]["loss"]
    after = weights_of(plain)
    for name, weight in weights_of(model).items():
        torch.testing.assert_close(weight, after[name], rtol=1e-4, atol=1e-5)
        assert not torch.equal(weight, before[name])


def test_every_epoch_takes_every_row_once(rows) -> None:
    stream = Stream(SameRows(rows), seed=3, batch_size=BATCH)
    order = [[row for _, row in stream.places(step)] for step in range(STEPS)]
    first, second = order[: STEPS // 2], order[STEPS // 2 :]
    for epoch in (first, second):
        assert sorted(number for numbers in epoch for number in numbers) == list(range(ROWS))
    assert first != second
