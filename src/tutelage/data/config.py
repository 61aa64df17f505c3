"""Settings of the splits."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tutelage.tasks.schema import Section


class SplitConfig(Section):
    """How rows are divided, and how much contradiction in them is let through."""

    validation: float = Field(0.1, gt=0, le=0.5, description="share of rows for validation")
    test: float = Field(0.2, gt=0, le=0.5, description="share of rows for the sealed test")
    seed: int = Field(0, ge=0, description="another seed gives another split")
    column: str | None = Field(
        None, description="column that names each row's split: train, validation or test"
    )
    validation_path: str | None = Field(None, description="file with the validation rows")
    test_path: str | None = Field(None, description="file with the test rows")
    time: str | None = Field(None, description="column to divide by time: train before test")
    decontaminate: bool = Field(
        False,
        description="drop training and validation rows that repeat rows of a predefined later "
        "split, and training rows that quote `benchmarks`",
    )
    benchmarks: list[str] = Field(
        default_factory=list,
        description="text, JSON or JSON-lines files; rows that quote them are reported",
    )
    benchmark_words: int = Field(
        13, ge=5, le=50, description="words in a row that make a quotation; shorter texts: all"
    )
    near_duplicate_threshold: float = Field(
        0.8,
        ge=0.7,
        le=1,
        description="Jaccard index of character 5-grams from which two inputs are one group; "
        "below 0.7 the search would miss pairs",
    )
    max_conflict_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="share of rows that may contradict another row or be dropped",
    )

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> Self:
        if self.validation + self.test > 0.9:
            raise ValueError("`validation` and `test` together leave less than a tenth to train on")
        if self.column and (self.validation_path or self.test_path):
            raise ValueError("`column` and files of their own both name splits; give one of them")
        if self.time and (self.column or self.validation_path or self.test_path):
            raise ValueError("`time` divides the rows, and so does a predefined split; give one")
        return self
