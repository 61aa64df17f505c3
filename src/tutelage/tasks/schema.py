"""What a task is: a source, its fields, its labels, and the templates that word it."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Metric = Literal[
    "accuracy",
    "macro_f1",
    "exact_match",
    "token_f1",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "chrf",
    "bleu",
    "json_valid",
    "json_f1",
    "numeric_match",
]
Kind = Literal["classification", "choice", "text"]
Format = Literal[
    "auto",
    "csv",
    "tsv",
    "json",
    "jsonl",
    "parquet",
    "arrow",
    "excel",
    "text_folders",
    "dataset",
    "pairs",
    "alpaca",
    "sharegpt",
    "openai",
]


class Section(BaseModel):
    """Base of every configuration section: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchiveSource(Section):
    """A rating corpus inside a source archive of the package index, read and never installed."""

    package: str
    version: str
    filename: str
    sha256: str
    inner: str = Field(description="the archive inside the archive, by exact name")
    texts: str = Field(description="member with id, mean rating, text")
    ratings: str = Field(description="member with id, mean, deviation, all ratings")
    grouped: bool = Field(False, description="ids are `group_sentence`")


class SourceSpec(Section):
    """Where rows come from: files of the user's, a database, a data set, or a built-in archive."""

    path: str | list[str] | None = Field(
        None, description="a file, a folder, a pattern such as `part-*.csv`, or a list of them"
    )
    format: Format = Field("auto", description="`auto` goes by the extension and the keys")
    encoding: str = Field("utf-8", description="text encoding of text files")
    sheet: str | None = Field(None, description="sheet of an Excel file; default: the first")
    sql: str | None = Field(None, description="a query, read from `url`")
    url: str | None = Field(None, description="SQLAlchemy URL, such as sqlite:///reviews.db")
    hub: str | None = Field(None, description="data set of the Hugging Face hub, by name")
    subset: str | None = Field(None, description="configuration of a hub data set")
    revision: str | None = Field(None, description="commit or tag of a hub data set")
    archive: ArchiveSource | None = None
    mixture: Mixture | None = Field(None, description="several tasks trained as one")

    @model_validator(mode="after")
    def _one_of(self) -> SourceSpec:
        kinds = ("path", "sql", "hub", "archive", "mixture")
        if sum(getattr(self, name) is not None for name in kinds) != 1:
            raise ValueError("give exactly one of `path`, `sql`, `hub`, `archive` and `mixture`")
        if (self.sql is None) != (self.url is None):
            raise ValueError("`sql` and `url` go together")
        return self


class RatingRule(Section):
    """Labels by thresholds on a mean rating: rating / scale above, below, or between."""

    scale: float = Field(gt=0)
    negative_below: float
    positive_above: float
    negative: str = "negative"
    neutral: str = "neutral"
    positive: str = "positive"

    def label(self, rating: float) -> str:
        """Label of one rating, or of the mean of several."""
        scaled = rating / self.scale
        if scaled > self.positive_above:
            return self.positive
        return self.negative if scaled < self.negative_below else self.neutral


class MixtureTask(Section):
    """One task of a mixture."""

    task: TaskSpec = Field(description="name of a built-in task, a task's YAML file, or its keys")
    rate: float = Field(1.0, gt=0, allow_inf_nan=False, description="weight beside the others")
    cap: int | None = Field(None, ge=1, description="most training rows that count for its share")
    held_out: bool = Field(False, description="never trained on; tested as an unseen task")


class Mixture(Section):
    """Tasks that are trained as one, and how much of each.

    A task's share of the training rows is proportional to rate x min(rows, cap)^(1/temperature)
    (Raffel et al. 2020, section 3.5.2; Wei et al. 2022). No row is repeated.
    """

    tasks: list[MixtureTask] = Field(min_length=2)
    temperature: float = Field(1.0, ge=1, description="1: by size; higher: more even")

    @model_validator(mode="after")
    def _sound(self) -> Mixture:
        names = [part.task.name for part in self.tasks]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two tasks are called {doubled[0]!r}; give one another name")
        if all(part.held_out for part in self.tasks):
            raise ValueError("every task is held out; nothing is left to train on")
        if any(part.task.source.mixture is not None for part in self.tasks):
            raise ValueError("a mixture cannot hold a mixture; list its tasks")
        return self


class LabelBin(Section):
    """Numbers below `below` get this label; the last bin has no bound."""

    label: str = Field(min_length=1)
    below: float | None = Field(None, allow_inf_nan=False)


