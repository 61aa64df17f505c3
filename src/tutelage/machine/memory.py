"""Peak memory, memory that is free, and what a training step will need."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak(device: torch.device | None = None) -> None:
    """Start a new peak measurement where the system allows it."""
    if device is not None and device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_bytes(device: torch.device | None = None) -> int:
    """Peak resident memory since `reset_peak` (host), or allocated memory (cuda)."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_bytes(device: torch.device) -> int:
    """Memory that can still be taken without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return min(int(line.split()[1]) * 1024, _cgroup_headroom())
    except OSError:
        pass
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _cgroup_headroom() -> int:
    """Bytes left under a container's limit, or a huge number where there is none."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        left = sys.maxsize if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return sys.maxsize
    return left


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes that decide memory; `total` and `trained` are parameter counts."""

    total: int
    trained: int
    layers: int
    width: int
    inner: int
    heads: int
    kv_width: int
    vocabulary: int

    @classmethod
    def of(cls, model: torch.nn.Module) -> ModelShape:
        """Read the sizes off a causal model."""
        config = model.config.get_text_config()  # type: ignore[operator, union-attr]
        heads = int(config.num_attention_heads)
        width = int(config.hidden_size)
        head = int(getattr(config, "head_dim", None) or width // heads)
        parameters = list(model.parameters())
        return cls(
            total=sum(p.numel() for p in parameters),
            trained=sum(p.numel() for p in parameters if p.requires_grad),
            layers=int(config.num_hidden_layers),
            width=width,
            inner=int(getattr(config, "intermediate_size", None) or 4 * width),
            heads=heads,
            kv_width=int(getattr(config, "num_key_value_heads", None) or heads) * head,
            vocabulary=int(config.vocab_size),
        )


def training_bytes(
    shape: ModelShape, tokens: int, labelled: int, *, fp32: bool, checkpointing: bool
) -> int:
    """Closed-form peak of a training step in bytes.

    Weights, gradients and two Adam moments in fp32, the activations autograd saves per token and
    layer of a Llama-shaped block without an attention mask, and the logits of labelled rows.

    Args:
        shape: the model's sizes.
        tokens: padded tokens of the largest micro-batch.
        labelled: labelled rows of it.
        fp32: activations in fp32, else bf16 autocast over fp32 weights.
        checkpointing: only each layer's input is kept, one layer is recomputed at a time.
    """
    static = 4 * shape.total + 12 * shape.trained
    d, k, f, h = shape.width, shape.kv_width, shape.inner, shape.heads
    layer = 24 * d + 8 * d + 8 * k + 16 * f + 4 * h + 8
    if not fp32:
        layer = int(0.75 * layer) + 2 * d
    kept = shape.layers * (4 * d) + layer if checkpointing else shape.layers * layer
    casts = 0 if fp32 else 2 * shape.total
    return static + casts + tokens * kept + 12 * shape.vocabulary * labelled
