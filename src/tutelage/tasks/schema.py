"""What a task is: a source, its fields, its labels, and the templates that word it."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Metric = Literal["accuracy", "macro_f1"]


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
    """Where rows come from: a table of the user's, or a built-in archive."""

    path: str | None = Field(None, description="CSV, TSV, JSON or JSON-lines file")
    encoding: str = Field("utf-8", description="text encoding of the file")
    archive: ArchiveSource | None = None

    @model_validator(mode="after")
    def _one_of(self) -> SourceSpec:
        if (self.path is None) == (self.archive is None):
            raise ValueError("give exactly one of `path` and `archive`")
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


class TaskSpec(Section):
    """One classification task."""

    name: Name
    source: SourceSpec
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="template variable: column; empty means the longest text column, as `text`",
    )
    label: str = Field("label", description="column with the label")
    labels: list[str] | None = Field(None, description="allowed labels in order; default: found")
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
