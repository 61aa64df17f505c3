"""Plain text as Jinja that renders to it."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"\{(?=[{%#])|\r\n?|\{$")
_QUOTED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(text: str) -> str:
    """Jinja that renders to `text`, braces and carriage returns included.

    >>> literal("a {{ b")
    'a {{ "{" }}{ b'
    """
    return _SPECIAL.sub(lambda found: f'{{{{ "{quoted(found.group())}" }}}}', text)


def quoted(text: str) -> str:
    """The inside of a Jinja text in double quotes."""
    return "".join(_QUOTED.get(character, character) for character in text)
