"""Progress on a terminal and without one; what a signal asks for."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from tutelage import console as module
from tutelage.console import Terminal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def drawn_on(stream: io.StringIO, *, color: bool, width: int = 200) -> Terminal:
    """A terminal whose drawing can be read."""
    terminal = Terminal()
    system = "standard" if color else None
    terminal.console = Console(
        file=stream, force_terminal=True, width=width, color_system=system, soft_wrap=True
    )
    return terminal


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


# --- messages ---


@pytest.mark.parametrize("text", ["[bold]no markup[/bold]", "[/]", "[link=x]y", ":smiley: 100%"])
def test_no_markup_comes_out_of_data(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Terminal().say(text)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{text}\n")


def test_no_terminal_codes_come_out_of_data(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say("\x1b[31mred\x1b[0m \x07 \u202e")
    err = capsys.readouterr().err
    assert not {"\x1b", "\x07", "\u202e"} & set(err)
    assert "red" in err


def test_a_long_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1


def test_no_color_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    stream = io.StringIO()
    terminal.console.file = stream
    terminal.console.print("text", style="bold red")
    assert "\x1b[31" not in stream.getvalue()
    assert terminal.console.no_color


# --- bars ---


def test_without_a_terminal_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with Terminal().bar("Training", 100, "steps") as advance:
        advance(10)  # where a resumed run stands; no measure of speed
        for _ in range(45):
            clock.now += 1
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Training: 30/100 steps, about 70 s left",
        "Training: 50/100 steps, about 50 s left",
    ]


def test_quick_work_needs_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal().bar("Rendering", 1000, "rows") as advance:
        for _ in range(1000):
            advance(1)
    assert capsys.readouterr().err == ""


def test_a_bar_that_does_not_move_says_no_time(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with Terminal().bar("Fetching", 10, "B") as advance:
        advance(0)
        clock.now += 30
        advance(0)
    assert capsys.readouterr().err == "Fetching: 0/10 B, about nan s left\n"


def test_on_a_terminal_a_bar_is_drawn_and_gone() -> None:
    stream = io.StringIO()
    terminal = drawn_on(stream, color=False)
    with terminal.bar("[bold]Scoring[/]", 3, "rows") as advance:
        advance(2)
        time.sleep(0.15)
    assert "[bold]Scoring[/]" in stream.getvalue()
    assert "2/3" in stream.getvalue()


# --- signals ---


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    before = {name: signal.getsignal(name) for name in SIGNALS}
    terminal = Terminal()
    terminal.listen()
    yield terminal
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_to_stop(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    assert not terminal.stopping()
    os.kill(os.getpid(), number)
    assert terminal.stopping()
    assert capsys.readouterr().err == "Stopping after this step; once more to stop at once.\n"


def test_the_second_signal_stops_at_once(terminal: Terminal) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
