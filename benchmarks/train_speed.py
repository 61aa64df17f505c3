"""Training speed side by side: ours and peers, interleaved step by step in one run.

Every contender is a process of its own, in its own environment, that waits for the driver before
each step, so one works at a time and all meet the same noise. Losses on the first steps, which all
run on the same rows, must agree before anything is timed.

    .venv/bin/python benchmarks/train_speed.py --work a b --peers trl trainer --steps 7
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch

from result_file import write_result
from tutelage.machine.precision import Probe, probe
from tutelage.models.load import find_model
from works import BUDGET, WORKS, make_work

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".venv" / "peers"
PEERS = {  # worker, environment, what its environment is made of
    "trl": ("trl_worker.py", "trl"),
    "trainer": ("trainer_worker.py", "trl"),
    "litgpt": ("litgpt_worker.py", "litgpt"),
    "llamafactory": ("llamafactory_worker.py", "llamafactory"),
}
CHECK = 2  # steps on which losses are compared
TOLERANCE = {"fp32": 2e-3, "bf16": 5e-2}  # of the loss, relative; bf16 rounds differently


class EndedError(RuntimeError):
    """A contender ended before its work: of memory, most likely, where its log says nothing."""


class Worker:
    """One contender, paused between steps."""

    def __init__(self, name: str, work: Path, model: Path, precision: str) -> None:
        script, environment = ("ours.py", None) if name == "ours" else PEERS[name]
        python = ENVIRONMENTS / str(environment) / "bin" / "python"
        self.name = name
        self._process = subprocess.Popen(
            [
                sys.executable if environment is None else str(python),
                str(HERE / "peers" / script),
                str(work),
                str(model),
                precision,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(work.parent / f"{name}.log").open("w"),
            text=True,
            bufsize=1,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        self.log = work.parent / f"{name}.log"
        self.about = self._read()

    def step(self) -> dict[str, Any]:
        """One optimiser step."""
        self._say("go")
        return self._read()

    def stop(self) -> None:
        """No more steps."""
        if self._process.poll() is None:
            self._say("stop")
            self._process.wait(60)

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return dict(json.loads(line))

    def _ended(self) -> EndedError:
        code = self._process.wait(60)
        return EndedError(f"{self.name} ended with {code}:\n{self.log.read_text()[-2000:]}")


def measure(work: str, given: argparse.Namespace, precision: str) -> dict[str, Any]:
    """One work: check the losses, then time step by step in turn."""
    model = find_model("smollm2-135m").folder
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.json"
        made = make_work(work, given.steps, CHECK, given.examples, given.tokens)
        made.write(path)
        workers: list[Worker] = []
        try:
            for name in ("ours", *given.peers):
                workers.append(Worker(name, path, model, precision))
            checked = {w.name: [w.step()["loss"] for _ in range(CHECK)] for w in workers}
            agree(checked, precision)
            for worker in workers:
                worker.step()  # warm, on a step that is not timed
            rounds: dict[str, list[dict[str, Any]]] = {w.name: [] for w in workers}
            for _ in range(given.steps):
                for worker in workers:
                    rounds[worker.name].append(worker.step())
        finally:
            for worker in workers:
                worker.stop()
    return {
        "work": work,
        "what": WORKS[work],
        "examples_per_step": len(made.random[0]),
        "micro_batch_tokens": given.tokens,
        "precision": precision,
        "losses_on_the_same_rows": checked,
        "contenders": {
            w.name: {**w.about, **summary(rounds[w.name]), "rounds": rounds[w.name]}
            for w in workers
        },
    }


def agree(checked: dict[str, list[float]], precision: str) -> None:
    """Stop unless all losses agree with ours."""
    for name, losses in checked.items():
        for mine, theirs in zip(checked["ours"], losses, strict=True):
            if not abs(mine - theirs) <= TOLERANCE[precision] * max(1.0, abs(mine)):
                raise SystemExit(f"{name} computes another loss: {losses}, ours {checked['ours']}")


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Examples and tokens per second over all timed steps together, and quartiles of a step."""
    seconds = [r["seconds"] for r in rounds]
    quartiles = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
    examples, tokens = (sum(r[k] for r in rounds) for k in ("examples", "tokens"))
    # Grouped by length, steps differ, and the longest rows have a step to themselves: what counts
    # is the time of all of them, and the steps are spread evenly over short and long ones.
    total = sum(seconds)
    return {
        "seconds_quartiles": [round(q, 4) for q in quartiles],
        "examples_per_second": examples / total,
        "tokens_per_second": tokens / total,
        "computed_per_second": sum(r.get("computed", r["tokens"]) for r in rounds) / total,
        "peak_gb": max(r["peak_gb"] for r in rounds),
        **(
            {"gflops": sum(r["flops"] for r in rounds) / total / 1e9}
            if "flops" in rounds[0]
            else {}
        ),
    }


def ratios(results: list[dict[str, Any]]) -> dict[str, float]:
    """Ours to the best peer of the run, per work; memory of (a) too."""
    found: dict[str, float] = {}
    for result in results:
        ours = result["contenders"]["ours"]
        peers = [c for name, c in result["contenders"].items() if name != "ours"]
        if not peers:
            continue
        best = max(p["examples_per_second"] for p in peers)
        found[result["work"]] = round(ours["examples_per_second"] / best, 3)
        if result["work"] == "a":
            found["memory_a"] = round(ours["peak_gb"] / min(p["peak_gb"] for p in peers), 3)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", nargs="+", default=list(WORKS), choices=list(WORKS))
    parser.add_argument("--peers", nargs="*", default=["trl", "trainer"], choices=list(PEERS))
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--examples", type=int, help="of one step, instead of the work's own")
    parser.add_argument("--tokens", type=int, default=BUDGET, help="most in a micro-batch of ours")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    rates = probe(torch.device("cpu"), 576, 1536, 4096)
    precision = rates.faster if given.precision == "auto" else given.precision
    results, failed = [], []
    for work in given.work:
        try:
            results.append(measure(work, given, precision))
        except EndedError as error:  # what the other works measure is kept
            print(f"\n({work}) {error}", file=sys.stderr)
            failed.append(work)
        else:
            show(results[-1])
    command = f"train_speed.py --work {' '.join(given.work)} --peers {' '.join(given.peers)} "
    command += f"--steps {given.steps}"
    if given.examples:
        command += f" --examples {given.examples} --tokens {given.tokens}"
    print(f"ratios: {ratios(results)}")
    found = {"ratios": ratios(results), "works": results}
    again = probe(torch.device("cpu"), 576, 1536, 4096)  # the first may have met other work
    both = zip(astuple(rates), astuple(again), strict=True)
    reached = Probe(*(tuple(map(max, a, b)) for a, b in both))
    if results:
        write_result("train", command, reached, found, given.out)
    if failed:
        raise SystemExit(f"Not measured: {', '.join(failed)}.")


def show(result: dict[str, Any]) -> None:
    """A table of one work."""
    print(f"\n({result['work']}) {result['what']}, {result['precision']}")
    print(f"{'':14}{'examples/s':>12}{'tokens/s':>10}{'step s':>9}{'peak GB':>9}{'ours ×':>8}")
    ours = result["contenders"]["ours"]["examples_per_second"]
    for name, c in result["contenders"].items():
        print(
            f"{name:14}{c['examples_per_second']:12.2f}{c['tokens_per_second']:10.0f}"
            f"{c['seconds_quartiles'][1]:9.2f}{c['peak_gb']:9.2f}"
            f"{ours / c['examples_per_second']:8.2f}"
        )


if __name__ == "__main__":
    main()
