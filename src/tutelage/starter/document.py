"""Sketch → the text of a commented task.yaml, and of templates with what no column holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from tutelage.starter.sketch import Sketch
from tutelage.tasks.schema import Metric
from tutelage.templates.library import built_in

_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_])?")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_COLUMN = 40  # where a comment behind a setting begins


def task_document(sketch: Sketch, name: str, table: str, templates: str) -> str:
    """The YAML of a task; `table` and `templates` are as they stand in it."""
    lines = [
        "# Written by `tutelage init`, to be corrected. Look at prompts and answers first with",
        "# `tutelage preview` and this file's name, then `tutelage run` trains and tests.",
        *(f"# {printable(sentence)}" for sentence in sketch.seen),
        "",
        "task:",
        _line(f"name: {scalar(name)}", "names the run: runs/<name>-<8 hex>"),
        *_source(sketch, table),
        *_fields(sketch),
        *_answer(sketch),
        *_templates(sketch, templates),
        _metrics(sketch),
        *_roles(sketch),
        "",
        *_rest(sketch),
    ]
    return "\n".join(lines) + "\n"


def template_document(sketch: Sketch) -> str:
    """The library's wordings of the family with the texts of `given` in the place of variables."""
    given = sketch.given
    lines = [
        f"# The wordings of {sketch.family}/*, for {' and '.join(sorted(given))}: "
        f"{', '.join(given[name] for name in sorted(given))}. No column holds that.",
        "templates:",
    ]
    for template in built_in():
        family, _, short = template.id.partition("/")
        if family != sketch.family or template.direction == "inverted":
            continue
        fields = [name for name in template.fields if name not in given]
        lines += [
            f"  - id: my-{family}/{short}",
            f"    name: {scalar(template.name)}",
            f"    fields: {_list(fields)}",
            *(["    held_out: true"] if template.held_out else []),
            "    prompt: |",
            *(f"      {line}".rstrip() for line in _filled(template.prompt, given).splitlines()),
            f"    completion: {scalar(template.completion)}",
        ]
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """A text as YAML: plain where no reader can take it for something else, else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return printable(json.dumps(text, ensure_ascii=False))


def printable(text: str) -> str:
    """A text whose unprintable characters are written as YAML escapes, on one line."""
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _line(setting: str, comment: str, *, off: bool = False) -> str:
    """An indented setting with its comment; `off`: an alternative that is switched off."""
    start = f"  {'# ' if off else ''}{setting}"
    return f"{start:<{_COLUMN}}  # {printable(comment)}" if comment else start


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(map(scalar, items))}]"


def _map(items: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{scalar(key)}: {scalar(value)}' for key, value in items.items())}}}"


def _source(sketch: Sketch, table: str) -> Iterator[str]:
    keys = {"path": table}
    if sketch.source_format:
        keys["format"] = sketch.source_format
    yield _line(f"source: {_map(keys)}", "relative to this file")


def _fields(sketch: Sketch) -> Iterator[str]:
    if not sketch.fields:
        return
    yield _line(f"fields: {_map(sketch.fields)}", "variable of the templates: column")
    if sketch.other_fields:
        columns = (*sketch.fields.values(), *sketch.other_fields)
        several = {f"part{place}": column for place, column in enumerate(columns, 1)}
        yield _line(f"fields: {_map(several)}", "several columns as one text", off=True)


def _answer(sketch: Sketch) -> Iterator[str]:
    if sketch.kind == "text":
        yield from _text_answer(sketch)
        return
    assert sketch.label is not None
    if sketch.choices is not None:
        several = not isinstance(sketch.choices, str)
        options = _list(sketch.choices) if several else scalar(str(sketch.choices))
        where = "columns of one option each" if several else "column with a list of options"
        yield _line(f"choices: {options}", where)
        yield _line(
            f"label: {scalar(sketch.label)}", "the right option, its number from 0, or its letter"
        )
        return
    yield _line(f"label: {scalar(sketch.label)}", "column with the label")
    if sketch.bins:
        yield from _bins(sketch.bins)
        return
    if sketch.names:
        yield _line(f"label_names: {_map(sketch.names)}", "label in the data: label to use")
    if sketch.labels:
        labels = [sketch.names.get(label, label) for label in sketch.labels]
        yield _line(f"labels: {_list(labels)}", "in this order in prompts and tables")
    if not sketch.names:
        example = {label: f"name {place}" for place, label in enumerate(sketch.labels[:3], 1)}
        numbers = all(re.fullmatch(r"[\d.+-]+", label) for label in sketch.labels)
        if example and numbers:
            comment = "names for numbers; `labels` then lists the names"
            yield _line(f"label_names: {_map(example)}", comment, off=True)


def _bins(bounds: Sequence[float]) -> Iterator[str]:
    yield _line("label_bins:", "numbers below `below` get the label; the last has no bound")
    for label, bound in zip(("low", "middle"), bounds, strict=True):
        yield f"    - {{label: {label}, below: {bound:.12g}}}"
    yield "    - {label: high}"


def _text_answer(sketch: Sketch) -> Iterator[str]:
    if sketch.answers:
        several = len(sketch.answers) > 1
        columns = _list(sketch.answers) if several else scalar(sketch.answers[0])
        comment = "the first is trained on, all count as right" if several else "column to answer"
        yield _line(f"answer: {columns}", comment)
    keys = {"max_tokens": str(sketch.max_tokens)}
    comment = "room for 99 % of the answers"
    if sketch.after:
        keys["after"] = sketch.after
        comment = f"only what stands behind {sketch.after} is compared"
    pairs = ", ".join(f"{k}: {v if v.isdigit() else scalar(v)}" for k, v in keys.items())
    yield _line(f"answers: {{{pairs}}}", comment)
    if sketch.source_format in ("openai", "sharegpt"):
        yield _line("loss_on: last", "or all: every assistant turn is trained")


def _templates(sketch: Sketch, templates: str) -> Iterator[str]:
    chosen = templates if sketch.given else f"{sketch.family}/*"
    comment = "wordings; three are held out for the test"
    if sketch.family == "instruction":
        comment = "prompts as they are"
    if sketch.given:
        comment = f"the wordings of {sketch.family}/*, filled in"
    yield _line(f"templates: [{chosen if chosen.endswith('/*') else scalar(chosen)}]", comment)
    if sketch.other_families:
        others = ", ".join(
            f"{name}/*" if " " not in name else name for name in sketch.other_families
        )
        yield f"  # other families: {others}; or a YAML file of your own"


def _metrics(sketch: Sketch) -> str:
    comment = "the first one decides"
    if sketch.kind == "text":
        others = [m for m in get_args(Metric) if m not in (*sketch.metrics, "accuracy", "macro_f1")]
        comment += f"; others: {', '.join(others)}"
    return _line(f"metrics: {_list(sketch.metrics)}", comment)


def _roles(sketch: Sketch) -> Iterator[str]:
    roles = sketch.roles
    if roles.id:
        yield _line(f"id: {scalar(roles.id)}", "column with a unique id")
    if roles.group:
        yield _line(f"group_by: {scalar(roles.group)}", "equal values stay in one split")
    else:
        yield _line("group_by: author", "a column whose equal values stay in one split", off=True)
    yield _line("sample: {rows: 1000}", "a random part of the rows, to try things out", off=True)


def _rest(sketch: Sketch) -> Iterator[str]:
    roles = sketch.roles
    models = "or gemma3-270m, a Hugging Face name, a folder, a GGUF file"
    yield f"{'model: smollm2-135m':<{_COLUMN}}  # {models}"
    yield "split:"
    if roles.split:
        yield _line(f"column: {scalar(roles.split)}", "each row's own split")
        yield _line("decontaminate: true", "drop training rows that repeat test rows", off=True)
        yield _line("validation: 0.1", "of the training rows where none is for validation")
    else:
        yield _line("validation: 0.1", "share of the rows")
        yield _line("test: 0.2", "share of the rows, looked at once, at the end")
        yield _line("test_path: test.csv", "or a file with the test rows", off=True)
        if roles.time:
            comment = "or train on the past, test on what came later"
            yield _line(f"time: {scalar(roles.time)}", comment, off=True)
    yield _line("seed: 0", "another seed, another split")
    yield "baselines:"
    yield _line("shots: [0, 1, 5]", "examples in the prompt of the untuned model")
    yield "training:"
    yield _line("method: full", "or lora: adapters only, in less memory")
    yield _line("epochs: auto", "or a number of passes over the rows")
    yield _line("learning_rate: auto", "or a number, such as 1e-4")
    yield _line("batch_size: 16", "examples in one step")


def _filled(text: str, given: Mapping[str, str]) -> str:
    for name, value in given.items():
        text = text.replace("{{ " + name + " }}", value)
    return text
