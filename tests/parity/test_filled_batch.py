"""Tokens that fill a batch up, for products in whole tiles, change no loss and no gradient."""

from __future__ import annotations

import pytest
import torch
from families import FAMILIES
from gradient_cases import CASES, assert_equal, encoded, ours, theirs

from tutelage.kernels.library import kernels
from tutelage.models import loss_rows
from tutelage.models.filled_batch import filled, likes_whole_tiles
from tutelage.tokens.batches import Batch, collate


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_that_fill_a_batch_up_change_nothing(
    model_of, family: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def seen(batch: Batch) -> Batch:
        sizes.append((batch.unique, filled(batch).unique))
        return filled(batch)

    monkeypatch.setattr(loss_rows, "likes_whole_tiles", lambda model, low: True)
    monkeypatch.setattr(loss_rows, "filled", seen)
    model, rows = model_of(family), CASES[case]
    assert_equal(ours(model, rows, 4096, True), theirs(model, rows))
    assert all(whole % 32 == 0 and 0 <= whole - own < 32 for own, whole in sizes)
    assert any(whole > own for own, whole in sizes) or len(encoded(rows)) == 1


@pytest.mark.parametrize("whole", [1, 7, 32])
def test_they_are_a_row_that_no_other_sees(whole: int) -> None:
    batch = collate(encoded(CASES["prefix tree"]))
    found = filled(batch, whole)
    own = batch.unique
    assert found.unique % whole == 0
    assert found.unique - own < whole
    assert torch.equal(found.input_ids_1N[:, :own], batch.input_ids_1N)
    assert torch.equal(found.positions_1N[:, :own], batch.positions_1N)
    assert found.nodes[: len(batch.nodes)] == batch.nodes
    for node in found.nodes[len(batch.nodes) :]:
        assert (node.start, node.end, node.stop) == (own, found.unique, found.unique)
    assert (found.rows, found.targets, found.tokens) == (batch.rows, batch.targets, batch.tokens)


def test_only_bf16_is_filled_up_and_only_where_there_are_tiles(model_of) -> None:
    model = model_of("llama")
    assert not likes_whole_tiles(model, low=False)
    assert likes_whole_tiles(model, low=True) == kernels().tiles
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert likes_whole_tiles(model, low=False) == kernels().tiles
