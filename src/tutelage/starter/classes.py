"""Tables whose answer is a class, or one of a row's own options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tutelage.starter.columns import Columns
from tutelage.starter.profile import Profile, cell_text, json_list, number
from tutelage.starter.sketch import Sketch
from tutelage.tasks.schema import Metric, normal_label
from tutelage.templates.library import SENTIMENTS

_INFERENCE = frozenset({"entailment", "neutral", "contradiction", "notentailment"})
_SENTIMENT_WORDS = {
    "neg": "negative",
    "neu": "neutral",
    "pos": "positive",
    **{name: name for name in SENTIMENTS},
}
_SURE = ("label", "labels", "sentiment", "class", "gold", "goldlabel", "target", "polarity")
_FAMILIES = {
    **dict.fromkeys(("sentiment", "polarity"), "sentiment"),
    **dict.fromkeys(("topic", "topics", "subject", "section", "genre"), "topic"),
    **dict.fromkeys(("intent", "intents", "intention"), "intent"),
}
_RATINGS = ("rating", "stars", "score", "overall", "grade")
_LIKELY = ("intent", "topic", "category", "emotion", "tag", "type", "y", "answer", "output")
_SCALED = 12  # numbers on a scale of up to this many steps are classes; above, they are measured
_CLASS_METRICS: tuple[Metric, ...] = ("accuracy", "macro_f1")


def multiple_choice(columns: Columns) -> Sketch | None:
    """A question with a column of lists, or several columns, of options."""
    question = columns.named("question", "query", "stem", "problem", "sentence", "goal", "ctx")
    rest = columns.without(question)
    listed = rest.named("choices", "options", "candidates", "endings", "answers")
    if listed and listed.share(_has_options) < 0.95:
        listed = None
    single = rest.numbered("choice", "option", "ending", "answer", "sol", "candidate", "opt")
    single = single or rest.numbered("")
    if question is None or not (listed or len(single) > 1):
        return None
    gold = rest.without(listed, *single).named(
        *("label", "answer", "answerkey", "correct", "correctanswer", "gold", "target", "key"),
        *("answeridx", "answerindex", "labelidx", "correctoption"),
    )
    if gold is None:
        return None
    options = listed.name if listed else tuple(column.name for column in single)
    what = f"the options are in {_quoted(listed, *single)}, the right one in {gold.name!r}"
    return Sketch(
        family="multiple-choice",
        kind="choice",
        fields={"question": question.name},
        metrics=("accuracy",),
        seen=(f"{question.name!r} asks; {what}.",),
        label=gold.name,
        choices=options,
    )


def sentence_pairs(columns: Columns) -> Sketch | None:
    """Two sentences and a label: inference, or paraphrase."""
    first, second = columns.named("premise"), columns.named("hypothesis")
    inference = first is not None and second is not None
    if not inference:
        pair = columns.numbered("sentence", "question", "text", "s", "statement", "sent", "")
        first = pair[0] if len(pair) == 2 else columns.named("first")
        second = pair[1] if len(pair) == 2 else columns.named("second")
    if first is None or second is None or not (first.text and second.text):
        return None
    label = _label(columns.without(first, second), sure=False)
    if label is None:
        return None
    found = {normal_label(value).replace("_", "").replace(" ", "") for value in label.counts}
    inference = inference or (found <= _INFERENCE and found != {"neutral"})
    variables = ("premise", "hypothesis") if inference else ("first", "second")
    sketch = _classified(
        "nli" if inference else "paraphrase",
        dict(zip(variables, (first.name, second.name), strict=True)),
        label,
        f"{first.name!r} and {second.name!r} are a pair of sentences",
    )
    other = "paraphrase" if inference else "nli"
    return replace(sketch, other_families=(other,))


def labelled_text(columns: Columns, *, sure: bool) -> Sketch | None:
    """A text and a class; `sure`: only where the name of a column says that it is the label."""
    label = _label(columns, sure=sure)
    if label is None:
        return None
    rest = columns.without(label)
    fields = _texts(rest)
    if not fields:
        return None
    others = tuple(column.name for column in rest.without(*fields.values()) if column.text)
    family = _family(label)
    rest_of = ("classification", "sentiment", "topic", "intent")
    named = {variable: column.name for variable, column in fields.items()}
    texts = " and ".join(map(repr, named.values()))
    sketch = _classified(
        family, named, label, f"{texts} {'is' if len(named) == 1 else 'are'} the text"
    )
    return replace(
        sketch,
        other_fields=others,
        other_families=tuple(name for name in rest_of if name != family),
    )


def _has_options(cell: object) -> bool:
    options = cell.get("text") if isinstance(cell, Mapping) else json_list(cell)
    return isinstance(options, list) and len(options) > 1


def _texts(columns: Columns) -> dict[str, Profile]:
    """The column to read, by name or length; or a question with what it is about."""
    question, context = columns.named("question"), columns.named("passage", "context", "paragraph")
    if question and context and question.text and context.text:
        return {"context": context, "question": question}
    text = columns.named("text", "sentence", "review", "content", "utterance", "message", "tweet")
    text = text if text and text.text else columns.longest()
    return {"text": text} if text else {}


def _label(columns: Columns, *, sure: bool) -> Profile | None:
    """The column of labels: by name, and failing that the one with the fewest classes."""
    likely = () if sure else _LIKELY
    for name in (*_SURE, *_RATINGS, *likely):
        column = columns.named(name)
        if column is not None and (column.classes or _is_measured(column)):
            return column
    if sure:
        return None
    endings = (*_SURE, *_LIKELY)
    ending = [c for c in columns if c.classes and c.tokens and c.tokens[-1] in endings]
    fitting = ending or [column for column in columns if column.classes]
    return min(fitting, key=lambda column: column.distinct, default=None)


def _is_measured(column: Profile) -> bool:
    """Whether a column that is named like a rating holds more numbers than a scale has steps."""
    named = column.key in (*_RATINGS, "label", "target")
    return named and column.numeric and column.distinct > _SCALED


def _family(label: Profile) -> str:
    values = {normal_label(value) for value in label.counts}
    if len(values) > 1 and values <= _SENTIMENT_WORDS.keys():
        return "sentiment"
    named = [_FAMILIES[token] for token in label.tokens if token in _FAMILIES]
    return named[0] if named else "classification"


def _classified(family: str, fields: dict[str, str], label: Profile, texts: str) -> Sketch:
    if _is_measured(label):
        low, high = _thirds(label)
        what = f"{label.name!r} holds numbers, cut into three classes at {low:g} and {high:g}"
        return Sketch(
            family, "classification", fields, _CLASS_METRICS, (f"{texts}; {what}.",),
            label=label.name, bins=(low, high),
        )  # fmt: skip
    names = {}
    if family == "sentiment":
        named = {value: _SENTIMENT_WORDS.get(normal_label(value), value) for value in label.counts}
        distinct = len(set(named.values())) == len(named)
        names = named if distinct and any(a != b for a, b in named.items()) else {}
    seen = [f"{texts}; {label.name!r} has {label.distinct:,} labels ({_counted(label)})."]
    if label.numeric:
        seen.append("The labels are numbers, which tell a model nothing: name them in label_names.")
    values = sorted(label.counts, key=_by_number if label.numeric else str)
    doubled = len({normal_label(value) for value in values}) < len(values)
    if doubled:
        seen.append("Some labels differ only in case or spaces; write each one way.")
    return Sketch(
        family,
        "classification",
        fields,
        _CLASS_METRICS,
        tuple(seen),
        label=label.name,
        labels=() if doubled else tuple(values),
        names={} if doubled else names,
    )


def _thirds(column: Profile) -> tuple[float, float]:
    """Two numbers that cut a column's numbers into three classes of about one size."""
    values = sorted(
        value
        for text, count in column.counts.items()
        if (value := number(text)) is not None
        for _ in range(count)
    )
    low, high = values[len(values) // 3], values[2 * len(values) // 3]
    if low < high:
        return low, high
    values = sorted(set(values))  # one number is too frequent for thirds of the rows
    return values[len(values) // 3], values[2 * len(values) // 3]


def _by_number(text: str) -> tuple[float, str]:
    value = number(text)
    return (float("inf") if value is None else value), text


def _counted(label: Profile) -> str:
    shown = [f"{cell_text(value)[:30]!r} {count:,}" for value, count in label.counts.most_common(5)]
    more = label.distinct - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _quoted(*columns: Profile | None) -> str:
    return ", ".join(repr(column.name) for column in columns if column)
