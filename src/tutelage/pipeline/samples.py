"""An example as the model sees it: its tokens back as text, what is trained apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from tutelage.records import Encoded, Example
from tutelage.report.content import Sample, Segment
from tutelage.tokens.encode import Encoder


def sample(encoder: Encoder, example: Example) -> Sample:
    """The decoded tokens of an example, in runs of trained and of read ones."""
    encoded = encoder.example(example)
    trained = [i for i, mark in _marked(encoded) if mark]
    segments = (
        Segment(encoder.decode([i for i, _ in run]), trained=mark)
        for mark, run in groupby(_marked(encoded), key=lambda pair: pair[1])
    )
    return Sample(
        id=example.id,
        segments=tuple(segments),
        template=example.template,
        prompt_tokens=len(encoded) - len(trained),
        trained_tokens=len(trained),
        where=example.where,
        pieces=tuple(encoder.decode([i]) for i in trained),
    )


def _marked(encoded: Encoded) -> Iterator[tuple[int, bool]]:
    """Every token id, and whether it is a target."""
    yield from ((i, False) for i in encoded.prompt_ids)
    marks = encoded.trained or (True,) * len(encoded.completion_ids)
    yield from zip(encoded.completion_ids, marks, strict=True)
