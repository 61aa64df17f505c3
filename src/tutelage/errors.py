"""The error tree.

Every error says what is wrong, where (file:line:field) and what to do, in one paragraph, and
carries the exit code of the command line. A leaf also inherits the builtin it replaces, so that
callers of the library can catch what they expect.

    TutelageError
    ├── ConfigError      2   a configuration that cannot be run
    ├── InputError       2   a file or table that cannot be read as what it claims to be
    ├── DataGateError    3   data that cannot support the comparison
    ├── ResumeError      4   a run directory that belongs to another configuration
    ├── IntegrityError   5   bytes that are not what they were
    ├── StorageError     6   disk, permission or network trouble
    ├── LockedError      7   the run directory is in use
    ├── NumericsError    8   NaN, infinity, or a step without a trained token
    ├── OutOfMemoryError 9   the plan does not fit
    └── Preempted       75   stopped on request; run again to go on
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TutelageError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(TutelageError, ValueError):
    """A configuration that cannot be run; lists every problem at once."""

    exit_code = 2


class InputError(TutelageError, ValueError):
    """A file, table or model that cannot be read as what it claims to be."""

    exit_code = 2


class DataGateError(TutelageError, ValueError):
    """Data that cannot support training or the comparison."""

    exit_code = 3


class ResumeError(TutelageError, ValueError):
    """A run directory that belongs to another configuration or other data."""

    exit_code = 4


class IntegrityError(TutelageError, ValueError):
    """Bytes whose size or hash is not what was promised."""

    exit_code = 5


class StorageError(TutelageError, OSError):
    """Disk, permission or network trouble."""

    exit_code = 6


class LockedError(TutelageError, RuntimeError):
    """The run directory is in use by a living process."""

    exit_code = 7


class NumericsError(TutelageError, ArithmeticError):
    """NaN or infinity, or an optimiser step without a trained token."""

    exit_code = 8


class OutOfMemoryError(TutelageError, MemoryError):
    """The longest batch does not fit into memory."""

    exit_code = 9


class Preempted(TutelageError):  # noqa: N818 - a state, not a fault
    """Stopped on request after a checkpoint; the same command goes on."""

    exit_code = 75


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest known name, or an empty string.

    >>> nearest("sentimnt", ["sentiment", "text"])
    " Did you mean 'sentiment'?"
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        folded = {k.casefold(): k for k in known}
        close = [folded[name.casefold()]] if name.casefold() in folded else []
    return f" Did you mean {close[0]!r}?" if close else ""
