"""A few rows for every family of templates, made up for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tutelage.records import Row

Case = tuple[tuple[str, ...], list[Row]]
"""The labels of a task and some of its rows."""

TEXTS = (
    "The new battery lasts two days, and the screen is a delight.",
    "Rain stopped play in the second set; the final goes on tomorrow.",
    "Parliament passed the budget late on Tuesday night.",
    "I would not go there again: cold soup and a long wait.",
)


def _rows(fields: Sequence[dict[str, Any]], labels: Sequence[str], **more: Any) -> list[Row]:
    return [
        Row(str(i), one, label, f"made-up:{i + 1}", **more)
        for i, (one, label) in enumerate(zip(fields, labels, strict=True))
    ]


def _fixed(labels: str, fields: Sequence[dict[str, str]], golds: str) -> Case:
    return tuple(labels.split("|")), _rows(fields, golds.split("|"))


def _answers(fields: Sequence[dict[str, str]], answers: Sequence[str]) -> Case:
    rows = _rows(fields, answers)
    return (), [Row(r.id, r.fields, r.label, r.where, answers=(r.label, "other")) for r in rows]


def _text(answers: Sequence[str]) -> Case:
    return _answers([{"text": text} for text in TEXTS], answers)


def _texts(labels: str, golds: str) -> Case:
    return _fixed(labels, [{"text": text} for text in TEXTS], golds)


def _choice() -> Case:
    asked = (
        ("Which planet is closest to the sun?", ("Venus", "Mercury", "Mars"), "Mercury"),
        ("What do bees make?", ("honey", "milk", "silk", "paper"), "honey"),
        ("How many legs does a spider have?", ("six", "eight"), "eight"),
    )
    return (), [
        Row(str(i), {"question": q}, gold, f"made-up:{i + 1}", choices=choices)
        for i, (q, choices, gold) in enumerate(asked)
    ]


CONTEXTS = (
    "The bridge was opened in 1907. It was closed to cars ninety years later.",
    "Ada keeps bees in the orchard behind the mill, and sells the honey on Sundays.",
)
QUESTIONS = ("When was the bridge opened?", "Where does Ada keep bees?")
SUMS = (
    "A crate holds 12 bottles. How many bottles are in 4 crates?",
    "Lena had 20 coins and gave 7 away. How many are left?",
)

CASES: dict[str, Case] = {
    "classification": _texts("spam|news|review", "review|news|news|spam"),
    "sentiment": _texts("negative|neutral|positive", "positive|neutral|neutral|negative"),
    "topic": _texts("sport|politics|products|food", "products|sport|politics|food"),
    "intent": _texts("praise|ask for money|tell news", "praise|tell news|tell news|ask for money"),
    "nli": _fixed(
        "entailment|neutral|contradiction",
        [
            {"premise": "A man plays a guitar outside.", "hypothesis": "Somebody makes music."},
            {"premise": "Two dogs are asleep.", "hypothesis": "The dogs are running."},
            {"premise": "She bought apples.", "hypothesis": "She bought them for a cake."},
        ],
        "entailment|contradiction|neutral",
    ),
    "paraphrase": _fixed(
        "no|yes",
        [
            {"first": "He left at noon.", "second": "At twelve he was gone."},
            {"first": "He left at noon.", "second": "He never left the house."},
        ],
        "yes|no",
    ),
    "multiple-choice": _choice(),
    "extractive-qa": _answers(
        [{"context": c, "question": q} for c, q in zip(CONTEXTS, QUESTIONS, strict=True)],
        ["1907", "in the orchard behind the mill"],
    ),
    "open-qa": _answers([{"question": q} for q in QUESTIONS], ["1907", "in the orchard"]),
    "summarisation": _text(["Long battery life.", "Rain delay.", "Budget passed.", "Bad dinner."]),
    "dialogue-summarisation": _answers(
        [
            {"dialogue": "Ann: Are you coming?\nBen: In ten minutes.\nAnn: Good."},
            {"dialogue": "Clerk: Next!\nGuest: A room for two, please."},
        ],
        ["Ben will come in ten minutes.", "A guest asks for a double room."],
    ),
    "extraction": _text([f'{{"about": "{word}"}}' for word in ("phone", "tennis", "law", "soup")]),
    "extraction-keys": _answers(
        [{"text": text, "keys": "topic, mood"} for text in TEXTS],
        [f'{{"topic": "{word}", "mood": null}}' for word in ("phone", "tennis", "law", "soup")],
    ),
    "translation": _answers(
        [
            {"text": "Good morning!", "target_language": "German"},
            {"text": "Where is the station?", "target_language": "French"},
        ],
        ["Guten Morgen!", "Où est la gare ?"],
    ),
    "rewriting": _text(["Two days of battery.", "Rain broke it off.", "A budget.", "Not again."]),
    "math": _answers(
        [{"question": q} for q in SUMS], ["12 * 4 = 48\n#### 48", "20 - 7 = 13\n#### 13"]
    ),
    "instruction": _answers(
        [{"prompt": "Name a colour."}, {"prompt": "Count to three."}], ["Blue.", "One, two, three."]
    ),
}
