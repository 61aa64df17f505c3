"""The rules that need no rows: syntax, wording, names, and templates against each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from tutelage.errors import ConfigError
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.parts import PARTS, PROMPT_PARTS, RESERVED, Part, variables
from tutelage.templates.schema import Template
from tutelage.templates.wording import (
    VALUE,
    assigned_names,
    has_branches,
    shared_wording,
    skeleton,
    word_trigrams,
)

MOST_SHARED = 0.8
_CONTROL_TOKEN = re.compile(
    r"<[|｜][^|｜<>\n]{1,40}[|｜]>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|[<\[](?:bos|eos|pad|unk|mask|cls|sep)[>\]]|<extra_id_\d+>|\|\|\|",
    re.IGNORECASE,
)
_STRAY_N = re.compile(r"\}\}n(?![\w'’])")
_DOUBLED_SPACE = re.compile(r"(?<=\S) {2,}(?=\S)")
_LITERAL_ESCAPE = re.compile(r"\\[nrt](?![A-Za-z])")
_LIST_MARK = re.compile(r"(?m)(^|\s)\(?(?:\w{1,2}|" + VALUE + r")[)\]]")
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ("“", "”"), ("«", "»"))


def usable(templates: Sequence[Template]) -> tuple[Template, ...]:
    """The templates in our own Jinja whose parts all compile."""
    return tuple(t for t in templates if not t.dialect and not list(_syntax(t)))


def lint_schema(templates: Sequence[Template], fields: Collection[str] = ()) -> Iterator[Finding]:
    """All findings on templates by themselves; `fields` are those of the rows, where known."""
    for template in templates:
        if template.dialect:
            said = f"is in the language of {template.dialect}; only its import checks it."
            yield finding("foreign", template.id, said)
            continue
        broken = list(_syntax(template))
        yield from broken
        if not broken:
            yield from _flow(template)
            yield from _names(template, fields)
            for part in PARTS:
                yield from _slips(template, part)
    yield from _duplicates(templates)
    yield from _similar(usable(templates))


def _syntax(template: Template) -> Iterator[Finding]:
    for part in PARTS:
        try:
            variables(template, part)
        except ConfigError as error:
            yield finding("syntax", template.id, str(error), part)


def _flow(template: Template) -> Iterator[Finding]:
    """What goes from the label into the parts."""
    completion = variables(template, "completion")
    if template.direction == "forward":
        for part in PROMPT_PARTS:
            if "label" in variables(template, part):
                said = "uses `label`: a prompt must not see the right answer."
                yield finding("leak", template.id, f"{part} {said}", part)
        if "label" not in completion:
            said = "does not use `label`, so it is the same for every row."
            yield finding("constant-answer", template.id, f"completion {said}", "completion")
    elif not completion - set(RESERVED):
        said = "asks for no field, though the template is inverted."
        yield finding("constant-answer", template.id, f"completion {said}", "completion")
    else:
        prompt = variables(template, "prompt") | variables(template, "system")
        for name in sorted(prompt & completion - set(RESERVED)):
            said = f"shows `{name}`, which the completion asks for."
            yield finding("leak", template.id, f"prompt {said}", "prompt")


def _names(template: Template, fields: Collection[str]) -> Iterator[Finding]:
    used = frozenset().union(*(variables(template, part) for part in PARTS))
    own = used - set(RESERVED) - {"text"}
    declared = set(template.fields)
    for name in sorted(own - declared) if declared else ():
        yield finding("undeclared-field", template.id, f"uses `{name}`; add it to `fields`.")
    for name in sorted(declared - used):
        if name == "text" or "text" not in used or "text" in declared:
            yield finding("unused-field", template.id, f"`{name}` is declared and never used.")
    if template.choices is not None and not used & set(RESERVED):
        yield finding("unused-choices", template.id, "`choices` are given and never used.")
    known = {*RESERVED, "text", *declared, *fields}
    for part in PARTS:
        for name in sorted(assigned_names(template, part) & known):
            said = f"gives `{name}` another meaning; take another name."
            yield finding("shadowed-name", template.id, f"{part} {said}", part)


def _slips(template: Template, part: Part) -> Iterator[Finding]:
    """Slips of the pen in one part."""
    source = getattr(template, part) or ""
    text = skeleton(template, part)
    for match in _CONTROL_TOKEN.finditer(source):
        said = f"{part} spells the control token {match.group()!r} out."
        yield finding("special-token", template.id, said, part)
    if _STRAY_N.search(source):
        yield finding("stray-n", template.id, f"{part} has `}}}}n`: a lost line break?", part)
    if _DOUBLED_SPACE.search(text):
        yield finding("doubled-space", template.id, f"{part} has two spaces in a row.", part)
    if _LITERAL_ESCAPE.search(text):
        said = "has a backslash with a letter where a line break or tab was meant."
        yield finding("literal-escape", template.id, f"{part} {said}", part)
    if not has_branches(template, part):
        for marks in _unbalanced(text):
            yield finding("unbalanced", template.id, f"{part} has {marks} without partner.", part)
    if part == "prompt" and re.search(r"[ \t]+\n*\Z", source):
        said = "ends with blanks; they are cut, as the answer begins a turn of its own."
        yield finding("trailing-space", template.id, f"{part} {said}", part)
    if part == "completion" and re.match(r"[ \t]", source):
        said = "begins with blanks; they are cut, as the answer begins a turn of its own."
        yield finding("trailing-space", template.id, f"{part} {said}", part)


def _unbalanced(text: str) -> Iterator[str]:
    if text.count('"') % 2:
        yield 'a "'
    text = _LIST_MARK.sub(" ", text)
    for left, right in _PAIRS:
        if text.count(left) != text.count(right):
            yield f"{left} or {right}"


def _duplicates(templates: Sequence[Template]) -> Iterator[Finding]:
    ids: set[str] = set()
    names: dict[tuple[str, str], str] = {}
    bodies: dict[object, str] = {}
    for template in templates:
        if template.id in ids:
            yield finding("duplicate-id", template.id, "another template has this id.")
            continue
        ids.add(template.id)
        same = names.setdefault((template.family, template.name.casefold()), template.id)
        if same != template.id:
            said = f"has the name of {same}, {template.name!r}."
            yield finding("duplicate-name", template.id, said)
        same = bodies.setdefault(_body(template), template.id)
        if same != template.id:
            yield finding("duplicate-body", template.id, f"is worded as {same}.")


def _body(template: Template) -> object:
    """What makes two templates the same, spaces and line breaks aside."""
    choices = template.choices
    kept = tuple(sorted(choices.items()) if isinstance(choices, dict) else choices or ())
    return (*(" ".join((getattr(template, part) or "").split()) for part in PARTS), kept)


def _similar(templates: Sequence[Template]) -> Iterator[Finding]:
    grams = [word_trigrams(template) for template in templates]
    bodies = [_body(template) for template in templates]
    for index, template in enumerate(templates):
        for before in range(index):
            if template.family != templates[before].family or bodies[index] == bodies[before]:
                continue
            share = shared_wording(grams[index], grams[before])
            if share > MOST_SHARED:
                said = f"shares {share:.0%} of its word 3-grams with {templates[before].id}."
                yield finding("similar", template.id, said)
