"""Settings of training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from tutelage.tasks.schema import Section

Auto = Literal["auto"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class LoraConfig(Section):
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685); read where `method` is `lora`."""

    rank: int = Field(default=16, ge=1, description="inner width of an adapter (r)")
    alpha: int = Field(
        default=32, ge=1, description="an adapter's output is scaled by alpha / rank"
    )
    dropout: Share = Field(default=0.0, description="dropout on an adapter's input")
    targets: Literal["all-linear"] | list[str] = Field(
        default="all-linear",
        description="names of the adapted modules, or every linear one but the head",
    )

    @field_validator("targets")
    @classmethod
    def _some(cls, targets: str | list[str]) -> str | list[str]:
        if not targets:
            raise ValueError("names no module: write `all-linear` or at least one name")
        return targets


class TrainingConfig(Section):
    """How the model is tuned. `auto` is decided once before step 1 and written down."""

    method: Literal["full", "lora"] = Field(
        default="full", description="all weights, or adapters only"
    )
    epochs: Positive | Auto = Field(default="auto", description="passes over the training rows")
    learning_rate: Positive | Auto = Field(default="auto", description="peak of the schedule")
    batch_size: Count | Auto = Field(default=16, description="examples in one optimiser step")
    warmup: Share | Auto = Field(default="auto", description="share of the steps until the peak")
    schedule: Literal["linear", "cosine"] = Field(
        default="linear", description="decay after the peak"
    )
    weight_decay: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="AdamW's, decoupled"
    )
    clip: Positive = Field(default=1.0, description="largest norm of the whole gradient")
    micro_batch_tokens: Count | Auto = Field(
        default="auto",
        description="most tokens in one forward pass; changes memory, and the result by rounding",
    )
    activation_checkpointing: bool = Field(
        default=False, description="compute activations twice to hold fewer of them"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="of the forward and backward pass"
    )
    weights: Literal["fp32", "bf16"] = Field(
        default="fp32",
        description="of weights and optimiser; bf16 (Kahan sums): 10 bytes a weight, not 16",
    )
    compile: Literal["auto"] | bool = Field(
        default="auto",
        description="layers through torch.compile; auto: where an hour of training pays for it",
    )
    validations: int = Field(
        default=4, ge=1, le=1000, description="how often the run is validated, the end included"
    )
    validation_seconds: Positive = Field(
        default=60.0, description="time to generate text answers in one validation"
    )
    early_stopping: Count | None = Field(
        default=None, description="stop after this many validations without a new best; null: never"
    )
    checkpoint_every: Count | Auto = Field(
        default="auto", description="steps between checkpoints; auto: five minutes"
    )
    keep_checkpoints: int = Field(default=2, ge=2, description="newest whole checkpoints that stay")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the data order and of dropout")
    lora: LoraConfig = Field(default_factory=LoraConfig)
    max_length: Count | None = Field(
        default=None, description="longest example in tokens; null: the model's own limit"
    )

    @field_validator("weights")
    @classmethod
    def _one_precision(cls, weights: str, info: ValidationInfo) -> str:
        if weights == "bf16" and info.data.get("precision") == "fp32":
            raise ValueError("bf16 weights compute in bf16: leave out `training.precision: fp32`")
        return weights

    @property
    def named_precision(self) -> Literal["auto", "fp32", "bf16"]:
        """What the passes compute in, if the settings say it."""
        return "bf16" if self.weights == "bf16" else self.precision
