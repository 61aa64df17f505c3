"""Where a generated answer ends, and what it then is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tutelage.errors import Preempted
from tutelage.progress import Progress

Ids = tuple[int, ...]
Decode = Callable[[Sequence[int]], str]

_TOKENS_PER_CHARACTER = 4  # at most, where a token is a byte


def check_stop(progress: Progress) -> None:
    """Between two steps or batches.

    Raises:
        Preempted: the user asked to stop.
    """
    if progress.stopping():
        raise Preempted("Stopped while generating; run the same command to go on.")


@dataclass(frozen=True, slots=True)
class Generated:
    """One generated answer.

    Attributes:
        ids: its tokens, the stop token left out.
        text: its text, up to the stop text where one came.
        finished: it ended in the stop token or a stop text, not at the length limit.
    """

    ids: Ids
    text: str
    finished: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """When an answer ends: a token, a text, or a number of tokens."""

    stop_id: int
    max_new_tokens: int
    decode: Decode
    stop_texts: tuple[str, ...] = ()

    def reached(self, ids: Sequence[int]) -> bool:
        """Whether the latest token completed a stop text."""
        if not self.stop_texts:
            return False
        reach = _TOKENS_PER_CHARACTER * (max(map(len, self.stop_texts)) + 1)
        tail = self.decode(ids[-reach:])
        return any(stop in tail for stop in self.stop_texts)

    def answer(self, ids: Sequence[int], *, finished: bool) -> Generated:
        """The answer of these tokens, cut before the first stop text."""
        text = self.decode(ids)
        cuts = [text.find(stop) for stop in self.stop_texts if stop in text]
        return Generated(tuple(ids), text[: min(cuts)] if cuts else text, finished)
