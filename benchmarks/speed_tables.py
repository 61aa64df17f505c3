"""Tables of speed and of training curves, from the result files of the benchmarks."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def origin(found: dict[str, Any]) -> str:
    """Date, run, command and machine of a result file."""
    facts = found["machine"]
    said = [f"{found['date']}, run `{found['run']}`, `{found['command']}`"]
    return ", ".join([*said, found["precision"], facts["processor"], f"{facts['threads']} threads"])


def growth_table(found: dict[str, Any]) -> str:
    """One run."""
    titles = {
        "rows": "rows of a step",
        "length": "own tokens of a prompt",
        "shared": "tokens that all prompts begin with",
        "layers": "layers",
    }
    base = ", ".join(f"{found['base'][name]} {title}" for name, title in titles.items())
    header = [
        "what grows",
        "to",
        "parameters",
        "tokens computed",
        "seconds",
        "of the first",
        "peak",
    ]
    rows = [
        [
            titles[name],
            str(point[name]),
            f"{point['parameters'] / 1e6:.0f} M",
            f"{point['computed_tokens']:,} of {point['tokens']:,}",
            f"{point['seconds']:.2f}",
            f"{point['seconds'] / points[0]['seconds']:.2f} ×",
            f"{point['peak_gb']:.1f} GB",
        ]
        for name, points in found["growth"].items()
        for point in points
    ]
    return "\n".join([f"{origin(found)}; otherwise {base}.", "", *table(header, rows)])


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
    rows = []
    for way, title in titles.items():
        ends = {c["seed"]: c["validations"][-1] for c in found["curves"] if c["way"] == way}
        if not ends:
            continue
        by_seed = [
            f"{100 * ends[s]['accuracy']:.1f} %, {ends[s]['loss']:.3f}" if s in ends else "-"
            for s in seeds
        ]
        mean = {k: statistics.mean(e[k] for e in ends.values()) for k in ("accuracy", "loss")}
        rows.append([title, *by_seed, f"{100 * mean['accuracy']:.1f} %", f"{mean['loss']:.3f}"])
    header = ["", *(f"seed {seed}" for seed in seeds), "mean accuracy", "mean loss"]
    about = f"{found['validation_rows']} validation rows after {last} steps of 16"
    return "\n".join([f"{origin(found)}; {about}.", "", *table(header, rows)])


def versions_of(part: dict[str, Any]) -> dict[str, str]:
    """Of the libraries of all contenders."""
    return joined_versions(
        [
            part.get("versions", {}),
            *(
                contender.get("versions", {})
                for work in (part["works"] if isinstance(part["works"], list) else [])
                for contender in work["contenders"].values()
            ),
        ]
    )


def joined_versions(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Every library once; where environments hold several versions of one, all of them."""
    found: dict[str, list[str]] = {}
    for versions in given:
        for name, said in versions.items():
            for version in said.split(" and "):
                if version not in found.setdefault(name, []):
                    found[name].append(version)
    return {name: " and ".join(versions) for name, versions in found.items()}


def comparison_origin(part: dict[str, Any]) -> str:
    """The origin of a comparison, with versions and what the machine reaches."""
    versions = [f"{name} {version}" for name, version in sorted(versions_of(part).items())]
    fp32, bf16 = (max(part["gflops"][name]) for name in ("fp32", "bf16"))
    rates = f"matrix products reach {fp32:.0f} GFLOP/s in fp32 and {bf16:.0f} in bf16"
    return f"{origin(part)}; {', '.join(versions)}; {rates}."


def train_table(found: dict[str, Any]) -> list[str]:
    """Every contender on every work."""
    header = ["work", "trainer", "examples/s", "tokens/s", "computed/s", "of the rate"]
    rates = {name: max(measured) for name, measured in found["gflops"].items()}
    rows = []
    for work in found["works"]:
        ours = work["contenders"]["ours"]["examples_per_second"]
        for name, c in work["contenders"].items():
            share = c["gflops"] / rates[work["precision"]] if "gflops" in c else None
            rows.append(
                [
                    f"({work['work']})",
                    f"**{name}**" if name == "ours" else name,
                    f"{c['examples_per_second']:.2f}",
                    f"{c['tokens_per_second']:.0f}",
                    f"{c['computed_per_second']:.0f}",
                    "" if share is None else f"{100 * share:.0f} %" if share <= 1 else "?",
                    f"{c['peak_gb']:.1f} GB",
                    "" if name == "ours" else f"{ours / c['examples_per_second']:.2f} ×",
                ]
            )
    return table([*header, "peak", "ours"], rows)


def score_table(found: dict[str, Any]) -> list[str]:
    """Scoring and decoding."""
    rows = []
    for name, work in found["works"].items():
        rates = work.get("rows_per_second") or work["answers_per_second"]
        (other,) = (k for k in rates if k != "ours")
        ours, theirs = f"{rates['ours']:.2f}/s", f"{rates[other]:.2f}/s ({other})"
        rows.append([name.replace("_", "-"), ours, theirs, f"{work['ratio']:.2f} ×"])
    return table(["work", "ours", "the other", "ratio"], rows)


def answers_table(found: dict[str, Any]) -> str:
    """Same answers of two ways of computing, a column per model."""
    titles = {
        "fp32": "fp32",
        "ours": "ours, bf16",
        "lm_eval_weights": "harness, bf16 weights",
        "lm_eval_autocast": "harness, autocast",
    }
    said: Mapping[str, Any] = found["same_answers"]
    pairs = [pair for pair in next(iter(said.values())) if " = " in pair]
    rows = [
        [
            " and ".join(titles[name] for name in pair.split(" = ")),
            *(f"{100 * model[pair]:.1f} %" for model in said.values()),
        ]
        for pair in pairs
    ]
    return "\n".join(table(["", *said], rows))


def worth_table(found: dict[str, Any]) -> str:
    """What a step takes without each technique, a column per work."""
    works = found["works"]

    def cell(ratio: dict[str, float] | None) -> str:
        if ratio is None:
            return ""
        return f"{ratio['median']:.2f} × ({ratio['low']:.2f} to {ratio['high']:.2f})"

    names = list(dict.fromkeys(name for work in works for name in work["worth"]))
    rows = [[name, *(cell(work["worth"].get(name)) for work in works)] for name in names]
    header = ["left out", *(f"({work['work']})" for work in works)]
    return "\n".join([f"{origin(found)}.", "", *table(header, rows)])


def profile_table(found: dict[str, Any]) -> str:
    """Where a step's time goes, a column per work."""
    works = found["works"]
    kinds = works[0]["shares"]
    rows = [[kind, *(f"{100 * work['shares'][kind]:.0f} %" for work in works)] for kind in kinds]
    header = ["of a step's time", *(f"({work['work']})" for work in works)]
    return "\n".join([f"{origin(found)}.", "", *table(header, rows)])


def ratio_table(found: Mapping[str, dict[str, Any]], titles: Mapping[str, str]) -> list[str]:
    """Ours to the best peer of its run, a line per work, and a column per machine, by its name."""
    rows = [
        [
            title,
            *(
                f"{f['ratios'][name]:.1f} × (`{f['run_of'][name]}`)" if name in f["ratios"] else ""
                for f in found.values()
            ),
        ]
        for name, title in titles.items()
        if any(name in f["ratios"] for f in found.values())
    ]
    return table(["examples per second, to the best peer", *found], rows)
