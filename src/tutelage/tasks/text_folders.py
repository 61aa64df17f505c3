"""A folder of text files by label: `positive/1.txt`, or `train/positive/1.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tutelage.tasks.cells import check_text
from tutelage.tasks.compressed import bare_name
from tutelage.tasks.parts import TEXT_SUFFIXES
from tutelage.tasks.problems import Problems
from tutelage.tasks.record import Part, Record, split_named
from tutelage.tasks.textfile import text_blocks

FOLDER_COLUMNS = ("text", "label", "file")


def text_files(folder: Path) -> list[Path]:
    """The text files in the folders below `folder`, sorted; hidden ones are left out."""
    return [
        path
        for path in sorted(folder.glob("*/**/*"))
        if Path(bare_name(path)).suffix.lower() in TEXT_SUFFIXES
        and path.is_file()
        and not any(name.startswith(".") for name in path.relative_to(folder).parts)
    ]


def folder_records(part: Part, folder: Path, encoding: str, problems: Problems) -> Iterator[Record]:
    """Yield a record per file: its `text`, its folder as `label`, its path as `file`.

    Where the outermost folders are all named after splits, they are the rows' splits and the
    folders inside them the labels.
    """
    files = text_files(folder)
    tops = {path.relative_to(folder).parts[0] for path in files}
    deep = all(len(path.relative_to(folder).parts) > 2 for path in files)
    by_split = deep and all(split_named(top) for top in tops)
    for path in files:
        names = path.relative_to(folder).parts
        split = split_named(names[0]) if by_split else part.split
        where = path.relative_to(folder).as_posix()
        label = names[1] if by_split else names[0]
        if wrong := check_text(where):
            problems.add_at(where, f"the file's name {wrong}", "Rename the file.")
            continue
        own = Problems(path)
        text = "".join(text_blocks(path, encoding, own))
        problems.take(own)
        if not own.count:
            cells = dict(zip(FOLDER_COLUMNS, (text, label, where), strict=True))
            yield Record(cells, 1, where, split)
