"""Where the time of a training step goes: torch's profiler over a few steps, by kind of operation.

.venv/bin/python benchmarks/profile_step.py --work a c
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tutelage.machine.allocator import keep_memory

keep_memory()

import torch  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from leave_one_out import encoded  # noqa: E402
from result_file import write_result  # noqa: E402
from tutelage.machine.precision import Precision, probe  # noqa: E402
from tutelage.models.load import find_model, load_model  # noqa: E402
from tutelage.tokens.batches import micro_batches  # noqa: E402
from tutelage.train import kernel_adamw  # noqa: E402
from tutelage.train.loop import train_step  # noqa: E402
from tutelage.train.optim import make_optimizer  # noqa: E402
from works import BUDGET, WORKS, make_work  # noqa: E402

KINDS = {  # what an operation's own time counts as, by its name
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "attention kernel": ("flash_attention", "KernelAttention"),
    "rows put into blocks of attention": ("index_select", "index_copy", "TreeAttention"),
    "casts and copies": ("aten::copy_",),
    "update and norm of the gradient": ("_fused_adamw_", "vector_norm", "AdamW", "gradient_norm"),
}
REST = "element-wise operations and the rest"


def shares(name: str, steps: int, precision: Precision) -> dict[str, Any]:
    """Share of all operations' own time by kind, after two steps that are not looked at."""
    rows = make_work(name, steps + 1, 1).random
    model: Any = load_model(find_model("smollm2-135m").folder)
    model.train()
    optimizer = make_optimizer(model, 0.0, precision)

    def step(number: int) -> None:
        batches = list(micro_batches(encoded(rows[number]), BUDGET))
        train_step(model, optimizer, batches, rate=1e-6, clip=1.0, precision=precision)

    for number in range(2):
        step(number)
    real = kernel_adamw.gradient_norm

    def shown(*given: Any) -> float:
        with torch.autograd.profiler.record_function("gradient_norm"):
            return real(*given)

    kernel_adamw.gradient_norm = shown
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for number in range(2, steps + 2):
            step(number)
    own = {event.key: float(event.self_cpu_time_total) for event in seen.key_averages()}
    total = sum(own.values())
    found = dict.fromkeys([*KINDS, REST], 0.0)
    for key, time in own.items():
        kinds = (kind for kind, marks in KINDS.items() if any(mark in key for mark in marks))
        found[next(kinds, REST)] += time / total
    largest = sorted(own.items(), key=lambda item: -item[1])[:25]
    return {
        "work": name,
        "shares": {kind: round(share, 4) for kind, share in found.items()},
        "operations": {key: round(time / total, 4) for key, time in largest},
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", nargs="+", default=["a", "c"], choices=list(WORKS))
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    rates = probe(torch.device("cpu"), 576, 1536, 4096)
    works = [shares(name, given.steps, rates.faster) for name in given.work]
    for work in works:
        print(f"({work['work']})", work["shares"])
    command = f"profile_step.py --work {' '.join(given.work)} --steps {given.steps}"
    write_result("profile", command, rates, {"works": works}, given.out)


if __name__ == "__main__":
    main()
