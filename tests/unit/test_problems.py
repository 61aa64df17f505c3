"""Problems of a plan: all of them, in the order in which a run would meet them."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from tutelage.errors import ConfigError, DataGateError, IntegrityError, OutOfMemoryError
from tutelage.pipeline.problems import Problems


def raises(error: BaseException) -> Callable[[], int]:
    def make() -> int:
        raise error

    return make


def test_nothing_wrong_is_exit_code_zero() -> None:
    problems = Problems()
    assert problems.attempt("prepare", lambda: 7) == 7
    assert problems.found == []
    assert problems.exit_code == 0


def test_the_code_is_that_of_the_first_problem_a_run_meets() -> None:
    problems = Problems()
    assert problems.attempt("train", raises(OutOfMemoryError("no room"))) is None
    assert problems.exit_code == 9
    problems.attempt("prepare", raises(IntegrityError("a wrong mask")))
    assert problems.exit_code == 5
    problems.attempt("prepare", raises(DataGateError("too few rows")))
    assert [p.says for p in problems.in_order()] == ["a wrong mask", "too few rows", "no room"]
    problems.add("model", ConfigError("no such model"))
    assert problems.exit_code == 2
    assert problems.in_order()[0].error == "ConfigError"


def test_every_line_of_a_configuration_is_a_problem_and_is_said_once() -> None:
    problems = Problems()
    problems.add("configuration", ConfigError("a.yaml:1: x\na.yaml:2: y"))
    problems.add("prepare", ConfigError("a.yaml:2: y"))
    assert [p.says for p in problems.found] == ["a.yaml:1: x", "a.yaml:2: y"]


def test_other_words_can_stand_in_for_an_errors_own() -> None:
    problems = Problems()
    problems.add("prepare", IntegrityError("row 1"), says="row 1, and two more")
    assert problems.found[0].says == "row 1, and two more"


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 6, "/x/y: No space left on"),
        (OSError("odd"), 6, "odd. Check disk space and permissions."),
        (MemoryError(), 9, "Out of memory. Give fewer rows or"),
    ],
)
def test_errors_of_the_system_are_problems(error: BaseException, code: int, says: str) -> None:
    problems = Problems()
    assert problems.attempt("baseline", raises(error)) is None
    assert problems.exit_code == code
    assert problems.found[0].says.startswith(says)


def test_a_fault_of_the_program_is_no_problem_of_the_user() -> None:
    with pytest.raises(ZeroDivisionError):
        Problems().attempt("train", raises(ZeroDivisionError()))
