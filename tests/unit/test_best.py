"""Which checkpoint is the best: by the metric, and by the loss where that is within its noise."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_model import PLAN, ToyModel, toy_rows

from tutelage.progress import Quiet
from tutelage.records import Prediction
from tutelage.train.loop import fit
from tutelage.train.validation import Validation

FALLING = (0.9, 0.8, 0.7, 0.6)
LOWEST_SECOND = (0.9, 0.8, 0.85, 0.95)


@pytest.mark.parametrize(
    ("metrics", "losses", "best"),
    [
        ((0.10, 0.07, 0.10, 0.04), LOWEST_SECOND, 4),  # all within the noise: the loss
        ((0.10, 0.17, 0.20, 0.13), LOWEST_SECOND, 4),  # above the noise, and then the loss again
        ((0.30, 0.20, 0.10, 0.40), LOWEST_SECOND, 8),  # above the noise counts whatever the loss
        ((0.50, 0.46, 0.42, 0.38), FALLING, 4),  # not step by step downwards
        ((0.50, 0.46, 0.48, 0.38), FALLING, 6),
    ],
)
def test_within_the_noise_of_the_metric_the_loss_decides(
    tmp_path: Path, metrics: tuple[float, ...], losses: tuple[float, ...], best: int
) -> None:
    """The noise is that of a metric on few answers; the loss is of all rows."""
    answer = (Prediction("v", "g", "a", "a"),)
    found = iter(
        Validation(loss, {"accuracy": metric}, answer, noise=0.06)
        for metric, loss in zip(metrics, losses, strict=True)
    )
    epochs = [toy_rows(12)] * 9
    how = (PLAN, lambda _: next(found), "accuracy", tmp_path, "key", Quiet())
    assert fit(ToyModel(), epochs, *how).best_step == best
