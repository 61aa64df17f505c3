"""Source → rows: the labelled rows of a task, with everything that was left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tutelage.errors import ConfigError, DataGateError
from tutelage.records import Row
from tutelage.tasks.archive import read_corpus
from tutelage.tasks.columns import choose_columns
from tutelage.tasks.fingerprint import source_fingerprint, source_notes
from tutelage.tasks.labels import choose_labels
from tutelage.tasks.reader import Reader
from tutelage.tasks.record import SplitSource
from tutelage.tasks.row_maker import RowMaker
from tutelage.tasks.schema import ArchiveSource, Kind, TaskSpec
from tutelage.tasks.selection import Filters, sample_rows
from tutelage.tasks.shape import choose_shape
from tutelage.tasks.skips import Skipped, Skips
from tutelage.tasks.survey import look, require

__all__ = ["RowStream", "Rows", "Skipped", "load_rows", "stream_rows"]
_ARCHIVE_COLUMNS = ("text",)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a task, in source order.

    `labels` is in the task's order, and empty unless `kind` is "classification"; `fields` maps
    template variables to columns; `fingerprint` is `source_fingerprint`; `notes` say what was
    guessed.
    """

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    fields: Mapping[str, str]
    fingerprint: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    kind: Kind = "classification"


def load_rows(task: TaskSpec, split: SplitSource | None = None) -> Rows:
    """Read a task's source into rows.

    Rows with an empty label or without any text are left out and listed in `skipped`. Cells and
    labels are kept exactly as they stand in the source.

    Args:
        task: the task.
        split: where the source's own splits and times come from; the section `split` of a run.

    Raises:
        InputError: the source cannot be read as the task describes it.
        DataGateError: no rows, or labels that cannot support a comparison.
        ConfigError: settings that do not go with the source.
        StorageError, IntegrityError: a source cannot be fetched or is not the right one.
    """
    stream = stream_rows(task, split)
    rows = tuple(stream)
    labels: tuple[str, ...] = ()
    if stream.kind == "classification":
        labels = choose_labels(task.labels, (row.label for row in rows), stream.name)
    return Rows(
        rows,
        labels,
        stream.fields,
        source_fingerprint(task.source, split),
        stream.skips.all(),
        tuple(stream.notes),
        stream.kind,
    )


def stream_rows(task: TaskSpec, split: SplitSource | None = None) -> RowStream:
    """Rows one by one, in source order, in memory that does not grow with their number.

    But for 8 bytes a row where `task.id` is set, and the rows of `task.sample`. Takes and raises
    what `load_rows` does, at the latest behind the last row; labels are not judged.
    """
    if task.source.mixture is not None:
        raise ConfigError("task.source.mixture: holds several tasks. Read each of them.")
    return _TableStream(task, split) if task.source.archive is None else _ArchiveStream(task, split)


class RowStream(Iterator[Row]):
    """An iterator over rows.

    Attributes:
        name: the source in messages.
        kind: of the task.
        fields: template variable: column.
        skips: what is left out; complete behind the last row.
        notes: what was guessed or decided; complete behind the last row.
    """

    kind: Kind = "classification"

    def __init__(self, task: TaskSpec, name: str, fields: Mapping[str, str]) -> None:
        self.name, self.fields = name, fields
        self.skips = Skips(name)
        self.notes: list[str] = []
        self._task = task
        self._iterator = self._finished()

    def __next__(self) -> Row:
        return next(self._iterator)

    def _made(self) -> Iterator[Row]:
        """The rows before sampling; raises what is wrong behind the last."""
        raise NotImplementedError

    def _finished(self) -> Iterator[Row]:
        rows = self._made()
        if self._task.sample is not None:
            rows = iter(sample_rows(rows, self._task.sample, self.skips))
        empty = True
        for row in rows:
            empty = False
            yield row
        if empty:
            raise DataGateError(self._nothing())

    def _nothing(self) -> str:
        """What took the last row, with the remedy for it."""
        if any(reason.startswith("filtered") for reason in self.skips.counts):
            remedy = "Loosen the filter that takes most."
        elif self.kind == "text":
            remedy = "Name the right columns with task.fields and task.answer."
        else:
            remedy = "Name the right columns with --label and --text."
        return f"{self.name}: no row is left: {self.skips.told()}. {remedy}"


class _TableStream(RowStream):
    """Rows of files, queries and data sets."""

    def __init__(self, task: TaskSpec, split: SplitSource | None) -> None:
        self._reader = Reader(task.source, split)
        survey = look(self._reader)
        shape, guess = choose_shape(task, survey.head[0].cells)
        columns, wanted, notes = choose_columns(task, shape, survey, split)
        require(self._reader, survey, wanted)
        super().__init__(task, survey.name, columns.fields)
        self.kind = columns.kind
        self.notes += [*([guess] if guess else []), *notes, *source_notes(task.source)]
        self._maker = RowMaker(task, columns, survey, self.skips)

    def _made(self) -> Iterator[Row]:
        maker, reader = self._maker, self._reader
        for part in reader.parts:
            for record in reader.records(part):
                row = maker.row(record)
                if row is not None and not maker.problems.count:
                    yield row
        maker.ids.finish(reader)
        maker.problems.raise_any()
        for name, rows in reader.left_out.items():
            self.skips.count(f"of the split {name}", rows)
        self.notes += [*maker.notes(), *dict.fromkeys(reader.notes)]


class _ArchiveStream(RowStream):
    """Rows of a rating corpus; it brings its own ids and groups."""

    def __init__(self, task: TaskSpec, split: SplitSource | None) -> None:
        for setting in ("column", "time", "validation_path", "test_path"):
            if split is not None and getattr(split, setting) is not None:
                raise ConfigError(f"split.{setting}: an archive is divided as a whole.")
        if task.rating_rule is None:
            raise ConfigError(
                "task.rating_rule: is needed where the source is an archive of ratings."
            )
        for setting in ("id", "group_by", "answer", "choices", "label_names", "label_bins"):
            if getattr(task, setting) is not None:
                raise ConfigError(f"task.{setting}: an archive brings its own. Leave it out.")
        columns = [(f"fields.{name}", column) for name, column in task.fields.items()]
        columns += [(f"filters.{i}.column", f.column) for i, f in enumerate(task.filters)]
        for setting, column in columns:
            if column not in _ARCHIVE_COLUMNS:
                raise ConfigError(f"task.{setting}: an archive has only the column 'text'.")
        super().__init__(task, task.name, dict.fromkeys(task.fields or _ARCHIVE_COLUMNS, "text"))

    def _made(self) -> Iterator[Row]:
        source, rule = self._task.source.archive, self._task.rating_rule
        assert isinstance(source, ArchiveSource)
        assert rule is not None
        filters = Filters(self._task.filters)
        for rated in read_corpus(source):
            where = f"{source.texts}:{rated.line}"
            if reason := filters.reason({"text": rated.text}):
                self.skips.count(reason)
            elif not rated.text.strip():
                self.skips.add(rated.id, where, "empty text")
            else:
                yield Row(
                    id=rated.id,
                    fields=dict.fromkeys(self.fields, rated.text),
                    label=rule.label(rated.mean),
                    where=where,
                    group=rated.group,
                    extra={"ratings": list(rated.ratings)},
                )
