"""Validation by generated answers: all rows for the loss, a fixed part of them for metrics."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_example import example

from tutelage.errors import Preempted
from tutelage.evaluate.generate import greedy
from tutelage.files import read_json
from tutelage.models.load import load_model, load_tokenizer
from tutelage.progress import Quiet
from tutelage.records import Example
from tutelage.tasks.schema import AnswerSpec
from tutelage.tokens.encode import Encoder
from tutelage.train import validation
from tutelage.train.validation import TextValidator

ROWS = 40


@pytest.fixture(scope="module")
def model(tiny_model_dir: Path) -> Any:
    return load_model(tiny_model_dir)


@pytest.fixture(scope="module")
def encoder(tiny_model_dir: Path) -> Encoder:
    return Encoder(load_tokenizer(tiny_model_dir))


def rows(count: int = ROWS) -> list[Example]:
    made = []
    for i in range(count):
        answers = (f"the {i}th lamp", "a lamp")
        plain = {"labels": answers, "options": answers, "answers": answers, "label": answers[0]}
        made.append(example(f"r{i}", f"Which lamp is number {i}?", **plain))
    return made


class Clock:
    """Advances by `seconds` for every row that was answered since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now = 0.0
        self.parts: list[list[tuple[int, ...]]] = []
        generate = validation.generate_answers

        def timed(model: Any, prompts: Any, *rest: Any, **more: Any) -> Any:
            self.now += seconds * len(prompts)
            self.parts.append(list(prompts))
            return generate(model, prompts, *rest, **more)

        monkeypatch.setattr(validation, "generate_answers", timed)

    def __call__(self) -> float:
        return self.now


def validator(
    folder: Path, encoder: Encoder, clock: Any, seconds: float = 20, count: int = ROWS, **more: Any
) -> TextValidator:
    settings: dict[str, Any] = {
        "progress": Quiet(),
        "note": folder / "rows.json",
        "seconds": seconds,
        "seed": 3,
        "clock": clock,
        **more,
    }
    spec = AnswerSpec(max_tokens=4)
    return TextValidator(rows(count), encoder, spec, ["token_f1"], "fp32", **settings)


def test_the_loss_is_of_all_rows_and_metrics_of_generated_answers(
    model, encoder, tmp_path, monkeypatch
) -> None:
    found = validator(tmp_path, encoder, Clock(monkeypatch, 0.1), count=12)(model)
    loss = tokens = 0.0
    for row in rows(12):
        prompt, completion = encoder.prompt(row.prompt), encoder.completion(row.completion)
        ids = torch.tensor([[*prompt, *completion]])
        with torch.inference_mode():
            chances = model(ids).logits[0].log_softmax(-1)
        for place, token in enumerate(completion, len(prompt) - 1):
            loss -= chances[place, token].item()
        tokens += len(completion)
    assert found.loss == pytest.approx(loss / tokens, rel=1e-5)
    assert {p.id for p in found.predictions} == {row.id for row in rows(12)}
    for prediction in found.predictions:
        row = rows(12)[int(prediction.id[1:])]
        ids = greedy(model, encoder.prompt(row.prompt), encoder.stop_id, 4)
        assert prediction.predicted == encoder.decode(ids).strip()
        assert prediction.references == row.options
    assert 0 <= found.metrics["token_f1"] <= 1
    assert math.isfinite(found.loss)


def test_the_first_validation_takes_what_the_time_allows(
    model, encoder, tmp_path, monkeypatch
) -> None:
    clock = Clock(monkeypatch, 1.0)
    found = validator(tmp_path, encoder, clock, seconds=20)(model)
    assert clock.now == 20
    note = read_json(tmp_path / "rows.json")
    assert (note["rows"], note["of"], note["parts"]) == (20, ROWS, [8, 12])
    assert note["ids"] == [p.id for p in found.predictions]
    assert note["ids"] != sorted(note["ids"], key=lambda name: int(name[1:]))


def test_slow_models_answer_eight_rows_and_fast_ones_all(
    model, encoder, tmp_path, monkeypatch
) -> None:
    for seconds, parts in ((100.0, [8]), (0.001, [8, 16, 16])):
        clock = Clock(monkeypatch, seconds)
        folder = tmp_path / str(seconds)
        validator(folder, encoder, clock)(model)
        assert read_json(folder / "rows.json")["parts"] == parts


def test_later_validations_and_resumed_ones_take_the_same_rows_in_the_same_batches(
    model, encoder, tmp_path, monkeypatch
) -> None:
    clock = Clock(monkeypatch, 1.0)
    check = validator(tmp_path, encoder, clock, seconds=20)
    first, parts = check(model), list(clock.parts)
    for again in (check, validator(tmp_path, encoder, clock, seconds=1)):
        clock.parts.clear()
        assert again(model) == first
        assert clock.parts == parts


def test_the_order_is_the_seeds_and_not_the_tables(model, encoder, tmp_path, monkeypatch) -> None:
    def answered(folder: str, seed: int, turned: bool) -> list[str]:
        clock = Clock(monkeypatch, 1.0)
        if turned:
            monkeypatch.setitem(globals(), "rows", lambda count: straight(count)[::-1])
        validator(tmp_path / folder, encoder, clock, seconds=9, seed=seed)(model)
        return read_json(tmp_path / folder / "rows.json")["ids"]

    straight = rows
    one = answered("one", 3, turned=False)
    assert answered("other seed", 4, turned=False) != one
    assert answered("turned", 3, turned=True) == one


def test_a_stopped_first_validation_settles_nothing(model, encoder, tmp_path, monkeypatch) -> None:
    class Stop(Quiet):
        def stopping(self) -> bool:
            return bool(clock.parts)

    clock = Clock(monkeypatch, 1.0)
    with pytest.raises(Preempted):
        validator(tmp_path, encoder, clock, progress=Stop())(model)
    assert not (tmp_path / "rows.json").exists()


def test_it_says_how_many_rows_it_answers(model, encoder, tmp_path, monkeypatch) -> None:
    said: list[str] = []

    class Told(Quiet):
        def say(self, message: str) -> None:
            said.append(message)

    validator(tmp_path, encoder, Clock(monkeypatch, 1.0), seconds=9, progress=Told())(model)
    assert said == [
        "Validation generates answers to 9 of 40 rows, as many as 9 s allow; its loss is of all "
        "rows."
    ]


def test_a_note_about_other_rows_is_not_followed(model, encoder, tmp_path, monkeypatch) -> None:
    clock = Clock(monkeypatch, 1.0)
    validator(tmp_path, encoder, clock, seconds=9)(model)
    found = validator(tmp_path, encoder, clock, seconds=9, seed=4)(model)
    assert read_json(tmp_path / "rows.json")["ids"] == [p.id for p in found.predictions]
    validator(tmp_path, encoder, clock, seconds=9, count=10)(model)
    assert read_json(tmp_path / "rows.json")["of"] == 10


def test_the_noise_is_that_of_a_part_and_none_of_all(model, encoder, tmp_path, monkeypatch) -> None:
    few = validator(tmp_path / "a", encoder, Clock(monkeypatch, 2.0))
    found = few(model)
    right = [p.predicted in ("a lamp",) or p.predicted == p.gold for p in found.predictions]
    wrong = len(right) - sum(right)
    share = (sum(right) + 1) / (len(right) + 2)
    assert wrong > 0
    assert found.noise == pytest.approx(math.sqrt(share * (1 - share) / (len(right) + 2)))
    every = validator(tmp_path / "b", encoder, Clock(monkeypatch, 0.01))(model)
    assert len(every.predictions) == ROWS
    assert every.noise == 0.0
