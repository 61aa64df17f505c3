"""The rule about languages: a prompt in one, and what it asks about in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tutelage.languages import language
from tutelage.records import Row
from tutelage.scripts import main_script
from tutelage.templates.lint_finding import Finding, finding
from tutelage.templates.parts import PROMPT_PARTS
from tutelage.templates.schema import Template
from tutelage.templates.wording import VALUE, skeleton

_ROWS, _CHARACTERS = 100, 200
_MARGIN, _LEAST = (
    2.0,
    3,
)  # of frequent words: a wording is short, and `no` is a word of many tongues
_OWN_TOPIC = "target_language"  # a template with this field is about another language


def lint_language(templates: Sequence[Template], rows: Sequence[Row]) -> Iterator[Finding]:
    """Templates in another language, or at least another script, than the texts of the rows.

    A wording that is too short to tell has the language of its family's wordings together.
    """
    data = " ".join(
        value[:_CHARACTERS]
        for row in rows[:: max(1, len(rows) // _ROWS)]
        for value in row.fields.values()
        if isinstance(value, str)
    )
    theirs, script = _language([data]), main_script(data)
    families: dict[str, list[str]] = {}
    for template in templates:
        families.setdefault(template.family, []).append(_wording(template))
    for template in templates:
        wording = _wording(template)
        own = _language([wording]) or _language(families[template.family])
        pairs = ((own, theirs), (main_script(wording), script))
        differ = next(
            ((one, other) for one, other in pairs if one and other and one != other), None
        )
        if differ and _OWN_TOPIC not in template.fields:
            said = f"is worded in {differ[0]}, but the rows are in {differ[1]}."
            yield finding("language", template.id, said, rows[0].where)


def _wording(template: Template) -> str:
    return " ".join(skeleton(template, part) for part in PROMPT_PARTS).replace(VALUE, " ")


def _language(texts: Sequence[str]) -> str | None:
    return language(texts, _MARGIN, _LEAST)
