"""Prepare: rows → groups → splits → examples → proof, into `data/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np

from tutelage.data.config import SplitConfig
from tutelage.data.ledger import Ledger
from tutelage.data.overlap import Groups, cross_split_pairs, group_rows
from tutelage.data.splits import Split, split_groups
from tutelage.errors import DataGateError
from tutelage.files import whole_directory, write_json, write_jsonl, write_manifest
from tutelage.models.load import context_length
from tutelage.pipeline.stage import Context, measured, record
from tutelage.records import SPLITS, Example, Row
from tutelage.tasks.rows import Rows, load_rows
from tutelage.templates.library import select
from tutelage.templates.render import draw, render
from tutelage.templates.schema import Template
from tutelage.tokens.fitting import fit_fields
from tutelage.tokens.proof import Proof, prove

_DEFAULT_LIMIT = 2048  # tokens; attention memory grows with the square of it


def prepare(context: Context) -> None:
    """Write `data/`: examples per split, ledger, leak report, proof.

    Raises:
        InputError, DataGateError: the source or the data cannot support the run.
        IntegrityError: an example would be trained wrongly.
    """
    config = context.run.config
    with measured(context.device) as spent:
        loaded = load_rows(config.task)
        context.progress.say(f"{len(loaded.rows)} rows, labels {', '.join(loaded.labels)}.")
        groups = group_rows(loaded.rows, threshold=config.split.near_duplicate_threshold)
        of, split = _split(loaded.rows, groups, config.split)
        ledger = _ledger(loaded, groups)
        templates = select(config.task.templates, loaded.labels)
        limit = _limit(context)
        examples = _examples(context, loaded, of, split, templates, limit, ledger)
        ledger.gate(len(loaded.rows), config.split.max_conflict_share)
        proof = _proof(context, examples)
    with whole_directory(context.run.folder("prepare")) as folder:
        for name in SPLITS:
            write_jsonl(folder / f"{name}.jsonl", (e.to_json() for e in examples[name]))
        write_jsonl(folder / "ledger.jsonl", ledger.to_json())
        write_json(folder / "leaks.json", _leaks(groups, of, config.split))
        write_json(folder / "proof.json", asdict(proof))
        summary = _summary(context, loaded, split, templates, ledger, examples, limit)
        write_json(folder / "summary.json", summary)
        write_manifest(
            folder,
            stage="prepare",
            key=context.run.key("prepare"),
            fingerprint=context.run.fingerprint,
        )
    record(context.run, "prepare", spent)


def _split(
    rows: Sequence[Row], groups: Groups, config: SplitConfig
) -> tuple[tuple[str, ...], Split]:
    """Split groups and search again across the splits, with other hashes and a wider net.

    MinHash misses a pair now and then; what the second search finds is joined and split anew, so
    that the result has no pair across splits by construction.
    """
    of = groups.of
    ids, labels = [r.id for r in rows], [r.label for r in rows]
    while True:
        split = split_groups(of, labels, config, ids=ids)
        across = cross_split_pairs(rows, split.of, threshold=config.near_duplicate_threshold)
        if not across:
            return of, split
        group_of = dict(zip(ids, of, strict=True))
        for pair in across:
            keep, drop = sorted((group_of[pair.first], group_of[pair.second]))
            group_of = {i: keep if g == drop else g for i, g in group_of.items()}
        of = tuple(group_of[i] for i in ids)


def _ledger(loaded: Rows, groups: Groups) -> Ledger:
    """Remarks that are known before any template: skipped, conflicting and repeated rows."""
    ledger = Ledger()
    where = {row.id: row.where for row in loaded.rows}
    for skipped in loaded.skipped:
        ledger.add(skipped.id, skipped.where, "skipped", skipped.reason)
    for conflict in groups.conflicts:
        told = ", ".join(f"{i}: {n}" for i, n in zip(conflict.ids, conflict.labels, strict=True))
        for row_id in conflict.ids:
            ledger.add(row_id, where[row_id], "conflict", f"same input, different labels ({told})")
    for pair in groups.pairs:
        like = f"{pair.kind} duplicate of row {pair.first} ({pair.similarity:.2f})"
        ledger.add(pair.second, where[pair.second], "duplicate", like)
    return ledger


def _limit(context: Context) -> int:
    """Longest example in tokens: the user's, or the model's context up to a default."""
    most = context_length(context.source.folder)
    asked = context.run.config.training.max_length
    return min(most, asked if asked is not None else _DEFAULT_LIMIT)


def _examples(
    context: Context,
    loaded: Rows,
    groups: Sequence[str],
    split: Split,
    templates: Sequence[Template],
    limit: int,
    ledger: Ledger,
) -> dict[str, list[Example]]:
    """Every row under its template, cut where it must be, by split in source order."""
    seed = context.run.config.split.seed
    found: dict[str, list[Example]] = {name: [] for name in SPLITS}
    with context.progress.bar("Rendering", len(loaded.rows), "rows") as advance:
        for row, group, to in zip(loaded.rows, groups, split.of, strict=True):
            advance(1)
            template = draw(templates, seed, row.id)
            fields = _fit(context, row, template, loaded.labels, limit, ledger)
            if fields is None:
                continue
            prompt, options = render(template, fields, loaded.labels, row.where)
            found[to].append(
                Example(
                    id=row.id,
                    fields=dict(fields),
                    label=row.label,
                    group=group,
                    template=template.id,
                    prompt=prompt,
                    options=options,
                    labels=loaded.labels,
                    where=row.where,
                    extra=dict(row.extra),
                )
            )
    for name, examples in found.items():
        if not examples:
            raise DataGateError(
                f"the {name} split is empty after rows were dropped: see the ledger."
            )
    return found


def _fit(
    context: Context,
    row: Row,
    template: Template,
    labels: Sequence[str],
    limit: int,
    ledger: Ledger,
) -> Mapping[str, str] | None:
    """The row's fields, shortened until prompt and longest option fit; None drops the row."""
    encoder = context.encoder

    def count(fields: Mapping[str, str]) -> int:
        filled = {k: v or "\u2026" for k, v in fields.items()}
        prompt, options = render(template, filled, labels, row.where)
        return len(encoder.prompt(prompt)) + max(len(encoder.completion(o)) for o in options)

    fitted = fit_fields(row.fields, count, limit)
    if fitted is None:
        ledger.add(row.id, row.where, "dropped", f"does not fit {limit} tokens even when cut")
        return None
    fields, cuts = fitted
    for cut in cuts:
        ledger.add(row.id, row.where, "truncated", f"{cut.field}: last {cut.characters} characters")
    return fields


