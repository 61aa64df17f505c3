"""Tables whose answer is a text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tutelage.languages import language, named_language
from tutelage.starter.columns import Columns
from tutelage.starter.profile import (
    Profile,
    cell_text,
    is_nested,
    json_object,
)
from tutelage.starter.sketch import Sketch
from tutelage.tasks.schema import Metric
from tutelage.tasks.shape import CONVERSATIONS

_QUESTION = ("question", "query", "problem", "q")
_ANSWER = ("answer", "answers", "solution", "response", "a", "target", "output", "goldanswer")
_CONTEXT = ("context", "passage", "paragraph", "document", "article", "story", "text", "evidence")
SUMMARIES = ("summary", "highlights", "abstract", "tldr", "gist")
TITLES = ("headline", "title")  # a text may have one beside its label
_DIALOGUE = ("dialogue", "dialog", "conversation", "transcript", "chat", "messages")
_REWRITTEN = (
    *("rewritten", "rewrite", "rephrased", "paraphrase", "paraphrased", "simplified", "simple"),
    *("simplification", "corrected", "correction", "formal", "polite", "edited", "revised"),
    *("improved", "expert", "normalized", "normalised"),
)
_PROMPT = ("prompt", "instruction", "input", "source", "query", "question", "request", "inputs")
_COMPLETION = ("completion", "response", "output", "answer", "target", "reply", "chosen", "targets")
_SPEAKER = re.compile(r"^\s*[#\[(*]?[\w .'-]{1,30}[#\])*]?\s?:\s*\S", re.MULTILINE)
_KEY = re.compile(r"[^\W\d][\w -]{0,40}")
_OVERLAP: tuple[Metric, ...] = ("rougeL", "rouge1", "rouge2")
_EXACT: tuple[Metric, ...] = ("exact_match", "token_f1")
_MOST_KEYS = 20
_FEW = 4  # up to so many different answers are classes


def conversations(columns: Columns) -> Sketch | None:
    """Lists of turns, as chat files of OpenAI and ShareGPT hold them."""
    for column in columns:
        if column.name not in CONVERSATIONS or column.share(_has_turns) < 0.95:
            continue
        kind = "sharegpt" if "from" in column.cells[0][0] else "openai"
        return Sketch(
            "instruction", "text", {}, _OVERLAP,
            (f"{column.name!r} holds conversations, as {kind} files do.",),
            max_tokens=256, source_format=kind,
        )  # fmt: skip
    return None


def math(columns: Columns) -> Sketch | None:
    """Questions whose answer is a number, alone or behind ####."""
    question, answer = _question_and_answer(columns)
    if question is None or answer is None:
        return None
    marked = answer.share(lambda cell: "####" in cell_text(cell)) >= 0.9
    counted = question.share(lambda cell: bool(re.search(r"\d", cell_text(cell)))) >= 0.6
    if not marked and not (counted and answer.numeric):
        return None
    how = "end in #### and a number" if marked else "are numbers, and the questions hold numbers"
    return _answered(
        "math", {"question": question}, (answer,), ("numeric_match", "exact_match"),
        f"{question.name!r} asks; the answers in {answer.name!r} {how}.", after="####",
        other_families=("open-qa",),
    )  # fmt: skip


def questions(columns: Columns) -> Sketch | None:
    """Questions about a text in the row, or about the world."""
    question, answer = _question_and_answer(columns)
    if question is None or answer is None or not question.text:
        return None
    if _is_label(answer):
        return None
    rest = columns.without(question, answer)
    context = rest.named(*_CONTEXT)
    if context is not None and context.text and context.words > answer.words:
        pairs = rest.together(context, answer)
        inside = [any(a in cell_text(text) for a in _texts(gold)) for text, gold in pairs]
        share = sum(inside) / max(len(inside), 1)
        return _answered(
            "extractive-qa", {"context": context, "question": question}, (answer,), _EXACT,
            f"{question.name!r} asks about {context.name!r}, and {share:.0%} of the answers in "
            f"{answer.name!r} stand there word for word.",
        )  # fmt: skip
    if answer.words > 30:
        return _answered(
            "instruction", {"prompt": question}, (answer,), _OVERLAP,
            f"{question.name!r} asks, and the answers in {answer.name!r} are long "
            f"({answer.words:.0f} words).", other_families=("open-qa (as question)",),
        )  # fmt: skip
    return _answered(
        "open-qa", {"question": question}, (answer,), _EXACT,
        f"{question.name!r} asks, {answer.name!r} answers ({answer.words:.0f} words on average).",
    )  # fmt: skip


