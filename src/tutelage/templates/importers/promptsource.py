"""PromptSource: one YAML file per data set, prompt and answer in one Jinja text.

`dataset`, `subset`, and `templates`: uuid → `!Template` with `name`, `jinja`, `answer_choices`
(Jinja, joined by the separator), `reference`, `metadata`. Public templates, Apache-2.0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tutelage.templates.importers.foreign import Foreign, Unreadable, raw_of
from tutelage.templates.importers.foreign_yaml import TAG, VALUE, dump
from tutelage.templates.schema import Template

FORMAT = "promptsource"


def recognises(data: Any) -> bool:
    """Whether plain data looks like a file of this format."""
    return isinstance(data, dict) and "dataset" in data and isinstance(data.get("templates"), dict)


def read(data: dict[str, Any], file: str) -> list[Foreign | Unreadable]:
    """The templates of a file."""
    head = {key: value for key, value in data.items() if key != "templates"}
    place = "/".join(str(data[key]) for key in ("dataset", "subset") if data.get(key))
    return [_read(key, node, head, place, file) for key, node in data["templates"].items()]


def write(templates: Sequence[Template]) -> str:
    """The YAML of the file that these templates came from; the inverse of `read`."""
    data: dict[str, Any] = {}
    for template in templates:
        raw = raw_of(template)
        data |= raw["file"]
        data.setdefault("templates", {})[raw["key"]] = raw["template"]
    return dump(data)


def _read(key: str, node: Any, head: dict[str, Any], place: str, file: str) -> Foreign | Unreadable:
    fields = node[VALUE] if isinstance(node, dict) and TAG in node else node
    if not isinstance(fields, dict) or not isinstance(fields.get("jinja"), str):
        return Unreadable(file, str(key), "parse", "has no text under `jinja`.")
    choices = fields.get("answer_choices")
    name = str(fields.get("name") or key)
    if choices is not None and not isinstance(choices, str):
        return Unreadable(file, name, "parse", "`answer_choices` is not text.")
    flag = _metadata(fields).get("choices_in_prompt")
    return Foreign(
        file=file,
        name=name,
        family=place,
        format=FORMAT,
        dialect=FORMAT,
        prompt=fields["jinja"],
        choices=choices or None,
        shows_choices=flag if isinstance(flag, bool) else None,
        raw={"file": head, "key": key, "template": json.loads(json.dumps(node))},
        key=str(fields.get("id") or key),
        origin=f"PromptSource {place} {key}",
    )


def _metadata(fields: dict[str, Any]) -> dict[str, Any]:
    """What stands under `metadata`, its tag aside."""
    found = fields.get("metadata")
    found = found[VALUE] if isinstance(found, dict) and TAG in found else found
    return found if isinstance(found, dict) else {}
