"""The model card: `README.md` of the saved model, with Hugging Face front matter."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from tutelage.report import numbers, tables
from tutelage.report.arms import Arm, Estimate, arms, interval_note, metrics
from tutelage.report.content import PageContent, Provenance, Usage
from tutelage.report.text import markdown, one_line
from tutelage.report.verdict import verdict_of
from tutelage.tokens.encode import plain_text

_FENCE = "```"
# Task of the hub: its id and its name there.
_TASKS = {
    "classification": ("text-classification", "Text classification"),
    "choice": ("multiple-choice", "Multiple choice"),
    "text": ("text-generation", "Text generation"),
}
_TRAINED_TO = {
    "classification": "answer with a label",
    "choice": "answer with one of the options it is shown",
    "text": "answer as the training rows do",
}
# Ids of the hub's metrics, where ours has another name.
_METRIC_IDS = {
    "macro_f1": "f1",
    "token_f1": "f1",
    "rouge1": "rouge",
    "rouge2": "rouge",
    "rougeL": "rouge",
    "rougeLsum": "rouge",
}


class _Written(str):
    """Markdown of ours, which is not escaped again."""

    __slots__ = ()


def build_card(content: PageContent) -> str:
    """The card as Markdown; the same content gives the same bytes.

    Text from data can neither close the front matter nor add markup or HTML.
    """
    return _environment().get_template("card.md.jinja").render(_view(content)).strip() + "\n"


def _environment() -> Environment:
    environment = Environment(
        autoescape=False,  # noqa: S701 - Markdown has its own escapes, done for every expression
        finalize=_finalise,
        loader=FileSystemLoader(Path(__file__).parent),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    filters: dict[str, Callable[..., Any]] = {
        "difference": numbers.difference,
        "estimate": _estimate,
        "metric_title": numbers.metric_title,
        "p_value": numbers.p_value,
        "role": _role,
    }
    environment.filters.update(filters)
    return environment


def _finalise(value: Any) -> str:
    """What every expression goes through: escaped, unless we wrote it."""
    return value if isinstance(value, _Written) else markdown(numbers.plain(value))


def _view(content: PageContent) -> dict[str, Any]:
    report, usage, origin = content.report, content.usage, content.provenance
    title = f"{report['model']}, tuned for {report['task']}"
    return {
        "front_matter": _Written(f"---\n{_yaml(_front_matter(content, title))}---"),
        "title": title,
        "report": report,
        "answers": ", ".join(one_line(label) for label in report.get("labels") or ()),
        "strong": _Written("**"),
        "verdict": verdict_of(report),
        "arms": arms(report),
        "metrics": metrics(report),
        "primary": metrics(report)[0],
        "interval_note": interval_note(report),
        "code": _Written(f"{_FENCE}python\n{_code(usage)}{_FENCE}") if usage else "",
        "usage_template": usage.template if usage else "",
        "training": tables.facts(report.get("training")),
        "data_source": content.data_source,
        "data": _data(content),
        "limits": (*(report.get("notes") or ()), *_history(origin), *_scope(report)),
        "version": (report.get("versions") or {}).get("tutelage", ""),
    }


def _estimate(estimate: Estimate, metric: str) -> str:
    value = numbers.metric(metric, estimate.value)
    if estimate.interval is None:
        return value
    low, high = (numbers.metric(metric, x) for x in estimate.interval)
    return f"{value} ({low} to {high})"


def _role(arm: Arm) -> str:
    mark = "best baseline" if arm.best else "reference" if arm.kind == "reference" else ""
    return "; ".join(part for part in (mark, arm.about, arm.shots) if part)


def _data(content: PageContent) -> list[tuple[str, str]]:
    rows = content.report.get("rows") or {}
    counted = [(f"{name} rows", numbers.count(n)) for name, n in rows.items()]
    leaks = [(fact.name, numbers.plain(fact.value)) for fact in content.leaks]
    return [*counted, *tables.split_facts(content.report), *leaks]


def _history(origin: Provenance | None) -> tuple[str, ...]:
    """What the weights went through before, where that is a limit."""
    if origin is None or not origin.quantisation:
        return ()
    return (f"Before they were tuned, the weights went through {origin.quantisation}.",)


def _kind(report: Mapping[str, Any]) -> str:
    kind: str = report.get("kind") or "classification"
    return kind


def _scope(report: Mapping[str, Any]) -> tuple[str, str]:
    """What was not measured."""
    return (
        "It was tested on rows like those it was trained on; how it does on other kinds of text "
        "is unknown.",
        f"It was trained to {_TRAINED_TO[_kind(report)]}; other abilities of the base model were "
        "not measured and may have suffered.",
    )


def _front_matter(content: PageContent, title: str) -> dict[str, Any]:
    """Metadata of the hub's model card specification; what is not known is left out."""
    origin, report = content.provenance, content.report
    known: dict[str, Any] = {}
    if origin is not None and origin.licence:
        known["license"] = _text(origin.licence.lower())
        if origin.licence_link:
            known["license_link"] = _text(origin.licence_link)
    if origin is not None and origin.base_model:
        known["base_model"] = _text(origin.base_model)
        known["base_model_relation"] = "finetune"
    known["library_name"] = "transformers"
    known["pipeline_tag"] = "text-generation"
    known["tags"] = ["tutelage", _TASKS[_kind(report)][0], "fine-tuned"]
    results = _results(report)
    if results:
        known["model-index"] = [{"name": _text(title), "results": results}]
    return known