def summaries(columns: Columns, *, names: tuple[str, ...] = SUMMARIES) -> Sketch | None:
    """A text or a conversation, and a short text about it in a column of `names`."""
    several = columns.numbered("summary", "summarie", "reference", "highlight")
    short = several or tuple(filter(None, [columns.named(*names)]))
    rest = columns.without(*short)
    dialogue = rest.named(*_DIALOGUE)
    text = dialogue if dialogue and dialogue.text else rest.longest()
    if not short or text is None or not all(s.text or s.words > 2 for s in short):
        return None
    if text.words < 1.5 * short[0].words:
        return None
    spoken = text is dialogue or text.share(_is_dialogue) >= 0.6
    family, variable = (
        ("dialogue-summarisation", "dialogue") if spoken else ("summarisation", "text")
    )
    ratio = text.words / max(short[0].words, 1)
    return _answered(
        family, {variable: text}, short, _OVERLAP,
        f"{short[0].name!r} is about {ratio:.0f} times shorter than {text.name!r}"
        f"{', which looks like a conversation' if spoken else ''}.",
        other_families=("summarisation",) if spoken else ("dialogue-summarisation",),
    )  # fmt: skip


def objects(columns: Columns) -> Sketch | None:
    """A text, and what it says as a JSON object."""
    filled = [c for c in columns if c.share(lambda cell: json_object(cell) is not None) >= 0.9]
    if not filled:
        return None
    answer = filled[-1]
    text = columns.without(*filled).longest()
    if text is None:
        return None
    keys = _common_keys(answer)
    seen = f"{answer.name!r} holds JSON objects"
    if not keys:
        return _answered(
            "extraction", {"text": text}, (answer,), ("json_f1", "json_valid"),
            f"{seen} with changing keys; {text.name!r} is the text.",
        )  # fmt: skip
    return _answered(
        "extraction-keys", {"text": text}, (answer,), ("json_f1", "json_valid"),
        f"{seen} with the keys {', '.join(keys)}; {text.name!r} is the text.",
        given={"keys": _and_list(keys)}, other_families=("extraction",),
    )  # fmt: skip


def translations(columns: Columns) -> Sketch | None:
    """A text in two languages: by the names of the columns, or by what they hold."""
    tongues = [c for c in columns if c.text and named_language(c.tokens)]
    if len(tongues) > 1:
        one, other = tongues[:2]
        given = {"target_language": named_language(other.tokens) or ""}
        return _translated(one, other, given, None, "by the names of the columns")
    target_named = columns.named("translation", "translated", "targettext", "target", "tgt")
    target = target_named or columns.named("output")
    if target is None or not target.text:
        return None
    rest = columns.without(target)
    source = rest.named("source", "sourcetext", "src", "original", "text", "sentence", "input")
    source = source if source and source.text else rest.longest()
    tongue = columns.named("targetlanguage", "targetlang", "tgtlang", "tolang", "lang", "language")
    if source is None:
        return None
    told = language(map(cell_text, target.cells[:200]))
    differ = told is not None and told != language(map(cell_text, source.cells[:200]))
    if tongue is None and not differ and target.key not in ("translation", "translated"):
        return None
    if tongue is not None and tongue.filled == tongue.rows:
        return _translated(source, target, {}, tongue, f"into what {tongue.name!r} names")
    how = "by its words" if told else "no language could be told: correct it in the templates"
    return _translated(source, target, {"target_language": told or "the other language"}, None, how)


