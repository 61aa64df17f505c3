"""Preview of every kind of task and source, in the terminal and as a page.

What is marked must be what is trained: the answer of the row and the stop token, and no more. The
answers are known from the rows that the test writes, not from the code that marks them.
"""

from __future__ import annotations

import ast
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from command import call
from tiny import END_OF_TURN

ROWS = 4
STYLED = re.compile(r"\x1b\[([0-9;]*)m")
TRAINED_STYLE = "1;30;42"  # bold black on green
Answers = dict[str, set[str]]
"""By the beginning of a row's text, what may be trained for it."""


class Shown(NamedTuple):
    """An example as it is shown: all of its text, and what of it is marked."""

    text: str
    trained: list[str]


def choice_task() -> tuple[dict[str, Any], Answers]:
    rows = [
        {
            "question": f"case {n}: which is it?",
            "options": [f"red {n}", f"blue {n}"],
            "right": n % 2,
        }
        for n in range(12)
    ]
    _write_lines("quiz.jsonl", rows)
    task = {
        "source": {"path": "quiz.jsonl"},
        "fields": {"question": "question"},
        "label": "right",
        "choices": "options",
        "templates": ["multiple-choice/*"],
    }
    return task, {
        row["question"]: _wordings(row["options"][row["right"]], row["right"]) for row in rows
    }


def _wordings(option: str, place: int) -> set[str]:
    """How the library answers with an option: its text, its letter or its number."""
    return {option, "AB"[place], str(place + 1)}


def mixture() -> tuple[dict[str, Any], Answers]:
    answers: Answers = {}
    for name, words in (("moods", ("good", "bad")), ("sizes", ("big", "small"))):
        rows = [{"body": f"{name} number {n} here", "is": words[n % 2]} for n in range(12)]
        _write_lines(f"{name}.jsonl", rows)
        part = {"name": name, "source": {"path": f"{name}.jsonl"}, "label": "is"}
        Path(f"{name}.yaml").write_text(json.dumps({"task": {**part, "fields": {"text": "body"}}}))
        answers |= {row["body"]: {row["is"]} for row in rows}
    return {"source": {"mixture": {"tasks": ["moods.yaml", "sizes.yaml"]}}}, answers


def database() -> tuple[dict[str, Any], Answers]:
    rows = [(f"review {n} said this", ("good", "bad")[n % 2]) for n in range(12)]
    with sqlite3.connect("shop.db") as shop:
        shop.execute("create table reviews(body text, mood text)")
        shop.executemany("insert into reviews values(?, ?)", rows)
    source = {"sql": "select body, mood from reviews", "url": "sqlite:///shop.db"}
    task = {"source": source, "fields": {"text": "body"}, "label": "mood"}
    return task, {body: {mood} for body, mood in rows}


def several_references() -> tuple[dict[str, Any], Answers]:
    rows = [
        {"text": f"Long story {n} told.", "short": f"Story {n}.", "other": f"A tale, number {n}."}
        for n in range(12)
    ]
    _write_lines("stories.jsonl", rows)
    task = {
        "source": {"path": "stories.jsonl"},
        "fields": {"text": "text"},
        "answer": ["short", "other"],
        "templates": ["summarisation/*"],
    }
    return task, {row["text"]: {row["short"]} for row in rows}  # the first one is trained on


KINDS: list[Callable[[], tuple[dict[str, Any], Answers]]] = [
    choice_task,
    mixture,
    database,
    several_references,
]


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def task(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_model_dir: Path,
) -> Answers:
    """A task file in a folder of its own, and the answers of its rows."""
    monkeypatch.chdir(tmp_path)
    made, answers = request.param()
    whole = {"task": {"name": request.param.__name__, **made}, "model": str(tiny_model_dir)}
    Path("task.yaml").write_text(json.dumps(whole))
    return answers


def test_in_the_terminal(task: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    before = set(Path().iterdir())
    out = call("preview", "task.yaml", "--rows", str(ROWS)).expect(0).out
    shown = list(_in_terminal(out))
    _check(shown, task)
    for example, said in zip(
        shown, re.findall(r"(\d+) trained tokens \((.*?)\)", out), strict=True
    ):
        pieces = [ast.literal_eval(piece) for piece in said[1].removesuffix(", …").split(", ")]
        assert "".join(example.trained).startswith("".join(pieces))
        assert len(pieces) == min(int(said[0]), 12)
    assert set(Path().iterdir()) == before, "nothing is written"


def test_as_a_page(task: Answers) -> None:
    done = call("preview", "task.yaml", "--rows", str(ROWS), "--html", "page.html").expect(0)
    assert done.out.strip() == "Wrote page.html"
    page = _Page()
    page.feed(Path("page.html").read_text(encoding="utf-8"))
    page.close()
    _check(page.shown, task)


def test_a_mixture_shows_every_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_dir: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    made, _ = mixture()
    whole = {"task": {"name": "mixed", **made}, "model": str(tiny_model_dir)}
    Path("task.yaml").write_text(json.dumps(whole))
    out = call("preview", "task.yaml", "--rows", "4").expect(0).out
    assert out.count("moods number") == out.count("sizes number") == 2


def _check(shown: list[Shown], answers: Answers) -> None:
    assert len(shown) == ROWS
    for example in shown:
        row = [beginning for beginning in answers if beginning in example.text]
        assert len(row) == 1, example.text
        (trained,) = example.trained  # one stretch
        assert trained.endswith(END_OF_TURN)
        assert trained.removesuffix(END_OF_TURN) in answers[row[0]]
        assert example.text.endswith(trained), "the answer stands at the end"
        assert example.text.count(END_OF_TURN) > 1, "what others say ends in it too, untrained"


def _in_terminal(out: str) -> Iterator[Shown]:
    """Examples of coloured output, each begun by its address in bold."""
    style, stretches = "", [("", "")]
    for part, is_style in zip(STYLED.split(out), _alternately(), strict=False):
        if is_style:
            style = part
        elif part:
            stretches.append((style, part))
    blocks: list[list[tuple[str, str]]] = []
    for style, part in stretches:
        if style == "1":
            blocks.append([])
        elif blocks and style != "36":
            blocks[-1].append((style, part))
    for block in blocks:
        trained = [part for style, part in block if style == TRAINED_STYLE]
        yield Shown("".join(part for _, part in block).strip("\n"), trained)


def _alternately() -> Iterator[bool]:
    while True:
        yield False
        yield True


class _Page(HTMLParser):
    """Collects the samples of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Shown] = []
        self._inside = self._trained = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._inside = True
            self.shown.append(Shown("", []))
        elif tag == "bdi" and self._inside:
            self._trained = dict(attrs).get("class") == "trained"

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if not self._inside:
            return
        text, trained = self.shown.pop()
        self.shown.append(Shown(text + data, [*trained, data] if self._trained else trained))


def _write_lines(path: str, rows: list[dict[str, Any]]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
