"""Templates → the text of a YAML file that reads back as the same templates."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from tutelage.templates.schema import Template, template_data

_PLAIN = re.compile(r"[A-Za-z_]([A-Za-z0-9_ ./-]*[A-Za-z0-9_])?", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def dump_templates(templates: Sequence[Template]) -> str:
    """YAML that `read_templates` reads back as the same templates.

    Numbers and truth values in `extra` come back as their text: YAML scalars stay what they are.
    """
    yaml = YAML()
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _: True
    stream = io.StringIO()
    yaml.dump({"templates": [_styled(template_data(t)) for t in templates]}, stream)
    return stream.getvalue()


def _styled(value: Any) -> Any:
    """Blocks for texts of several lines; quotes for what a YAML reader could misread."""
    if isinstance(value, dict):
        return {_styled(key): _styled(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_styled(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if _fits_block(value):
        return LiteralScalarString(value)
    return DoubleQuotedScalarString(value)


def _fits_block(text: str) -> bool:
    """Several lines of plain printable text, at most one line feed at the end."""
    lines = text.removesuffix("\n").split("\n")
    plain = all(line.isprintable() and line == line.strip() for line in lines)
    return "\n" in text and plain and bool(lines[0]) and bool(lines[-1])
