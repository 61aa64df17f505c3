"""Parquet and Arrow files, and data sets of `datasets`: from a saved folder or by hub name.

Files go through pyarrow, in batches: `datasets` would copy them to its cache or, streaming them,
import torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tutelage.errors import InputError, StorageError
from tutelage.tasks.cells import CellError, cell_of
from tutelage.tasks.problems import Problems
from tutelage.tasks.schema import SourceSpec

_BATCH = 1000  # rows
_REMEDY = "Correct the data, or leave the column out."
SAVED = ("dataset_dict.json", "dataset_info.json", "state.json")

Names = Mapping[str, Sequence[str]]


def parquet_records(path: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number from 1, cells by column); numbered classes come out as their names.

    Raises:
        InputError: the file is not Parquet, or is damaged.
        StorageError: the file cannot be read.
    """
    from pyarrow import parquet

    with _readable(path, "Parquet"), parquet.ParquetFile(path) as file:
        batches = file.iter_batches(batch_size=_BATCH)
        yield from _cells(batches, _class_names(file.schema_arrow), problems)


def arrow_records(path: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number from 1, cells by column) of an Arrow stream or file; raises as Parquet."""
    import pyarrow as pa

    with _readable(path, "Arrow"), pa.memory_map(str(path)) as mapped:
        try:
            reader = pa.ipc.open_file(mapped)
            found = (reader.get_batch(i) for i in range(reader.num_record_batches))
        except pa.ArrowInvalid:
            mapped.seek(0)
            reader = found = pa.ipc.open_stream(mapped)
        parts = (
            batch.slice(start, _BATCH)
            for batch in found
            for start in range(0, batch.num_rows, _BATCH)
        )
        yield from _cells(parts, _class_names(reader.schema), problems)


def load_splits(source: SourceSpec, path: Path | None) -> dict[str, Any]:
    """The data sets by split name; a saved data set without splits has the name "".

    Args:
        source: names a data set of the hub where `path` is None.
        path: a folder that `save_to_disk` wrote.

    Raises:
        InputError: there is no such data set, subset or revision, or the folder holds none.
        StorageError: the hub cannot be reached.
    """
    import datasets

    name = str(path if path is not None else source.hub)
    folder = Path(name).expanduser()
    try:
        if path is not None or any((folder / file).is_file() for file in SAVED):
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(name, source.subset, revision=source.revision)
    except (datasets.exceptions.DatasetNotFoundError, FileNotFoundError, ValueError) as error:
        raise InputError(
            f"{name}: is no data set that can be read ({_told(error)}). Correct its name, "
            "task.source.subset or task.source.revision."
        ) from error
    except OSError as error:
        raise StorageError(
            f"{name}: cannot be fetched ({_told(error)}). Check the network, or give the folder "
            "of a saved data set as task.source.path."
        ) from error
    return dict(found) if isinstance(found, dict) else {"": found}


def dataset_rows(dataset: Any, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number from 1, cells by column) of one split."""
    names = {
        column: feature.names
        for column, feature in dataset.features.items()
        if hasattr(feature, "int2str")
    }
    tables = dataset.with_format("arrow").iter(_BATCH)
    yield from _cells(tables, names, problems)


def _cells(
    batches: Iterable[Any], names: Names, problems: Problems
) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            cells = {}
            for column, value in row.items():
                try:
                    named = _named(value, names[column]) if column in names else value
                    cells[column] = cell_of(named)
                except CellError as error:
                    problems.add(number, f"{column!r} {error}", _REMEDY)
            yield number, cells


def _named(value: Any, names: Sequence[str]) -> Any:
    """The name of a numbered class; a negative number means that there is none."""
    if not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else ""


def _class_names(schema: Any) -> dict[str, Sequence[str]]:
    """Columns of numbered classes, as `datasets` notes them in a file's schema."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    import datasets

    features = datasets.Features.from_arrow_schema(schema)
    return {column: f.names for column, f in features.items() if hasattr(f, "int2str")}


class _readable:  # noqa: N801 - reads like a function where it is used
    """Turns what pyarrow raises into errors that name the file."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._kind = path, kind

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if error is None or isinstance(error, InputError):
            return
        import pyarrow as pa

        if isinstance(error, pa.ArrowException):
            raise InputError(
                f"{self._path}: is not a {self._kind} file that can be read ({_told(error)}). "
                "Write it again."
            ) from error
        if isinstance(error, OSError):
            raise StorageError(f"{self._path}: could not be read ({_told(error)}).") from error


def _told(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
