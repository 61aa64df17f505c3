"""The prefix tree says exactly what separate sequences say: tokens, positions, ancestors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.tokens.prefix_tree import build_tree, sees, shared_length

# Few different tokens, so that beginnings are often shared and sequences often equal.
sequences = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=7).map(tuple), min_size=1, max_size=8
)


worths = st.sampled_from([1, 2, 4, 8])
smalls = st.sampled_from([0, 5, 128])


@settings(max_examples=200, deadline=None)
@given(sequences, worths, smalls)
def test_paths_spell_the_sequences_at_their_positions(found, worth, small) -> None:
    tree = build_tree(found, worth, small)
    assert len(tree.paths) == len(found)
    for path, sequence in zip(tree.paths, found, strict=True):
        assert tuple(tree.tokens[path]) == sequence
        assert tree.positions[path].tolist() == list(range(len(sequence)))
    held = {int(place) for path in tree.paths for place in path}
    assert held == set(range(len(tree.tokens)))


@settings(max_examples=200, deadline=None)
@given(sequences, worths, smalls)
def test_a_token_sees_its_ancestors_and_itself_and_nothing_else(found, worth, small) -> None:
    tree = build_tree(found, worth, small)
    size = len(tree.tokens)
    expected = np.zeros((size, size), dtype=bool)
    for path in tree.paths:
        for depth, place in enumerate(path):
            expected[place, path[: depth + 1]] = True
    seen = sees(tree.nodes, size)
    assert (seen == expected).all()
    assert seen.sum(axis=1).tolist() == (tree.positions + 1).tolist()


@settings(max_examples=200, deadline=None)
@given(sequences, worths, smalls)
def test_nodes_are_laid_out_depth_first_and_hold_every_token_once(found, worth, small) -> None:
    tree = build_tree(found, worth, small)
    ends = [0]
    for node in tree.nodes:
        assert node.start == ends[-1]
        assert node.start < node.end <= node.stop
        ends.append(node.end)
    assert ends[-1] == len(tree.tokens)
    for a in tree.nodes:
        for b in tree.nodes:
            apart = b.start >= a.stop or a.start >= b.stop
            inside = a.end <= b.start <= b.stop <= a.stop or b.end <= a.start <= a.stop <= b.stop
            assert a == b or apart or inside


@settings(max_examples=200, deadline=None)
@given(sequences)
def test_every_beginning_is_held_once_where_that_is_worth_it(found) -> None:
    beginnings = {sequence[:end] for sequence in found for end in range(1, len(sequence) + 1)}
    assert len(build_tree(found, worth=1).tokens) == len(beginnings)


@settings(max_examples=200, deadline=None)
@given(sequences, worths)
def test_no_more_is_repeated_than_sharing_would_be_worth(found, worth) -> None:
    tree = build_tree(found, worth, small=0)
    assert len(tree.tokens) <= sum(map(len, found))
    for first, second in pairwise(sorted(found)):
        common = shared_length(first, second)
        if common >= worth:
            a, b = (tree.paths[found.index(s)] for s in (first, second))
            same = int((a[:common] == b[:common]).sum())
            assert first == second or common - same < worth


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_shared_length_is_the_longest_common_beginning(a, b) -> None:
    length = shared_length(a, b)
    assert a[:length] == b[:length]
    assert a[: length + 1] != b[: length + 1] or length == min(len(a), len(b))
