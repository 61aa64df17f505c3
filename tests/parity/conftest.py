"""Fixtures that several files of parity share."""

from __future__ import annotations

import pytest
from families import FAMILIES, tiny_model


@pytest.fixture(scope="module")
def model_of():
    models = {family: tiny_model(family).train() for family in FAMILIES}
    return models.__getitem__
