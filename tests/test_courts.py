"""Four independent courts, driven by one table of cases: the definition, the adjoint identity, central differences, PyTorch.

Every gradient is tested with a random upstream gradient; with ones, most wrong rules pass.
"""

import numpy as np
import pytest

import tinyvision
import tinyvision.functional as F
from tests.cases import all_cases
from tinyvision import Tensor, grad
from tinyvision.gradcheck import assert_gradients

CASES = all_cases()


def names(cases):
    return [c.id for c in cases]


def chosen(case, y):
    return y if case.output is None else y[case.output]


def outputs(y):
    return y if isinstance(y, tuple) else (y,)


def call(case, args, kwargs):
    """Functions of networks live in tinyvision.functional, those by NumPy's names in tinyvision."""
    function = getattr(F, case.name) if hasattr(F, case.name) else getattr(tinyvision, case.name)
    return function(*args, **kwargs)


def with_values(case, args, kwargs, values):
    """The arguments with the differentiated ones replaced by these."""
    args, kwargs = list(args), dict(kwargs)
    for key, value in zip(case.differentiated, values):
        (args if isinstance(key, int) else kwargs)[key] = value
    return args, kwargs


def differentiable(case, args, kwargs):
    return [args[key] if isinstance(key, int) else kwargs[key] for key in case.differentiated]


@pytest.mark.parametrize("case", (rows := [c for c in CASES if c.oracle]), ids=names(rows))
def test_definition(case):
    """Equal to the loops of tests/oracles, from arrays and from Tensors, contiguous or not, in float64 and float32."""
    args, kwargs = case.draw()
    expected = outputs(case.oracle(*args, **kwargs))
    for found in (call(case, args, kwargs), call(case, *as_tensors(args, kwargs)), call(case, *shuffled(args, kwargs))):
        for y, right in zip(outputs(found), expected, strict=True):
            assert y.shape == right.shape
            np.testing.assert_allclose(np.asarray(y), right, rtol=1e-10, atol=1e-12)
    y32 = outputs(call(case, *case.draw(np.float32)))
    for y, right in zip(y32, expected):
        assert y.dtype == (np.float32 if right.dtype.kind == "f" else right.dtype)
        np.testing.assert_allclose(y, right, rtol=1e-3, atol=1e-4)


def as_tensors(args, kwargs):
    wrap = lambda a: Tensor(a) if isinstance(a, np.ndarray) else a
    return [wrap(a) for a in args], {k: wrap(v) for k, v in kwargs.items()}


def shuffled(args, kwargs):
    """The same values in memory that is neither contiguous nor in order: negative strides, gaps between elements."""
    def strange(a):
        if not isinstance(a, np.ndarray) or a.ndim == 0:
            return a
        gaps = np.repeat(a[..., ::-1], 2, axis=-1)
        return gaps[..., ::-2]
    return [strange(a) for a in args], {k: strange(v) for k, v in kwargs.items()}


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("case", (rows := [c for c in CASES if c.linear]), ids=names(rows))
def test_adjoint(case, dtype, tolerance):
    """<u, A v> = <A* u, v> for each argument in which the function is linear: no step size, nothing but rounding."""
    args, kwargs = case.draw(dtype)
    for position in case.linear:
        tensors = [Tensor(a, requires_grad=i == position) if isinstance(a, np.ndarray) else a for i, a in enumerate(args)]
        y = chosen(case, call(case, tensors, kwargs))
        u = np.random.default_rng(position).standard_normal(y.shape).astype(dtype)
        (g,) = grad(y, tensors[position], u)
        left, right = (u * y.data).sum(dtype=np.float64), (g.data * args[position]).sum(dtype=np.float64)
        scale = np.abs(u * y.data).sum(dtype=np.float64) + 1
        assert abs(left - right) <= tolerance * scale
        assert g.dtype == dtype


@pytest.mark.parametrize("case", (rows := [c for c in CASES if c.differentiated]), ids=names(rows))
def test_central_differences(case):
    """First and second order against the definition of the derivative."""
    args, kwargs = case.draw()

    def f(*values):
        return chosen(case, call(case, *with_values(case, args, kwargs, values)))

    assert_gradients(f, *differentiable(case, args, kwargs), order=case.order)


def test_the_checker_passes_hundreds_of_right_configurations():
    """So many different ones come before test_central_differences, nearly all of them in both orders."""
    checked = [case for case in CASES if case.differentiated]
    assert len({case.id for case in checked}) == len(checked) >= 600
    assert sum(case.order == 2 for case in checked) >= 600


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's own
@pytest.mark.filterwarnings("ignore:`nn.functional.upsample_")
@pytest.mark.filterwarnings("ignore:Default grid_sample and affine_grid behavior")
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", (rows := [c for c in CASES if c.torch]), ids=names(rows))
def test_torch(case, dtype):
    """Forward, gradients and gradients of gradients equal PyTorch's."""
    torch = pytest.importorskip("torch")
    rtol, atol = (1e-9, 1e-10) if dtype == np.float64 else (1e-3, 1e-4)
    args, kwargs = case.draw(dtype)
    values = differentiable(case, args, kwargs)
    ours = [Tensor(v, requires_grad=True) for v in values]
    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    y = call(case, *with_values(case, args, kwargs, ours))
    to_torch = lambda a: torch.tensor(a) if isinstance(a, np.ndarray) else a
    targs, tkwargs = with_values(case, map(to_torch, args), {k: to_torch(v) for k, v in kwargs.items()}, theirs)
    ty = getattr(torch.nn.functional, case.torch)(*targs, **tkwargs)

    def same(a, b):
        assert tuple(a.shape) == tuple(b.shape)
        assert str(a.dtype) == str(b.dtype).removeprefix("torch.")
        np.testing.assert_allclose(a.data, b.numpy(force=True), rtol=rtol, atol=atol)

    for a, b in zip(outputs(y), outputs(ty), strict=True):
        same(a, b)
    y, ty = chosen(case, y), chosen(case, ty)
    if not ours or not ty.requires_grad:
        return
    rng = np.random.default_rng(1)
    u = rng.standard_normal(y.shape).astype(dtype)
    twice = case.order == 2 and y.size > 0
    gs = grad(y, ours, u, create_graph=twice)
    tgs = torch.autograd.grad(ty, theirs, torch.tensor(u), create_graph=twice)
    for a, b in zip(gs, tgs, strict=True):
        same(a, b)
    if twice and any(t.requires_grad for t in tgs):
        loss = sum(((g * g).sum() for g in gs), Tensor(np.zeros((), dtype)))
        tloss = sum((t * t).sum() for t in tgs)
        gs = grad(loss, ours, allow_unused=True) if loss.requires_grad else [None] * len(ours)
        tgs = torch.autograd.grad(tloss, theirs, allow_unused=True)
        for a, b, v in zip(gs, tgs, values):
            zeros = np.zeros(v.shape, dtype)
            same(Tensor(zeros) if a is None else a, torch.tensor(zeros) if b is None else b)