def rewritings(columns: Columns) -> Sketch | None:
    """A text and the same text in other words."""
    target = columns.named(*_REWRITTEN)
    if target is None or not target.text:
        return None
    source = columns.without(target).longest()
    if source is None or not 0.3 < target.words / max(source.words, 1) < 3:
        return None
    return _answered(
        "rewriting", {"text": source}, (target,), ("chrf", "rougeL"),
        f"{target.name!r} is by its name and length a rewritten {source.name!r}.",
        other_families=("summarisation", "translation"),
    )  # fmt: skip


def instructions(columns: Columns) -> Sketch | None:
    """A prompt and its completion, or the three columns of Alpaca."""
    prompt = columns.named(*_PROMPT)
    completion = columns.without(prompt).named(*_COMPLETION)
    if prompt is None or completion is None or not prompt.text:
        return None
    if completion.share(is_nested) > 0 or _is_label(completion):
        return None
    context = columns.without(prompt, completion).named("input")
    if prompt.key == "instruction" and completion.key == "output" and context:
        return Sketch(
            "instruction", "text", {}, _OVERLAP,
            ("The columns instruction, input and output are those of Alpaca.",),
            max_tokens=_room(completion), source_format="alpaca",
        )  # fmt: skip
    return _answered(
        "instruction", {"prompt": prompt}, (completion,), _OVERLAP,
        f"{prompt.name!r} holds whole prompts, {completion.name!r} what to answer.",
    )  # fmt: skip


def _question_and_answer(columns: Columns) -> tuple[Profile | None, Profile | None]:
    question = columns.named(*_QUESTION)
    answer = columns.without(question).named(*_ANSWER)
    if answer is not None and answer.share(lambda c: is_nested(c) and not _texts(c)) > 0:
        return question, None
    return question, answer


def _answered(
    family: str,
    fields: Mapping[str, Profile],
    answers: tuple[Profile, ...],
    metrics: tuple[Metric, ...],
    seen: str,
    after: str | None = None,
    given: Mapping[str, str] | None = None,
    other_families: tuple[str, ...] = (),
) -> Sketch:
    return Sketch(
        family=family,
        kind="text",
        fields={variable: column.name for variable, column in fields.items()},
        metrics=metrics,
        seen=(seen,),
        answers=tuple(column.name for column in answers),
        max_tokens=max(_room(column) for column in answers),
        after=after,
        given=given or {},
        other_families=other_families,
    )


def _translated(
    source: Profile, target: Profile, given: Mapping[str, str], tongue: Profile | None, how: str
) -> Sketch:
    fields = {"text": source, **({"target_language": tongue} if tongue else {})}
    into = f" into {given['target_language']}" if given else ""
    return _answered(
        "translation", fields, (target,), ("chrf", "bleu"),
        f"{target.name!r} translates {source.name!r}{into} ({how}).", given=given,
        other_families=("rewriting",),
    )  # fmt: skip


def _room(column: Profile) -> int:
    """Tokens for nearly all answers: half of the 99th percentile of characters, in steps of 16."""
    lengths = sorted(map(len, column.counts.elements()))
    longest = lengths[int(0.99 * (len(lengths) - 1))]
    return min(1024, 16 * (longest // 32 + 1))


def _is_label(answer: Profile) -> bool:
    """Whether answers are yes or no, true or false, and the like."""
    return answer.classes and answer.distinct <= _FEW


def _texts(cell: object) -> list[str]:
    """The answers in a cell: its text, the texts of its list, or of the list under `text`."""
    if isinstance(cell, Mapping):
        cell = cell.get("text", ())
    items = cell if isinstance(cell, list | tuple) else [cell_text(cell)]
    return [item for item in items if isinstance(item, str)]


def _has_turns(cell: object) -> bool:
    return isinstance(cell, list) and bool(cell) and isinstance(cell[0], Mapping)


def _is_dialogue(cell: object) -> bool:
    return len(_SPEAKER.findall(cell_text(cell))) >= 3


def _common_keys(column: Profile) -> tuple[str, ...]:
    """The keys of the objects where all have the same, few and plain ones."""
    found = [tuple(json_object(cell) or ()) for cell in column.cells]
    if len({frozenset(keys) for keys in found}) != 1 or not 0 < len(found[0]) <= _MOST_KEYS:
        return ()
    return found[0] if all(_KEY.fullmatch(key) for key in found[0]) else ()


def _and_list(items: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
