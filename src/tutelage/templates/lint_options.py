"""The rules about options and lengths: prefixes, spelling, tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from tutelage.records import Row
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.render import Rendered, row_kind
from tutelage.templates.schema import Template

TokenIds = Callable[[str], Sequence[int]]
Pairs = Sequence[tuple[Row, Rendered]]
_UNEVEN_TIMES, _UNEVEN_TOKENS = 2, 3
_SHARES = (50, 95, 99)


def lint_options(template: Template, pairs: Pairs, token_ids: TokenIds | None) -> Iterator[Finding]:
    """Options that begin one another, and labels of very different length."""
    seen = {rendered.options: row for row, rendered in reversed(pairs)}
    clash = next(
        ((row, *pair) for options, row in seen.items() for pair in _prefixes(options, token_ids)),
        None,
    )
    if clash is not None:
        row, short, long = clash
        rule = "prefix-text" if token_ids is None else "prefix-choice"
        yield finding(rule, template.id, f"the option {short!r} begins {long!r}.", row.where)
    fixed = [r.options for row, r in pairs if row_kind(row) == "classification"]
    if token_ids is None or not fixed or template.direction == "inverted":
        return
    lengths = {option: len(token_ids(option)) for option in fixed[0]}
    short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
    least, most = lengths[short], lengths[long]
    if most > _UNEVEN_TIMES * least and most - least >= _UNEVEN_TOKENS:
        said = f"{long!r} takes {most} tokens, {short!r} {least}."
        yield finding("uneven-labels", template.id, said)


def lint_lengths(
    template: Template, pairs: Pairs, token_ids: TokenIds | None, context: int | None
) -> Iterator[Finding]:
    """Prompts that do not fit the context with their longest option."""
    if token_ids is None or context is None or not pairs:
        return
    measured = lru_cache(maxsize=None)(lambda text: len(token_ids(text)))
    lengths = sorted(
        measured(r.system or "") + measured(r.prompt) + max(map(measured, r.options))
        for _, r in pairs
    )
    over = sum(length > context for length in lengths)
    if over:
        spread = ", ".join(f"p{p} {lengths[(len(lengths) - 1) * p // 100]:,}" for p in _SHARES)
        said = (
            f"{over:,} of {len(lengths):,} rows ({over / len(lengths):.0%}) take over {context:,} "
            f"tokens ({spread}, longest {lengths[-1]:,})."
        )
        yield finding("too-long", template.id, said)


def lint_styles(
    templates: Sequence[Template],
    whole: Mapping[str, Sequence[Rendered]],
    rows: Sequence[Row],
) -> Iterator[Finding]:
    """Templates of one family whose answers differ in capitals or punctuation only."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    told: set[str] = set()
    for template in templates:
        if template.direction == "inverted":
            continue
        options = [(i, o) for i, r in enumerate(whole[template.id]) for o in r.options]
        for index, option in options:
            key = (f"{template.family}\0{index}", "".join(re.findall(r"\w+", option.casefold())))
            other, spelling = first.setdefault(key, (template.id, option))
            if spelling != option and key[1] and template.id not in told:
                told.add(template.id)
                said = f"answers {option!r} where {other} answers {spelling!r}."
                yield finding("answer-style", template.id, said, rows[index].where)


def _prefixes(options: Sequence[str], token_ids: TokenIds | None) -> Iterator[tuple[str, str]]:
    """Pairs of options of which the first begins the second."""
    if token_ids is not None:
        ids = sorted((tuple(token_ids(option)), option) for option in options)
        for (a, short), (b, long) in pairwise(ids):
            if b[: len(a)] == a:
                yield short, long
        return
    for short in options:
        for long in options:
            if len(short) < len(long) and long.startswith(short) and not long[len(short)].isalnum():
                yield short, long
