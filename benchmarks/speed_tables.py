"""Tables of `docs/speed.md`, from the result files of the benchmarks."""

from __future__ import annotations

import statistics
from typing import Any


def growth_table(found: dict[str, Any]) -> str:
    """One run."""
    titles = {
        "rows": "rows of a step",
        "length": "own tokens of a prompt",
        "shared": "tokens that all prompts begin with",
        "layers": "layers",
    }
    base = ", ".join(f"{found['base'][name]} {title}" for name, title in titles.items())
    lines = [
        f"{found['date']}, run `{found['run']}`, `{found['command']}`, {found['precision']}, "
        f"{found['machine']['threads']} threads; "
        f"otherwise {base}.",
        "",
        "| what grows | to | parameters | tokens computed | seconds | of the first | peak |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, points in found["growth"].items():
        for point in points:
            ratio = point["seconds"] / points[0]["seconds"]
            lines.append(
                f"| {titles[name]} | {point[name]} | {point['parameters'] / 1e6:.0f} M | "
                f"{point['computed_tokens']:,} of {point['tokens']:,} | {point['seconds']:.2f} | "
                f"{ratio:.2f} × | {point['peak_gb']:.1f} GB |"
            )
    return "\n".join(lines)


def curves_table(found: dict[str, Any]) -> str:
    """Every way of computing the loss: validation at the end of its steps, by seed."""
    titles = {
        "plain": "plain loop, padded, autocast",
        "ours": "Tutelage, rows in a plain random order",
        "ours_alike": "Tutelage, half a batch under one template each",
        "ours_fp32": "Tutelage, fp32",
        "ours_bf16": "Tutelage, weights in bf16",
    }
    seeds = sorted({curve["seed"] for curve in found["curves"]})
    last = found["curves"][0]["validations"][-1]["step"]
    lines = [
        f"{found['date']}, run `{found['run']}`, `{found['command']}`, {found['validation_rows']} "
        f"validation rows after {last} steps of 16; precision {found['precision']} where none is "
        "named.",
        "",
        f"| | {' | '.join(f'seed {seed}' for seed in seeds)} | mean accuracy | mean loss |",
        "|---" * (len(seeds) + 3) + "|",
    ]
    for way, title in titles.items():
        ends = {c["seed"]: c["validations"][-1] for c in found["curves"] if c["way"] == way}
        if not ends:
            continue
        cells = [
            f"{100 * ends[s]['accuracy']:.1f} %, {ends[s]['loss']:.3f}" if s in ends else "-"
            for s in seeds
        ]
        mean = {k: statistics.mean(e[k] for e in ends.values()) for k in ("accuracy", "loss")}
        lines.append(
            f"| {title} | {' | '.join(cells)} | {100 * mean['accuracy']:.1f} % | "
            f"{mean['loss']:.3f} |"
        )
    return "\n".join(lines)


def versions_of(part: dict[str, Any]) -> dict[str, str]:
    """Of the libraries of all contenders."""
    versions: dict[str, str] = dict(part.get("versions", {}))
    for work in part["works"] if isinstance(part["works"], list) else []:
        for contender in work["contenders"].values():
            versions |= contender.get("versions", {})
    return versions


def about(part: dict[str, Any]) -> str:
    """Date, run, command and machine of a part."""
    facts, versions = part["machine"], versions_of(part)
    said = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    fp32, bf16 = (max(part["gflops"][name]) for name in ("fp32", "bf16"))
    return (
        f"{part['date']}, run `{part['run']}`, `{part['command']}`. {facts['processor']}, "
        f"{facts['cores']} cores; {said}; matrix products reach "
        f"{fp32:.0f} GFLOP/s in fp32 and {bf16:.0f} in bf16."
    )


def train_table(found: dict[str, Any]) -> list[str]:
    """Every contender on every work."""
    lines = ["| work | trainer | examples/s | tokens/s | computed/s | of the rate | peak | ours |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    rates = {name: max(measured) for name, measured in found["gflops"].items()}
    for work in found["works"]:
        ours = work["contenders"]["ours"]["examples_per_second"]
        for name, c in work["contenders"].items():
            mark = "" if name == "ours" else f"{ours / c['examples_per_second']:.2f} ×"
            title = f"**{name}**" if name == "ours" else name
            share = c["gflops"] / rates[work["precision"]] if "gflops" in c else None
            lines.append(
                f"| ({work['work']}) | {title} | {c['examples_per_second']:.2f} | "
                f"{c['tokens_per_second']:.0f} | {c['computed_per_second']:.0f} | "
                f"{'' if share is None else f'{100 * share:.0f} %'} | "
                f"{c['peak_gb']:.1f} GB | {mark} |"
            )
    return lines


def worth_table(found: dict[str, Any]) -> str:
    """What a step takes without each technique, a column per work."""
    works = [work["work"] for work in found["works"]]
    names = list(dict.fromkeys(name for work in found["works"] for name in work["worth"]))
    facts = found["machine"]
    lines = [
        f"{found['date']}, run `{found['run']}`, `{found['command']}`, {found['precision']}, "
        f"{facts['processor']}, {facts['cores']} cores.",
        "",
        f"| left out | {' | '.join(f'({work})' for work in works)} |",
        "|---" * (len(works) + 1) + "|",
    ]
    for name in names:
        cells = []
        for work in found["works"]:
            ratio = work["worth"].get(name)
            cells.append(
                f"{ratio['median']:.2f} × ({ratio['low']:.2f} to {ratio['high']:.2f})"
                if ratio
                else ""
            )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def profile_table(found: dict[str, Any]) -> str:
    """Where a step's time goes, a column per work."""
    works = found["works"]
    lines = [
        f"{found['date']}, run `{found['run']}`, `{found['command']}`, {found['precision']}, "
        f"{found['machine']['processor']}, {found['machine']['cores']} cores.",
        "",
        "| of a step's time | " + " | ".join(f"({w['work']})" for w in works) + " |",
        "|---" * (len(works) + 1) + "|",
    ]
    for kind in works[0]["shares"]:
        cells = (f"{100 * w['shares'][kind]:.0f} %" for w in works)
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def answers_table(found: dict[str, Any]) -> str:
    """Same answers of two ways of computing, a column per model."""
    titles = {
        "fp32": "fp32",
        "ours": "ours, bf16",
        "lm_eval_weights": "harness, bf16 weights",
        "lm_eval_autocast": "harness, autocast",
    }
    said = found["same_answers"]
    lines = [f"| | {' | '.join(said)} |", "|---" * (len(said) + 1) + "|"]
    for pair in next(iter(said.values())):
        if " = " in pair:
            names = " and ".join(titles[name] for name in pair.split(" = "))
            cells = " | ".join(f"{100 * model[pair]:.1f} %" for model in said.values())
            lines.append(f"| {names} | {cells} |")
    return "\n".join(lines)


def ratio_table(found: dict[str, Any], titles: dict[str, str]) -> list[str]:
    """Ours to the best peer of its run, a line per work."""
    lines = ["| work | examples per second, to the best peer | run |", "|---|---|---|"]
    for name, title in titles.items():
        if name in found["ratios"]:
            run = found["run_of"][name]
            lines.append(f"| {title} | {found['ratios'][name]:.1f} × | `{run}` |")
    return lines


def score_table(found: dict[str, Any]) -> list[str]:
    """Scoring and decoding."""
    lines = ["| work | ours | the other | ratio |", "|---|---|---|---|"]
    for name, work in found["works"].items():
        rates = work.get("rows_per_second") or work["answers_per_second"]
        (other,) = (k for k in rates if k != "ours")
        lines.append(
            f"| {name.replace('_', '-')} | {rates['ours']:.2f}/s | "
            f"{rates[other]:.2f}/s ({other}) | {work['ratio']:.2f} × |"
        )
    return lines
