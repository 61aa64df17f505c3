"""Tables of a run, from its report."""

from __future__ import annotations

from typing import Any

PERCENT = ("accuracy", "exact_match", "numeric_match")


def value(metric: str, found: dict[str, Any]) -> str:
    """A metric with its interval."""
    low, high = found.get("ci95_grouped", found["ci95"])
    if metric in PERCENT:
        return f"{100 * found['value']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{found['value']:.3f} ({low:.3f} to {high:.3f})"


def arms(report: dict[str, Any], metrics: list[str]) -> str:
    """All arms, the best first."""
    primary = report["primary_metric"]
    names = {"macro_f1": "macro-F1", "rougeL": "ROUGE-L", "rouge1": "ROUGE-1"}
    titles = [names.get(m, m.replace("_", " ")) for m in metrics]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(metrics) + 1) + "|"]
    best = report["verdict"].get("best_baseline")
    ordered = sorted(report["arms"].items(), key=lambda a: -a[1]["metrics"][primary]["value"])
    for name, arm in ordered:
        title = arm["title"]
        if name.startswith(("zero_shot", "few_shot")):
            title = f"Untuned, {title[0].lower()}{title[1:]}"
        if arm.get("reference"):
            title = f"*{title}* (reference)"
        elif name == "tuned":
            title = f"**{title}**"
        elif name == best:
            title = f"{title} (best baseline)"
        cells = [value(m, arm["metrics"][m]) for m in metrics]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(report: dict[str, Any]) -> str:
    """The sentence that `show` prints."""
    found = report["verdict"]
    says, sentence = found["says"], found["sentence"].rstrip(".")
    return f"**{says[0].upper()}{says[1:]}.** {sentence}."


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def machine(report: dict[str, Any]) -> str:
    """Machine, versions, stages."""
    facts, versions, trained = (report[k] for k in ("machine", "versions", "training"))
    stages = report["stages"]
    rows = [
        f"| {name} | {clock(s['seconds'])} | {s['peak_memory_bytes'] / 1e9:.1f} GB |"
        for name, s in stages.items()
    ]
    total = clock(sum(s["seconds"] for s in stages.values()))
    peak = max(s["peak_memory_bytes"] for s in stages.values()) / 1e9
    return "\n".join(
        [
            f"{facts['system']}, {facts['processor']}, {facts['cores']} cores, "
            f"{facts['threads']} {'thread' if facts['threads'] == 1 else 'threads'}, no GPU. "
            f"Python {versions['python']}, torch {versions['torch']}, "
            f"transformers {versions['transformers']}, "
            f"Tutelage {versions['tutelage']}. Precision {trained['precision']}, by the probe. "
            "Fetching and converting the model is not in the stages.",
            "",
            "| stage | time | peak memory |",
            "|---|---|---|",
            *rows,
            f"| all | {total} | {peak:.1f} GB |",
            "",
            f"Training: {trained['steps']} steps of {trained['batch_size']} examples, "
            f"{trained['epochs']:g} epochs, learning rate {trained['learning_rate']:g}. "
            f"{trained['parameters']:,} parameters. {trained['examples_per_second']:.2f} examples "
            f"and {trained['tokens_per_second']:.0f} tokens per second, of which "
            f"{trained['unique_tokens_per_second']:.0f} were computed: the others are shared "
            "prefixes.",
        ]
    )


def share(found: Any) -> float:
    """A template's accuracy, however it is held."""
    return float(found["accuracy"] if isinstance(found, dict) else found)
