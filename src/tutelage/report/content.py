"""What the page and the card show beyond `report.json`: plain values, measured elsewhere.

Only `PageContent.report` is needed; whatever else is missing leaves its section out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tutelage.records import Role


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a table of facts; `note` says what it means."""

    name: str
    value: str | int | float
    note: str = ""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One logged optimiser step; loss in nats per completion token."""

    step: int
    loss: float
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class ValidationRecord:
    """One validation while training; `metric` is the task's primary metric."""

    step: int
    loss: float | None = None
    metric: float | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """The training log, and the step whose checkpoint was kept."""

    steps: tuple[StepRecord, ...]
    validations: tuple[ValidationRecord, ...] = ()
    metric: str = "accuracy"
    best_step: int | None = None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of test rows, gold label by row and predicted label by column: (labels, labels)."""

    labels: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    before_title: str
    after_title: str = "Tuned model"


@dataclass(frozen=True, slots=True)
class Change:
    """A test row that one arm got right and the other wrong."""

    id: str
    text: str
    gold: str
    before: str
    after: str
    prompt: str = ""
    template: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """Test rows that tuning fixed and broke: some of them, and how many there are."""

    before_title: str
    fixed: tuple[Change, ...] = ()
    broken: tuple[Change, ...] = ()
    fixed_total: int = 0
    broken_total: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """A test row with a text answer: what was said, all gold answers, scores in 0..1.

    `after` is the tuned model's answer, `before` that of the best baseline, None without one.
    `whole` is all that the tuned model wrote where only a part of it is compared; `unfinished`
    says that it ran into the length limit.
    """

    id: str
    text: str
    references: tuple[str, ...]
    after: str
    after_score: float
    before: str | None = None
    before_score: float | None = None
    whole: str = ""
    prompt: str = ""
    template: str = ""
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """Test rows that the tuned model answers better or worse, and how many there are.

    `samples` are shown where no row is of either kind, `unfinished` are some of the answers that
    ran into the length limit. `corpus` says that `metric` is counted over all rows at once, so
    that the scores of single rows do not average to it.
    """

    metric: str
    before_title: str = ""
    gains: tuple[Answered, ...] = ()
    losses: tuple[Answered, ...] = ()
    samples: tuple[Answered, ...] = ()
    unfinished: tuple[Answered, ...] = ()
    gains_total: int = 0
    losses_total: int = 0
    unfinished_total: int = 0
    corpus: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of training text; `trained` where its tokens carry loss."""

    text: str
    trained: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example as the model saw it; `pieces` are its trained tokens one by one."""

    id: str
    segments: tuple[Segment, ...]
    template: str = ""
    prompt_tokens: int | None = None
    trained_tokens: int | None = None
    where: str = ""
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """One split; lengths of prompts and gold answers in tokens."""

    name: str
    rows: int
    labels: Mapping[str, int] = field(default_factory=dict)
    groups: int | None = None
    mean_tokens: float | None = None
    p95_tokens: float | None = None
    max_tokens: int | None = None
    mean_answer_tokens: float | None = None
    max_answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """A row that a count of the page counts: its address, what is said of it, its beginning."""

    kind: str
    id: str
    where: str
    detail: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Remarks:
    """The first rows of every kind of ledger entry, quality flag and leak."""

    ledger: tuple[Remark, ...] = ()
    quality: tuple[Remark, ...] = ()
    leaks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the untuned weights come from.

    `base_model` is a hub id, `licence` an SPDX identifier or a name, `quantisation` is
    what the weights went through before they were tuned (`4-bit quantisation (GGUF Q4_1)`).
    """

    name: str
    base_model: str | None = None
    licence: str | None = None
    licence_link: str | None = None
    source: str = ""
    quantisation: str | None = None
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the prompt that the card's example sends."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """How the card shows the model being used: a rendered prompt of one template.

    Without a chat template in the tokenizer (`chat` false) the contents are sent in the encoder's
    plain form.
    """

    messages: tuple[Message, ...]
    template: str = ""
    chat: bool = True
    max_new_tokens: int = 8


@dataclass(frozen=True, slots=True)
class PageContent:
    """Everything the page and the card show; `report` is `report.json`, schema 1."""

    report: Mapping[str, Any]
    curves: Curves | None = None
    confusion: Confusion | None = None
    changes: Changes | None = None
    answers: Answers | None = None
    samples: tuple[Sample, ...] = ()
    splits: tuple[SplitFacts, ...] = ()
    ledger: tuple[Fact, ...] = ()
    quality: tuple[Fact, ...] = ()
    leaks: tuple[Fact, ...] = ()
    remarks: Remarks = field(default_factory=Remarks)
    data_source: str = ""
    provenance: Provenance | None = None
    usage: Usage | None = None
    config_yaml: str = ""
    command: str = ""
