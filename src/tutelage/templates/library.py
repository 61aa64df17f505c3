"""The templates that come with Tutelage, the user's own files, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

from pydantic import Field, ValidationError

from tutelage.errors import ConfigError, nearest
from tutelage.tasks.schema import Section, normal_label
from tutelage.templates.render import check_syntax
from tutelage.templates.schema import Template
from tutelage.violations import dotted, violations
from tutelage.yamlfile import Document, KeyPath, parse, read

SENTIMENTS = frozenset({"negative", "neutral", "positive", "mixed"})
_SUFFIXES = (".yaml", ".yml")


class TemplateFile(Section):
    """A YAML file of templates."""

    templates: list[Template] = Field(min_length=1)


def select(patterns: Sequence[str], labels: Sequence[str]) -> tuple[Template, ...]:
    """The templates that `patterns` name, each once, in the order of the patterns.

    A pattern is `family/name`, `family/*`, the path of a YAML file (all templates in it), or
    `auto`: the sentiment family where two or more labels are all among negative, neutral,
    positive and mixed, else the classification family.

    Raises:
        ConfigError: a pattern matches nothing, a file cannot be used, or two different templates
            have one id; all problems are listed.
    """
    house = built_in()
    chosen: dict[str, Template] = {}
    wrong: list[str] = []
    for pattern in patterns or ["auto"]:
        try:
            matching = _matching(pattern, labels, house)
        except ConfigError as error:
            wrong.append(str(error))
            continue
        for template in matching:
            if chosen.setdefault(template.id, template) != template:
                wrong.append(
                    f"{pattern} holds another template with the id {template.id}. Rename one."
                )
    if wrong:
        raise ConfigError("\n".join(wrong))
    return tuple(chosen.values())


def built_in() -> tuple[Template, ...]:
    """All templates that come with Tutelage, in file order."""
    folder = resources.files("tutelage.templates").joinpath("library")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(_SUFFIXES))
    return tuple(
        template
        for name in names
        for template in _templates(parse(folder.joinpath(name).read_text("utf-8"), name))
    )


def read_templates(path: Path) -> tuple[Template, ...]:
    """The templates of a YAML file: `templates:` and a list of `id`, `name`, `prompt`, ….

    Raises:
        ConfigError: the file cannot be read, or a template in it cannot be used.
    """
    return _templates(read(path))


def is_template_path(pattern: str) -> bool:
    """Whether a pattern is the path of a YAML file rather than a name in the library."""
    return pattern.endswith(_SUFFIXES)


def _matching(pattern: str, labels: Sequence[str], house: Sequence[Template]) -> list[Template]:
    if is_template_path(pattern):
        return list(read_templates(Path(pattern)))
    if pattern == "auto":
        normal = {normal_label(label) for label in labels}
        family = "sentiment" if len(normal) > 1 and normal <= SENTIMENTS else "classification"
        pattern = f"{family}/*"
    found = [template for template in house if fnmatchcase(template.id, pattern)]
    if not found:
        ids = [template.id for template in house]
        families = sorted({name.partition("/")[0] + "/*" for name in ids})
        inside = [name for name in ids if name.startswith(pattern.partition("/")[0] + "/")]
        raise ConfigError(
            f"there is no template {pattern!r}.{nearest(pattern, [*families, *ids])} "
            f"Known: auto, {', '.join([*families, *inside])}, or the path of a YAML file."
        )
    return found


def _templates(document: Document) -> tuple[Template, ...]:
    def address(path: KeyPath) -> str:
        return f"{document.name}:{document.line(path)}:{dotted(path)}".rstrip(":")

    try:
        templates = TemplateFile.model_validate(document.data).templates
    except ValidationError as error:
        raise ConfigError(
            "\n".join(violations(error, TemplateFile, document.data, address))
        ) from error
    wrong: list[str] = []
    ids: set[str] = set()
    for index, template in enumerate(templates):
        place = address(("templates", index, "id"))
        if template.id in ids:
            wrong.append(f"{place}: {template.id} is there twice. Rename one.")
        ids.add(template.id)
        try:
            check_syntax(template)
        except ConfigError as error:
            wrong.append(f"{place}: {error}")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return tuple(templates)
