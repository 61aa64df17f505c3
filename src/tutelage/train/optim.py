"""AdamW over all trained weights (Loshchilov & Hutter 2019, arXiv 1711.05101).

Weights in fp32: a kernel of our own, or torch's fused one. Weights in bf16: that of `torch-optimi`,
which carries what an update loses in rounding to the next one (Kahan summation, as in Zamirai et
al. 2020, arXiv:2010.06192); moments are bf16 too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from tutelage.kernels.update import update_takes
from tutelage.machine.precision import Precision
from tutelage.models.rounded_weights import RoundedWeights, roundable
from tutelage.train.kernel_adamw import KernelAdamW

_BF16_BETAS = (0.9, 0.99)  # with 0.999 a second moment in bf16 would never fall again
Moments = dict[str, torch.Tensor]


def make_optimizer(
    model: Any, weight_decay: float, precision: Precision = "fp32"
) -> torch.optim.Optimizer:
    """Of the dtype of the weights; matrices decay, norms and biases do not.

    `precision` is that of the passes: it decides whether weights are kept rounded, too.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if update_takes(trained):
        return KernelAdamW(groups, RoundedWeights(roundable(model, precision)), _table(model))
    if all(p.dtype == torch.float32 for p in trained):
        return torch.optim.AdamW(groups, lr=0.0, fused=True)
    import optimi  # of this case alone

    for group in groups:  # the library's own decay would round away
        group |= {"decay": group.pop("weight_decay"), "weight_decay": 0.0}
    kahan: torch.optim.Optimizer = optimi.AdamW(
        groups, lr=0.0, betas=_BF16_BETAS, eps=1e-8, kahan_sum=True, foreach=False, triton=False
    )
    kahan.register_step_pre_hook(_decay)
    return kahan


@torch.no_grad()
def _decay(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Add the decay to what each weight has yet to receive; from the second step on."""
    for group in optimizer.param_groups:
        if not group["decay"]:
            continue
        for weight in group["params"]:
            state = optimizer.state.get(weight)
            if weight.grad is None or not state:
                continue
            left = state["kahan_comp"]  # None of a weight in fp32, which holds small changes itself
            (weight if left is None else left).add_(weight, alpha=-group["lr"] * group["decay"])


def _table(model: Any) -> torch.Tensor | None:
    """The weights of the embedding, if they are trained."""
    find = getattr(model, "get_input_embeddings", None)
    weight: torch.Tensor | None = getattr(find and find(), "weight", None)
    return weight if weight is not None and weight.requires_grad else None


def rounded_weights(optimizer: torch.optim.Optimizer) -> RoundedWeights:
    """Copies of weights that this optimiser keeps up to date; none of most."""
    return optimizer.rounded if isinstance(optimizer, KernelAdamW) else RoundedWeights()


def clip_gradients(optimizer: torch.optim.Optimizer, largest: float) -> torch.Tensor:
    """Scale gradients whose norm is above `largest`; the norm before that, taken in fp32."""
    if isinstance(optimizer, KernelAdamW):
        return optimizer.clip(largest)
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    grads = [p.grad for p in weights if p.grad is not None]
    if all(grad.dtype == torch.float32 for grad in grads):
        return torch.nn.utils.clip_grad_norm_(weights, largest)
    norms = [torch.linalg.vector_norm(grad, dtype=torch.float32) for grad in grads]
    norm: torch.Tensor = torch.linalg.vector_norm(torch.stack(norms))
    torch.nn.utils.clip_grads_with_norm_(weights, largest, norm)
    return norm


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def held(optimizer: torch.optim.Optimizer) -> Iterator[tuple[torch.Tensor, int, Moments]]:
    """Each updated weight, its number of updates, and the tensors that are kept for it."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = optimizer.state.get(weight)
            if state:
                step = int(state["step"] if "step" in state else group["step"])
                kept = {k: v for k, v in state.items() if k != "step" and torch.is_tensor(v)}
                yield weight, step, kept


def put_back(
    optimizer: torch.optim.Optimizer, steps: Mapping[torch.Tensor, tuple[int, Moments]]
) -> None:
    """The inverse of `held`."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight not in steps:
                continue
            step, moments = steps[weight]
            state: dict[str, torch.Tensor | None] = {
                name: moment.to(weight.device) for name, moment in moments.items()
            }
            if "setup" in group:  # optimi counts per group, and a weight in fp32 has no sum
                group.update(step=torch.tensor(step, dtype=torch.int32), setup=True)
                state.setdefault("kahan_comp", None)
            else:
                state["step"] = torch.tensor(float(step), device=weight.device)
            optimizer.state[weight] = state
