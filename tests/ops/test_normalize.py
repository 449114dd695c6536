"""Normalisation beyond the case table: accuracy, running statistics, both backward paths, what it is invariant to, messages."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad, sqrt
from tinyvision.kernels.normalize import PIECE, normalize, normalize_grad


def standard(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# name, shape, arguments after the input, axes averaged over and the shape that weight and bias broadcast in
NORMS = [
    ("batch_norm", (4, 3, 5, 2), lambda w, b: dict(running_mean=None, running_var=None, weight=w, bias=b, training=True),
     (0, 2, 3), (1, 3, 1, 1)),
    ("instance_norm", (4, 3, 5, 2), lambda w, b: dict(weight=w, bias=b), (2, 3), (1, 3, 1, 1)),
    ("group_norm", (4, 3, 5, 2), lambda w, b: dict(num_groups=1, weight=w, bias=b), (1, 2, 3), (1, 3, 1, 1)),
    ("layer_norm", (4, 5, 3), lambda w, b: dict(normalized_shape=3, weight=w, bias=b), (2,), (3,)),
]
IDS = [row[0] for row in NORMS]


def composite(x, w, b, axes, shape, eps=1e-5):
    """The same from plain operations."""
    centred = x - x.mean(axis=axes, keepdims=True)
    sigma = sqrt((centred * centred).mean(axis=axes, keepdims=True) + eps)
    return centred / sigma * w.reshape(shape) + b.reshape(shape)


@pytest.mark.parametrize("name, size, arguments, axes, shape", NORMS, ids=IDS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-11), (np.float32, 2e-4)], ids=["float64", "float32"])
def test_kept_statistics_recorded_ones_and_composite_agree(name, size, arguments, axes, shape, dtype, tolerance):
    """First order three ways, second order two ways."""
    arrays = standard(*size) * 2 + 1, standard(3, seed=1), standard(3, seed=2)
    x, w, b = (Tensor(a.astype(dtype), requires_grad=True) for a in arrays)
    u, v = standard(*size, seed=3).astype(dtype), standard(*size, seed=4).astype(dtype)

    def run(f, create_graph):
        y = f(x, w, b)
        gs = grad(y, (x, w, b), u, create_graph=create_graph)
        second = grad(gs[:2], (x, w), (v, standard(3, seed=5).astype(dtype))) if create_graph else ()
        return [a.data for a in (y, *gs, *second)]

    def own(x, w, b):
        return getattr(F, name)(x, **arguments(w, b))

    unrecorded, recorded = run(own, False), run(own, True)
    built = run(lambda x, w, b: composite(x, w, b, axes, shape), True)
    assert len(unrecorded) == 4 and len(recorded) == len(built) == 6
    for a, b in list(zip(unrecorded, recorded)) + list(zip(recorded, built)):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
        assert a.dtype == b.dtype == dtype


@pytest.mark.parametrize("shape, axes", [((64, 3, 1024), (0, 2)), ((2, 2, 16 * PIECE + 5), (0, 2)), ((20000, 4, 1), (0, 2)),
                                         ((6, 2 * PIECE), (1,)), ((3, 2, 8, 300), (2, 3))])
@pytest.mark.parametrize("strided", [False, True], ids=["contiguous", "strided"])
def test_float32_statistics_where_the_mean_is_large(shape, axes, strided):
    """Mean 1000, deviation 1: mean and variance to 1e-6, although x^2 has no digits left for the variance."""
    x = (1000 + standard(*shape)).astype(np.float32)
    x = np.repeat(x, 2, axis=-1)[..., ::2] if strided else x
    exact = x.astype(np.float64)
    m, v = exact.mean(axis=axes, keepdims=True), exact.var(axis=axes, keepdims=True)
    y, mean, var, rstd = normalize(x, None, None, axes, 1e-5)
    np.testing.assert_allclose(mean, m, rtol=2e-7)
    np.testing.assert_allclose(var, v, rtol=1e-6)
    xhat = (exact - m) / np.sqrt(v + 1e-5)
    np.testing.assert_allclose(y, xhat, atol=2e-4)                       # 1000 has a spacing of 6e-5 in float32
    g = standard(*shape, seed=1).astype(np.float32)
    right = g - g.mean(axis=axes, keepdims=True, dtype=float) - xhat * (g * xhat).mean(axis=axes, keepdims=True)
    gx, gw, gb = normalize_grad(g, x, None, None, mean, rstd, axes)
    np.testing.assert_allclose(gx, right / np.sqrt(v + 1e-5), atol=1e-5)
    assert gw is gb is None and y.dtype == gx.dtype == np.float32


def test_kernel_without_elements():
    y, mean, var, rstd = normalize(np.zeros((0, 3, 2)), np.ones((1, 3, 1)), None, (0, 2), 1e-5)
    gx, gw, gb = normalize_grad(y, y, np.ones((1, 3, 1)), None, mean, rstd, (0, 2))
    assert y.shape == gx.shape == (0, 3, 2) and gw.tolist() == [[[0.0]] * 3] and gb is None


@pytest.mark.parametrize("kind", [Tensor, np.array], ids=["Tensor", "array"])
def test_running_statistics_move_towards_the_batch(kind):
    """By hand: the batch 1, 3, 5, 11 has mean 5 and unbiased variance (16 + 4 + 0 + 36) / 3."""
    mean, var = kind(np.array([1.0])), kind(np.array([2.0]))
    F.batch_norm(np.array([[[1.0, 3.0]], [[5.0, 11.0]]]), mean, var, training=True, momentum=0.25)
    assert mean.tolist() == [0.75 * 1 + 0.25 * 5]
    assert var.tolist() == pytest.approx([0.75 * 2 + 0.25 * 56 / 3])
    F.batch_norm(np.array([[[1.0, 3.0]], [[5.0, 11.0]]]), mean, var)
    assert mean.tolist() == [2.0]                                         # evaluation leaves it alone


def test_running_statistics_of_instances_are_averaged():
    """By hand: pictures (0, 2) and (4, 10) have means 1 and 7, unbiased variances 2 and 18."""
    mean, var = Tensor([0.0]), Tensor([1.0])
    F.instance_norm(np.array([[[0.0, 2.0]], [[4.0, 10.0]]], np.float32), mean, var, momentum=0.5)
    assert mean.tolist() == [2.0] and var.tolist() == [5.5]


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 2), (2, 3, 2, 2, 2)])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_as_torch(name, shape):
    torch = pytest.importorskip("torch")
    if name == "instance_norm" and len(shape) == 2:
        pytest.skip("no pixels")
    mean, var = standard(3, seed=1), standard(3, seed=2) ** 2
    tmean, tvar = torch.tensor(mean), torch.tensor(var)
    for step in range(3):
        x = standard(*shape, seed=3 + step)
        options = {"training": True} if name == "batch_norm" else {}
        getattr(F, name)(x, mean, var, momentum=0.3, **options)
        getattr(torch.nn.functional, name)(torch.tensor(x), tmean, tvar, momentum=0.3, **options)
    np.testing.assert_allclose(mean, tmean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(var, tvar.numpy(), rtol=1e-12)


def test_graphs_notice_that_running_statistics_were_written():
    mean, var = Tensor([0.0]), Tensor([1.0])
    x = Tensor([3.0], requires_grad=True)
    y = x * mean
    F.batch_norm(np.array([[1.0], [3.0]], np.float32), mean, var, training=True)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_refused_input_leaves_running_statistics_alone():
    mean, var = np.zeros(2), np.ones(2)
    for call in (lambda: F.batch_norm(np.ones((1, 2)), mean, var, training=True),
                 lambda: F.batch_norm(np.ones((4, 2)), mean, var, np.ones(3), training=True),
                 lambda: F.batch_norm(np.ones((4, 2)), mean, var, training=True, eps=0)):
        with pytest.raises(ValueError):
            call()
    F.batch_norm(np.ones((0, 2)), mean, var, training=True)              # nothing to learn from
    assert mean.tolist() == [0, 0] and var.tolist() == [1, 1]


def test_running_statistics_are_constants():
    """In evaluation the pixels do not depend on each other, and the statistics get no gradient."""
    mean, var = Tensor(np.array([1.0]), requires_grad=True), Tensor(np.array([4.0]), requires_grad=True)
    x = Tensor(standard(2, 1, 3), requires_grad=True)
    u = standard(2, 1, 3, seed=1)
    gx, gm, gv = grad(F.batch_norm(x, mean, var, eps=0), (x, mean, var), u, allow_unused=True)
    np.testing.assert_allclose(gx.data, u / 2)
    assert gm is gv is None


@pytest.mark.parametrize("name, size, arguments, axes, shape", NORMS, ids=IDS)
def test_shift_and_scale_of_the_input_change_nothing(name, size, arguments, axes, shape):
    """So the gradient has no part along ones, nor along x: neither move could change the loss."""
    x, w, b = Tensor(standard(*size), requires_grad=True), standard(3, seed=1), standard(3, seed=2)
    options = arguments(w, b) | {"eps": 1e-15}
    y = getattr(F, name)(x, **options)
    np.testing.assert_allclose(getattr(F, name)(x.data * 3 + 7, **options), y.data, rtol=1e-9, atol=1e-9)
    (g,) = grad(y, x, standard(*size, seed=3))
    np.testing.assert_allclose(g.data.sum(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose((g.data * x.data).sum(axis=axes), 0, atol=1e-12)


def test_group_norm_lies_between_layer_and_instance_norm():
    x = standard(2, 4, 3, 2)
    np.testing.assert_allclose(F.group_norm(x, 1), F.layer_norm(x, (4, 3, 2)), rtol=1e-12)
    np.testing.assert_allclose(F.group_norm(x, 4), F.instance_norm(x), rtol=1e-12)


def test_layer_norm_of_centred_lines_is_rms_norm():
    x = standard(3, 8)
    x = x - x.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(F.layer_norm(x, 8), F.rms_norm(x, 8, eps=1e-5), rtol=1e-12)


def test_rms_norm_takes_the_eps_of_the_dtype():
    for dtype in (np.float32, np.float64):
        x = np.full((1, 4), 1e-9, dtype)
        right = 1e-9 / (1e-18 + np.finfo(dtype).eps) ** 0.5
        np.testing.assert_allclose(F.rms_norm(x, 4), np.full((1, 4), right), rtol=1e-6)


def test_normalize_gives_unit_vectors():
    x = standard(5, 7)
    for p in (1, 2, 3.5):
        np.testing.assert_allclose((np.abs(F.normalize(x, p)) ** p).sum(axis=1), 1, rtol=1e-12)
    assert np.abs(F.normalize(x, np.inf)).max(axis=1).tolist() == [1.0] * 5


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, np.inf])
def test_normalize_of_zeros_is_smooth(p):
    """x / eps around zero, whatever the slope of the norm there."""
    x = Tensor(np.zeros((1, 3)), requires_grad=True)
    y = F.normalize(x, p, eps=0.5)
    (g,) = grad(y, x, np.array([[1.0, 2.0, 3.0]]), create_graph=True)
    assert y.tolist() == [[0, 0, 0]] and g.tolist() == [[2, 4, 6]]
    if g.requires_grad:
        assert grad(g, x, np.ones((1, 3)))[0].tolist() == [[0, 0, 0]]


def test_parameters_may_be_tensors_over_an_array():
    """Pictures straight from the loader need no gradient; weight and bias get theirs, of both orders."""
    x, w = standard(4, 3), Tensor(standard(3, seed=1), requires_grad=True)
    y = F.batch_norm(x, None, None, w, training=True)
    (plain,), (recorded,) = (grad(y, w, standard(4, 3, seed=2), create_graph=c, retain_graph=True) for c in (False, True))
    np.testing.assert_allclose(plain.data, recorded.data, rtol=1e-12)


def ones(*shape, dtype=np.float64):
    return np.ones(shape, dtype)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, r"batch_norm: training needs more than one value per channel.*got input \(1, 3\).*Use a larger batch",
     lambda: F.batch_norm(ones(1, 3), None, None, training=True)),
    (ValueError, "more than one value per channel", lambda: F.batch_norm(ones(1, 3, 1, 1), None, None, training=True)),
    (ValueError, r"batch_norm: input must be \(N, C, \*\), got shape \(3,\).*x\[None\]",
     lambda: F.batch_norm(ones(3), None, None)),
    (ValueError, r"batch_norm: weight must have one value per channel, shape \(3,\), got \(2,\)",
     lambda: F.batch_norm(ones(4, 3), None, None, ones(2), training=True)),
    (ValueError, r"bias must have one value per channel, shape \(3,\), got \(1, 3\)",
     lambda: F.batch_norm(ones(4, 3), None, None, ones(3), ones(1, 3), True)),
    (ValueError, "running_var must have one value per channel", lambda: F.batch_norm(ones(4, 3), ones(3), ones(4))),
    (ValueError, "belong together, but running_var is None", lambda: F.batch_norm(ones(4, 3), ones(3), None, training=True)),
    (ValueError, "batch_norm: without the input's own statistics running_mean and running_var are needed",
     lambda: F.batch_norm(ones(4, 3), None, None)),
    (ValueError, "instance_norm: without the input's own statistics",
     lambda: F.instance_norm(ones(4, 3, 2), use_input_stats=False)),
    (ValueError, "eps must be positive.*got 0", lambda: F.batch_norm(ones(4, 3), None, None, training=True, eps=0)),
    (ValueError, "eps must be positive.*got -1", lambda: F.batch_norm(ones(4, 3), ones(3), ones(3), eps=-1)),
    (TypeError, "batch_norm: all arguments must have one dtype",
     lambda: F.batch_norm(ones(4, 3, dtype=np.float32), None, None, ones(3), training=True)),
    (TypeError, "running_mean must be a Tensor or an array, got list", lambda: F.batch_norm(ones(4, 3), [1.0] * 3, ones(3))),
    (ValueError, r"instance_norm: needs more than one pixel per channel.*got input \(4, 3, 1, 1\)",
     lambda: F.instance_norm(ones(4, 3, 1, 1))),
    (ValueError, "group_norm: num_groups must divide the number of channels, got 2 groups for 7",
     lambda: F.group_norm(ones(2, 7), 2)),
    (ValueError, "group_norm: num_groups must be at least 1, got 0", lambda: F.group_norm(ones(2, 7), 0)),
    (ValueError, r"group_norm: a group needs more than one value.*\(1, 3\) and 3 groups", lambda: F.group_norm(ones(1, 3), 3)),
    (ValueError, r"group_norm: input must be \(N, C, \*\)", lambda: F.group_norm(ones(3), 1)),
    (ValueError, r"layer_norm: the last axes of input must be normalized_shape \(3,\), got input \(2, 4\)",
     lambda: F.layer_norm(ones(2, 4), (3,))),
    (ValueError, r"layer_norm: the last axes .*\(2, 2, 4\), got input \(2, 4\)", lambda: F.layer_norm(ones(2, 4), (2, 2, 4))),
    (ValueError, r"layer_norm: bias must have the shape normalized_shape \(4,\), got \(2, 4\)",
     lambda: F.layer_norm(ones(2, 4), 4, bias=ones(2, 4))),
    (ValueError, "rms_norm: normalized_shape must name at least one axis", lambda: F.rms_norm(ones(2, 4), ())),
    (TypeError, "layer_norm: normalized_shape must be an integer", lambda: F.layer_norm(ones(2, 4), 4.0)),
    (ValueError, r"rms_norm: weight must have the shape normalized_shape \(4,\)", lambda: F.rms_norm(ones(2, 4), 4, ones(1))),
    (ValueError, r"local_response_norm: input must be \(N, C, \*\) with at least one spatial axis, got shape \(2, 3\)",
     lambda: F.local_response_norm(ones(2, 3), 3)),
    (ValueError, "local_response_norm: size must be at least 1, got 0", lambda: F.local_response_norm(ones(2, 3, 4), 0)),
    (ValueError, r"normalize: dim must lie in \[-1, 0\] for input \(4,\), got 1", lambda: F.normalize(ones(4))),
    (TypeError, "normalize: input must be floating point", lambda: F.normalize(ones(2, 3, dtype=int))),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()
