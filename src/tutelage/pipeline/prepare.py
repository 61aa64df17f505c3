"""Prepare: rows → groups → splits → examples → proof, into `data/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tutelage.config import RunConfig
from tutelage.data.division import divide
from tutelage.data.facts import leak_facts
from tutelage.data.ledger import Ledger
from tutelage.data.overlap import Groups, group_rows
from tutelage.data.quality import quality_flags
from tutelage.data.splits import Split
from tutelage.evaluate.predict import prompts_for
from tutelage.files import whole_directory, write_json, write_jsonl, write_manifest
from tutelage.pipeline.examples import ExampleMaker, longest_example
from tutelage.pipeline.families import Families
from tutelage.pipeline.rendering import Renderer, mixed
from tutelage.pipeline.settled import settle
from tutelage.pipeline.stage import HELD_OUT, UNSEEN_TASKS, Context, measured, record
from tutelage.records import SPLITS, Example, Row
from tutelage.tasks.mixture import TaskFacts, load_task
from tutelage.tasks.rows import Rows
from tutelage.tokens.proof import Proof, prove


def prepare(context: Context) -> None:
    """Write `data/`: examples per split, ledger, leak report, quality flags, proof.

    Raises:
        InputError, DataGateError: the source or the data cannot support the run.
        IntegrityError: an example would be trained wrongly.
    """
    config = context.run.config
    with measured(context.device) as spent:
        loaded, facts = load_task(config.task, config.split)
        context.progress.say(_seen(loaded))
        seen, unseen = _parted(loaded.rows, facts)
        families, metrics = settle(config, loaded, facts)
        groups = group_rows(seen, threshold=config.split.near_duplicate_threshold)
        split = divide(seen, groups, config.split)
        ledger = _ledger(loaded, groups, split)
        limit = longest_example(config, context.source.folder)
        maker = ExampleMaker(
            context.encoder, loaded.labels, limit, tuple(config.task.truncate), context.renderer
        )
        renderer = Renderer(maker, families, config.split.seed, ledger, context.progress)
        examples = renderer.splits(seen, split)
        examples[UNSEEN_TASKS] = renderer.unseen_tasks(unseen, [row.id for row in unseen])
        notes = [*loaded.notes, *split.notes, *_mix(config, examples, ledger)]
        notes += _unseen_leaks(seen, split, unseen, config.split.near_duplicate_threshold)
        ledger.gate(len(loaded.rows), config.split.max_conflict_share)
        proof = _proof(context, examples)
        quality = quality_flags(seen, groups, seed=config.split.seed)
    with whole_directory(context.run.folder("prepare")) as folder:
        for name, made in examples.items():
            write_jsonl(folder / f"{name}.jsonl", (e.to_json() for e in made))
        write_jsonl(folder / "ledger.jsonl", ledger.to_json())
        write_json(folder / "quality.json", quality.to_json())
        write_json(folder / "leaks.json", leak_facts(groups, split, config.split))
        write_json(folder / "proof.json", asdict(proof))
        told = {
            "notes": notes,
            "kind": loaded.kind,
            "metrics": list(metrics),
            "max_length": limit,
            "ledger": ledger.counts(),
            "tasks": {name: asdict(known) for name, known in facts.items()},
            "quality": {"counts": quality.counts, "notes": list(quality.notes)},
        }
        summary = _summary(context, loaded, split, families, examples)
        write_json(folder / "summary.json", {**summary, **told})
        write_manifest(
            folder,
            stage="prepare",
            key=context.run.key("prepare"),
            fingerprint=context.run.fingerprint,
        )
    record(context.run, "prepare", spent)


def _parted(
    rows: Sequence[Row], facts: Mapping[str, TaskFacts]
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows of tasks that are trained on, and of those that are held out."""
    seen = tuple(row for row in rows if not facts[row.task].held_out)
    return seen, tuple(row for row in rows if facts[row.task].held_out)


def _mix(config: RunConfig, examples: dict[str, list[Example]], ledger: Ledger) -> list[str]:
    """Bring the training rows into the mixture's proportions."""
    mixture = config.task.source.mixture
    if mixture is None:
        return []
    examples["train"], sizes = mixed(examples["train"], mixture, config.split.seed, ledger)
    told = ", ".join(f"{name} {rows:,}" for name, rows in sizes.items())
    return [f"training rows by task: {told}"]


