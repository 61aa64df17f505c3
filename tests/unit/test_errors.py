"""The error tree: exit codes, builtins that callers may catch, and suggestions."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutelage import errors
from tutelage.errors import TutelageError, nearest

EXIT_CODES = {
    "ConfigError": 2,
    "InputError": 2,
    "DataGateError": 3,
    "ResumeError": 4,
    "IntegrityError": 5,
    "StorageError": 6,
    "LockedError": 7,
    "NumericsError": 8,
    "OutOfMemoryError": 9,
    "Preempted": 75,
}
LEAVES = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, TutelageError) and kind is not TutelageError
}


def test_exit_codes() -> None:
    assert {name: kind.exit_code for name, kind in LEAVES.items()} == EXIT_CODES
    assert TutelageError.exit_code == 1


def test_only_bad_input_and_bad_configuration_share_a_code() -> None:
    shared = [code for code, count in Counter(EXIT_CODES.values()).items() if count > 1]
    assert shared == [2]


@pytest.mark.parametrize("name", sorted(EXIT_CODES))
def test_the_tree_in_the_docstring_is_the_tree(name: str) -> None:
    (line,) = [line for line in str(errors.__doc__).splitlines() if f" {name} " in line]
    assert int(line.split(name)[1].split()[0]) == LEAVES[name].exit_code


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConfigError", ValueError),
        ("InputError", ValueError),
        ("DataGateError", ValueError),
        ("ResumeError", ValueError),
        ("IntegrityError", ValueError),
        ("StorageError", OSError),
        ("LockedError", RuntimeError),
        ("NumericsError", ArithmeticError),
        ("OutOfMemoryError", MemoryError),
    ],
)
def test_callers_may_catch_the_builtin(name: str, builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="what, where, what to do"):
        raise LEAVES[name]("what, where, what to do")


@pytest.mark.parametrize("name", sorted(EXIT_CODES))
def test_an_error_prints_as_its_message(name: str) -> None:
    assert str(LEAVES[name]("reviews.csv:3: broken")) == "reviews.csv:3: broken"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("sentimnt", ["sentiment", "text"], " Did you mean 'sentiment'?"),
        ("LABEL", ["label", "lab"], " Did you mean 'label'?"),
        ("zzz", ["sentiment", "text"], ""),
        ("text", [], ""),
    ],
)
def test_nearest(name: str, known: list[str], hint: str) -> None:
    assert nearest(name, known) == hint
    assert nearest(name, iter(known)) == hint


@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=5))
def test_nearest_names_a_known_name_or_nothing(name: str, known: list[str]) -> None:
    assert nearest(name, known) in {"", *(f" Did you mean {k!r}?" for k in known)}