def _results(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    measured = report["arms"].get("tuned", {}).get("metrics") or {}
    scores = [
        {"type": _METRIC_IDS.get(name, name), "name": numbers.metric_title(name)}
        | {"value": facts["value"]}
        for name, facts in measured.items()
        if facts.get("value") is not None
    ]
    task = _text(report["task"])
    kind, title = _TASKS[_kind(report)]
    if not scores:
        return []
    return [
        {
            "task": {"type": kind, "name": title},
            "dataset": {"type": task, "name": task, "split": "test"},
            "metrics": scores,
        }
    ]


def _text(text: str) -> str:
    """A quoted string: readers of YAML 1.1 take a bare `no` for a truth value."""
    quoted: str = DoubleQuotedScalarString(one_line(text))
    return quoted


def _yaml(value: Any) -> str:
    stream = io.StringIO()
    writer = YAML()
    writer.width = 1_000_000
    writer.dump(value, stream)
    return stream.getvalue()


def _code(usage: Usage) -> str:
    """Plain transformers code that sends the example prompt and prints the answer.

    Texts become Python literals of one line each, so none can end the fence or the program.
    """
    if usage.chat:
        turns = "".join(
            f'    {{"role": {_quoted(m.role)}, "content": {_literal(m.content, 8)}}},\n'
            for m in usage.messages
        )
        prompt = (
            f"messages = [\n{turns}]\n"
            "inputs = tokenizer.apply_chat_template(\n"
            '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True\n'
            ")\n"
        )
    else:
        text = plain_text([(message.role, message.content) for message in usage.messages])
        prompt = f'inputs = tokenizer({_literal(text, 4)}, return_tensors="pt")\n'
    return (
        textwrap.dedent("""\
        from transformers import AutoModelForCausalLM, AutoTokenizer

        path = "."  # the folder of this model
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path)

        """)
        + prompt
        + f"output = model.generate(**inputs, max_new_tokens={usage.max_new_tokens}, "
        + "do_sample=False)\n"
        + 'answer = output[0, inputs["input_ids"].shape[1] :]\n'
        + "print(tokenizer.decode(answer, skip_special_tokens=True).strip())\n"
    )


def _literal(text: str, indent: int) -> str:
    """A Python expression for the text: one literal per line of it."""
    lines = text.splitlines(keepends=True) or [""]
    if len(lines) == 1:
        return _quoted(lines[0])
    inner = "".join(f"\n{' ' * indent}{_quoted(line)}" for line in lines)
    return f"({inner}\n{' ' * (indent - 4)})"


def _quoted(text: str) -> str:
    """`repr` in double quotes; it escapes whatever is not printable."""
    # An apostrophe in front, and no double quote inside, make `repr` choose double quotes.
    return '"' + '\\"'.join(repr("'" + part)[2:-1] for part in text.split('"')) + '"'
