"""Files of templates from other projects → our templates, and a report on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tutelage.errors import ConfigError, InputError
from tutelage.files import write_text
from tutelage.templates.child import Child, Failure, Limits
from tutelage.templates.export import dump_templates
from tutelage.templates.importers import flan, lm_eval, promptsource, super_ni
from tutelage.templates.importers.checks import doubts_of, faults_of, trial
from tutelage.templates.importers.foreign import Foreign, Names, Unreadable, template_of
from tutelage.templates.importers.native import as_ours
from tutelage.templates.importers.report import Imported, ImportReport, by_file

MAX_BYTES = 32 << 20
SUFFIXES = (".yaml", ".yml", ".json")
_FORMATS = (promptsource, super_ni, lm_eval, flan)


@dataclass(frozen=True, slots=True)
class _Tried:
    """A template, and what the child found when it tried it."""

    foreign: Foreign
    found: Mapping[str, Any]


def import_templates(path: Path, child: Child, licence: str = "LicenseRef-unknown") -> ImportReport:
    """Read all templates of a file or of a folder and what is below it.

    PromptSource YAML, lm-evaluation-harness YAML, Super-NaturalInstructions JSON and FLAN pairs
    (JSON, YAML; Python only where the file itself is named) are told apart by their keys. Parsing,
    compiling and rendering happen in `child`.

    Raises:
        InputError: there is no such path, or no file of templates in it.
    """
    read: list[Foreign] = []
    unread: list[Unreadable] = []
    for item in _read_all(path, child):
        (read if isinstance(item, Foreign) else unread).append(item)  # type: ignore[arg-type]
    tried: list[_Tried] = []
    for foreign, found in zip(read, _try_all(read, child), strict=True):
        if isinstance(found, Failure):
            stage = "parse" if found.kind == "syntax" else "render"
            unread.append(Unreadable(foreign.file, foreign.name, stage, found.message))
        else:
            tried.append(_Tried(foreign, found))
    return _report(_in_our_words(tried, child), unread, licence)


def write_imported(report: ImportReport, out: Path) -> list[Path]:
    """Write one of our YAML files per source file, and rows that came with it as JSON lines.

    Args:
        report: of the import.
        out: the folder, or the file where there is one source file.

    Returns:
        The files, in order.

    Raises:
        ConfigError: one file is named for several, or is already there.
        StorageError: a file cannot be written.
    """
    written: list[Path] = []
    files = by_file(report.imported)
    one = out.suffix in (".yaml", ".yml") and not out.is_dir()
    if one and len(files) > 1:
        raise ConfigError(f"--out {out}: is one file for {len(files)}. Name a folder.")
    taken = [path for path in (out, out.with_suffix(".jsonl")) if one and path.exists()]
    if taken:
        raise ConfigError(f"--out {out}: {taken[0]} is already there. Name another, or remove it.")
    for file, items in files.items():
        target = out if one else out / Path(file).with_suffix(".yaml")
        write_text(target, dump_templates([item.template for item in items]))
        written.append(target)
        rows = [row for item in items for row in item.rows]
        if rows:
            target = target.with_suffix(".jsonl")
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_text(target, "".join(lines))
            written.append(target)
    return written


def _read_all(path: Path, child: Child) -> Iterator[Foreign | Unreadable]:
    root, files = _files(path)
    texts: dict[str, str] = {}
    for file in files:
        name = file.relative_to(root).as_posix()
        try:
            large = file.stat().st_size > MAX_BYTES
            texts[name] = "" if large else file.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            yield Unreadable(name, "", "read", f"cannot be read ({error}).")
            continue
        if large:
            del texts[name]
            yield Unreadable(name, "", "read", f"is larger than {MAX_BYTES} bytes.")
    yaml = [name for name in texts if name.endswith((".yaml", ".yml"))]
    parsed = dict(zip(yaml, child.run("parse_yaml", {}, [texts[n] for n in yaml]), strict=True))
    for name, text in texts.items():
        data = parsed[name] if name in parsed else _plain_data(name, text)
        if isinstance(data, Failure):
            yield Unreadable(name, "", "read", data.message)
        else:
            yield from _templates(data, name)


def _files(path: Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files."""
    if path.is_file():
        return path.parent, [path]
    if not path.is_dir():
        raise InputError(f"{path}: there is no such file or folder. Check the path.")
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise InputError(f"{path}: holds no {', '.join(SUFFIXES)} file. Name the folder that does.")
    return path, files


