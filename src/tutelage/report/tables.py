"""The small tables of the page, as rows of numbers and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tutelage.report import numbers
from tutelage.report.arms import Arm
from tutelage.report.content import Provenance, SplitFacts

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """Cost of one stage; `share` is its time in percent of the longest stage's."""

    name: str
    seconds: float | None
    memory: float | None
    share: int


@dataclass(frozen=True, slots=True)
class ByTemplate:
    """Accuracy by template (row) and arm (column)."""

    arms: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]


def stages(report: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The stages in the order they ran."""
    found = report.get("stages") or {}
    longest = max((facts.get("seconds") or 0.0 for facts in found.values()), default=0.0)
    return tuple(
        Stage(
            name=name,
            seconds=facts.get("seconds"),
            memory=facts.get("peak_memory_bytes"),
            share=round(100 * (facts.get("seconds") or 0.0) / longest) if longest else 0,
        )
        for name, facts in found.items()
    )


def by_template(shown: Sequence[Arm]) -> ByTemplate:
    """Arms that were measured by template, and the templates in their order."""
    measured = [arm for arm in shown if arm.per_template]
    names = dict.fromkeys(name for arm in measured for name in arm.per_template)
    rows = tuple((n, tuple(_accuracy(arm.per_template.get(n)) for arm in measured)) for n in names)
    return ByTemplate(tuple(arm.title for arm in measured), rows)


def _accuracy(facts: Any) -> float | None:
    """Accuracy out of a number, `{"accuracy": x}` or `{"accuracy": {"value": x}}`."""
    if isinstance(facts, Mapping):
        return _accuracy(facts.get("accuracy", facts.get("value")))
    return float(facts) if isinstance(facts, int | float) else None


def labels_by_split(
    splits: Sequence[SplitFacts], labels: Sequence[str]
) -> tuple[tuple[str, tuple[tuple[int, str], ...]], ...]:
    """Per label, its rows and share in every split; labels in the task's order."""
    found = dict.fromkeys(label for split in splits for label in split.labels)
    names = dict.fromkeys((*(label for label in labels if label in found), *found))
    return tuple(
        (name, tuple(_counted(split.labels.get(name, 0), split.rows) for split in splits))
        for name in names
    )


def _counted(n: int, rows: int) -> tuple[int, str]:
    return n, f"{100 * n / rows:.0f}%" if rows else numbers.MISSING


def facts(section: Mapping[str, Any] | None) -> Facts:
    """Keys and values of a section of `report.json`, for people."""
    return tuple(numbers.fact(name, value) for name, value in (section or {}).items())


def split_facts(report: Mapping[str, Any]) -> Facts:
    """Fingerprint, seed and looks of the split; facts of single splits have their own table."""
    known = {
        "fingerprint": "split fingerprint",
        "seed": "split seed",
        "looks": "runs that scored this test split",
    }
    section = report.get("splits") or {}
    plain = {name: value for name, value in section.items() if not isinstance(value, Mapping)}
    return facts({known.get(name, name): value for name, value in plain.items()})


def setup(
    report: Mapping[str, Any], provenance: Provenance | None
) -> tuple[tuple[str, Facts], ...]:
    """Model, machine and versions: those that are known."""
    groups = (
        ("Model", _model(provenance)),
        ("Machine", facts(report.get("machine"))),
        ("Versions", facts(report.get("versions"))),
    )
    return tuple((title, rows) for title, rows in groups if rows)


def _model(provenance: Provenance | None) -> Facts:
    if provenance is None:
        return ()
    known = (
        ("model", provenance.name),
        ("base model", provenance.base_model),
        ("weights from", provenance.source),
        ("weights went through", provenance.quantisation),
        ("licence", provenance.licence),
        ("licence text", provenance.licence_link),
    )
    rows = [(name, value) for name, value in known if value]
    rows += [(fact.name, numbers.plain(fact.value)) for fact in provenance.facts]
    return tuple(rows)
