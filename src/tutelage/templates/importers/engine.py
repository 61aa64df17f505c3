"""Rendering of foreign templates as their own projects do, for the child process.

`promptsource`: one text holds prompt and answer; it is rendered first and split at the separator
after, since the separator may stand inside an `if`. A separator in the data stays data.
`lm_eval`: prompt, target and choices are texts of their own; each is a field name or Jinja, a
target may be an index into the choices.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any

from tutelage.templates.importers.sandbox import DIALECTS, text_of

SEPARATOR = "|||"
_PRIVATE_USE = range(0xE000, 0xF8FF)


class NoResultError(Exception):
    """A row that gives no prompt and answer; `kind` as in `child.Failure`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def render(common: Mapping[str, Any], item: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Render one row.

    Args:
        common: `template` (`id`, `dialect`, `prompt`, `completion`, `choices`, `description`,
            `gen_prefix`, `target_delimiter`, `fewshot_delimiter`; see `imported.engine`), `seed`.
        item: `id` of the row and its `fields`.
        limit: characters of one part.

    Returns:
        `prompt`, `completion`, and `choices` (a list, or None where there are none).

    Raises:
        NoResultError: a part is empty, or there are not exactly two.
    """
    template, fields = common["template"], item["fields"]
    key = (str(common["seed"]), template["id"], item["id"])
    if template["dialect"] not in DIALECTS:
        said = f"there is no dialect {template['dialect']!r}; known: {', '.join(DIALECTS)}."
        raise NoResultError("error", said)
    if template["dialect"] == "promptsource":
        result = _joined(template, fields, key, limit)
    else:
        result = _parts(template, fields, key, limit)
    for part in ("prompt", "completion"):
        if not result[part].strip():
            raise NoResultError("empty", f"the {part} is empty.")
    return result


def _joined(
    template: Mapping[str, Any], fields: dict[str, Any], key: tuple[str, ...], limit: int
) -> dict[str, Any]:
    if "answer_choices" in fields:
        raise NoResultError("error", "a field is named `answer_choices`. Give it another name.")
    guard = _guard(template, fields)
    if guard:
        fields = _each_text(fields, lambda text: _guarded(text, guard))
    choices: list[str] | None = None
    if template.get("choices") is not None:
        said = text_of("promptsource", template["choices"], fields, (*key, "choices"), limit)
        choices = [choice.strip() for choice in said.split(SEPARATOR)]
    seen = {**fields, "answer_choices": choices}
    said = text_of("promptsource", template["prompt"], seen, (*key, "text"), limit)
    parts = [part.strip() for part in said.split(SEPARATOR)]
    if len(parts) != 2:
        what = "nothing" if not said.strip() else f"{len(parts)} part{'s' * (len(parts) > 1)}"
        raise NoResultError("parts", f"gives {what} where it should give a prompt and an answer.")
    found = {"prompt": parts[0], "completion": parts[1], "choices": choices}
    return _each_text(found, lambda text: text.replace(guard, "|")) if guard else found


def _guard(template: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """A character that stands for `|` in data which could be taken for a separator, or nothing.

    One for one, so that filters which count characters count the same.
    """
    data = json.dumps(fields, ensure_ascii=False)
    if "|" not in data:
        return ""
    everything = data + template["prompt"] + (template.get("choices") or "")
    for character in map(chr, _PRIVATE_USE):
        if character not in everything:
            return character
    raise NoResultError("error", "the data uses every private-use character.")


def _guarded(text: str, guard: str) -> str:
    """Separators replaced, and the `|` at both ends, which could join one in the template."""
    text = text.replace(SEPARATOR, guard * len(SEPARATOR))
    inside = text.strip("|")
    before = len(text) - len(text.lstrip("|")) if inside else len(text)
    return guard * before + inside + guard * (len(text) - before - len(inside))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of plain data with every text changed, however nested."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_each_text(k, change): _each_text(v, change) for k, v in value.items()}
    return [_each_text(v, change) for v in value] if isinstance(value, list) else value


def _parts(
    template: Mapping[str, Any], fields: Mapping[str, Any], key: tuple[str, ...], limit: int
) -> dict[str, Any]:
    def value(part: str, source: str) -> Any:
        """A field's value where the text names a field, else the rendered text."""
        if source in fields:
            return fields[source]
        return text_of("lm_eval", source, fields, (*key, part), limit)

    choices = _choices(template, value)
    text = _number(value("prompt", template["prompt"]), choices)
    if not isinstance(text, str):
        raise NoResultError("error", "every choice is a prompt of its own; not supported.")
    target = _target(value("completion", template["completion"]), choices)
    description = template.get("description") or ""
    if description:
        text = str(value("description", description)) + text
    prefix = template.get("gen_prefix") or ""
    if prefix:
        prefix = str(value("gen_prefix", prefix))
        apart = text and not (text[-1].isspace() or prefix[:1].isspace())
        text += (template.get("target_delimiter", " ") if apart else "") + prefix
    return {"prompt": text, "completion": target, "choices": choices}


def _choices(template: Mapping[str, Any], value: Any) -> list[str] | None:
    source = template.get("choices")
    if source is None or isinstance(source, list):
        return source
    found = value("choices", source)
    if isinstance(found, str):
        try:
            found = ast.literal_eval(found)
        except (SyntaxError, ValueError) as error:
            raise NoResultError("error", "`doc_to_choice` does not give a list.") from error
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, (list, tuple)):
        raise NoResultError("error", "`doc_to_choice` does not give a list.")
    return [str(choice) for choice in found]


def _number(found: Any, choices: list[str] | None) -> Any:
    """Digits count as an index where there are choices."""
    return (
        int(found) if choices is not None and isinstance(found, str) and found.isdigit() else found
    )


def _target(found: Any, choices: list[str] | None) -> str:
    found = _number(found, choices)
    if isinstance(found, str) and found[:1] == "[" and found[-1:] == "]":
        try:
            found = ast.literal_eval(found)
        except (SyntaxError, ValueError):
            return str(found)
    if isinstance(found, list):
        if not found:
            raise NoResultError("empty", "the list of targets is empty.")
        found = found[0]
    if isinstance(found, int) and choices is not None:
        if not 0 <= found < len(choices):
            raise NoResultError("error", f"the target is {found}, for {len(choices)} choices.")
        return choices[found]
    return str(found)
