"""Peak memory, memory that is free, and what a training step will need."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import torch

from tutelage.kernels.layer import llama_shaped
from tutelage.kernels.library import LANES, kernels
from tutelage.kernels.tree_attention import kernel_takes
from tutelage.machine.allocator import give_back
from tutelage.machine.precision import Precision

_STATUS = Path("/proc/self/status")
_STATM = Path("/proc/self/statm")
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


def resident_bytes(device: torch.device | None = None) -> int:
    """Resident memory now (host), or allocated memory (cuda)."""
    if device is not None and device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return peak_bytes(device)
    return pages * int(os.sysconf("SC_PAGE_SIZE"))


def own_bytes() -> int:
    """Resident memory of the host without pages of files, such as mapped tokens.

    The system takes those back where it needs them.
    """
    try:
        _, resident, of_files = (int(n) for n in _STATM.read_text().split()[:3])
    except (OSError, ValueError):
        return resident_bytes()
    return (resident - of_files) * int(os.sysconf("SC_PAGE_SIZE"))


def available_bytes(device: torch.device) -> int:
    """Memory that can still be taken without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    give_back()
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


Attention = Literal["plain", "blocks", "mask"]


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
    query_width: int = 0  # 0: that of the model
    fusible: bool = False  # like Llama, in whole registers: see `kernels.layer`

    @classmethod
    def of(cls, model: torch.nn.Module) -> ModelShape:
        """Read the sizes off a causal model."""
        config = model.config.get_text_config()  # type: ignore[operator, union-attr]
        heads = int(config.num_attention_heads)
        width = int(config.hidden_size)
        head = int(getattr(config, "head_dim", None) or width // heads)
        inner = int(getattr(config, "intermediate_size", None) or 4 * width)
        parameters = list(model.parameters())
        return cls(
            total=sum(p.numel() for p in parameters),
            trained=sum(p.numel() for p in parameters if p.requires_grad),
            layers=int(config.num_hidden_layers),
            width=width,
            inner=inner,
            heads=heads,
            kv_width=int(getattr(config, "num_key_value_heads", None) or heads) * head,
            vocabulary=int(config.vocab_size),
            query_width=heads * head,
            fusible=width % LANES == inner % LANES == 0
            and any(llama_shaped(module, "DecoderLayer") for module in model.modules()),
        )


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Closed-form peak of a training step in bytes, by what holds it.

    Attributes:
        casts: copies of the weights in the precision of the forward pass.
        activations: what autograd saves for the backward pass, or, where that is more, the
            gradients in bf16 that take its place.
        logits: of the labelled rows, and the gradient of the head before it is added up.
    """

    weights: int
    gradients: int
    optimizer: int
    casts: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


def step_memory(
    shape: ModelShape,
    tokens: int,
    labelled: int,
    *,
    fp32: bool,
    checkpointing: bool,
    weights: Precision = "fp32",
    attention: Attention = "blocks",
    fused: bool = False,
    rounded: bool = False,
) -> StepMemory:
    """Closed-form peak of a training step.

    Weights, gradients and two Adam moments in fp32, or all and Kahan sums in bf16; per token
    and layer what autograd saves of a Llama-shaped block, counted tensor by tensor
    (tests/unit/test_saved_bytes.py checks it to the byte); logits, their log-softmax and their
    gradient for labelled rows.

    Args:
        shape: the model's sizes.
        tokens: unique tokens of the largest micro-batch.
        labelled: labelled rows of it.
        fp32: activations in fp32, else bf16 autocast over fp32 weights.
        checkpointing: only each layer's input is kept, one layer is recomputed at a time.
        weights: what they are held in; adapters stay in fp32.
        attention: see `attention_of`.
        fused: see `fused_on`.
        rounded: see `rounded_on`.
    """
    layer = _layer_bytes(shape, tokens, fp32=fp32, attention=attention, fused=fused)
    kept = shape.layers * 4 * shape.width + layer if checkpointing else shape.layers * layer
    head = shape.vocabulary * shape.width
    trains_head = shape.trained >= head
    size, moments = (2, 6) if _all_in_bf16(shape, weights) else (4, 8)
    cast = 0 if fp32 else shape.trained if weights == "bf16" else shape.total
    low_gradients = 2 * shape.trained if rounded else 0
    again = tokens * layer if checkpointing else 0
    return StepMemory(
        weights=weight_bytes(shape, weights),
        gradients=size * shape.trained,
        optimizer=moments * shape.trained,
        casts=2 * cast if size == 4 else 0,
        activations=max(tokens * kept, low_gradients + again),
        logits=12 * shape.vocabulary * labelled + (size * head if labelled and trains_head else 0),
    )


def training_bytes(
    shape: ModelShape,
    tokens: int,
    labelled: int,
    *,
    fp32: bool,
    checkpointing: bool,
    weights: Precision = "fp32",
    device_type: str = "cpu",
) -> int:
    """The total of `step_memory`, rows merged; at least what the checks before step 1 take.

    The self-test holds the weights in fp32, and copies in bf16, with two sets of gradients.
    """
    attention = attention_of(shape, device_type, merged=True)
    gradients = 6 if _all_in_bf16(shape, weights) else 8
    checked = (4 if fp32 else 6) * shape.total + gradients * shape.trained
    step = step_memory(
        shape,
        tokens,
        labelled,
        fp32=fp32,
        checkpointing=checkpointing,
        weights=weights,
        attention=attention,
        fused=fused_on(shape, device_type, weights),
        rounded=rounded_on(shape, device_type, weights, fp32=fp32),
    ).total
    return max(checked, step)


def checkpoint_bytes(shape: ModelShape, weights: Precision) -> int:
    """Weights and what the optimiser holds of them: four numbers of two bytes, or three of four."""
    return (8 if _all_in_bf16(shape, weights) else 12) * shape.trained


def weight_bytes(shape: ModelShape, weights: Precision) -> int:
    """Bytes of a model's weights alone; adapters stay in fp32."""
    if weights == "fp32":
        return 4 * shape.total
    adapters = shape.trained if shape.trained < shape.total else 0
    return 2 * (shape.total - adapters) + 4 * adapters


def _all_in_bf16(shape: ModelShape, weights: Precision) -> bool:
    """Whether what is trained is held in bf16: the whole model, and no adapters."""
    return weights == "bf16" and shape.trained == shape.total


def attention_of(shape: ModelShape, device_type: str, *, merged: bool) -> Attention:
    """How attention is computed: the model's own way, by fp32 blocks, or under a dense mask.

    Kernels over the tree, on CUDA FlexAttention, keep what the model's own way keeps.
    """
    head = (shape.query_width or shape.width) // shape.heads
    if not merged or device_type == "cuda" or (device_type == "cpu" and kernel_takes(head)):
        return "plain"
    return "blocks" if device_type == "cpu" else "mask"


def fused_on(shape: ModelShape, device_type: str, weights: Precision) -> bool:
    """Whether norms and gates run in one pass each; norms over weights in bf16 do not."""
    fits = shape.fusible and device_type == "cpu" and weights == "fp32"
    return fits and kernels().functions is not None


def rounded_on(shape: ModelShape, device_type: str, weights: Precision, *, fp32: bool) -> bool:
    """Whether weights are kept rounded, too, and their gradients stay so until the update."""
    in_fp32 = not (fp32 or _all_in_bf16(shape, weights))
    return in_fp32 and device_type == "cpu" and kernels().bf16


def _layer_bytes(
    shape: ModelShape, tokens: int, *, fp32: bool, attention: Attention, fused: bool
) -> int:
    """Bytes that autograd saves per token and layer; under a mask keys are copied per head."""
    d, k, f, h = shape.width, shape.kv_width, shape.inner, shape.heads
    q = shape.query_width or d
    size = 4 if fp32 else 2
    kept = {
        "plain": 2 * size * (q + k),
        "blocks": 8 * (q + k) + (0 if fp32 else 2 * q),
        "mask": 4 * size * q + size * tokens,
    }[attention]
    if fused:
        rest = 16 * d + 12 * f if fp32 else 12 * d + 6 * f
    else:
        rest = 24 * d + 16 * f if fp32 else 26 * d + 8 * f
    return rest + kept + 4 * h + 8
