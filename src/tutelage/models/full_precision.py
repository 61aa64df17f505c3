"""A model's weights in fp32 for a while, where rounding would hide what is looked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def in_fp32(model: Any) -> Iterator[None]:
    """All weights in fp32 within this context; they come back as they were, without gradients.

    Ties between weights hold, because a parameter stays the object it is.
    """
    changed = [(p, p.dtype) for p in model.parameters() if p.dtype != torch.float32]
    try:
        _hold((p, torch.float32) for p, _ in changed)
        yield
    finally:
        _hold(changed)


@torch.inference_mode(mode=False)  # tensors made in it could not be trained any more
def _hold(held: Iterable[tuple[torch.nn.Parameter, torch.dtype]]) -> None:
    for parameter, dtype in held:
        parameter.grad = None
        parameter.data = parameter.data.to(dtype)
