"""What would stop a run: every problem found, instead of an exception at the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from tutelage.errors import OutOfMemoryError, StorageError, TutelageError

Stage = Literal["configuration", "model", "prepare", "baseline", "train"]
STAGES: tuple[Stage, ...] = get_args(Stage)
_NO_ROOM = "Out of memory. Give fewer rows or a smaller training.max_length."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Where the run would stop, how, and in one paragraph why and what to do."""

    stage: Stage
    error: str
    exit_code: int
    says: str


class Problems:
    """Problems in the order they were found."""

    def __init__(self, located: Callable[[str], str] = str) -> None:
        """`located` puts the address of a setting before an error that begins with it."""
        self.found: list[Problem] = []
        self._located = located

    def add(self, stage: Stage, error: TutelageError, *, says: str = "") -> None:
        """Note an error that the run would end with; `says` in place of its own words.

        A configuration names one problem per line; each counts.
        """
        name, code = type(error).__name__, error.exit_code
        text = self._located(says or str(error))
        lines = text.splitlines() if stage == "configuration" else []
        for line in lines or [text]:
            problem = Problem(stage, name, code, line)
            if line not in [known.says for known in self.found]:
                self.found.append(problem)

    def attempt(self, stage: Stage, make: Callable[[], T]) -> T | None:
        """What `make` returns; None where it fails, which is noted.

        Errors of the system count as those they would be reported as.
        """
        try:
            return make()
        except TutelageError as error:
            self.add(stage, error)
        except MemoryError:
            self.add(stage, OutOfMemoryError(_NO_ROOM))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            why = error.strerror or error
            self.add(stage, StorageError(f"{where}{why}. Check disk space and permissions."))
        return None

    def in_order(self) -> list[Problem]:
        """The problems as a run would meet them."""
        return sorted(self.found, key=lambda problem: STAGES.index(problem.stage))

    @property
    def exit_code(self) -> int:
        """What the run would end with: the code of the first problem it meets, 0 without any."""
        return self.in_order()[0].exit_code if self.found else 0
