"""The prefix tree says exactly what separate sequences say: tokens, positions, ancestors."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.tokens.prefix_tree import build_tree, shared_length

# Few different tokens, so that beginnings are often shared and sequences often equal.
sequences = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=7).map(tuple), min_size=1, max_size=8
)


@settings(max_examples=200, deadline=None)
@given(sequences)
def test_paths_spell_the_sequences_at_their_positions(found) -> None:
    tree = build_tree(found)
    assert len(tree.paths) == len(found)
    for path, sequence in zip(tree.paths, found, strict=True):
        assert tuple(tree.tokens[path]) == sequence
        assert tree.positions[path].tolist() == list(range(len(sequence)))
    nodes = {int(node) for path in tree.paths for node in path}
    assert nodes == set(range(len(tree.tokens)))


@settings(max_examples=200, deadline=None)
@given(sequences)
def test_a_token_sees_its_ancestors_and_itself_and_nothing_else(found) -> None:
    tree = build_tree(found)
    if len(found) == 1:
        assert tree.sees is None
        return
    expected = np.zeros((len(tree.tokens), len(tree.tokens)), dtype=bool)
    for path in tree.paths:
        for depth, node in enumerate(path):
            expected[node, path[: depth + 1]] = True
    assert (tree.sees == expected).all()
    assert tree.sees.sum(axis=1).tolist() == (tree.positions + 1).tolist()
    assert not np.triu(tree.sees, k=1).any()


@settings(max_examples=200, deadline=None)
@given(sequences)
def test_sorted_sequences_hold_every_beginning_once(found) -> None:
    beginnings = {sequence[:end] for sequence in found for end in range(1, len(sequence) + 1)}
    assert len(build_tree(sorted(found)).tokens) == len(beginnings)


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_shared_length_is_the_longest_common_beginning(a, b) -> None:
    length = shared_length(a, b)
    assert a[:length] == b[:length]
    assert a[: length + 1] != b[: length + 1] or length == min(len(a), len(b))
