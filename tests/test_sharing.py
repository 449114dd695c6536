"""Whose array a gradient is: copied where somebody else may have it, added to in place and handed over where nobody does."""

import tracemalloc

import numpy as np
import pytest

import tinyvision.autograd
from tests.cases import all_cases
from tests.test_autograd import leaf
from tests.test_courts import call, chosen, differentiable, with_values
from tinyvision import Op, Tensor, grad
from tinyvision.tensor import raw


def test_gradients_share_no_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    upstream = np.ones(2)
    (x + y).backward(upstream)                            # one array arrives at both leaves
    x.grad.data[0] = 99.0
    assert y.grad.data[0] == 1.0 and upstream[0] == 1.0
    x.grad = y.grad = None
    upstream = Tensor(np.ones(2))
    (x + y).backward(upstream, create_graph=True)
    assert len({id(raw(t)) for t in (x.grad, y.grad, upstream)}) == 3


@pytest.mark.parametrize("name", ["tests.rules", "tinyvision.ops.rules"])
@pytest.mark.parametrize("kept", ["upstream", "view", "twice", "input", "attribute", "list", "stretched"])
def test_large_gradients_share_no_memory_either(kept, name):
    """Above a certain size an array that belongs to nobody else is handed over as it is; here it belongs to somebody."""
    n, holder = 40_000, []

    class Sharing(Op):
        def forward(self, x, y):
            self.held, self.listed = np.ones_like(x), [np.ones_like(x)]
            holder.extend([x, y, self.held, *self.listed])
            return x + y

        def backward(self, g, x, y):
            holder.append(g)
            both = np.ones((2, n))
            return {"upstream": (g, None), "view": (both[0], both[1]), "twice": (both[0].copy(),) * 2, "input": (y, None),
                    "attribute": (self.held[::-1], None), "list": (self.listed[0], None),
                    "stretched": (np.broadcast_to(g[:1], (n,)), None)}[kept]

    Sharing.__module__ = name                             # the loop trusts no rule but the package's own
    x, y = Tensor(np.zeros(n), requires_grad=True), Tensor(np.zeros(n), requires_grad=True)
    Sharing()(x, y).backward(np.ones(n))
    others = [*holder, x.data, y.data] + ([y.grad.data] if y.grad is not None else [])
    assert not any(np.shares_memory(x.grad.data, a) for a in others)
    x.grad.data[...] = 7                                  # and it may be written to
    assert all((a != 7).all() for a in others)


def test_an_array_of_nobody_else_is_not_copied():
    made, n = [], 40_000

    class Fresh(Op):
        def forward(self, x):
            return x * 1

        def backward(self, g, x):
            made.append(g * 2)
            return made[-1]

    x = Tensor(np.zeros(n), requires_grad=True)
    for name, shared in ("tinyvision.ops.rules", True), ("tests.rules", False):
        Fresh.__module__, x.grad = name, None
        Fresh()(x).reshape(200, 200).reshape(n).backward(np.ones(n))
        assert np.shares_memory(x.grad.data, made[-1]) == shared and set(x.grad.tolist()) == {2.0}


@pytest.mark.parametrize("n", [3, 40_000])
def test_sums_of_many_gradients(n):
    """Sums are formed in place from the second on; nothing that somebody else holds is written to."""
    rng = np.random.default_rng(2)
    x, upstream = Tensor(rng.standard_normal(n), requires_grad=True), rng.standard_normal(n)
    before, factors = upstream.copy(), [2.0, -3.0, 0.5, 7.0]
    h = x * 1.0
    h.retain_grad()
    y = h
    for factor in factors:
        y = y + h * factor + h
    seen = []
    h.register_hook(lambda g: seen.append(g.data.copy()))
    y.backward(upstream)
    total = (1 + sum(factors) + len(factors)) * upstream
    for g in (x.grad.data, h.grad.data, seen[0]):
        np.testing.assert_allclose(g, total, rtol=1e-12)
    assert len(seen) == 1 and not np.shares_memory(x.grad.data, h.grad.data)
    np.testing.assert_array_equal(upstream, before)


def test_a_sum_of_many_gradients_takes_one_array():
    class Passing(Op):
        def forward(self, *xs):
            return xs[0] * 1

        def backward(self, g, *xs):
            return (g,) * len(xs)

    x, upstream = Tensor(np.zeros(100_000), requires_grad=True), np.ones(100_000)
    y = Passing()(*[x] * 6)
    tracemalloc.start()
    y.backward(upstream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(x.grad.tolist()) == {6.0} and peak < 1.5 * upstream.nbytes


def test_writing_to_a_gradient_does_not_reach_the_graph(monkeypatch):
    """Every rule of the table of cases: what backward() hands out belongs to the caller."""
    monkeypatch.setattr(tinyvision.autograd, "LARGE", 0)
    checked = 0
    for case in all_cases():
        args, kwargs = case.draw()
        tensors = [Tensor(x, requires_grad=True) for x in differentiable(case, args, kwargs)]
        y = chosen(case, call(case, *with_values(case, args, kwargs, tensors)))
        if not tensors or not y.requires_grad:
            continue
        u = np.random.default_rng(1).standard_normal(y.shape)
        first = grad(y, tensors, u, retain_graph=True, allow_unused=True)
        copies = [g if g is None else g.data.copy() for g in first]
        for g in first:
            if g is not None:
                g.data[...] = np.nan
        for g, before in zip(grad(y, tensors, u, allow_unused=True), copies):
            if g is not None:
                np.testing.assert_array_equal(g.data, before, err_msg=case.name)
                checked += 1
    assert checked > 200