def _leaks(groups: Groups, of: Sequence[str], config: SplitConfig) -> dict[str, Any]:
    """What was found alike and kept together; `_split` left no pair across the splits."""
    kinds = Counter(pair.kind for pair in groups.pairs)
    return {
        "threshold": config.near_duplicate_threshold,
        "method": "Jaccard index of character 5-grams, inputs before templating",
        "exact_pairs": kinds["exact"],
        "near_pairs": kinds["near"],
        "groups": len(set(of)),
        "pairs_across_splits": 0,
        "conflicts": [asdict(c) for c in islice(groups.conflicts, 100)],
    }


def _proof(context: Context, examples: Mapping[str, Sequence[Example]]) -> Proof:
    total = sum(len(e) for e in examples.values())
    proofs: Proof | None = None
    with context.progress.bar("Proving", total, "rows") as advance:

        def pairs(part: Sequence[Example]) -> Any:
            for example in part:
                advance(1)
                yield example, context.encoder.example(example)

        for name in reversed(SPLITS):  # the training split's proof is the one that is kept
            proofs = prove(context.encoder, pairs(examples[name]))
    assert proofs is not None
    return proofs


def _summary(
    context: Context,
    loaded: Rows,
    split: Split,
    templates: Sequence[Template],
    ledger: Ledger,
    examples: Mapping[str, Sequence[Example]],
    limit: int,
) -> dict[str, Any]:
    return {
        "labels": list(loaded.labels),
        "fields": dict(loaded.fields),
        "templates": [t.id for t in templates],
        "template_text": {t.id: t.prompt for t in templates},
        "prompt_form": context.encoder.form,
        "max_length": limit,
        "split_fingerprint": split.fingerprint,
        "comparable": split.comparable and len(examples["test"]) > 0,
        "notes": [*loaded.notes, *split.notes],
        "ledger": ledger.counts(),
        "splits": {name: _split_facts(context, examples[name]) for name in SPLITS},
    }


def _split_facts(context: Context, examples: Sequence[Example]) -> dict[str, Any]:
    lengths = np.array([len(context.encoder.prompt(e.prompt)) for e in examples])
    return {
        "rows": len(examples),
        "groups": len({e.group for e in examples}),
        "labels": dict(sorted(Counter(e.label for e in examples).items())),
        "mean_tokens": round(float(lengths.mean()), 1),
        "p95_tokens": round(float(np.percentile(lengths, 95)), 1),
        "max_tokens": int(lengths.max()),
    }
