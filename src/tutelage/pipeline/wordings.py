"""The training examples of an epoch: every row under a freshly drawn wording."""

from __future__ import annotations

from collections.abc import Sequence

from tutelage.pipeline.stage import Context
from tutelage.records import Encoded, Example
from tutelage.templates.render import draw, training_templates
from tutelage.tokens.proof import prove


class Wordings:
    """Encoded examples by epoch; epoch 0 is what `prepare` wrote, the others are drawn from it.

    The draw is a function of seed, row and epoch, so a resumed run sees the same texts. Of the
    epochs one is held, because a step seldom spans two.
    """

    def __init__(self, context: Context, examples: Sequence[Example]) -> None:
        families = context.families()
        self._templates = {t.id: t for family in families.values() for t in family}
        self._trained = {name: training_templates(family) for name, family in families.items()}
        self._seed = context.run.config.split.seed
        self._examples = examples
        self._maker = context.maker()
        self._held: dict[int, list[Encoded]] = {}

    def __getitem__(self, epoch: int) -> Sequence[Encoded]:
        """The examples of an epoch, proven as `prepare` proves the first."""
        if epoch not in self._held:
            encoder = self._maker.encoder
            worded = [self._worded(example, epoch) for example in self._examples]
            encoded = [encoder.example(example) for example in worded]
            if epoch:
                prove(encoder, zip(worded, encoded, strict=True))
            self._held = {e: kept for e, kept in self._held.items() if e == epoch - 1}
            self._held[epoch] = encoded
        return self._held[epoch]

    def _worded(self, example: Example, epoch: int) -> Example:
        if not epoch:
            return example
        new = draw(self._trained[example.task], self._seed, example.id, epoch)
        return self._maker.again(example, self._templates[example.template], new)
