"""What contradicts, by kind of task."""

from __future__ import annotations

from typing import Any

from tutelage.data.conflicts import Conflict, find_conflicts
from tutelage.data.inputs import Inputs
from tutelage.records import Row


def conflicts(*rows: tuple[str, str, dict[str, Any]]) -> tuple[Conflict, ...]:
    made = [
        Row(str(i), {"text": text}, label, f"t:{i}", **more)
        for i, (text, label, more) in enumerate(rows, 1)
    ]
    return find_conflicts(made, Inputs.of_rows(made))


def answers(text: str, *answers: str) -> tuple[str, str, dict[str, Any]]:
    return text, answers[0], {"answers": answers}


def test_equal_inputs_with_different_classes() -> None:
    assert conflicts(("Fine.", "pos", {}), ("fine. ", "neg", {}), ("bad", "neg", {})) == (
        Conflict(("1", "2"), ("pos", "neg")),
    )
    assert conflicts(("x", "a", {}), ("x", "a", {})) == ()


def test_text_answers_contradict_where_none_is_shared() -> None:
    assert conflicts(answers("q", "Paris", "in Paris"), answers("q", "paris ")) == ()
    assert conflicts(answers("q", "a", "b"), answers("q", "b", "c"), answers("q", "c")) == ()
    (found,) = conflicts(answers("q", "a", "b"), answers("q", "b"), answers("Q", "c"))
    assert found.ids == ("1", "2", "3")


def test_other_options_are_another_question() -> None:
    same, other = {"choices": ("a", "b")}, {"choices": ("b", "c")}
    assert conflicts(("q", "a", same), ("q", "b", other)) == ()
    assert len(conflicts(("q", "a", same), ("q", "b", {"choices": ("B", "a")}))) == 1
