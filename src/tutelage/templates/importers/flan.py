"""FLAN: (input, target) pairs of format strings with `{field}`, `{options_}` and `{answer}`.

Read from JSON or YAML (a list of pairs, or name → list of pairs), or from the literals of a Python
file, which is parsed and never executed. The format strings become Jinja of ours.
"""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any

from tutelage.templates.importers.foreign import Foreign, Unreadable, raw_of
from tutelage.templates.importers.literal import literal
from tutelage.templates.schema import Template

FORMAT = "flan"
_FIELD = re.compile(r"[^\W\d]\w*(?:\[\w+\])*")
_OPTIONS = 'OPTIONS:\n- {{ labels | join("\\n- ") }}'


def recognises(data: Any) -> bool:
    """Whether plain data is pairs of texts, or names of lists of them."""
    if isinstance(data, dict) and data:
        return all(isinstance(pairs, list) and recognises(pairs) for pairs in data.values())
    return isinstance(data, list) and bool(data) and all(map(_is_pair, data))


def read(data: Any, file: str) -> list[Foreign | Unreadable]:
    """The templates of a file."""
    groups = data if isinstance(data, dict) else {None: data}
    family = re.split(r"[/\\]", file)[-1].rpartition(".")[0]
    return [
        _read(pair, group, number, family, file)
        for group, pairs in groups.items()
        for number, pair in enumerate(pairs, 1)
    ]


def write(templates: Sequence[Template]) -> Any:
    """Plain data of the file that these templates came from; the inverse of `read`."""
    raws = [raw_of(template) for template in templates]
    if raws and raws[0]["group"] is None:
        return [raw["pair"] for raw in raws]
    data: dict[str, list[Any]] = {}
    for raw in raws:
        data.setdefault(raw["group"], []).append(raw["pair"])
    return data


def literals(text: str) -> dict[str, Any]:
    """Pairs among the literals that a Python file assigns, by `name` or `name key`.

    Raises:
        ValueError: not Python, or too deeply nested.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"is not Python ({type(error).__name__})") from error
    found: dict[str, Any] = {}
    for name, node in _assigned(tree):
        try:
            value = json.loads(json.dumps(ast.literal_eval(node)))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue  # no literal: code, which is left alone
        if isinstance(value, list) and recognises(value):
            found[name] = value
        elif isinstance(value, dict):
            listed = {k: v for k, v in value.items() if isinstance(v, list) and recognises(v)}
            found |= {f"{name} {key}": pairs for key, pairs in listed.items()}
    return found


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield ast.unparse(target), node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield ast.unparse(node.target), node.value


def _is_pair(pair: Any) -> bool:
    if isinstance(pair, dict):
        return {"input", "target"} <= pair.keys()
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair)


def _read(
    pair: Any, group: str | None, number: int, family: str, file: str
) -> Foreign | Unreadable:
    name = f"{group or family} {number}"
    source, target = (pair["input"], pair["target"]) if isinstance(pair, dict) else pair
    try:
        prompt, asked = _jinja(source)
        completion, shown = _jinja(target)
    except ValueError as error:
        return Unreadable(file, name, "parse", str(error))
    gold = "answer"
    if "answer" not in asked and len(shown - asked) == 1 and target == f"{{{min(shown)}}}":
        completion, gold = "{{ label }}", min(shown)
    return Foreign(
        file=file,
        name=name,
        family=group or family,
        format=FORMAT,
        dialect="",
        prompt=prompt,
        completion=completion,
        raw={"group": group, "pair": pair},
        direction="inverted" if "answer" in asked else "forward",
        gold=gold,
        origin=f"FLAN {name}",
    )


def _jinja(text: Any) -> tuple[str, set[str]]:
    """A format string as Jinja, and its fields."""
    if not isinstance(text, str):
        raise TypeError("a part of the pair is no text.")
    written, fields = [], set()
    for before, field, spec, conversion in string.Formatter().parse(text):
        written.append(literal(before))
        if field is None:
            continue
        if spec or conversion or not _FIELD.fullmatch(field):
            raise ValueError(f"`{{{field}}}` is more than the name of a field.")
        fields.add(field.partition("[")[0])
        if field == "options_":
            written.append(_OPTIONS)
        else:
            written.append("{{ label }}" if field == "answer" else f"{{{{ {_path(field)} }}}}")
    return "".join(written), fields


def _path(field: str) -> str:
    """`a[key][0]` as Jinja: keys are text, digits are places."""
    return re.sub(r"\[(\D\w*)\]", r'["\1"]', field)
