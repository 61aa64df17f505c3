"""What `tutelage init` sees in a table: the family, the columns, and the roles beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from init_case import CLASSES, WORDS, Rows, brief, pick, rows_of, start, talk, text

from tutelage.templates.library import select
from tutelage.templates.render import training_templates


@pytest.fixture(autouse=True)
def _desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    return


FIELDS = {
    "sentiment": {"text": "review"},
    "topic": {"text": "body"},
    "intent": {"text": "utterance"},
    "classification": {"text": "text"},
    "nli": {"premise": "premise", "hypothesis": "hypothesis"},
    "paraphrase": {"first": "question1", "second": "question2"},
}
LABELS = {
    "sentiment": ("sentiment", ["negative", "neutral", "positive"]),
    "topic": ("topic", ["no", "sports", "world"]),
    "intent": ("intent", ["card_lost", "hello", "pay in"]),
    "classification": ("spam", ["no", "yes"]),
    "nli": ("label", ["contradiction", "entailment", "neutral"]),
    "paraphrase": ("duplicate", ["0", "1"]),
}


@pytest.mark.parametrize("family", CLASSES)
def test_tables_with_classes(family: str) -> None:
    started, config = start(CLASSES[family])
    task = config.task
    assert started.sketch.family == family
    assert task.fields == FIELDS[family]
    assert (task.label, task.labels) == LABELS[family]
    assert task.templates == [f"{family}/*"]
    assert task.metrics == ["accuracy", "macro_f1"]
    assert (task.answer, task.choices) == (None, None)


TEXTS: dict[str, tuple[Rows, dict[str, str], str | list[str], str]] = {
    "open-qa": (
        rows_of(question=lambda i: f"Who was {brief(i)}?", answer=lambda i: f"A {WORDS[i % 9]}"),
        {"question": "question"},
        "answer",
        "exact_match",
    ),
    "extractive-qa": (
        rows_of(
            title=lambda i: f"page {i // 4}",
            context=lambda i: text(i // 2),
            question=lambda i: f"What {brief(i)}?",
            answer=lambda i: text(i // 2).split()[i % 9],
        ),
        {"context": "context", "question": "question"},
        "answer",
        "exact_match",
    ),
    "summarisation": (
        rows_of(article=text, summary=brief),
        {"text": "article"},
        "summary",
        "rougeL",
    ),
    "dialogue-summarisation": (
        rows_of(
            fname=lambda i: f"d{i}",
            dialogue=talk,
            summary1=brief,
            summary2=lambda i: brief(i + 3),
            topic=lambda i: f"{WORDS[i % 12]} {i}",
        ),
        {"dialogue": "dialogue"},
        ["summary1", "summary2"],
        "rougeL",
    ),
    "extraction": (
        rows_of(note=text, record=lambda i: json.dumps({pick(i, "a", "b"): i})),
        {"text": "note"},
        "record",
        "json_f1",
    ),
    "rewriting": (
        rows_of(original=text, simplified=text),
        {"text": "original"},
        "simplified",
        "chrf",
    ),
    "math": (
        rows_of(question=lambda i: f"{brief(i)} So?", answer=lambda i: f"{i}+1\n#### {i + 1}"),
        {"question": "question"},
        "answer",
        "numeric_match",
    ),
    "instruction": (
        rows_of(prompt=text, completion=brief),
        {"prompt": "prompt"},
        "completion",
        "rougeL",
    ),
    "translation": (
        rows_of(source=text, target=brief, target_lang=lambda i: pick(i, "de", "fr")),
        {"text": "source", "target_language": "target_lang"},
        "target",
        "chrf",
    ),
}


@pytest.mark.parametrize("family", TEXTS)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_tables_with_text_answers(family: str, kind: str) -> None:
    rows, fields, answer, metric = TEXTS[family]
    started, config = start(rows, f"data.{kind}")
    task = config.task
    assert started.sketch.family == family
    assert task.fields == fields
    assert task.answer == answer
    assert task.metrics[0] == metric
    assert task.templates == [f"{family}/*"]
    assert task.labels is None
    assert 16 <= task.answers.max_tokens <= 64
    assert task.answers.after == ("####" if family == "math" else None)


def test_roles() -> None:
    _, config = start(CLASSES["sentiment"])
    assert (config.task.id, config.task.group_by) == ("review_id", "author")
    rows = [
        {**row, "split": pick(i, "train", "train", "test"), "created_at": f"2024-01-{i + 1:02}"}
        for i, row in enumerate(CLASSES["topic"])
    ]
    Path("task.yaml").unlink()
    started, config = start(rows)
    assert config.split.column == "split"
    assert started.sketch.roles.time == "created_at"
    assert config.split.time is None  # shown as an alternative, switched off


def test_rows_that_share_a_text_are_a_group() -> None:
    _, config = start(CLASSES["nli"])
    assert config.task.group_by == "premise"
    Path("task.yaml").unlink()
    _, config = start(TEXTS["extractive-qa"][0])
    assert config.task.group_by == "title"


@pytest.mark.parametrize(
    ("rows", "choices"),
    [
        (
            rows_of(
                question=brief, A=text, B=brief, C=lambda i: WORDS[i % 9], answer=lambda i: "B"
            ),
            None,
        ),
        (rows_of(question=brief, option_1=text, option_2=brief, label=lambda i: str(i % 2)), None),
        (
            rows_of(question=brief, choices=lambda i: [text(i), "none"], answer=lambda i: "none"),
            "choices",
        ),
    ],
)
def test_options_of_ones_own(rows: Rows, choices: str | None) -> None:
    started, config = start(rows, "data.jsonl")
    assert started.sketch.family == "multiple-choice"
    assert config.task.choices == (choices or list(rows[0])[1:-1])
    assert config.task.label == list(rows[0])[-1]
    assert config.task.metrics == ["accuracy"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (rows_of(en=text, de=brief), "German"),
        (rows_of(text_en=text, text_french=brief), "French"),
        (
            rows_of(
                source=lambda i: f"this is the {text(i)} and you are not",
                target=lambda i: f"das ist nicht die {text(i)} und auf der",
            ),
            "German",
        ),
        (
            rows_of(text=text, translation=lambda i: f"это {WORDS[i % 9]} и слово {i} пример"),
            "Russian",
        ),
    ],
)
def test_a_language_without_a_column_is_written_into_the_wordings(rows: Rows, said: str) -> None:
    started, config = start(rows)
    assert started.templates is not None
    assert config.task.templates == [str(started.templates.absolute())]
    templates = select(config.task.templates, ())
    assert len(training_templates(templates)) == 6
    assert all(said in t.prompt and t.fields == ["text"] for t in templates)
    assert sum(t.held_out for t in templates) == 3


def test_keys_of_json_answers_are_written_into_the_wordings() -> None:
    rows = rows_of(text=text, entities=lambda i: {"name": WORDS[i % 9], "unit price": i})
    started, config = start(rows, "data.jsonl")
    assert started.sketch.family == "extraction-keys"
    assert config.task.answer == "entities"
    templates = select(config.task.templates, ())
    assert all("name and unit price" in template.prompt for template in templates)


def test_keys_that_could_be_a_template_are_not_written_into_one() -> None:
    rows = rows_of(text=text, record=lambda i: {"{{ label }}": i})
    started, _ = start(rows, "data.jsonl")
    assert (started.sketch.family, started.templates) == ("extraction", None)


CHATS = {
    "openai": rows_of(
        messages=lambda i: [
            {"role": "user", "content": text(i)},
            {"role": "assistant", "content": brief(i)},
        ]
    ),
    "sharegpt": rows_of(
        conversations=lambda i: [{"from": "human", "value": text(i)}, {"from": "gpt", "value": "a"}]
    ),
}


@pytest.mark.parametrize("kind", CHATS)
def test_conversations(kind: str) -> None:
    _, config = start(CHATS[kind], "chat.jsonl")
    assert config.task.source.format == kind
    assert config.task.templates == ["instruction/*"]


def test_answers_and_options_as_question_sets_have_them() -> None:
    squad = rows_of(
        context=text,
        question=brief,
        answers=lambda i: {"text": [text(i).split()[i % 9]], "answer_start": [i]},
    )
    started, config = start(squad, "squad.jsonl")
    assert (started.sketch.family, config.task.answer) == ("extractive-qa", "answers")
    assert "100% of the answers" in started.sketch.seen[0]
    Path("task.yaml").unlink()
    arc = rows_of(
        question=brief,
        choices=lambda i: {"text": [text(i), "none"], "label": ["A", "B"]},
        answerKey=lambda i: pick(i, "A", "B"),
    )
    started, config = start(arc, "arc.jsonl")
    assert (config.task.choices, config.task.label) == ("choices", "answerKey")


def test_alpaca() -> None:
    rows = rows_of(instruction=text, input=lambda i: pick(i, "", brief(i)), output=brief)
    _, config = start(rows, "data.jsonl")
    assert config.task.source.format == "alpaca"
    assert config.task.fields == {}


def test_a_question_with_yes_or_no_is_a_class_of_both_texts() -> None:
    rows = rows_of(question=brief, passage=text, answer=lambda i: pick(i, "true", "false"))
    started, config = start(rows)
    assert started.sketch.family == "classification"
    assert config.task.fields == {"context": "passage", "question": "question"}
    assert config.task.label == "answer"


def test_a_title_is_a_summary_only_where_there_is_no_label() -> None:
    rows = rows_of(title=brief, story=text, category=lambda i: pick(i, "art", "war"))
    started, config = start(rows)
    assert (started.sketch.family, config.task.label) == ("classification", "category")
    Path("task.yaml").unlink()
    started, config = start([{"title": row["title"], "story": row["story"]} for row in rows])
    assert (started.sketch.family, config.task.answer) == ("summarisation", "title")
