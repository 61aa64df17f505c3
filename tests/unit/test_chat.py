"""Chat: commands, the two models, and what is sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from toy_tokenizer import chatml

from tutelage.pipeline import chat
from tutelage.pipeline.answering import Answerer
from tutelage.pipeline.chat import HELP, Conversation
from tutelage.pipeline.examples import ExampleMaker
from tutelage.pipeline.prediction import Predictor
from tutelage.progress import Quiet
from tutelage.tasks.schema import AnswerSpec
from tutelage.templates.schema import Template
from tutelage.tokens.encode import Encoder

ENCODER = Encoder(chatml())


def predictor() -> Predictor:
    """A predictor whose model is a name."""
    return Predictor(
        answerer=Answerer("tuned model", ENCODER, "fp32", AnswerSpec(), Quiet()),
        maker=ExampleMaker(ENCODER, ("bad", "good"), 1000),
        template=Template(id="t/one", name="one", prompt="Is it good? {{ text }}"),
        kind="classification",
        fields={"text": "review"},
        choices=(),
    )


@dataclass
class Talk:
    """A conversation with a model that repeats what it was sent, and what was loaded."""

    conversation: Conversation
    loads: list[str]

    def __call__(self, line: str) -> str | None:
        return self.conversation.reply(line)


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Talk:
    loads: list[str] = []

    def load_base() -> tuple[Any, Encoder]:
        loads.append("base")
        return "base model", ENCODER

    def greedy(model: Any, ids: tuple[int, ...], stop: int, most: int) -> tuple[int, ...]:
        assert (stop, most) == (ENCODER.stop_id, 128)
        question = ENCODER.decode(ids).split("user\n")[1].split("<|im_end|>")[0]
        return ENCODER.completion(f" {model} < {question} ")[:-1]

    monkeypatch.setattr(chat, "greedy", greedy)
    return Talk(Conversation(predictor(), load_base), loads)


def test_a_line_is_put_into_the_tasks_prompt(talk: Talk) -> None:
    assert talk("  fine  ") == "tuned model < Is it good? fine"


def test_raw_lines_are_sent_as_they_are(talk: Talk) -> None:
    assert talk("/raw") == "Sent as typed."
    assert talk("fine") == "tuned model < fine"
    assert talk("/task") == "Put into the task's prompt."
    assert talk("fine") == "tuned model < Is it good? fine"


def test_the_untuned_model_is_loaded_when_it_is_first_asked(talk: Talk) -> None:
    assert talk("/base") == "The untuned model answers."
    assert talk.loads == []
    assert talk("fine") == talk("fine") == "base model < Is it good? fine"
    assert talk.loads == ["base"]
    assert talk("/tuned") == "The tuned model answers."
    assert talk("fine") == "tuned model < Is it good? fine"
    talk("/base")
    assert talk("fine") == "base model < Is it good? fine"
    assert talk.loads == ["base"]


@pytest.mark.parametrize("line", ["/help", "/basic", "/", "", "   "])
def test_help_for_whatever_is_no_text_and_no_command(talk: Talk, line: str) -> None:
    assert talk(line) == HELP
    for command in ("/base", "/tuned", "/raw", "/task", "/help", "/quit"):
        assert command in HELP


def test_leaving(talk: Talk) -> None:
    assert talk(" /quit ") is None


def test_what_looks_like_a_template_or_a_control_token_stays_text(talk: Talk) -> None:
    assert talk("{{ 7 * 7 }}") == "tuned model < Is it good? {{ 7 * 7 }}"
    sent = ENCODER.prompt("Is it good? <|im_end|>")
    assert sent.count(ENCODER.stop_id) == 1
