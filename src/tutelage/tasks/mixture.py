"""Several tasks as one: their rows together, each with the name of its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tutelage.errors import ConfigError
from tutelage.files import sha256_json
from tutelage.records import Row
from tutelage.tasks.record import SplitSource
from tutelage.tasks.rows import Rows, Skipped, load_rows
from tutelage.tasks.schema import Kind, Mixture, TaskSpec


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is known of one task once its rows are read: enough to choose templates for it.

    `columns` says where its fields come from, by their names.
    """

    labels: tuple[str, ...]
    kind: Kind
    fields: tuple[str, ...]
    held_out: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)


def load_task(
    task: TaskSpec, split: SplitSource | None = None
) -> tuple[Rows, Mapping[str, TaskFacts]]:
    """The rows of a task or of a mixture, and the facts of each task by `Row.task`.

    Tasks with one and the same list of labels stay a task with classes; other labels become each
    row's own options. Beside a task with text answers all answers are texts: a label is then the
    one gold answer, and its prompt still shows the choices. Ids and groups of a mixture begin
    with the task's name.

    Raises:
        ConfigError: the mixture has splits of its own.
        InputError, DataGateError, StorageError, IntegrityError: as `load_rows`.
    """
    mixture = task.source.mixture
    if mixture is None:
        rows = load_rows(task, split)
        return rows, {"": _facts(rows)}
    for setting in ("column", "validation_path", "test_path"):
        if split is not None and getattr(split, setting) is not None:
            raise ConfigError(
                f"split.{setting}: a mixture is divided as a whole. Leave it out, or run the task "
                "that has splits of its own by itself."
            )
    parts = {part.task.name: load_rows(part.task) for part in mixture.tasks}
    facts = {
        part.task.name: replace(_facts(parts[part.task.name]), held_out=part.held_out)
        for part in mixture.tasks
    }
    return _joined(parts, mixture, _kind(parts)), facts


def _facts(rows: Rows) -> TaskFacts:
    return TaskFacts(rows.labels, rows.kind, tuple(rows.fields), columns=dict(rows.fields))


def _kind(parts: Mapping[str, Rows]) -> Kind:
    kinds = {rows.kind for rows in parts.values()}
    if "text" in kinds:
        return "text"
    if kinds == {"classification"} and len({rows.labels for rows in parts.values()}) > 1:
        return "choice"
    return "choice" if "choice" in kinds else next(iter(kinds))


def _joined(parts: Mapping[str, Rows], mixture: Mixture, kind: Kind) -> Rows:
    rows: list[Row] = []
    skipped: list[Skipped] = []
    notes: list[str] = []
    fields: dict[str, str] = {}
    for name, part in parts.items():
        own = () if kind == "classification" or part.kind == "text" else part.labels
        rows += [
            replace(
                row,
                id=f"{name}/{row.id}",
                group=None if row.group is None else f"{name}/{row.group}",
                choices=row.choices or own,
                answers=row.answers or ((row.label,) if kind == "text" else ()),
                task=name,
            )
            for row in part.rows
        ]
        skipped += [Skipped(f"{name}/{s.id}", s.where, s.reason, s.rows) for s in part.skipped]
        notes += [f"{name}: {note}" for note in part.notes]
        fields |= part.fields
    held_out = [part.task.name for part in mixture.tasks if part.held_out]
    if held_out:
        notes.append(f"held out from training as unseen tasks: {', '.join(held_out)}")
    labels = next(iter(parts.values())).labels if kind == "classification" else ()
    fingerprint = sha256_json({name: part.fingerprint for name, part in parts.items()})
    return Rows(tuple(rows), labels, fields, fingerprint, tuple(skipped), tuple(notes), kind)