class RowFilter(Section):
    """Keeps rows whose cell passes every condition that is given."""

    column: str
    equals: str | list[str] | None = Field(None, description="one of these texts")
    not_equals: str | list[str] | None = Field(None, description="none of these texts")
    matches: str | None = Field(None, description="regular expression found in the cell")
    at_least: float | None = Field(None, description="the cell as a number")
    at_most: float | None = Field(None, description="the cell as a number")
    shortest: int | None = Field(None, ge=0, description="characters")
    longest: int | None = Field(None, ge=1, description="characters")

    @model_validator(mode="after")
    def _asks_for_something(self) -> RowFilter:
        if all(value is None for name, value in self if name != "column"):
            raise ValueError("give a condition, such as `equals` or `at_least`")
        return self

    @field_validator("matches")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is not a regular expression ({error})") from error
        return pattern


class Sample(Section):
    """A random part of the rows that are left after filters."""

    rows: int = Field(ge=1)
    per_label: bool = Field(False, description="`rows` of every label instead of in all")
    seed: int = Field(0, ge=0)


class AnswerSpec(Section):
    """How text answers are generated and read."""

    max_tokens: int = Field(128, ge=1, description="longest generated answer")
    stop: list[str] = Field(default_factory=list, description="texts that end an answer")
    after: str | None = Field(
        None, description="only what follows this mark is compared, such as `####`"
    )


class TaskSpec(Section):
    """One task: classes, options per row, or text answers."""

    name: Name
    source: SourceSpec
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="template variable: column; empty means the longest text column, as `text`",
    )
    label: str = Field("label", description="column with the label")
    labels: list[str] | None = Field(None, description="allowed labels in order; default: found")
    label_names: dict[str, str] | None = Field(
        None, description="label in the data: label to use, such as 0: negative"
    )
    label_bins: list[LabelBin] | None = Field(
        None, description="labels by thresholds on a number, lowest first"
    )
    choices: str | list[str] | None = Field(
        None,
        description="column with a list of options, or the columns that hold one each; the label "
        "is then an option, its number from 0, or its letter",
    )
    answer: str | list[str] | None = Field(
        None,
        description="column with the text answer, or several gold answers of which the first is "
        "trained on; makes this a task with text answers",
    )
    answers: AnswerSpec = Field(default_factory=AnswerSpec)
    loss_on: Literal["all", "last"] = Field(
        "last", description="assistant turns of a conversation that are trained"
    )
    filters: list[RowFilter] = Field(default_factory=list)
    sample: Sample | None = None
    truncate: list[str] = Field(
        default_factory=list,
        description="fields that may be cut where a prompt is too long, in this order; default: "
        "the longest first",
    )
    rating_rule: RatingRule | None = Field(None, description="make labels from ratings")
    id: str | None = Field(None, description="column with a unique id; default: the row number")
    group_by: str | None = Field(None, description="column whose equal values stay in one split")
    templates: list[str] = Field(
        default_factory=lambda: ["auto"],
        description="`family/name` or `family/*`; `auto` picks a family by the labels",
    )
    metrics: list[Metric] = Field(
        default_factory=list,
        description="the first is the primary one; default: what fits the labels or answers",
    )
    references: list[Literal["human_rater", "vader"]] = Field(
        default_factory=list, description="reference arms; never a baseline of the verdict"
    )

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: list[str] | None) -> list[str] | None:
        if labels is None:
            return None
        if len(labels) < 2:
            raise ValueError("name at least two labels")
        seen: dict[str, str] = {}
        for label in labels:
            key = normal_label(label)
            if not key:
                raise ValueError("a label is empty")
            if key in seen:
                raise ValueError(f"labels {seen[key]!r} and {label!r} are equal once normalised")
            seen[key] = label
        return labels

    @field_validator("label_bins")
    @classmethod
    def _bins_rise(cls, bins: list[LabelBin] | None) -> list[LabelBin] | None:
        bounds = [one.below for one in bins or []]
        inner = [bound for bound in bounds if bound is not None]
        if None in bounds[:-1] or inner != sorted(set(inner)):
            raise ValueError("`below` rises from bin to bin; only the last may leave it out")
        if bins is not None and len({one.label for one in bins}) < 2:
            raise ValueError("name at least two labels")
        return bins

    @model_validator(mode="after")
    def _one_kind_of_answer(self) -> TaskSpec:
        for first, others in _EXCLUSIVE.items():
            for other in others:
                if getattr(self, first) is not None and getattr(self, other) is not None:
                    raise ValueError(f"`{first}` and `{other}` do not go together; give one")
        return self


# What makes the gold answer of a task: one way only.
_EXCLUSIVE = {
    "answer": ("choices", "labels", "label_names", "label_bins", "rating_rule"),
    "choices": ("labels", "label_bins", "rating_rule"),
    "label_bins": ("rating_rule", "label_names"),
    "rating_rule": ("label_names",),
}
SourceSpec.model_rebuild()


def normal_label(label: str) -> str:
    """Spelling under which two labels count as the same: NFC, trimmed, case folded."""
    return unicodedata.normalize("NFC", label).strip().casefold()
