"""The frozen nouns that travel through the house: Row, Example, Encoded, Prediction.

source ─► Row ─► Example ─► Encoded ─► Batch ─► loss ─► … ─► Prediction ─► comparison
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation before the prompt; `trained` turns are targets of the loss."""

    role: Role
    content: str
    trained: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled source row, before any template.

    `fields` maps template variables to the cell, untouched: text, or plain data (lists, mappings,
    numbers) where the source has it. `where` is the address for error messages (`reviews.csv:17`).
    `extra` carries what only reference arms read, such as the ratings of single human raters.

    `label` is the class; in a task with text answers it is the answer to train on, the first of
    `answers`, all of which count as right. `choices` are the row's own options, one of which is
    `label`. `turns` is the conversation before the prompt. `split` and `time` are the source's
    own, where it has them. `task` names the task in a mixture.
    """

    id: str
    fields: Mapping[str, Any]
    label: str
    where: str
    group: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    split: SplitName | None = None
    time: str | None = None
    task: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A row rendered under one template.

    `options` holds the completion text of every label of `labels`, in that order; the gold one
    is `completion`. In a task with text answers `labels` are all gold answers, as `answers` is,
    and `options` their completions, the references; the first is trained on. `choices` are what
    the prompt of such a row shows, where its task has labels and others of a mixture have texts.
    `turns` stand before the prompt, a system turn first. `group` is the split group (rows that
    must stay together).
    """

    id: str
    fields: Mapping[str, Any]
    label: str
    group: str
    template: str
    prompt: str
    options: tuple[str, ...]
    labels: tuple[str, ...]
    where: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    task: str = ""
    choices: tuple[str, ...] = ()

    @property
    def completion(self) -> str:
        """The text the model should answer with."""
        return self.options[self.labels.index(self.label)]

    def to_json(self) -> dict[str, Any]:
        """Plain data for one line of `data/<split>.jsonl`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Example:
        """The inverse of `to_json`."""
        plain = dict(data)
        plain["options"] = tuple(plain["options"])
        plain["labels"] = tuple(plain["labels"])
        plain["answers"] = tuple(plain.get("answers", ()))
        plain["choices"] = tuple(plain.get("choices", ()))
        plain["turns"] = tuple(Turn(**turn) for turn in plain.get("turns", ()))
        return cls(**plain)

    def under(self, template: str, prompt: str, options: tuple[str, ...]) -> Example:
        """The same row rendered under another template."""
        return replace(self, template=template, prompt=prompt, options=options)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one example: what inference sends, and what it should answer.

    `completion_ids` ends in the turn's stop token. Training ids are the concatenation, never a
    slice of jointly tokenised text. Where a conversation is trained on several turns,
    `completion_ids` begins at the first of them and `trained` says which of its ids are targets;
    empty means all. `template` is what the row was rendered under.
    """

    id: str
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    trained: tuple[bool, ...] = ()
    template: str = ""

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One arm's answer to one row.

    `scores` are log-likelihoods (nats) or probabilities per label, in label order, where the arm
    has them; `votes` are (predicted, gold) pairs of an arm that answers a row several times, such
    as human raters. With text answers `gold` is the first of `references`, all of which count as
    right; `text` is the whole answer where only a part of it is compared; `unfinished` says that
    it ran into the length limit.
    """

    id: str
    group: str
    gold: str
    predicted: str
    template: str = ""
    scores: tuple[float, ...] | None = None
    votes: tuple[tuple[str, str], ...] | None = None
    references: tuple[str, ...] = ()
    text: str = ""
    unfinished: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data for one line of a predictions file, without empty fields.

        Those without a default are always there: an empty answer is an answer too.
        """
        empty = (None, "", (), False)
        always = ("id", "group", "gold", "predicted")
        return {k: v for k, v in asdict(self).items() if k in always or v not in empty}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prediction:
        """The inverse of `to_json`."""
        plain = dict(data)
        if plain.get("scores") is not None:
            plain["scores"] = tuple(plain["scores"])
        if plain.get("votes") is not None:
            plain["votes"] = tuple((v[0], v[1]) for v in plain["votes"])
        plain["references"] = tuple(plain.get("references", ()))
        return cls(**plain)
