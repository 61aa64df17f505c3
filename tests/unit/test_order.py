"""Which rows a step takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import Encoded
from tutelage.tokens.batches import computed_tokens
from tutelage.tokens.order import (
    SameRows,
    Stream,
    epoch_order,
    rows_together,
    template_codes,
)
from tutelage.tokens.store import TokenStore, write_store


def worded(templates: Sequence[str], opening: int = 40, own: int = 10) -> list[Encoded]:
    """Rows whose template is an opening of its own; what follows no two of them share."""
    starts = {name: 1000 * (i + 1) for i, name in enumerate(sorted(set(templates)))}
    return [
        Encoded(
            f"r{i}",
            (*range(starts[name], starts[name] + opening), *([50_000 + i] * own)),
            (1, 2),
            template=name,
        )
        for i, name in enumerate(templates)
    ]


def stream(rows: Sequence[Encoded], seed: int, batch_size: int, together: int = 1) -> Stream:
    return Stream(SameRows(rows), seed=seed, batch_size=batch_size, together=together)


computed = partial(computed_tokens, token_budget=4096)


MIXED = worded([f"t{i % 5}" for i in range(60)])


@pytest.mark.parametrize("together", [1, 3])
def test_a_step_depends_on_seed_and_step_alone(together: int) -> None:
    one, other = (stream(MIXED, 3, 6, together) for _ in range(2))
    first = [list(one.places(step)) for step in range(25)]
    assert [list(other.places(step)) for step in reversed(range(25))] == first[::-1]
    assert [list(stream(MIXED, 4, 6, together).places(step)) for step in range(25)] != first


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 9),
    codes=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    batch=st.integers(1, 25),
    together=st.integers(1, 9),
)
def test_every_epoch_visits_every_row_once(
    seed: int, codes: list[int], batch: int, together: int
) -> None:
    rows, epochs = worded([f"t{code}" for code in codes], 2, 1), 3
    steps = -(-len(rows) * epochs // batch)
    taken = stream(rows, seed, batch, together)
    places = [place for step in range(steps) for place in taken.places(step)]
    assert len(places) == steps * batch
    for epoch in range(epochs):
        here = places[epoch * len(rows) : (epoch + 1) * len(rows)]
        assert sorted(here) == [(epoch, row) for row in range(len(rows))]


def test_a_step_goes_on_into_the_next_epoch() -> None:
    rows = worded(["a"] * 5)
    joined = [(e, int(i)) for e in range(3) for i in epoch_order(0, e, 5)]
    assert list(stream(rows, 0, 4).places(1)) == joined[4:8]
    assert list(stream(rows, 0, 12).places(0)) == joined[:12]


def test_epochs_differ_and_their_first_row_is_uniform() -> None:
    firsts = Counter(int(epoch_order(seed, 0, 4)[0]) for seed in range(400))
    assert all(60 < firsts[i] < 140 for i in range(4))
    assert not np.array_equal(epoch_order(0, 0, 50), epoch_order(0, 1, 50))


def test_rows_of_a_template_are_as_often_in_every_place() -> None:
    codes = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    places = np.array([np.argsort(epoch_order(seed, 1, 10, codes, 2)) for seed in range(2000)])
    means = places.mean(axis=0)  # of each row, over seeds; uniform 0..9: 4.5 with an error of 0.06
    assert np.abs(means - 4.5).max() < 0.3
    pairs = Counter((int(a) // 2, int(b) // 2) for a, b in places[:, :2])
    assert len(pairs) == 25  # two rows of a template meet, and do not, all over the epoch


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_rare_template_is_not_kept_for_the_end(epoch: int) -> None:
    codes = np.array([0] * 38 + [1] * 2 + [2])
    places = np.array([np.argsort(epoch_order(s, epoch, 41, codes, 4)) for s in range(2000)])
    means = places.mean(axis=0)  # uniform 0..40: 20 with an error of 0.26
    assert np.abs(means - 20).max() < 1.3
    assert means[38:].mean() == pytest.approx(20, abs=0.8)


@pytest.mark.parametrize("count", [60, 61, 67])
def test_a_batch_holds_two_templates_in_every_epoch(count: int) -> None:
    """Also where the rows are no multiple of the batch, so that epochs begin within one."""
    rows = worded([f"t{i % 5}" for i in range(count)])
    steps = stream(rows, 0, 4, 2)
    held = [len({e.template for e in steps.rows(step)}) for step in range(3 * count // 4)]
    assert np.mean([n <= 2 for n in held]) > 0.7
    apart = stream(rows, 0, 4)
    assert np.mean([len({e.template for e in apart.rows(s)}) <= 2 for s in range(45)]) < 0.5


def test_whole_runs_of_a_template_stand_at_multiples() -> None:
    codes = np.array([i % 4 for i in range(43)])
    for epoch in range(4):
        order = codes[epoch_order(7, epoch, 43, codes, 3)]
        head = -epoch * 43 % 3
        runs = order[head : head + (43 - head) // 3 * 3].reshape(-1, 3)
        pure = (runs == runs[:, :1]).all(axis=1)
        assert pure.sum() >= len(runs) - 4  # at most two rows of each template are left over
        assert any(a[0] != b[0] for a, b in pairwise(runs[pure]))


def test_codes_from_disk_are_those_of_the_rows(tmp_path: Path) -> None:
    rows = worded(["b", "a", "b", "", "c", "a"], 2, 1)
    write_store(tmp_path / "rows", iter(rows), "key")
    store = TokenStore(tmp_path / "rows")
    assert template_codes(store).tolist() == template_codes(rows).tolist() == [0, 1, 0, 2, 3, 1]
    assert [e.template for e in store] == [e.template for e in rows]
    for step in range(6):
        assert stream(store, 1, 2, 2).rows(step) == stream(rows, 1, 2, 2).rows(step)


def together_of(rows: Sequence[Encoded], batch_size: int = 8, tasks: int = 1) -> int:
    return rows_together(rows, computed, seed=0, batch_size=batch_size, tasks=tasks)


def test_long_openings_of_several_templates_are_worth_it() -> None:
    rows = worded([f"t{i % 6}" for i in range(240)])
    assert together_of(rows) == 4
    assert together_of(rows, tasks=3) == 2
    steps, apart = stream(rows, 0, 8, 4), stream(rows, 0, 8)
    fewer = sum(computed(steps.rows(s)) for s in range(30))
    assert fewer < 0.65 * sum(computed(apart.rows(s)) for s in range(30))


@pytest.mark.parametrize(
    "rows",
    [worded(["one"] * 90), worded([f"t{i % 6}" for i in range(90)], opening=1), worded(["a"])],
    ids=["one template", "nothing to share", "one row"],
)
def test_where_little_is_saved_the_order_stays_plain(rows: list[Encoded]) -> None:
    assert together_of(rows) == 1


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_very_different_lengths_are_no_reason(seed: int) -> None:
    """What a sample of steps computes differs by chance; what it saves does not."""
    rng = np.random.default_rng(seed)
    rows = [
        Encoded(f"r{i}", (i % 6, *([100 + i] * int(n))), (1, 2), template=f"t{i % 6}")
        for i, n in enumerate(rng.geometric(0.02, 400))
    ]
    assert rows_together(rows, computed, seed=seed, batch_size=8, tasks=1) == 1
    apart = partial(computed_tokens, token_budget=4096, merged=0)
    assert rows_together(rows, apart, seed=seed, batch_size=8, tasks=1) == 1


def test_a_step_over_many_epochs_asks_for_one_after_the_other() -> None:
    """Each may be read from disk, and only the last two are kept there."""
    rows, asked = worded(["a", "b", "a"], 2, 1), list[int]()

    class Epochs:
        def __getitem__(self, epoch: int) -> list[Encoded]:
            asked.append(epoch)
            return rows

    steps = Stream(Epochs(), seed=0, batch_size=8, together=2)
    taken = steps.rows(1)
    assert asked[1:] == sorted(asked[1:])  # the first says how many rows there are
    assert set(asked[1:]) == {2, 3, 4, 5}
    assert taken == [rows[row] for _, row in steps.places(1)]
