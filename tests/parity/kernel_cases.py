"""Which kernels of our own there are here, and numbers to try them on."""

from __future__ import annotations

import pytest
import torch

from tutelage.kernels.library import kernels

needs_kernels = pytest.mark.skipif(kernels().functions is None, reason="no AVX-512, or no compiler")
needs_bf16 = pytest.mark.skipif(not kernels().bf16, reason="no kernels, or no bf16")


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    """Normal numbers of a seed."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