def _plain_data(name: str, text: str) -> Any:
    try:
        return flan.literals(text) if name.endswith(".py") else json.loads(text)
    except (ValueError, RecursionError) as error:
        return Failure("syntax", f"is not valid ({error}).")


def _templates(data: Any, file: str) -> list[Foreign | Unreadable]:
    for format_ in _FORMATS:
        if format_.recognises(data):
            found: list[Foreign | Unreadable] = format_.read(data, file)
            return found
    return [Unreadable(file, "", "read", "is none of the formats that can be imported.")]


def _try_all(read: Sequence[Foreign], child: Child) -> list[Any | Failure]:
    """What the child finds out about each template, in order."""
    engines = [f.engine() for f in read if f.dialect]
    inspected = child.run("inspect", {}, engines)
    _render_elsewhere(engines, inspected, child.limits)
    foreign = iter(inspected)
    ours = iter(child.run("try_ours", {}, [trial(f) for f in read if not f.dialect]))
    return [next(foreign if f.dialect else ours) for f in read]


def _render_elsewhere(
    engines: Sequence[Mapping[str, Any]], inspected: Sequence[Any | Failure], limits: Limits
) -> None:
    """Render a made-up row of each in a second process; `changes` says where it comes out anew."""
    found = [
        (one, engine)
        for one, engine in zip(inspected, engines, strict=True)
        if not isinstance(one, Failure) and one["rows"]
    ]
    items = [{"template": engine, "fields": one["rows"][0]["fields"]} for one, engine in found]
    with Child(limits, hash_seed=1) as second:
        for (one, _), again in zip(found, second.run("again", {}, items), strict=True):
            one["changes"] = again != one["rows"][0]["result"]


def _in_our_words(tried: Sequence[_Tried], child: Child) -> list[_Tried]:
    """Rewritten in our own Jinja where that renders every made-up row alike."""
    ours = {
        place: found
        for place, item in enumerate(tried)
        if item.foreign.dialect and item.found["rows"] and (found := as_ours(item.foreign))
    }
    same = child.run(
        "same_in_ours",
        {},
        [{"template": trial(f), "found": dict(tried[place].found)} for place, f in ours.items()],
    )
    equal = {place for place, result in zip(ours, same, strict=True) if result is True}
    return [
        replace(item, foreign=ours[place]) if place in equal else item
        for place, item in enumerate(tried)
    ]


def _report(tried: Sequence[_Tried], unread: list[Unreadable], licence: str) -> ImportReport:
    names = Names()
    imported: list[Imported] = []
    unrendered: list[Unreadable] = []
    bodies: dict[tuple[str, str, str], str] = {}
    for item in tried:
        foreign, found = item.foreign, item.found
        try:
            ident = names.ident(foreign.family, foreign.name)
            template = template_of(foreign, ident, found, licence)
        except ValidationError as error:
            why = "; ".join(problem["msg"] for problem in error.errors())
            unread.append(Unreadable(foreign.file, foreign.name, "parse", f"{why}."))
            continue
        body = (foreign.file, foreign.prompt, foreign.completion)
        twin = bodies.setdefault(body, foreign.name)
        if not found["rows"]:
            unrendered.append(Unreadable(foreign.file, template.name, "render", found["why"]))
        faults = faults_of(template, found, "" if twin == foreign.name else twin)
        doubts = tuple(doubts_of(template, found))
        imported.append(Imported(template, foreign.file, tuple(faults), foreign.rows, doubts))
    return ImportReport(tuple(imported), tuple(unread), tuple(unrendered))
