"""The templates that come with Tutelage, the user's own files, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tutelage.errors import ConfigError, nearest
from tutelage.tasks.schema import Kind, normal_label
from tutelage.templates.render import check_syntax
from tutelage.templates.schema import Template
from tutelage.violations import dotted, violations
from tutelage.yamlfile import Document, KeyPath, parse, read

SENTIMENTS = frozenset({"negative", "neutral", "positive", "mixed"})
_SUFFIXES = (".yaml", ".yml")


def select(
    patterns: Sequence[str],
    labels: Sequence[str],
    kind: Kind = "classification",
    fields: Collection[str] = (),
) -> tuple[Template, ...]:
    """The templates that `patterns` name, each once, in the order of the patterns.

    A pattern is `family/name`, `family/*`, the path of a YAML file (all templates in it), or
    `auto`, which is what `auto_family` says. An inverted template is refused, not passed over: a
    run trains and measures the answer to a row, and it has no place in one.

    Args:
        patterns: none is the same as `auto`.
        labels: all labels of a classification task.
        kind: the task's.
        fields: the names of the row's fields.

    Raises:
        ConfigError: a pattern matches nothing, a file cannot be used, a template is inverted, or
            two different ones have one id; all problems are listed.
    """
    chosen: dict[str, Template] = {}
    wrong: list[str] = []
    for pattern in patterns or ["auto"]:
        if pattern == "auto":
            pattern = f"{auto_family(labels, kind, fields)}/*"
        try:
            matching = find_templates(pattern)
        except ConfigError as error:
            wrong.append(str(error))
            continue
        for template in matching:
            if template.direction == "inverted":
                wrong.append(_inverted(pattern, template))
            elif chosen.setdefault(template.id, template) != template:
                wrong.append(
                    f"{pattern} holds another template with the id {template.id}. Rename one."
                )
    if wrong:
        raise ConfigError("\n".join(wrong))
    return tuple(chosen.values())


def _inverted(pattern: str, template: Template) -> str:
    """Why an inverted template cannot be trained on, and what to do instead."""
    remedy = f"Take it out, or name {template.family}/*, which leaves it out."
    if is_template_path(pattern):
        remedy = "Move it to another file, or remove it from this one."
    named = template.id if pattern == template.id else f"{pattern}: {template.id}"
    return (
        f"{named} is inverted: it shows the label and asks for an input, but a run trains and "
        f"measures answers to inputs. {remedy}"
    )


def auto_family(
    labels: Sequence[str], kind: Kind = "classification", fields: Collection[str] = ()
) -> str:
    """The family that fits a task.

    Classification: `sentiment` where two or more labels are all among negative, neutral, positive
    and mixed, else `classification`. Options per row: `multiple-choice`. Text answers go by the
    fields: `dialogue`, `question` with or without `context`, else `instruction`.
    """
    if kind == "choice":
        return "multiple-choice"
    if kind == "classification":
        normal = {normal_label(label) for label in labels}
        return "sentiment" if len(normal) > 1 and normal <= SENTIMENTS else "classification"
    if "dialogue" in fields:
        return "dialogue-summarisation"
    if "question" in fields:
        return "extractive-qa" if "context" in fields else "open-qa"
    return "instruction"


def find_templates(pattern: str) -> tuple[Template, ...]:
    """The templates of one pattern other than `auto`.

    Raises:
        ConfigError: it matches nothing, or its file cannot be used.
    """
    if is_template_path(pattern):
        return read_templates(Path(pattern))
    one = pattern.partition("/")[0]
    house = family(one) if one in families() else built_in()
    found = tuple(
        template
        for template in house
        if pattern == template.id
        or (template.direction == "forward" and fnmatchcase(template.id, pattern))
    )
    if not found:
        ids = [template.id for template in built_in()]
        known = [f"{name}/*" for name in families()]
        inside = [name for name in ids if name.startswith(f"{one}/")]
        raise ConfigError(
            f"there is no template {pattern!r}.{nearest(pattern, [*known, *ids])} "
            f"Known: auto, {', '.join([*known, *inside])}, or the path of a YAML file."
        )
    return found


def families() -> tuple[str, ...]:
    """The families that come with Tutelage, by name."""
    names = (file.name for file in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


@lru_cache(maxsize=128)
def family(name: str) -> tuple[Template, ...]:
    """All templates of one family that comes with Tutelage, in file order.

    Raises:
        ConfigError: there is no such family.
    """
    if name not in families():
        raise ConfigError(
            f"there is no family of templates {name!r}.{nearest(name, families())} "
            f"Known: {', '.join(families())}."
        )
    file = f"{name}.yaml"
    return _templates(parse(_folder().joinpath(file).read_text("utf-8"), file))


def built_in() -> tuple[Template, ...]:
    """All templates that come with Tutelage, by family."""
    return tuple(template for name in families() for template in family(name))


def read_templates(path: Path) -> tuple[Template, ...]:
    """The templates of a YAML file: `templates:` and a list of `id`, `name`, `prompt`, ….

    The file may also be a list of such sections, or of templates.

    Raises:
        ConfigError: the file cannot be read, or a template in it cannot be used.
    """
    return _templates(read(path))


def is_template_path(pattern: str) -> bool:
    """Whether a pattern is the path of a YAML file rather than a name in the library."""
    return pattern.endswith(_SUFFIXES)


def _folder() -> Any:
    return resources.files("tutelage.templates").joinpath("library")


def _templates(document: Document) -> tuple[Template, ...]:
    templates: dict[str, Template] = {}
    wrong: list[str] = []
    for path, item in _items(document, document.data, ()):

        def address(inner: KeyPath, outer: KeyPath = path) -> str:
            return _address(document, (*outer, *inner))

        try:
            template = Template.model_validate(item)
        except ValidationError as error:
            wrong += violations(error, Template, item, address)
            continue
        if template.id in templates:
            wrong.append(f"{address(('id',))}: {template.id} is there twice. Rename one.")
        templates[template.id] = template
        try:
            check_syntax(template)
        except ConfigError as error:
            wrong.append(f"{address(('id',))}: {error}")
    if wrong:
        raise ConfigError("\n".join(wrong))
    if not templates:
        raise ConfigError(f"{_address(document, ())}: holds no template. Add one to `templates:`.")
    return tuple(templates.values())


def _items(document: Document, data: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Every template with its key path, of a section `templates:` or a list."""
    if isinstance(data, Mapping) and "templates" in data:
        known = ("templates",)
        for key in data:
            if key not in known:
                raise ConfigError(
                    f"{_address(document, (*path, key))}: there is no such key."
                    f"{nearest(key, known)} A file of templates has `templates:` alone."
                )
        listed, path = data["templates"], (*path, "templates")
    else:
        listed = data
    if not isinstance(listed, list):
        raise ConfigError(
            f"{_address(document, path)}: is no list of templates. Write `templates:` and below it "
            "one `- id: family/name` with `name:` and `prompt:` for each."
        )
    for index, item in enumerate(listed):
        here = (*path, index)
        if isinstance(item, Mapping) and "templates" in item:
            yield from _items(document, item, here)
        else:
            yield here, item


def _address(document: Document, path: KeyPath) -> str:
    return f"{document.name}:{document.line(path)}:{dotted(path)}".rstrip(":")
