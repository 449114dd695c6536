"""Clipping of gradients, and parameters as one vector."""

import math

import numpy as np
import pytest

from tinyvision import Parameter, Tensor
from tinyvision.nn.utils import clip_grad_norm_, clip_grad_value_, parameters_to_vector, vector_to_parameters

SHAPES = [(3, 4), (5,), (2, 2, 2)]


def with_gradients(scale=1.0, dtype="float64"):
    rng = np.random.default_rng(0)
    parameters = [Parameter(rng.normal(size=s).astype(dtype)) for s in SHAPES]
    for p in parameters:
        p.grad = Tensor((scale * rng.normal(size=p.shape)).astype(dtype))
    return parameters


def flat(parameters):
    return np.concatenate([p.grad.data.ravel() for p in parameters])


@pytest.mark.parametrize("p", [1, 2.0, 3.5, math.inf])
def test_clip_grad_norm(p):
    parameters = with_gradients()
    before = flat(parameters)
    norm = np.linalg.norm(before, p)
    returned = clip_grad_norm_(parameters, 0.7, p)
    assert type(returned) is Tensor and returned.shape == () and returned.item() == pytest.approx(norm)
    np.testing.assert_allclose(flat(parameters), before * 0.7 / (norm + 1e-6), rtol=1e-12)
    assert np.linalg.norm(flat(parameters), p) <= 0.7


def test_a_small_norm_stays():
    parameters = with_gradients()
    before = flat(parameters)
    clip_grad_norm_(parameters, 100)
    assert (flat(parameters) == before).all()


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e4])
def test_as_torch(p, max_norm):
    torch = pytest.importorskip("torch")
    ours = with_gradients(dtype="float32")
    theirs = [torch.nn.Parameter(torch.tensor(q.numpy())) for q in ours]
    for a, b in zip(ours, theirs):
        b.grad = torch.tensor(a.grad.numpy())
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, p)
    assert clip_grad_norm_(iter(ours), max_norm, p).item() == pytest.approx(expected.item(), rel=1e-6)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-5, atol=1e-9)


def test_gradients_that_are_missing():
    parameters = with_gradients()
    parameters[1].grad = None
    norm = np.linalg.norm(np.concatenate([parameters[0].grad.data.ravel(), parameters[2].grad.data.ravel()]))
    assert clip_grad_norm_(parameters, 1.0).item() == pytest.approx(norm) and parameters[1].grad is None
    assert clip_grad_norm_([], 1.0).item() == 0 and clip_grad_norm_([Parameter([1.0])], 1.0).item() == 0
    assert clip_grad_norm_(parameters[0], 1.0).item() == pytest.approx(np.linalg.norm(parameters[0].grad.data), rel=1e-5)


def test_squares_do_not_overflow():
    parameters = with_gradients(1e30, "float32")
    norm = clip_grad_norm_(parameters, 1.0)
    assert norm.dtype == np.float32 and 1e30 < norm.item() < 1e32
    assert np.linalg.norm(flat(parameters).astype("float64")) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("p", [2.0, math.inf])
def test_norms_that_are_not_finite(bad, p):
    parameters = with_gradients()
    parameters[1].grad[0] = bad
    before = flat(parameters)
    with pytest.raises(RuntimeError, match="the norm of order .* is (nan|inf). Look for the first layer"):
        clip_grad_norm_(parameters, 1.0, p, error_if_nonfinite=True)
    np.testing.assert_array_equal(flat(parameters), before)
    clip_grad_norm_(parameters, 1.0, p)
    after = flat(parameters)
    assert np.isnan(after).all() if math.isnan(bad) else np.isnan(after).sum() == 1 and (after[~np.isnan(after)] == 0).all()


def test_clip_grad_value():
    parameters = with_gradients(3.0)
    before, grads = flat(parameters), [p.grad for p in parameters]
    assert clip_grad_value_(parameters, 1.5) is None
    assert (flat(parameters) == np.clip(before, -1.5, 1.5)).all() and (before != flat(parameters)).any()
    assert all(p.grad is g for p, g in zip(parameters, grads))                         # in place


def test_there_and_back():
    parameters = with_gradients()
    vector = parameters_to_vector(parameters)
    assert vector.shape == (25,) and (vector.data == np.concatenate([p.data.ravel() for p in parameters])).all()
    others = [Parameter(np.zeros(s, "float32")) for s in SHAPES]
    assert vector_to_parameters(vector, iter(others)) is None
    for p, q in zip(parameters, others):
        assert q.dtype == np.float32 and (q.data == p.data.astype("float32")).all()


def test_gradients_flow_through_the_vector():
    parameters = with_gradients()
    g = np.random.default_rng(1).normal(size=25)
    for p in parameters:
        p.grad = None
    parameters_to_vector(parameters).backward(g)
    assert (flat(parameters) == g).all()


def test_writing_the_vector_is_noticed():
    w = Parameter([1.0, 2.0])
    y = (w * w).sum()
    vector_to_parameters(Tensor([3.0, 4.0]), [w])
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


@pytest.mark.parametrize("call, error, text", [
    (lambda p: clip_grad_norm_(p, -1), ValueError, "clip_grad_norm_: max_norm must be at least 0, got -1"),
    (lambda p: clip_grad_norm_(p, 1, 0), ValueError, "clip_grad_norm_: norm_type must be above 0, got 0"),
    (lambda p: clip_grad_value_(p, -1), ValueError, "clip_grad_value_: clip_value must be at least 0, got -1"),
    (lambda p: parameters_to_vector([]), ValueError, "parameters_to_vector: needs at least one parameter"),
    (lambda p: vector_to_parameters(np.zeros(25), p), TypeError, "vector_to_parameters: vec must be a Tensor, got ndarray"),
    (lambda p: vector_to_parameters(Tensor(np.zeros(24)), p), ValueError, r"vec must have shape \(25,\), .* got \(24,\)"),
])
def test_errors(call, error, text):
    parameters = with_gradients()
    before = [p.data.copy() for p in parameters]
    with pytest.raises(error, match=text):
        call(parameters)
    assert all((p.data == b).all() for p, b in zip(parameters, before))
