"""Does it matter how the loss is computed? Validation curves of several ways over several seeds.

Every way trains the same prepared rows at the same rates, and all but `ours_alike` in the same
order:

    plain       padded rows, logits of every position, the model's own attention (autocast)
    ours        as a run does, in the precision that is faster here
    ours_alike  the same, half of a batch under one template each (`tokens/order.py`)
    ours_fp32   ours in fp32
    ours_bf16   ours with weights and optimiser in bf16 (`training.weights: bf16`)

A seed decides which rows are taken and their order. Needs a prepared run; its test is not read.

    tutelage prepare reviews --out runs/curves
    .venv/bin/python benchmarks/curves.py runs/curves --steps 30 --seeds 3
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tutelage.machine.allocator import give_back, keep_memory

keep_memory()

import torch  # noqa: E402

from tutelage.evaluate.predict import predictions_from_scores, questions_for  # noqa: E402
from tutelage.evaluate.score import score_options  # noqa: E402
from tutelage.files import read_jsonl  # noqa: E402
from tutelage.machine.device import machine_facts  # noqa: E402
from tutelage.machine.precision import autocast, probe  # noqa: E402
from tutelage.models.load import find_model, load_model, load_tokenizer  # noqa: E402
from tutelage.records import Encoded, Example  # noqa: E402
from tutelage.tokens.batches import micro_batches  # noqa: E402
from tutelage.tokens.encode import Encoder  # noqa: E402
from tutelage.tokens.order import SameRows, Stream  # noqa: E402
from tutelage.train.loop import train_step  # noqa: E402
from tutelage.train.optim import make_optimizer, set_rate  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parity"))
import reference_loop  # noqa: E402

BATCH, RATE, CLIP, BUDGET = 16, 5e-5, 1.0, 2048
WAYS = ("ours", "ours_alike", "plain", "ours_fp32", "ours_bf16")


def plain_step(
    model: Any, optimizer: Any, rows: Sequence[Encoded], rate: float, dtype: str
) -> float:
    """Forward, backward and update as anybody would write them."""
    optimizer.zero_grad()
    with autocast(dtype, model.device):  # type: ignore[arg-type]
        loss = reference_loop.mean_loss(model, [(e.prompt_ids, e.completion_ids) for e in rows])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    set_rate(optimizer, rate)
    optimizer.step()
    return float(loss.detach())


def our_step(model: Any, optimizer: Any, rows: Sequence[Encoded], rate: float, dtype: str) -> float:
    """What a run does."""
    batches = list(micro_batches(rows, BUDGET))
    return train_step(
        model,
        optimizer,
        batches,
        rate=rate,
        clip=CLIP,
        precision=dtype,  # type: ignore[arg-type]
    ).loss


def curve(
    way: str,
    seed: int,
    steps: int,
    train: Sequence[Encoded],
    validate: Callable[[Any, str], dict[str, float]],
    faster: str,
) -> dict[str, Any]:
    """Train one way with one seed; losses of the steps, and validation half way and at the end."""
    dtype = {"ours_fp32": "fp32", "ours_bf16": "bf16"}.get(way, faster)
    weights: Any = "bf16" if way == "ours_bf16" else "fp32"
    model = load_model(find_model("smollm2-135m").folder, "cpu", weights)
    optimizer: torch.optim.Optimizer
    if way == "plain":
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0, fused=True)
    else:
        optimizer = make_optimizer(model, 0.0, dtype)  # type: ignore[arg-type]
    step_of = plain_step if way == "plain" else our_step
    losses, validations, seconds = [], [], 0.0
    together = BATCH // 2 if way == "ours_alike" else 1
    stream = Stream(SameRows(train), seed=seed, batch_size=BATCH, together=together)
    for step in range(steps):
        rows = stream.rows(step)
        rate = RATE * min((step + 1) / max(1, steps // 10), (steps - step) / steps)
        model.train()
        started = time.perf_counter()
        losses.append(step_of(model, optimizer, rows, rate, dtype))
        seconds += time.perf_counter() - started
        if step + 1 in (steps // 2, steps):
            validations.append({"step": step + 1, **validate(model, dtype)})
    return {
        "way": way,
        "seed": seed,
        "losses": losses,
        "validations": validations,
        "seconds": seconds,
    }


def main() -> None:
    """All ways of a seed, then the next seed; a table of the last validations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    given = parser.parse_args()
    encoder = Encoder(load_tokenizer(find_model("smollm2-135m").folder))

    def examples(name: str) -> list[Example]:
        return [Example.from_json(e) for e in read_jsonl(given.run / "data" / f"{name}.jsonl")]

    train = [encoder.example(e) for e in examples("train")]
    held = examples("validation")
    asked = questions_for(encoder, held)

    def validate(model: Any, dtype: str) -> dict[str, float]:
        scores = score_options(model, asked, precision=dtype)  # type: ignore[arg-type]
        found = predictions_from_scores(held, scores)
        right = statistics.mean(p.predicted == p.gold for p in found)
        gold = [s[e.labels.index(e.label)] for e, s in zip(held, scores, strict=True)]
        return {"accuracy": right, "loss": -statistics.mean(gold)}

    rates = probe(torch.device("cpu"), 576, 1536)
    curves: list[dict[str, Any]] = []
    today = dt.datetime.now(dt.UTC).date().isoformat()
    path = Path(__file__).parent / "results" / f"{today}-curves.json"
    result: dict[str, Any] = {
        "date": today,
        "run": uuid.uuid4().hex[:12],
        "command": f"benchmarks/curves.py --steps {given.steps} --seeds {given.seeds}"
        f" --ways {' '.join(given.ways)}",
        "machine": machine_facts(torch.device("cpu")),
        "precision": rates.faster,
        "validation_rows": len(held),
        "curves": curves,
    }
    if path.exists():  # a run that was interrupted goes on
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["command"] == result["command"]:
            result["run"] = earlier["run"]
            curves.extend(earlier["curves"])
    done = {(c["way"], c["seed"]) for c in curves}
    for seed in range(given.seeds):
        for way in given.ways:
            if (way, seed) in done:
                continue
            curves.append(curve(way, seed, given.steps, train, validate, rates.faster))
            give_back()
            last = curves[-1]
            print(way, seed, last["validations"], f"{last['seconds']:.0f} s", flush=True)
            path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for way in given.ways:
        ends = [c["validations"][-1] for c in curves if c["way"] == way]
        print(way, {k: statistics.mean(e[k] for e in ends) for k in ("accuracy", "loss")})
    print(path)


if __name__ == "__main__":
    main()
