"""A source in words, and without its passwords, for pages that may be shown to anyone."""

from __future__ import annotations

from tutelage.tasks.database import shown_url
from tutelage.tasks.schema import SourceSpec

_SHOWN = 5  # paths
_QUERY = 200  # characters


def source_title(source: SourceSpec) -> str:
    """Where rows come from, in a line of text; never a password.

    Long lists of paths and long queries are shortened.
    """
    if source.mixture is not None:
        names = [
            part.task.name + (" (held out)" if part.held_out else "")
            for part in source.mixture.tasks
        ]
        return f"mixture of {', '.join(names)}"
    if source.archive is not None:
        archive = source.archive
        return f"{archive.package} {archive.version}, {archive.texts}"
    if source.hub is not None:
        known = (("subset", source.subset), ("revision", source.revision))
        more = "".join(f", {name} {value}" for name, value in known if value)
        return f"{source.hub}{more} (Hugging Face hub)"
    if source.sql is not None:
        query = " ".join(source.sql.split())
        query = query if len(query) <= _QUERY else query[: _QUERY - 1].rstrip() + "…"
        return f"{shown_url(source.url or '')}: {query}"
    paths = [source.path] if isinstance(source.path, str) else list(source.path or ())
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    sheet = f", sheet {source.sheet}" if source.sheet else ""
    return f"{', '.join(paths[:_SHOWN])}{more}{sheet}"


def without_password(source: SourceSpec) -> SourceSpec:
    """The source as it may be shown: a database's URL, also in a mixture, has no password."""
    if source.url is not None:
        return source.model_copy(update={"url": shown_url(source.url)})
    if source.mixture is None:
        return source
    tasks = [
        part.model_copy(
            update={
                "task": part.task.model_copy(update={"source": without_password(part.task.source)})
            }
        )
        for part in source.mixture.tasks
    ]
    return source.model_copy(update={"mixture": source.mixture.model_copy(update={"tasks": tasks})})
