"""What a record holds: a row of a table, or ready-made instruction data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from tutelage.tasks.schema import TaskSpec

Shape = Literal["table", "pairs", "alpaca", "sharegpt", "openai"]
PROMPTS = ("prompt", "inputs", "input", "instruction", "question", "query")
COMPLETIONS = ("completion", "targets", "target", "response", "output", "answer")
CONVERSATIONS = ("messages", "conversations", "conversation", "dialog", "turns")
# Only names that hardly mean anything else are guessed from.
_GUESSED_PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("inputs", "targets"),
    ("instruction", "response"),
)


def choose_shape(task: TaskSpec, head: Mapping[str, Any]) -> tuple[Shape, str | None]:
    """The shape that the task's format names, else a guess by keys, and a note on the guess.

    A task that names fields, answers, options or labels, or whose label column is there, reads a
    table.
    """
    if task.source.format in ("pairs", "alpaca", "sharegpt", "openai"):
        in_turns = task.source.format == "pairs" and _are_turns(head.get("prompt"))
        return ("openai" if in_turns else task.source.format), None
    named = task.fields or task.answer or task.choices or task.labels or task.label in head
    if named or task.source.format == "text_folders":
        return "table", None
    shape, keys = _guess(head)
    if shape == "table":
        return shape, None
    told = f"format: {shape}, because the first row has {keys}; task.source.format names another"
    return shape, told


def _guess(head: Mapping[str, Any]) -> tuple[Shape, str]:
    for key in CONVERSATIONS:
        if _are_turns(head.get(key)):
            return ("sharegpt" if "from" in head[key][0] else "openai"), f"{key!r}"
    if _are_turns(head.get("prompt")):
        return "openai", "turns as 'prompt'"
    if "instruction" in head and "output" in head:
        return "alpaca", "'instruction' and 'output'"
    for prompt, completion in _GUESSED_PAIRS:
        if prompt in head and completion in head:
            return "pairs", f"{prompt!r} and {completion!r}"
    return "table", ""


def _are_turns(cell: Any) -> bool:
    return isinstance(cell, list) and bool(cell) and isinstance(cell[0], Mapping)


def pair_columns(task: TaskSpec, columns: Collection[str]) -> tuple[str | None, list[str]]:
    """Columns of prompt and completion: those that the task names, else the first usual names."""
    prompt = task.fields.get("prompt") or next((c for c in PROMPTS if c in columns), None)
    if task.answer is not None:
        answer = [task.answer] if isinstance(task.answer, str) else list(task.answer)
    else:
        answer = [c for c in COMPLETIONS if c in columns and c != prompt][:1]
    return prompt, answer
