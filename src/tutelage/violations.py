"""Violations of a schema as sentences: one per key, with its address and a remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tutelage.errors import nearest
from tutelage.yamlfile import KeyPath

# What a value must be, by pydantic's error type; the braces are filled from the error's context.
_MUST = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a section of keys",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list, such as [a, b]",
    "literal_error": "{expected}",
    "model_type": "a section of keys",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_type": "text",
    "too_short": "a list of at least {min_length}",
}


def violations(
    error: ValidationError, model: type[BaseModel], data: Any, address: Callable[[KeyPath], str]
) -> list[str]:
    """One sentence or two for every key that `error` complains of, in the model's order.

    Args:
        error: what validating `data` as `model` raised.
        model: the section at the root.
        data: the plain data that was validated.
        address: the place of a key path, `file:line:section.key`.
    """
    grouped: dict[KeyPath, list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        missing = detail["type"] == "missing"
        path = _data_path(detail["loc"], data, keep_last=missing)
        grouped.setdefault(path, []).append(detail)
    return [
        f"{address(path)}: {_sentence(path, details, model)}" for path, details in grouped.items()
    ]


def dotted(path: KeyPath) -> str:
    """`task.labels.0` for ("task", "labels", 0)."""
    return ".".join(str(part) for part in path)


def _data_path(loc: KeyPath, data: Any, *, keep_last: bool) -> KeyPath:
    """The part of an error's location that addresses data; tags of unions fall out."""
    path: list[str | int] = []
    for part in loc:
        inside = range(len(data)) if isinstance(data, list) else data
        if isinstance(inside, (Mapping, range)) and part in inside:
            data = data[part]
            path.append(part)
        elif keep_last and part == loc[-1]:
            path.append(part)
    return tuple(path)


def _sentence(path: KeyPath, details: list[Mapping[str, Any]], model: type[BaseModel]) -> str:
    kinds = {detail["type"] for detail in details}
    if "extra_forbidden" in kinds:
        return _unknown_key(path, model)
    if "missing" in kinds:
        return "is missing. Add it."
    if "value_error" in kinds:
        said = dict.fromkeys(_said(d) for d in details if d["type"] == "value_error")
        return "; ".join(said) + ". Correct it."
    musts = dict.fromkeys(_must(detail) for detail in details)
    value = details[0]["input"]
    shown = "empty" if value is None else repr(value)
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return f"is {shown}, but must be {' or '.join(musts)}.{_remedy(path, model)}"


def _said(detail: Mapping[str, Any]) -> str:
    return str(detail["msg"]).removeprefix("Value error, ").rstrip(".")


def _must(detail: Mapping[str, Any]) -> str:
    pattern = _MUST.get(detail["type"])
    if pattern is None:
        return str(detail["msg"]).removeprefix("Input should be ")
    context = detail.get("ctx", {})
    return pattern.format(
        **{k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
    )


def _remedy(path: KeyPath, model: type[BaseModel]) -> str:
    section = section_at(model, path[:-1])
    info = section.model_fields.get(str(path[-1])) if section and path else None
    if info is None or info.is_required():
        return " Correct it."
    default = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        return " Correct it or leave it out."
    plain = default if isinstance(default, str) else json.dumps(default)
    return f" Correct it or leave it out (default: {plain})."


def _unknown_key(path: KeyPath, model: type[BaseModel]) -> str:
    """Names the key meant: in the same section first, else of the same name in another one."""
    section, key = section_at(model, path[:-1]), str(path[-1])
    siblings = list(section.model_fields) if section else []
    hint = nearest(key, siblings)
    if not hint:
        elsewhere = [name for name in key_names(model) if name.rpartition(".")[2] == key]
        hint = f" Did you mean {elsewhere[0]!r}?" if elsewhere else ""
    return f"there is no such key.{hint} Known here: {', '.join(siblings)}."


def section_at(model: type[BaseModel] | None, path: KeyPath) -> type[BaseModel] | None:
    """The section that stands at a key path of `model`, None where there is none."""
    for part in path:
        if model is None:
            return None
        if isinstance(part, int):
            continue
        info = model.model_fields.get(part)
        model = _section_in(info.annotation) if info else None
    return model


def key_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted keys of a section and the sections in it."""
    names = []
    for name, info in model.model_fields.items():
        names.append(prefix + name)
        section = _section_in(info.annotation)
        if section is not None:
            names += key_names(section, f"{prefix}{name}.")
    return names


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section in an annotation such as `Section | None` or `list[Section]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_in(part) for part in get_args(annotation))
    return next((section for section in found if section), None)
