"""What a task is: a source, its fields, its labels, and the templates that word it."""

from __future__ import annotations

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

    @model_validator(mode="after")
    def _one_of(self) -> SourceSpec:
        named = [n for n in ("path", "sql", "hub", "archive") if getattr(self, n) is not None]
        if len(named) != 1:
            raise ValueError("give exactly one of `path`, `sql`, `hub` and `archive`")
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


class LabelBin(Section):
    """Numbers below `below` get this label; the last bin has no bound."""

    label: str
    below: float | None = None


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
        default_factory=lambda: list[Metric](("accuracy", "macro_f1")),
        min_length=1,
        description="the first is the primary one",
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


def normal_label(label: str) -> str:
    """Spelling under which two labels count as the same: NFC, trimmed, case folded."""
    return unicodedata.normalize("NFC", label).strip().casefold()
