"""Settings of the baselines: the arms that need no training."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, field_validator

from tutelage.tasks.schema import Section


class BaselinesConfig(Section):
    """Which arms the tuned model has to beat."""

    shots: list[NonNegativeInt] = Field(
        default_factory=lambda: [0, 1, 5],
        description="numbers of examples in the prompt, in rising order; 0 is zero-shot",
    )
    classic: bool = Field(
        default=True, description="arms that learn without a language model, such as TF-IDF"
    )

    @field_validator("shots")
    @classmethod
    def _rising(cls, shots: list[int]) -> list[int]:
        rising = sorted(set(shots))
        if rising != shots:
            raise ValueError(f"numbers rise and appear once: write {rising}")
        return shots
