"""Text from data, made safe to look at: nothing hides in it, nothing moves its neighbours."""

from __future__ import annotations

import re
import unicodedata

# Embeddings, overrides and isolates reorder the text around them, and a stray "pop isolate"
# would even end the isolation that `<bdi>` gives.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = re.compile(r"\s*\n\s*|\t+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]|~#@$^])")
_BLOCK_START = re.compile(r"^(\d{0,9})([-+=.)])(?=\s|$|[-=])")
_AUTOLINK = re.compile(r"(?i)(https?|ftp|mailto|xmpp)(:)|(www)(\.)")


def _shown(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    # C1 controls, lone surrogates and line separators; XML refuses the last two code points.
    hidden = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
    if hidden or character in _BIDI_CONTROLS or code in {0xFEFF, 0xFFFE, 0xFFFF}:
        return f"\u27e8U+{code:04X}\u27e9"
    return character


def visible(text: str) -> str:
    """The same text with control characters shown as symbols; line feeds and tabs stay.

    C0 controls become control pictures (U+2400...), all others their code, `⟨U+202E⟩`. A
    carriage return before a line feed is dropped. Joiners and marks that scripts and emoji need
    are kept.
    """
    return "".join(map(_shown, text.replace("\r\n", "\n")))


def one_line(text: str, limit: int | None = None) -> str:
    """Visible text on one line, cut with an ellipsis after `limit` characters."""
    line = _LINE_BREAKS.sub(" ", visible(text.strip()))
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clipped(text: str, limit: int) -> str:
    """The beginning of a long text, and how much of it is not shown."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: on one line, no markup, no HTML, no table cell.

    Escapes what CommonMark 0.31 and GitHub's tables, strikethrough, mentions, math and
    autolinks react to; a reader may still turn the bare address of a page into a link.
    """
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text))
    escaped = _BLOCK_START.sub(r"\1\\\2", escaped)
    escaped = _AUTOLINK.sub(lambda m: (m[1] or m[3]) + "\\" + (m[2] or m[4]), escaped)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
