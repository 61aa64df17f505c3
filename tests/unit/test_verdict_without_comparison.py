"""Why there is no comparison, in one sentence."""

from __future__ import annotations

import pytest

from tutelage.pipeline.testing import _no_comparison


@pytest.mark.parametrize(
    ("rows", "why"), [(12, "12 test rows are too few"), (40, "40 test rows of one label are not")]
)
def test_the_sentence_says_why(rows: int, why: str) -> None:
    found = _no_comparison(rows)
    assert found["says"] == "no comparison"
    assert why in found["sentence"]
