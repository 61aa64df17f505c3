"""Chat with a finished run: what is asked, what is answered, how one leaves."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from tutelage import Result
from tutelage.pipeline.chat import HELP, converse
from tutelage.progress import Quiet


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[str]]:
    """Lines that the user types, and the prompts shown."""
    waiting: list[Any] = []
    prompts: list[str] = []

    def read(prompt: str) -> str:
        prompts.append(prompt)
        line = waiting.pop(0)
        if isinstance(line, type):
            raise line
        return str(line)

    monkeypatch.setattr(builtins, "input", read)
    return waiting, prompts


@pytest.mark.parametrize("leave", ["/quit", EOFError, KeyboardInterrupt])
def test_a_conversation_with_a_finished_run(
    tiny_run: Result, typed: tuple[list[Any], list[str]], capsys: Any, leave: Any
) -> None:
    waiting, prompts = typed
    waiting += ["superb", "/base", "superb", leave]
    converse(Path(tiny_run.path), "cpu", Quiet())
    assert prompts == ["tuned> ", "tuned> ", "base> ", "base> "]
    out = capsys.readouterr().out
    assert out.startswith(HELP)
    assert "The untuned model answers." in out
