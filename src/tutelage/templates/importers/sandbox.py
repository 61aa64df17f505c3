"""The Jinja of other projects, in a sandbox: plain data, a list of methods, seeded randomness.

Two dialects: `promptsource` (every filter of Jinja, `choice`, `most_frequent`, `zip`) and
`lm_eval` (every filter of Jinja, `regex_replace`; trailing newlines are kept). Lists and mappings
may be changed, since a row is decoded afresh for every rendering. Loops and memory are limited by
the process around it, not here.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any

import jinja2
from jinja2 import filters
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace, pass_context

DIALECTS = ("promptsource", "lm_eval")
MAX_CHARACTERS = 10_000_000  # of one text while rendering; what comes out is limited further
_LARGEST_POWER = 64

METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        [
            "capitalize",
            "casefold",
            "center",
            "count",
            "endswith",
            "find",
            "format",
            "index",
            "isalnum",
            "isalpha",
            "isascii",
            "isdecimal",
            "isdigit",
            "isidentifier",
            "islower",
            "isnumeric",
            "isspace",
            "istitle",
            "isupper",
            "join",
            "ljust",
            "lower",
            "lstrip",
            "partition",
            "removeprefix",
            "removesuffix",
            "replace",
            "rfind",
            "rindex",
            "rjust",
            "rpartition",
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "swapcase",
            "title",
            "upper",
            "zfill",
        ]
    ),
    list: frozenset(
        [
            "append",
            "clear",
            "copy",
            "count",
            "extend",
            "index",
            "insert",
            "pop",
            "remove",
            "reverse",
            "sort",
        ]
    ),
    dict: frozenset(
        [
            "clear",
            "copy",
            "get",
            "items",
            "keys",
            "pop",
            "popitem",
            "setdefault",
            "update",
            "values",
        ]
    ),
    tuple: frozenset(("count", "index")),
}
_HELPERS = (LoopContext, Namespace, Cycler, Joiner)
_GLOBALS = ("range", "namespace", "cycler", "joiner")
_BANNED_FILTERS = ("attr",)


class OutputLimitError(Exception):
    """A text grew beyond what a template may build."""


class ForeignEnvironment(SandboxedEnvironment):
    """One dialect; `draw` is what its random filters draw from, reseeded for every row."""

    intercepted_binops = frozenset(("*", "**", "%", "+"))

    def __init__(self, dialect: str) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            keep_trailing_newline=dialect == "lm_eval",
            optimized=False,
        )
        self.draw = random.Random(0)  # noqa: S311 - wording, not secrets
        self.globals = {name: self.globals[name] for name in _GLOBALS}
        added: dict[str, Callable[..., Any]] = {"random": self._choice_filter()}
        if dialect == "promptsource":
            self.globals["zip"] = zip
            added |= {"choice": self._choice_filter(), "most_frequent": _most_frequent}
        else:
            added["regex_replace"] = _regex_replace
        known = {**filters.FILTERS, **added}
        self.filters = {k: _bounded(f) for k, f in known.items() if k not in _BANNED_FILTERS}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002
        """Methods of plain data by name; of the helpers of Jinja all that is public."""
        if isinstance(obj, _HELPERS):
            return not attr.startswith("_")
        return attr in METHODS.get(type(obj), ())

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what the sandbox allows, for a text of bounded length."""
        return _checked(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic that cannot build huge texts or numbers in one step."""
        if operator == "*":
            for text, times in ((left, right), (right, left)):
                if isinstance(text, (str, list, tuple)) and isinstance(times, int):
                    _check_length(len(text) * times)
        if operator == "**" and not (abs(left) <= 1 << 32 and abs(right) <= _LARGEST_POWER):
            raise SecurityError("`**` of large numbers is not available")
        return _checked(super().call_binop(context, operator, left, right))

    def _choice_filter(self) -> Callable[..., Any]:
        @pass_context  # so that it is never evaluated while compiling
        def choice(_context: Context, items: Sequence[Any]) -> Any:
            if not isinstance(items, (str, list, tuple)):
                items = list(items)
            if not items:
                raise jinja2.UndefinedError("nothing to choose from: the list is empty")
            return items[self.draw.randrange(len(items))]

        return choice


@lru_cache(maxsize=2)
def environment(dialect: str) -> ForeignEnvironment:
    """The environment of a dialect."""
    return ForeignEnvironment(dialect)


@lru_cache(maxsize=256)
def compiled(dialect: str, source: str) -> jinja2.Template:
    """A compiled text; raises jinja2.TemplateSyntaxError."""
    return environment(dialect).from_string(source)


def text_of(
    dialect: str, source: str, variables: Mapping[str, Any], key: Sequence[str], limit: int
) -> str:
    """Render a text, stopping at `limit` characters.

    Random filters draw from the sha256 of `key` (seed, template id, row id, part), so that a row
    gets the same wording in every process.

    Raises:
        OutputLimitError: the text is longer.
        jinja2.TemplateError: syntax, an undefined variable, or what the sandbox forbids.
    """
    template = compiled(dialect, source)
    digest = hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).digest()
    environment(dialect).draw.seed(int.from_bytes(digest, "big"))
    pieces, length = [], 0
    for piece in template.generate(variables):
        pieces.append(piece)
        length += len(piece)
        _check_length(length, limit)
    return "".join(pieces)


def _most_frequent(items: Sequence[Any]) -> list[Any] | None:
    """All items that occur most often, in order of first occurrence; None of nothing."""
    if not items:
        return None
    counts = Counter(items)
    most = max(counts.values())
    return [item for item, count in counts.items() if count == most]


def _regex_replace(text: str, pattern: str, repl: str, count: int = 0) -> str:
    return re.sub(pattern, repl, text, count=count)


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with texts of bounded length; keeps what Jinja notes on a filter."""

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        return _checked(function(*args, **kwargs))

    return bounded


def _checked(value: Any) -> Any:
    if isinstance(value, str):
        _check_length(len(value))
    return value


def _check_length(length: int, limit: int = MAX_CHARACTERS) -> None:
    if length > limit:
        raise OutputLimitError(f"builds a text of over {limit} characters. Shorten it.")
