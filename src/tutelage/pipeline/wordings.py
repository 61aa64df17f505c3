"""The training examples of an epoch: every row under a freshly drawn wording."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from tutelage.pipeline.stage import Context
from tutelage.records import Encoded, Example
from tutelage.templates.render import draw, training_templates
from tutelage.tokens.proof import prove
from tutelage.tokens.store import TokenStore, open_store, write_store

_ROWS = 1_000  # that are encoded and proven at a time


class Wordings:
    """Encoded examples by epoch; epoch 0 is what `prepare` wrote, the others are drawn from it.

    The draw is a function of seed, row and epoch, so a resumed run sees the same texts. Tokens
    are read from disk, where a run that goes on finds them again: epoch 0, by which it is planned,
    and the last two, because a step may span them.
    """

    def __init__(self, context: Context, folder: Path) -> None:
        families = context.families()
        self._templates = {t.id: t for family in families.values() for t in family}
        self._trained = {name: training_templates(family) for name, family in families.items()}
        self._context = context
        self._maker = context.maker()
        self._folder = folder
        self._held: dict[int, TokenStore] = {}

    def __getitem__(self, epoch: int) -> Sequence[Encoded]:
        """The examples of an epoch, proven as `prepare` proves the first."""
        if epoch not in self._held:
            self._held = {e: kept for e, kept in self._held.items() if e == epoch - 1}
            self._held[epoch] = self._stored(epoch)
            for old in range(1, epoch - 1):
                shutil.rmtree(self._folder / _name(old), ignore_errors=True)
        return self._held[epoch]

    def _stored(self, epoch: int) -> TokenStore:
        """What an earlier start wrote, if it is whole, else written now."""
        folder, key = self._folder / _name(epoch), self._context.run.key("train")
        if (found := open_store(folder, key)) is None:
            write_store(folder, self._encoded(epoch), key)
            found = TokenStore(folder)
        return found

    def _encoded(self, epoch: int) -> Iterator[Encoded]:
        encoder, rows = self._maker.encoder, self._context.stream("train")
        total = int(self._context.summary()["splits"]["train"]["rows"])
        with self._context.progress.bar("Tokenising", total, "rows") as advance:
            while examples := list(islice(rows, _ROWS)):
                worded = [self._worded(example, epoch) for example in examples]
                encoded = [encoder.example(example) for example in worded]
                if epoch:
                    prove(encoder, zip(worded, encoded, strict=True))
                yield from encoded
                advance(len(encoded))

    def _worded(self, example: Example, epoch: int) -> Example:
        if not epoch:
            return example
        seed = self._context.run.config.split.seed
        new = draw(self._trained[example.task], seed, example.id, epoch)
        return self._maker.again(example, self._templates[example.template], new)


def _name(epoch: int) -> str:
    return f"epoch-{epoch}"
