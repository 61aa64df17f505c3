"""Chat: try the tuned model, and the untuned one beside it, in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tutelage.evaluate.generate import greedy
from tutelage.machine.device import choose_device
from tutelage.models.load import find_model, load_model, load_tokenizer
from tutelage.pipeline.prediction import Predictor
from tutelage.pipeline.rundir import existing
from tutelage.progress import Progress
from tutelage.records import Turn
from tutelage.tokens.encode import Encoder

HELP = """Type a text; it is put into the task's prompt and the tuned model answers.
  /base   switch to the untuned model      /tuned  switch back
  /raw    send what you type as it is      /task   put it into the task's prompt again
  /help   this page                        /quit   leave (or ctrl-D)"""
_MAX_NEW = 128


@dataclass(slots=True)
class Conversation:
    """State of a chat: which model answers, and whether the task's prompt is used."""

    predictor: Predictor
    load_base: Callable[[], tuple[Any, Encoder]]
    base: bool = False
    raw: bool = False
    _loaded: tuple[Any, Encoder] | None = field(default=None)

    def reply(self, line: str) -> str | None:
        """The answer to one line, or None where the user leaves."""
        line = line.strip()
        if line == "/quit":
            return None
        if line.startswith("/"):
            return self._command(line)
        return self._generate(line) if line else HELP

    def _command(self, line: str) -> str:
        if line in ("/base", "/tuned"):
            self.base = line == "/base"
            return f"The {'untuned' if self.base else 'tuned'} model answers."
        if line in ("/raw", "/task"):
            self.raw = line == "/raw"
            return "Sent as typed." if self.raw else "Put into the task's prompt."
        return HELP

    def _generate(self, line: str) -> str:
        prompt = line
        turns: tuple[Turn, ...] = ()
        if not self.raw:
            example = self.predictor.prompt(line)
            prompt, turns = example.prompt, example.turns
        model, encoder = self.predictor.answerer.model, self.predictor.answerer.encoder
        if self.base:
            self._loaded = self._loaded or self.load_base()
            model, encoder = self._loaded
        ids = greedy(model, encoder.prompt(prompt, (), turns), encoder.stop_id, _MAX_NEW)
        return encoder.decode(ids).strip()


def converse(path: Path, device: str, progress: Progress, task: str | None = None) -> None:
    """Read lines and answer them until the user leaves."""
    predictor = Predictor.open(path, device, progress, task)
    run = existing(path)

    def load_base() -> tuple[Any, Encoder]:
        folder = find_model(run.config.model, progress).folder
        return load_model(folder, choose_device(device)), Encoder(load_tokenizer(folder))

    talk = Conversation(predictor, load_base)
    print(HELP)
    while True:
        try:
            line = input("base> " if talk.base else "tuned> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        answer = talk.reply(line)
        if answer is None:
            return
        print(answer)
