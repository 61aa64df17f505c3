"""Rows that quote a published test: n-grams of words shared with named benchmark files.

Texts of 13 words and more are compared by their 13-grams, as in Brown et al. (Language models are
few-shot learners, 2020, appendix C); a shorter text counts only as a whole. Words are normalised
(NFKC, case folded, no punctuation); a Chinese or Japanese character is a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tutelage.data.buckets import Integers
from tutelage.data.inputs import cell_texts, normal_cell
from tutelage.data.shingles import Hashes, rolling
from tutelage.errors import ConfigError, InputError
from tutelage.records import Row
from tutelage.scripts import WORD

_WORD = re.compile(WORD)
_JSON = {".json", ".jsonl", ".ndjson"}
_LEAST_WORDS = 4  # shorter texts, such as labels and names, say nothing
_NONE = np.empty(0, np.int64)
_ROWS_AT_ONCE = 10_000
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Quoted:
    """What of one benchmark the rows quote.

    `texts` and `ngrams` are what was compared; `rows` counts rows per split; `examples` are
    (address, quoted words).
    """

    path: str
    texts: int
    ngrams: int
    rows: dict[str, int]
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One file: hashes of its n-grams, sorted, and its short texts."""

    path: str
    texts: int
    grams: Hashes
    wholes: frozenset[str]


def find_quotes(
    rows: Sequence[Row], paths: Sequence[str], words: int
) -> list[tuple[Benchmark, dict[int, str]]]:
    """For each benchmark file the rows, by position, that share `words` words, and which.

    Fields, turns and text answers of a row are compared. Files of a few hundred megabytes take
    about 8 bytes of memory per word and 100 per distinct word.

    Raises:
        ConfigError: a file is missing.
        InputError: a file is no UTF-8 text or no JSON.
    """
    vocabulary: dict[str, int] = {}
    known = [_read(Path(path), words, vocabulary) for path in paths]
    hits: list[dict[int, str]] = [{} for _ in known]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        flat, owners, wholes = _words_of(rows, start, words)
        ids = np.fromiter((vocabulary.get(word, 0) for word in flat), np.uint64, len(flat))
        grams, places = _grams(ids, words)
        for benchmark, found in zip(known, hits, strict=True):
            for place in places[np.isin(grams, benchmark.grams)].tolist():
                found.setdefault(owners[place], " ".join(flat[place : place + words]))
            for owner, text in wholes:
                if text in benchmark.wholes:
                    found.setdefault(owner, text)
    return list(zip(known, hits, strict=True))


def quoted(
    found: Sequence[tuple[Benchmark, dict[int, str]]],
    rows: Sequence[Row],
    splits: Sequence[str | None],
) -> tuple[Quoted, ...]:
    """The counts per split of what `find_quotes` found, for the report."""
    told = []
    for benchmark, hits in found:
        counts: dict[str, int] = {}
        for place in sorted(hits):
            split = splits[place]
            if split is not None:
                counts[split] = counts.get(split, 0) + 1
        shown = tuple((rows[i].where, hits[i]) for i in sorted(hits)[:_EXAMPLES])
        told.append(Quoted(benchmark.path, benchmark.texts, len(benchmark.grams), counts, shown))
    return tuple(told)


def _words_of(
    rows: Sequence[Row], start: int, words: int
) -> tuple[list[str], list[int], list[tuple[int, str]]]:
    """Words of some rows, texts apart by an empty one; the row of each; and short texts."""
    flat: list[str] = []
    owners: list[int] = []
    wholes: list[tuple[int, str]] = []
    for owner in range(start, min(start + _ROWS_AT_ONCE, len(rows))):
        row = rows[owner]
        cells = (*row.fields.values(), [turn.content for turn in row.turns], list(row.answers))
        for text in cell_texts(cells):
            found = _split(text)
            if len(found) >= words:
                flat += [*found, ""]
                owners += [owner] * (len(found) + 1)
            elif len(found) >= _LEAST_WORDS:
                wholes.append((owner, " ".join(found)))
    return flat, owners, wholes


def _read(path: Path, words: int, vocabulary: dict[str, int]) -> Benchmark:
    ids: list[int] = []
    wholes = set()
    texts = 0
    for text in _texts(path):
        found = _split(text)
        if len(found) >= words:
            ids += [vocabulary.setdefault(word, len(vocabulary) + 1) for word in found]
            ids.append(0)
        elif len(found) >= _LEAST_WORDS:
            wholes.add(" ".join(found))
        texts += 1
    grams, _ = _grams(np.array(ids, dtype=np.uint64), words)
    return Benchmark(path.name, texts, np.unique(grams), frozenset(wholes))


def _texts(path: Path) -> Iterator[str]:
    """Every text of a JSON or JSON-lines file; of another file all of it, and its lines."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            if path.suffix.lower() == ".json":
                yield from cell_texts(json.load(stream))
            elif path.suffix.lower() in _JSON:
                yield from _lines(path, stream)
            else:
                whole = stream.read()
                yield whole
                yield from whole.splitlines()
    except OSError as error:
        raise ConfigError(
            f"split.benchmarks: {path} cannot be read ({error.strerror}). Correct the path."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path}: is not UTF-8 {'JSON' if path.suffix.lower() in _JSON else 'text'} ({error}). "
            "Convert the file, or take it out of `split.benchmarks`."
        ) from error


def _lines(path: Path, stream: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            try:
                yield from cell_texts(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{path}:{number}: is not JSON ({error}). Correct the line, or take the file "
                    "out of `split.benchmarks`."
                ) from error


def _split(text: str) -> list[str]:
    return _WORD.findall(normal_cell(text))


def _grams(ids: Hashes, words: int) -> tuple[Hashes, Integers]:
    """Hashes of the runs of `words` known words, and where each begins; 0 is no known word."""
    grams = rolling(ids, words)
    unknown = np.concatenate(([0], np.cumsum(ids == 0)))
    places = np.flatnonzero(unknown[words:] == unknown[:-words]) if len(grams) else _NONE
    return grams[places], places
