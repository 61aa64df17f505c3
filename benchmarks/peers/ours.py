"""Tutelage's own step on the driver's rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from protocol import model_folder, peak_gb, precision, tell, wait, work
from tutelage.machine.allocator import keep_memory

keep_memory()

import torch  # noqa: E402
import transformers  # noqa: E402

from tutelage.models.load import load_model  # noqa: E402
from tutelage.records import Encoded  # noqa: E402
from tutelage.tokens.batches import micro_batches  # noqa: E402
from tutelage.train.loop import train_step  # noqa: E402
from tutelage.train.optim import make_optimizer  # noqa: E402

KEPT = ("k_proj", "v_proj")  # of the last layer, for every token
RATE = 1e-5


def product_flops(model: Any, batches: Any) -> float:
    """Floating-point operations of all products with weights: forward and the two backward ones."""
    layers, head = model.model.layers, model.lm_head.weight.numel()
    sizes = [{n: p.numel() for n, p in x.named_parameters() if p.ndim == 2} for x in layers]
    everywhere = sum(sum(size.values()) for size in sizes)
    elsewhere = sum(n for name, n in sizes[-1].items() if not any(k in name for k in KEPT))
    total = 0.0
    for batch in batches:
        labelled = len(torch.unique(batch.rows))
        total += everywhere * batch.unique - elsewhere * (batch.unique - labelled)
        total += head * labelled
    return 6.0 * total


def main() -> None:
    """Steps in order: those to check on, then the timed ones."""
    plan = work()
    model: Any = load_model(Path(model_folder()))
    model.train()
    optimizer = make_optimizer(model, 0.0, precision())
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    tell(ready=True, versions=versions, settings={"micro_batch_tokens": plan["budget"]})
    for step in [*plan["check"], *plan["random"]]:
        if not wait():
            return
        started = time.perf_counter()
        rows = [Encoded(str(i), tuple(r[:r_f]), tuple(r[r_f:])) for i, (r, r_f) in enumerate(step)]
        batches = list(micro_batches(rows, plan["budget"]))
        done = train_step(model, optimizer, batches, rate=RATE, clip=1.0, precision=precision())
        seconds = time.perf_counter() - started
        tell(
            seconds=seconds,
            loss=done.loss,
            examples=len(step),
            tokens=done.tokens,
            computed=done.unique,
            flops=product_flops(model, batches),
            peak_gb=peak_gb(),
        )


if __name__ == "__main__":
    main()
