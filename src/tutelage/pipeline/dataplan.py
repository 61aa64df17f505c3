"""The data side of a plan: what `prepare` would make, in memory, with all that would stop it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from tutelage.config import RunConfig
from tutelage.data.division import divide
from tutelage.data.ledger import Ledger
from tutelage.data.overlap import Groups, group_rows
from tutelage.data.quality import Quality, quality_flags
from tutelage.data.splits import Split
from tutelage.errors import TutelageError
from tutelage.pipeline import prepare as stage
from tutelage.pipeline.dry import DryContext
from tutelage.pipeline.examples import ExampleMaker, longest_example
from tutelage.pipeline.families import Families
from tutelage.pipeline.problems import Problems
from tutelage.pipeline.rendering import Renderer
from tutelage.pipeline.settled import check_truncate, find_families, find_metrics
from tutelage.pipeline.stage import UNSEEN_TASKS
from tutelage.records import Encoded, Row
from tutelage.tasks.mixture import TaskFacts, load_task
from tutelage.tasks.rows import Rows
from tutelage.tasks.schema import Metric
from tutelage.templates.render import draw, training_templates
from tutelage.tokens.proof import prove

MOST_ROWS = 20_000  # more are sampled, so that a plan takes a minute and not an hour


@dataclass(frozen=True, slots=True)
class Source:
    """Rows read and divided, before any wording; what could not be made is None.

    Attributes:
        rows: labelled rows of the source.
        factor: rows of the source to one that is planned with.
        seen: rows that are divided.
        unseen: rows of tasks that are held out from training.
    """

    rows: int
    factor: float
    loaded: Rows
    facts: Mapping[str, TaskFacts]
    seen: tuple[Row, ...]
    unseen: tuple[Row, ...]
    groups: Groups
    split: Split | None
    families: Families | None
    metrics: tuple[Metric, ...] | None


@dataclass(frozen=True, slots=True)
class Data:
    """What would be trained and tested on; the examples are in `context`.

    Attributes:
        encoded: the training examples of the first epoch.
        seconds: from reading to proof, for all rows.
    """

    context: DryContext
    source: Source
    ledger: Ledger
    quality: Quality
    encoded: list[Encoded]
    seconds: float

    def count(self, split: str) -> int:
        """Examples of a split, of all rows."""
        return round(len(self.context.held[split]) * self.source.factor)

    def training(self) -> list[Encoded]:
        """As many training examples as there would be; sampled ones stand in for the others."""
        return [self.encoded[i % len(self.encoded)] for i in range(self.count("train"))]


def read_source(config: RunConfig, problems: Problems) -> Source | None:
    """Rows, groups, split, templates and metrics, as `prepare` finds them."""
    read = problems.attempt("prepare", lambda: load_task(config.task, config.split))
    if read is None:
        return None
    loaded, facts = thin(read[0], MOST_ROWS), read[1]
    seen, unseen = stage._parted(loaded.rows, facts)
    threshold = config.split.near_duplicate_threshold
    problems.attempt("prepare", lambda: check_truncate(config.task, facts))
    groups = problems.attempt("prepare", lambda: group_rows(seen, threshold=threshold))
    if groups is None:
        return None
    return Source(
        rows=len(read[0].rows),
        factor=len(read[0].rows) / max(1, len(loaded.rows)),
        loaded=loaded,
        facts=facts,
        seen=seen,
        unseen=unseen,
        groups=groups,
        split=problems.attempt("prepare", lambda: divide(seen, groups, config.split)),
        families=problems.attempt("prepare", lambda: find_families(config, facts)),
        metrics=problems.attempt("prepare", lambda: find_metrics(config.task, loaded)),
    )


def check_gate(config: RunConfig, source: Source, problems: Problems) -> None:
    """What the ledger says before any wording: for a plan that has no tokenizer."""
    if source.split is not None:
        ledger = stage._ledger(source.loaded, source.groups, source.split)
        _gate(config, source, ledger, problems)


def thin(loaded: Rows, most: int) -> Rows:
    """About `most` of the rows, whole groups of them, the same on every machine; all if fewer."""
    share = most / max(1, len(loaded.rows))
    if share >= 1:
        return loaded
    bound = int(share * 2**64)

    def kept(row: Row) -> bool:
        key = f"plan\0{row.group or row.id}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") < bound

    return replace(loaded, rows=tuple(row for row in loaded.rows if kept(row)))


def word(context: DryContext, source: Source, problems: Problems, started: float) -> Data | None:
    """Examples, ledger gate and proof; rows that would stop the run are named and left out."""
    config = context.run.config
    limit = problems.attempt("prepare", lambda: longest_example(config, context.source.folder))
    if source.families is None or source.metrics is None or limit is None:
        return None
    quality = quality_flags(source.seen, source.groups, seed=config.split.seed)
    labels, truncate = source.loaded.labels, tuple(config.task.truncate)
    maker = ExampleMaker(context.encoder, labels, limit, truncate, context.renderer)
    made = _try(context, source, maker) if source.split is not None else None
    if not isinstance(made, tuple):
        sound = _sound_rows(context, source, maker, problems)
        if made is not None and len(sound) < len(source.seen):  # go on with the others
            source = _only(source, sound)
            made = _try(context, source, maker) if sound else None
        if made is None:
            return None
        if not isinstance(made, tuple):
            problems.add("prepare", made)
            return None
    ledger, encoded = made
    _gate(config, source, ledger, problems)
    seconds = (time.perf_counter() - started) * source.factor
    return Data(context, source, ledger, quality, encoded, seconds)


def _gate(config: RunConfig, source: Source, ledger: Ledger, problems: Problems) -> None:
    rows, share = len(source.loaded.rows), config.split.max_conflict_share
    problems.attempt("prepare", lambda: ledger.gate(rows, share))


def _try(
    context: DryContext, source: Source, maker: ExampleMaker
) -> tuple[Ledger, list[Encoded]] | TutelageError:
    """Make and prove all examples, into `context`; the first error, where there is one."""
    config, split, families = context.run.config, source.split, source.families
    assert split is not None
    assert families is not None
    ledger = stage._ledger(source.loaded, source.groups, split)
    renderer = Renderer(maker, families, config.split.seed, ledger, context.progress)
    try:
        examples = renderer.splits(source.seen, split)
        ids = [row.id for row in source.unseen]
        examples[UNSEEN_TASKS] = renderer.unseen_tasks(source.unseen, ids)
        notes = [
            *source.loaded.notes,
            *split.notes,
            *stage._mix(config, examples, ledger),
            *stage._unseen_leaks(
                source.seen, split, source.unseen, config.split.near_duplicate_threshold
            ),
        ]
        stage._proof(context, examples)
        summary = stage._summary(context, source.loaded, split, families, examples)
    except TutelageError as error:
        return error
    context.held = examples
    context.facts = {
        **summary,
        "notes": notes,
        "kind": source.loaded.kind,
        "metrics": list(source.metrics or ()),
        "max_length": maker.limit,
        "ledger": ledger.counts(),
        "tasks": {name: asdict(known) for name, known in source.facts.items()},
    }
    return ledger, [context.encoder.example(example) for example in examples["train"]]


def _sound_rows(
    context: DryContext, source: Source, maker: ExampleMaker, problems: Problems
) -> list[int]:
    """Positions of the rows that can be rendered and proven; the others become problems.

    Rows that fail with the same error under the same wording are one problem.
    """
    assert source.families is not None
    seed, rows = context.run.config.split.seed, source.seen
    renderer = Renderer(maker, source.families, seed, Ledger(), context.progress)
    sound = []
    failed: dict[tuple[str, str], list[TutelageError]] = {}
    with context.progress.bar("Looking at every row", len(rows), "rows") as advance:
        for position, row in enumerate(rows):
            advance(1)
            try:
                made = renderer.unseen_tasks([row], [row.id])
                prove(context.encoder, [(e, context.encoder.example(e)) for e in made])
            except TutelageError as error:
                wording = draw(training_templates(source.families[row.task]), seed, row.id)
                failed.setdefault((type(error).__name__, wording.id), []).append(error)
            else:
                sound.append(position)
    for (_, wording_id), errors in failed.items():
        more = f" {len(errors):,} rows under {wording_id} fail so." if len(errors) > 1 else ""
        problems.add("prepare", errors[0], says=f"{errors[0]}{more}")
    return sound


def _only(source: Source, positions: Sequence[int]) -> Source:
    """The same source with these of the rows that are divided."""
    split = source.split
    assert split is not None
    return replace(
        source,
        seen=tuple(source.seen[i] for i in positions),
        split=replace(
            split,
            of=tuple(split.of[i] for i in positions),
            groups=tuple(split.groups[i] for i in positions),
        ),
    )
