"""A model's weights in fp32 for a while."""

from __future__ import annotations

import torch

from tutelage.models.full_precision import in_fp32


def test_weights_come_back_as_they_were() -> None:
    model = torch.nn.Linear(3, 2).to(torch.bfloat16)
    model.weight.grad = torch.ones_like(model.weight)
    before = model.weight.clone()
    with in_fp32(model):
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.weight, before)
    assert model.weight.dtype == torch.bfloat16
    assert model.weight.grad is None


def test_weights_can_be_trained_after_a_look_in_inference() -> None:
    """Scoring asks in inference mode, whose tensors no gradient goes through."""
    model = torch.nn.Linear(3, 2).to(torch.bfloat16)
    with torch.inference_mode(), in_fp32(model):
        model(torch.ones(1, 3))
    model(torch.ones(1, 3, dtype=torch.bfloat16)).sum().backward()
    assert model.weight.grad is not None
