"""Super-NaturalInstructions: one task per JSON file.

`Definition`, `Positive Examples`, `Negative Examples` (`input`, `output`, `explanation`) and
`Instances` (`input`, several `output`s). The definition becomes the wording, the instances rows
with several gold answers, which a task reads as JSON lines with `fields: {input: input}` and
`answer: output`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from tutelage.templates.importers.foreign import Foreign, Unreadable, raw_of
from tutelage.templates.importers.literal import literal
from tutelage.templates.schema import Template

FORMAT = "super_ni"


def recognises(data: Any) -> bool:
    """Whether plain data looks like a task of this format."""
    return isinstance(data, dict) and "Definition" in data and "Instances" in data


def read(data: dict[str, Any], file: str) -> list[Foreign | Unreadable]:
    """The one template of a task; each row has the field `input`."""
    name = PurePath(file).stem
    definition = _definition(data)
    if not definition:
        return [Unreadable(file, name, "parse", "`Definition` is empty.")]
    categories = data.get("Categories") or data.get("categories") or ["super-ni"]
    return [
        Foreign(
            file=file,
            name=name,
            family=str(categories[0]) if isinstance(categories, list) else str(categories),
            format=FORMAT,
            dialect="",
            prompt=literal(definition) + "\n\n{{ input }}",
            raw={key: value for key, value in data.items() if key != "Instances"},
            rows=tuple(data["Instances"]),
            gold="output",
            origin=f"Super-NaturalInstructions {name}",
        )
    ]


def write(template: Template, rows: Sequence[dict[str, Any]]) -> str:
    """The JSON of the file that this template and its rows came from; the inverse of `read`."""
    return json.dumps({**raw_of(template), "Instances": list(rows)}, ensure_ascii=False, indent=4)


def _definition(data: dict[str, Any]) -> str:
    definition = data["Definition"]
    return "\n".join(map(str, definition)) if isinstance(definition, list) else str(definition)
