"""Trying templates in our own Jinja that were made from foreign ones, for the child process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

from tutelage.records import Row
from tutelage.templates.importers import house
from tutelage.templates.importers.engine import NoResultError
from tutelage.templates.importers.usage import Usage
from tutelage.templates.parts import RESERVED
from tutelage.templates.sandbox import Sandbox

_LABELS = ("first answer", "second answer", "third answer")
_LENGTH = 4


def try_ours(_common: Mapping[str, Any], trial: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Compile a template and render made-up rows; the result is as that of `guess.inspect`.

    Raises:
        jinja2.TemplateSyntaxError: a part is not valid Jinja.
    """
    usage, sandbox = Usage(), Sandbox()
    read: set[str] = set()
    for part in ("prompt", "completion"):
        tree = sandbox.tree(trial[part])
        usage.walk(tree)
        read |= {node.name for node in tree.find_all(jinja2.nodes.Name)}
    names = sorted(usage.variables.keys() - set(RESERVED))
    rows: list[dict[str, Any]] = []
    why = ""
    for variant in range(_LENGTH):
        fields = {name: usage.variables[name].value(variant, _LENGTH) for name in names}
        classes = bool({"labels", "labels_text"} & read)
        try:
            result = _render(trial, fields, _LABELS if classes else (), _LABELS[0], limit)
        except NoResultError as error:
            why = why or str(error)
        else:
            rows.append({"fields": fields, "result": result})
    return {
        "fields": names,
        "gold": trial["gold"],
        "gold_kind": "text",
        "gold_offset": 0,
        "rows": rows,
        "leaks": False,
        "why": "" if rows else why,
    }


def same_in_ours(_common: Mapping[str, Any], item: Mapping[str, Any], limit: int) -> bool:
    """Whether a template in our Jinja renders every made-up row as the foreign one did."""
    trial, found = item["template"], item["found"]
    for row in found["rows"]:
        fields = {name: value for name, value in row["fields"].items() if name != trial["gold"]}
        result = row["result"]
        choices = trial["choices"] or ()
        if choices and result["completion"].strip() not in choices:
            return False
        try:
            ours = _render(trial, fields, choices, result["completion"].strip(), limit)
        except NoResultError:
            return False
        if any(ours[part] != result[part].strip() for part in ("prompt", "completion")):
            return False
    return True


def _render(
    trial: Mapping[str, Any],
    fields: Mapping[str, Any],
    labels: Any,
    label: str,
    limit: int,
) -> dict[str, Any]:
    template = {
        "id": "imported/trial",
        "name": "trial",
        "prompt": trial["prompt"],
        "completion": trial["completion"],
        "choices": trial["choices"],
        "direction": trial["direction"],
    }
    row = Row(
        id="row",
        fields=fields,
        label=label,
        where="a made-up row",
        answers=() if labels else (label,),
    )
    item = house.row_data(row) | {"template": template, "labels": list(labels)}
    got = house.render({"labels": []}, item, limit)
    place = list(labels).index(label) if len(got["options"]) > 1 else 0
    return {
        "prompt": got["prompt"],
        "completion": got["options"][place],
        "choices": got["options"] if labels else None,
    }
