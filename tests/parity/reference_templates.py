"""How other projects render their templates: plain Jinja as they use it, nothing of tutelage.

Written from what the formats say. Random filters draw from the sha256 of (seed, template id, row
id, part), which is the one thing that differs from the projects, where they are not seeded.
"""

from __future__ import annotations

import ast
import hashlib
import random
import re
from collections import Counter
from contextlib import suppress
from typing import Any

import jinja2
import yaml


class PromptSourceFile(yaml.SafeLoader):
    """PyYAML, with the two tags of the format as mappings."""


def _mapping(loader: yaml.SafeLoader, node: yaml.Node) -> dict[str, Any]:
    return loader.construct_mapping(node, deep=True)


def _function(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    return "!function " + loader.construct_scalar(node)


for _tag in ("!Template", "!TemplateMetadata"):
    PromptSourceFile.add_constructor(_tag, _mapping)
PromptSourceFile.add_constructor("!function", _function)


def read_yaml(text: str) -> Any:
    return yaml.load(text, Loader=PromptSourceFile)


def promptsource(
    template: dict[str, Any], row: dict[str, Any], seed: int = 0, row_id: str = ""
) -> list[str]:
    """Prompt and answer, or what else the text splits into."""
    environment = jinja2.Environment()
    environment.globals["zip"] = zip
    environment.filters["most_frequent"] = _most_frequent

    def drawing(part: str) -> jinja2.Environment:
        key = "\0".join((str(seed), template["id"], row_id, part))
        source = random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"))

        @jinja2.pass_context
        def choice(_: Any, items: Any) -> Any:
            items = items if isinstance(items, str | list | tuple) else list(items)
            return items[source.randrange(len(items))]

        environment.filters["choice"] = environment.filters["random"] = choice
        return environment

    shield = "9021058090730162"  # digits, which no filter for letters changes
    safe = {k: v.replace("|||", shield) if isinstance(v, str) else v for k, v in row.items()}
    choices = None
    if template.get("answer_choices"):
        said = drawing("choices").from_string(template["answer_choices"]).render(**safe)
        choices = [part.strip() for part in said.split("|||")]
    said = drawing("text").from_string(template["jinja"]).render(**safe, answer_choices=choices)
    return [part.replace(shield, "|||").strip() for part in said.split("|||")]


def _most_frequent(items: Any) -> Any:
    counts = Counter(items).most_common()
    return [item for item, n in counts if n == counts[0][1]] if counts else None


def lm_eval(task: dict[str, Any], row: dict[str, Any]) -> tuple[str, str, list[str] | None]:
    """The context without examples, the gold continuation without delimiter, and the choices."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters["regex_replace"] = lambda text, pattern, new, count=0: re.sub(
        pattern, new, text, count=count
    )

    def value(source: Any) -> Any:
        if not isinstance(source, str):
            return source
        return row[source] if source in row else environment.from_string(source).render(**row)

    choices = task.get("doc_to_choice")
    if isinstance(choices, dict):
        choices = list(choices.values())
    elif isinstance(choices, str):
        choices = value(choices)
        choices = ast.literal_eval(choices) if isinstance(choices, str) else choices
    target = value(task["doc_to_target"])
    if isinstance(target, str) and target.isdigit() and choices is not None:
        target = int(target)
    elif isinstance(target, str) and target[:1] == "[" and target[-1:] == "]":
        with suppress(SyntaxError, ValueError):
            target = ast.literal_eval(target)
    if isinstance(target, list):
        target = target[0]
    if choices is not None and isinstance(target, int):
        target = choices[target]
    context = value(task["doc_to_text"])
    prefix = value(task.get("gen_prefix") or "")
    if prefix:
        apart = context != "" and not context[-1].isspace() and not prefix[0].isspace()
        context += (task.get("target_delimiter", " ") if apart else "") + prefix
    return value(task.get("description") or "") + context, str(target), choices


def flan(pair: tuple[str, str], row: dict[str, Any], choices: list[str]) -> tuple[str, str]:
    """Format strings, `{options_}` as a list."""
    options = "OPTIONS:\n- " + "\n- ".join(choices)
    seen = {**row, "options_": options}
    return pair[0].format(**seen), pair[1].format(**seen)


def super_ni(task: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Per instance the definition, a blank line and the input, and all outputs; no examples.

    Plain concatenation: neither a definition nor an input is a template.
    """
    definition = task["Definition"]
    if not isinstance(definition, str):
        definition = "\n".join(definition)
    found = []
    for instance in task["Instances"]:
        prompt = (definition + "\n\n" + instance["input"]).strip()
        found.append((prompt, [output.strip() for output in instance["output"]]))
    return found
