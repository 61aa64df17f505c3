"""The attention kernel in C++ against dense attention in fp64."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from tutelage.kernels import tree_attention
from tutelage.kernels.library import kernels
from tutelage.kernels.tree_attention import TreeRanges, kernel_takes
from tutelage.tokens.prefix_tree import Node, build_tree, sees

pytestmark = pytest.mark.skipif(not kernel_takes(64), reason="no AVX-512, or no compiler")

Tensors = tuple[torch.Tensor, ...]


def tree(*rows: tuple[int, ...]) -> tuple[Node, ...]:
    return build_tree(rows, worth=1, small=0).nodes


def rows(number: int, own: int, shared: int = 0, seed: int = 0) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    stem = tuple(draw.randrange(9999) for _ in range(shared))
    return [
        (*stem, *(draw.randrange(9999) for _ in range(max(1, own + draw.randint(-own // 3, own)))))
        for _ in range(number)
    ]


def inputs(size: int, heads: int, shared: int, width: int, dtype: torch.dtype) -> Tensors:
    """Queries, keys, values (1, heads, N, width), and the gradient of the output (N, H, width)."""
    made = torch.Generator().manual_seed(size)
    counts = (heads, heads // shared, heads // shared)
    found = [torch.randn(1, size, n, width, generator=made).transpose(1, 2) for n in counts]
    return *(x.to(dtype) for x in found), torch.randn(size, heads, width, generator=made).to(dtype)


@contextmanager
def multiplying(tiles: bool) -> Iterator[None]:
    """Products of bf16 in tiles or in registers, where the processor has both."""
    library = replace(kernels(), tiles=tiles and kernels().tiles)
    with patch.object(tree_attention, "kernels", lambda: library):
        yield


def by_kernel(nodes: Sequence[Node], tensors: Tensors) -> Tensors:
    """Output, and the gradients of queries, keys and values."""
    q, k, v = (x.detach().requires_grad_() for x in tensors[:3])
    out = TreeRanges.of(nodes).attend(q, k, v, q.shape[3] ** -0.5, 0)
    out.backward(tensors[3])
    return out.detach(), q.grad, k.grad, v.grad


def dense(nodes: Sequence[Node], tensors: Tensors, dtype: torch.dtype = torch.float64) -> Tensors:
    """The same under a mask over all tokens."""
    q, k, v = (x.detach().to(dtype).requires_grad_() for x in tensors[:3])
    mask = torch.from_numpy(sees(nodes, q.shape[2]))
    out = scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)[0].transpose(0, 1)
    out.backward(tensors[3].to(dtype))
    return out.detach(), q.grad, k.grad, v.grad


def distances(found: Tensors, expected: Tensors) -> list[float]:
    pairs = zip(found, expected, strict=True)
    return [float((a.double() - b.double()).norm() / b.double().norm()) for a, b in pairs]


TREES = {
    "rows of one length and more": rows(4, 100),
    "longer than a chunk": rows(2, 700),
    "behind one beginning": rows(9, 20, shared=333),
    "odd places": [(1, 2, 3, 4, 5), (1, 2, 3, 6), (1, 2, 3, 6, 7, 8), (9,), (9, 9, 9)],
    "a chunk that begins at an odd place": rows(3, 400, shared=37),
    "far apart": [
        (*range(20), *range(100, 110)),
        *(
            (*range(20), *range(200, 211), *end)
            for end in (
                tuple(range(300, 333)),
                (*range(400, 405), *range(500, 512)),
                (*range(400, 405), *range(600, 690)),
            )
        ),
    ],
    "one token": [(1,)],
    "one block and a token": [tuple(range(33))],
}


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize(("heads", "shared", "width"), [(9, 3, 64), (4, 1, 16), (2, 2, 80)])
def test_fp32_is_exact(name: str, heads: int, shared: int, width: int) -> None:
    nodes = tree(*TREES[name])
    tensors = inputs(nodes[-1].end, heads, shared, width, torch.float32)
    found, expected = by_kernel(nodes, tensors), dense(nodes, tensors)
    if name == "one token":  # nothing to choose from: queries and keys have no gradient
        assert float(found[1].norm() + found[2].norm()) < 1e-5
        found, expected = found[::3], expected[::3]
    assert max(distances(found, expected)) < 3e-6


@pytest.mark.skipif(not kernels().bf16, reason="the processor does not multiply bf16")
@pytest.mark.parametrize("name", sorted(set(TREES) - {"one token"}))
@pytest.mark.parametrize("width", [16, 64, 80])
@pytest.mark.parametrize("tiles", [True, False])
def test_bf16_is_no_worse_than_that_of_torch(name: str, width: int, tiles: bool) -> None:
    nodes = tree(*TREES[name])
    tensors = inputs(nodes[-1].end, 6, 3, width, torch.bfloat16)
    exact = dense(nodes, tensors)
    with multiplying(tiles):
        ours = distances(by_kernel(nodes, tensors), exact)
    theirs = distances(dense(nodes, tensors, torch.bfloat16), exact)
    assert all(a < 1.1 * b + 1e-4 for a, b in zip(ours, theirs, strict=True))
    assert max(ours) < 4e-3  # half of bf16's spacing


@pytest.mark.skipif(not kernels().tiles, reason="the processor has no AMX")
def test_products_of_others_between_ours_are_theirs() -> None:
    """oneDNN sets the registers of tiles up as well, and may count on finding them so."""
    made = torch.Generator().manual_seed(0)
    shapes = [(70, 64, 48), (33, 96, 200), (512, 32, 17)]
    factors = [
        [torch.randn(*pair, generator=made).bfloat16() for pair in ((m, k), (k, n))]
        for m, k, n in shapes
    ]
    expected = [a @ b for a, b in factors]
    nodes = tree(*TREES["behind one beginning"])
    tensors = inputs(nodes[-1].end, 6, 3, 64, torch.bfloat16)
    first = by_kernel(nodes, tensors)
    for (a, b), product in zip(factors * 3, expected * 3, strict=True):
        assert all(map(torch.equal, by_kernel(nodes, tensors), first))
        assert torch.equal(a @ b, product)


@pytest.mark.parametrize(
    "shapes",
    [
        [(4, 20), (2, 20), (2, 16)],  # values of another width than keys
        [(4, 24), (2, 24), (2, 24)],  # no whole registers
        [(3, 16), (2, 16), (2, 16)],  # heads that no group takes
        [(4, 16), (2, 16), (4, 16)],
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: list[tuple[int, int]]) -> None:
    """Before memory is touched that belongs to others."""
    ranges = TreeRanges.of(tree((1, 2, 3), (1, 4)))
    q, k, v = (torch.ones(1, heads, 4, width) for heads, width in shapes)
    with pytest.raises(RuntimeError, match="does not take"):
        ranges.attend(q, k, v, 0.25, 0)


def test_other_numbers_of_tokens_are_refused() -> None:
    ranges = TreeRanges.of(tree((1, 2, 3), (1, 4)))
    for sizes in ((5, 5), (4, 5), (5, 4)):
        q, k = (torch.ones(1, 2, size, 16) for size in sizes)
        with pytest.raises(RuntimeError, match="does not take"):
            ranges.attend(q, k, k, 0.25, 0)
    many = torch.ones(2, 2, 4, 16)
    with pytest.raises(RuntimeError, match="one row"):
        ranges.attend(many, many, many, 0.25, 0)


def test_a_second_derivative_is_refused() -> None:
    nodes = tree((1, 2), (1, 3))
    q, k, v, _ = inputs(nodes[-1].end, 2, 1, 16, torch.float32)
    out = TreeRanges.of(nodes).attend(q.requires_grad_(), k, v, 0.25, 0)
    (first,) = torch.autograd.grad(out.pow(2).sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


tokens = st.integers(0, 2)


@settings(max_examples=80, deadline=None)
@given(
    found=st.lists(
        st.lists(tokens, min_size=1, max_size=70).map(tuple), min_size=1, max_size=8, unique=True
    ),
    low=st.booleans(),
    tiles=st.booleans(),
)
def test_any_tree(found: list[tuple[int, ...]], low: bool, tiles: bool) -> None:
    """Of three tokens only, so that rows branch again and again, mostly at odd places.

    In bf16 it is about as near to fp64 as torch's attention: where gradients nearly cancel, as in
    rows of one token, rounding is a large part of them.
    """
    nodes = tree(*found)
    dtype = torch.bfloat16 if low and kernels().bf16 else torch.float32
    tensors = inputs(nodes[-1].end, 4, 2, 16, dtype)
    exact = dense(nodes, tensors)
    theirs = dense(nodes, tensors, dtype) if dtype == torch.bfloat16 else exact
    bound = 5e-4 if dtype == torch.bfloat16 else 3e-6
    with multiplying(tiles):
        ours = by_kernel(nodes, tensors)
    for got, want, other in zip(ours, exact, theirs, strict=True):
        allowed = bound * max(1.0, float(want.norm())) + 1.1 * float((other - want).norm())
        assert float((got.double() - want).norm()) <= allowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_threads_change_no_bit(dtype: torch.dtype) -> None:
    nodes = tree(*TREES["behind one beginning"])
    tensors = inputs(nodes[-1].end, 9, 3, 64, dtype)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(by_kernel(nodes, tensors))
    finally:
        torch.set_num_threads(before)
    for found in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found, results[0], strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_strides(dtype: torch.dtype) -> None:
    """Heads before tokens, tokens before heads, and numbers that lie apart."""
    nodes = tree(*TREES["rows of one length and more"])
    tensors = inputs(nodes[-1].end, 4, 2, 32, dtype)
    expected = by_kernel(nodes, tensors)
    for change in (
        torch.Tensor.contiguous,
        lambda x: x.repeat_interleave(3, -1)[..., ::3],
        lambda x: torch.cat([x, x[..., :1]], -1)[..., :-1],  # an odd stride
    ):
        found = by_kernel(nodes, tuple(map(change, tensors)))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("before", [1, 7, 40, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_stands_before_the_tree(before: int, dtype: torch.dtype) -> None:
    """As if it were the first node of the tree."""
    own = rows(5, 30)
    stem = tuple(range(10_000, 10_000 + before))
    nodes = tree(*(stem + row for row in own))
    q, k, v, _ = inputs(nodes[-1].end, 6, 3, 64, dtype)
    whole = TreeRanges.of(nodes).attend(q, k, v, 0.125, 0)[before:]
    past = ((k[:, :, :before], v[:, :, :before]),)
    rest = tree(*own)
    new = (x[:, :, before:] for x in (q, k, v))
    with torch.no_grad():
        found = TreeRanges.of(rest, past).attend(*new, 0.125, 0)
    assert max(distances((found,), (whole,))) < (1e-6 if dtype == torch.float32 else 4e-3)


def test_what_stands_before_the_tree_has_no_gradient() -> None:
    nodes = tree((1, 2), (3,))
    q, k, v, grad = inputs(3, 2, 1, 16, torch.float32)
    out = TreeRanges.of(nodes, ((k, v),)).attend(q.requires_grad_(), k, v, 0.25, 0)
    with pytest.raises(RuntimeError, match="no gradients"):
        out.backward(grad)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_no_number_is_seen(place: int) -> None:
    """By all that see the token; of values, a masked product may spread it further, as torch's."""
    nodes = tree(*TREES["behind one beginning"], (77, 78))
    tensors = inputs(nodes[-1].end, 3, 1, 64, torch.float32)
    tensors[place][0, :, 5] = torch.nan
    out = by_kernel(nodes, tensors)[0]
    seen = torch.from_numpy(sees(nodes, len(out)))[:, 5] if place else torch.arange(len(out)) == 5
    lost = out.isnan().all(dim=(1, 2))
    assert torch.equal(lost, seen) if place < 2 else bool(lost[seen].all())


def test_large_scores_do_not_overflow() -> None:
    nodes = tree(*TREES["rows of one length and more"])
    q, k, v, grad = inputs(nodes[-1].end, 3, 3, 64, torch.float32)
    tensors = (200 * q, k, v, grad)
    assert max(distances(by_kernel(nodes, tensors), dense(nodes, tensors))) < 1e-3
