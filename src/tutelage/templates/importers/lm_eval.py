"""lm-evaluation-harness: one task per YAML file, prompt, target and choices apart.

What needs Python (`!function`, a `class`) or another file (`include`) is reported, never executed.
"""

from __future__ import annotations

from typing import Any

from tutelage.templates.importers.foreign import Foreign, Unreadable, raw_of
from tutelage.templates.importers.foreign_yaml import TAG, VALUE, dump
from tutelage.templates.schema import Template

FORMAT = "lm_eval"
_PARTS = ("doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix")
_DELIMITERS = {"target_delimiter": " ", "fewshot_delimiter": "\n\n"}


def recognises(data: Any) -> bool:
    """Whether plain data looks like a task of this format."""
    keys = ("doc_to_text", "doc_to_target", "doc_to_choice", "output_type", "include")
    return isinstance(data, dict) and "templates" not in data and any(k in data for k in keys)


def read(data: dict[str, Any], file: str) -> list[Foreign | Unreadable]:
    """The one task of a file."""
    name = _text(data.get("task")) or file
    why = _unsupported(data)
    if why:
        return [Unreadable(file, name, "parse", why)]
    choices = data.get("doc_to_choice")
    if isinstance(choices, dict):
        choices = [pair[1] for pair in choices[VALUE]] if TAG in choices else list(choices.values())
    if isinstance(choices, list):
        choices = [_text(choice) for choice in choices]
    options = {key: _text(data[key]) for key in ("description", "gen_prefix") if data.get(key)}
    options |= {key: _text(data.get(key, default)) for key, default in _DELIMITERS.items()}
    return [
        Foreign(
            file=file,
            name=name,
            family=_text(data.get("dataset_path")).rpartition("/")[2] or name,
            format=FORMAT,
            dialect=FORMAT,
            prompt=_text(data["doc_to_text"]),
            completion=_text(data["doc_to_target"]),
            choices=choices,
            options=options,
            raw=data,
            key=name,
            origin=f"lm-evaluation-harness {name}",
        )
    ]


def write(template: Template) -> str:
    """The YAML of the task that this template came from; the inverse of `read`."""
    return dump(raw_of(template))


def _unsupported(data: dict[str, Any]) -> str:
    """Why a task cannot be imported; empty where it can."""
    tagged = [key for key in _PARTS if isinstance(data.get(key), dict) and TAG in data[key]]
    for key in tagged:
        if data[key][TAG] == "!function":
            return f"`{key}` is Python (`!function {data[key][VALUE]}`), which is never executed."
    if data.get("class"):
        return "the task is Python (`class`), which is never executed."
    missing = [key for key in ("doc_to_text", "doc_to_target") if data.get(key) in (None, "")]
    if missing and "include" in data:
        return f"`{missing[0]}` comes from another file (`include: {data['include']}`). Merge them."
    if missing:
        return f"has no `{missing[0]}`."
    if isinstance(data["doc_to_text"], int):
        return "`doc_to_text` is an index: every choice is a prompt of its own."
    return ""


def _text(value: Any) -> str:
    """The spelling that the harness reads back as the same value."""
    return "" if value is None else str(value)