def _unseen_leaks(
    seen: Sequence[Row], split: Split, unseen: Sequence[Row], threshold: float
) -> list[str]:
    """A note where training rows repeat rows of a task that is held out."""
    train = [seen[i] for i in split.rows("train")]
    if not (unseen and train):
        return []
    groups = group_rows((*train, *unseen), threshold=threshold)
    tested = set(groups.of[len(train) :])
    repeated = [row for row, group in zip(train, groups.of, strict=False) if group in tested]
    if not repeated:
        return []
    return [
        f"{len(repeated):,} training rows repeat rows of an unseen task, first {repeated[0].where}"
    ]


def _seen(loaded: Rows) -> str:
    what = {
        "classification": f"labels {', '.join(loaded.labels)}",
        "choice": "each with its own options",
        "text": "answered in text",
    }
    return f"{len(loaded.rows)} rows, {what[loaded.kind]}."


def _ledger(loaded: Rows, groups: Groups, split: Split) -> Ledger:
    """Remarks that are known before any template: skipped, conflicting, repeated, leaking rows."""
    ledger = Ledger()
    where = {row.id: row.where for row in loaded.rows}
    for skipped in loaded.skipped:
        ledger.add(skipped.id, skipped.where, "skipped", skipped.reason, skipped.rows)
    for conflict in groups.conflicts:
        told = ", ".join(f"{i}: {n}" for i, n in zip(conflict.ids, conflict.labels, strict=True))
        for row_id in conflict.ids:
            ledger.add(row_id, where[row_id], "conflict", f"same input, different labels ({told})")
    for pair in groups.pairs:
        like = f"{pair.kind} duplicate of row {pair.first} ({pair.similarity:.2f})"
        ledger.add(pair.second, where[pair.second], "duplicate", like)
    ledger.entries.extend(split.removed)
    return ledger


def _proof(context: Context, examples: Mapping[str, Sequence[Example]]) -> Proof:
    total = sum(len(e) for e in examples.values())
    proofs: Proof | None = None
    with context.progress.bar("Proving", total, "rows") as advance:

        def pairs(part: Sequence[Example]) -> Any:
            for example in part:
                advance(1)
                yield example, context.encoder.example(example)

        for name in (
            UNSEEN_TASKS,
            HELD_OUT,
            *reversed(SPLITS),
        ):  # the training split's proof is kept
            proofs = prove(context.encoder, pairs(examples[name]))
    assert proofs is not None
    return proofs


def _summary(
    context: Context,
    loaded: Rows,
    split: Split,
    families: Families,
    examples: Mapping[str, Sequence[Example]],
) -> dict[str, Any]:
    templates = {t.id: t for family in families.values() for t in family}
    return {
        "labels": list(loaded.labels),
        "fields": dict(loaded.fields),
        "templates": list(templates),
        "held_out_templates": [name for name, t in templates.items() if t.held_out],
        "template_text": {name: t.prompt for name, t in templates.items()},
        "prompt_form": context.encoder.form,
        "split_fingerprint": split.fingerprint,
        "comparable": split.comparable and len(examples["test"]) > 0,
        "splits": {name: _split_facts(context, examples[name], loaded.labels) for name in SPLITS},
    }


def _split_facts(
    context: Context, examples: Sequence[Example], labels: Sequence[str]
) -> dict[str, Any]:
    lengths = np.array([len(ids) for ids in prompts_for(context.encoder, examples)])
    answers = np.array([len(context.encoder.completion(e.completion)) for e in examples])
    return {
        "rows": len(examples),
        "groups": len({e.group for e in examples}),
        "labels": dict(sorted(Counter(e.label for e in examples).items())) if labels else {},
        "mean_tokens": round(float(lengths.mean()), 1),
        "p95_tokens": round(float(np.percentile(lengths, 95)), 1),
        "max_tokens": int(lengths.max()),
        "mean_answer_tokens": round(float(answers.mean()), 1),
        "max_answer_tokens": int(answers.max()),
    }
