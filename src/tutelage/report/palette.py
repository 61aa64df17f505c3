"""The colours of page and figures, each by its role, in light and dark.

Blue against orange keeps apart under the common colour blindnesses (Okabe & Ito 2008), and no
colour carries a meaning without a word or a shape beside it.
"""

from __future__ import annotations

from types import MappingProxyType

# Every light value occurs once: figures are drawn with these and recoloured by value.
LIGHT = MappingProxyType(
    {
        "surface": "#fdfdfc",
        "panel": "#f4f5f4",
        "ink": "#1b2025",
        "quiet": "#5b656e",
        "line": "#dfe2e3",
        "tuned": "#0a66b0",
        "best": "#b15500",
        "good": "#0b7453",
        "bad": "#b3261f",
        "doubt": "#805c00",
    }
)
DARK = MappingProxyType(
    {
        "surface": "#14171a",
        "panel": "#1d2125",
        "ink": "#e5e8ea",
        "quiet": "#9ba5ad",
        "line": "#343b41",
        "tuned": "#66b2f4",
        "best": "#f0a257",
        "good": "#4fc592",
        "bad": "#f58b81",
        "doubt": "#dcb356",
    }
)


def css_variables(dark: bool) -> str:
    """Declarations `--role:#colour` for a rule of the page's style sheet."""
    return ";".join(f"--{role}:{colour}" for role, colour in (DARK if dark else LIGHT).items())
