"""Rows that are divided → examples of every split, under the wordings of their tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tutelage.data.ledger import Ledger
from tutelage.data.mixture import choose_rows, mixture_sizes
from tutelage.data.splits import Split
from tutelage.errors import DataGateError
from tutelage.pipeline.examples import ExampleMaker
from tutelage.pipeline.families import Families
from tutelage.pipeline.stage import HELD_OUT
from tutelage.progress import Progress
from tutelage.records import SPLITS, Example, Row
from tutelage.tasks.schema import Mixture
from tutelage.templates.render import draw, held_out_templates, training_templates


@dataclass(frozen=True, slots=True)
class Renderer:
    """Makes the examples of a run.

    Attributes:
        families: templates by task.
        seed: of the split; it decides which row stands under which wording.
    """

    maker: ExampleMaker
    families: Families
    seed: int
    ledger: Ledger
    progress: Progress

    def splits(self, rows: Sequence[Row], split: Split) -> dict[str, list[Example]]:
        """Every row under its template, cut where it must be, by split in source order.

        Test rows are also rendered under wordings that are never trained on.

        Raises:
            DataGateError: a split is empty.
        """
        found: dict[str, list[Example]] = {name: [] for name in (*SPLITS, HELD_OUT)}
        with self.progress.bar("Rendering", len(rows), "rows") as advance:
            for row, group, to in zip(rows, split.groups, split.of, strict=True):
                advance(1)
                if to is None:  # removed, and in the ledger
                    continue
                example = self._example(row, group)
                if example is None:
                    continue
                found[to].append(example)
                if to == "test":
                    found[HELD_OUT] += self._under_unseen(example)
        for name in SPLITS:
            if not found[name]:
                raise DataGateError(
                    f"the {name} split is empty after rows were dropped: see the ledger."
                )
        return found

    def unseen_tasks(self, rows: Sequence[Row], groups: Sequence[str]) -> list[Example]:
        """Rows of tasks that are never trained on, under their task's training wordings."""
        made = (self._example(row, group) for row, group in zip(rows, groups, strict=True))
        return [example for example in made if example is not None]

    def _example(self, row: Row, group: str) -> Example | None:
        family = self.families[row.task]
        trained = training_templates(family)
        template = draw(trained, self.seed, row.id)
        others = (*trained, *held_out_templates(family))
        return self.maker.make(row, group, template, others, self.ledger)

    def _under_unseen(self, example: Example) -> list[Example]:
        family = {template.id: template for template in self.families[example.task]}
        unseen = held_out_templates(tuple(family.values()))
        if not unseen:
            return []
        other = draw(unseen, self.seed, example.id)
        return [self.maker.again(example, family[example.template], other)]


def mixed(
    train: Sequence[Example], mixture: Mixture, seed: int, ledger: Ledger
) -> tuple[list[Example], Mapping[str, int]]:
    """The training examples in the mixture's proportions, and how many each task has."""
    ids: dict[str, list[str]] = {}
    for example in train:
        ids.setdefault(example.task, []).append(example.id)
    parts = {part.task.name: part for part in mixture.tasks}
    sizes = mixture_sizes(
        {name: len(own) for name, own in ids.items()},
        {name: parts[name].rate for name in ids},
        {name: parts[name].cap for name in ids},
        mixture.temperature,
    )
    kept = {i for name, own in ids.items() for i in choose_rows(own, sizes[name], seed)}
    for example in train:
        if example.id not in kept:
            ledger.add(example.id, example.where, "skipped", "over its task's share of the mixture")
    taken = [example for example in train if example.id in kept]
    return taken, dict(Counter(example.task for example in taken))
