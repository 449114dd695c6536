"""The CUDA sources of softmax, log-softmax and cross entropy against the references in float64."""

import numpy as np
import pytest

from tests.kernels.test_softmax import PLAIN, TABLE, drawn
from tinyvision.kernels import softmax as kernels
from tinyvision.kernels.cuda import softmax as twins

from .emulate import HostModule, emulated

NAMES = ["softmax", "log_softmax"]
# a warp and a block to a line, with and without all scores in registers; pixels with few and many classes; few lines far apart
SHAPES = [((3, 33), 1), ((2, 200), 1), ((3, 700), 1), ((2, 3000), 1), ((1, 9001), 1), ((2, 3, 5000), 1), ((1, 20, 8192), 1),
          ((1, 40, 8200), 1), ((2, 50, 3), 1)]
SMALL = [row for row in TABLE if np.prod(row[0]) < 20_000]


def wide(*arrays):
    return [a.astype(float) if a.dtype == np.float32 else a for a in arrays]


def call(gpu, name, *args):
    """The result of a twin, which must not decline, as NumPy arrays."""
    y = getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args])
    assert y is not NotImplemented
    return tuple(map(gpu.numpy, y)) if isinstance(y, tuple) else gpu.numpy(y)


def close(found, right, dtype, tolerance=1e-6):
    """To the tolerance, relative to each number and to the largest; of doubles to 1e-14."""
    assert found.dtype == dtype and found.shape == right.shape and found.flags.c_contiguous
    tolerance = tolerance if dtype == np.float32 else 1e-14
    scale = np.abs(right[np.isfinite(right)]).max(initial=1)
    np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance * scale)


def check(gpu, name, x, g, axis, dtype=np.float32):
    y, top, total = call(gpu, name, x, axis)
    right = getattr(kernels, name).reference(*wide(x), axis)
    for a, b in zip((y, top, total), right):
        close(a, b, dtype)
    gx = call(gpu, f"{name}_grad", g, x, top, total, axis)
    close(gx, getattr(kernels, f"{name}_grad").reference(*wide(g, x), *right[1:], axis), dtype, 2e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape, axis", SMALL + SHAPES)
def test_softmax_on_the_gpu(gpu, shape, axis, name):
    x, g, _ = drawn(shape, axis)
    check(gpu, name, x, g, axis)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(5, 10), (3, 7, 11), (1, 300)])
def test_softmax_of_doubles(gpu, shape, name):
    x, g, labels = drawn(shape, 1)
    x, g = x.astype(float), g.astype(float)
    check(gpu, name, x, g, 1, np.float64)
    losses, top, total = call(gpu, "cross_entropy", x, labels)
    right = kernels.cross_entropy.reference(x, labels)
    close(losses, right[0], np.float64)
    up = np.random.default_rng(1).standard_normal(labels.shape)
    close(call(gpu, "cross_entropy_grad", up, x, labels, top, total),
          kernels.cross_entropy_grad.reference(up, x, labels, *right[1:]), np.float64)


@pytest.mark.parametrize("shape, dtype", [*((row[0], np.int64) for row in SMALL + SHAPES if row in PLAIN or row in SHAPES),
                                          *(((5, 10), dtype) for dtype in (np.uint8, np.int16, np.int32))])
def test_cross_entropy_on_the_gpu(gpu, shape, dtype):
    x, _, labels = drawn(shape, 1)
    labels = labels.astype(dtype)
    g = np.random.default_rng(1).standard_normal(labels.shape).astype("f")
    losses, top, total = call(gpu, "cross_entropy", x, labels)
    right = kernels.cross_entropy.reference(*wide(x), labels)
    for a, b in zip((losses, top, total), right):
        close(a, b, np.float32)
    close(call(gpu, "cross_entropy_grad", g, x, labels, top, total),
          kernels.cross_entropy_grad.reference(*wide(g, x), labels, *right[1:]), np.float32)


@pytest.mark.parametrize("shape", [(4, 10), (2, 5, 70)])
def test_scores_of_any_layout(gpu, shape):
    def strange(a):
        return np.repeat(a[..., ::-1], 2, axis=-1)[..., ::-2]

    x, g, labels = drawn(shape, 1)
    plain, turned = ((call(gpu, "cross_entropy", f(x), f(labels)), call(gpu, "log_softmax", f(x), 1)) for f in (np.array, strange))
    for a, b in zip(plain[0] + plain[1], turned[0] + turned[1]):
        np.testing.assert_array_equal(a, b)
    top, total = plain[0][1:]
    np.testing.assert_array_equal(call(gpu, "softmax_grad", strange(g), strange(x), top, total, 1),
                                  call(gpu, "softmax_grad", g, x, top, total, 1))


@pytest.mark.parametrize("shape", [(4, 10), (1, 10), (2, 5, 70)])
def test_one_gradient_for_all_losses(gpu, shape):
    """What a mean hands back is one number, seen as many: it is not written out."""
    x, _, labels = drawn(shape, 1)
    _, top, total = map(gpu.array, call(gpu, "cross_entropy", x, labels))
    half = gpu.array(np.array([0.5], "f"))
    once, each = (twins.cross_entropy_grad(f(half), gpu.array(x), gpu.array(labels), top, total)
                  for f in (lambda g: type(g)(labels.shape, g.dtype, *seen(g, labels.ndim)), lambda g: gpu.array(np.full(labels.shape, 0.5, "f"))))
    np.testing.assert_array_equal(gpu.numpy(once), gpu.numpy(each))


def seen(g, ndim):
    """The arguments after shape and dtype that make an array of stride 0 over the memory of g, for NumPy and for CuPy."""
    return (g, 0, (0,) * ndim) if isinstance(g, np.ndarray) else (g.data, (0,) * ndim)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("shape", [(6, 12), (1, 3), (2500, 4), (2, 5, 70), (3, 2, 40, 31)], ids=str)
@pytest.mark.parametrize("ignored", [-100, 1])
def test_mean_over_the_labels_that_count(gpu, shape, dtype, ignored):
    """Against the mean of single losses in float64; many lines are added up in parts."""
    x, _, labels = drawn(shape, 1)
    x, labels = x.astype(dtype), labels.astype("i8")
    labels[labels == 0] = ignored
    if (labels == ignored).all():
        labels.flat[0] = 0
    counts = labels != ignored
    losses, *_ = kernels.cross_entropy.reference(x.astype(float), np.where(counts, labels, 0))
    mean, count, top, total = call(gpu, "mean_cross_entropy", x, labels, ignored)
    assert mean.dtype == count.dtype == x.dtype and mean.shape == count.shape == () and count == counts.sum()
    assert abs(mean - losses[counts].mean()) <= 16 * np.finfo(dtype).eps * np.abs(losses[counts]).max()
    g = np.asarray(-1.75, dtype)
    gx = call(gpu, "mean_cross_entropy_grad", g, x, labels, ignored, count, top, total)
    p = np.exp(x - x.max(axis=1, keepdims=True), dtype=float)
    p /= p.sum(axis=1, keepdims=True)
    one = (np.arange(shape[1]).reshape((1, -1) + (1,) * (x.ndim - 2)) == labels[:, None]).astype(float)
    expected = -1.75 * (p - one) * counts[:, None] / counts.sum()
    assert (np.abs(gx - expected) <= 16 * np.finfo(dtype).eps / counts.sum()).all()
    reference = kernels.mean_cross_entropy.reference(x, labels, ignored)
    close(reference[0], mean, x.dtype)
    close(kernels.mean_cross_entropy_grad.reference(g, x, labels, ignored, *reference[1:]), gx, x.dtype)


def test_mean_over_no_labels_and_over_labels_that_are_no_class(gpu):
    x, _, _ = drawn((3, 4), 1)
    for labels, ignored in ([7, 7, 7], 7), ([0, 4, 1], 7), ([0, -1, 1], 7):
        labels = np.array(labels)
        for run in lambda *args: call(gpu, "mean_cross_entropy", *args), kernels.mean_cross_entropy.reference:
            mean, count, *_ = run(x, labels, ignored)
            assert np.isnan(mean) and count == (labels != ignored).sum()


@pytest.mark.parametrize("shift", [1e4, -1e4, 3e38, -3e38])
@pytest.mark.parametrize("shape", [(6, 12), (2, 12, 40)])
def test_large_scores(gpu, shape, shift):
    """Only differences count, and those of huge numbers are exact."""
    x, _, labels = drawn(shape, 1, scale=3.0 if abs(shift) < 1e5 else 0.0, shift=shift)
    for name in NAMES:
        close(call(gpu, name, x, 1)[0], getattr(kernels, name).reference(*wide(x), 1)[0], np.float32)
    close(call(gpu, "cross_entropy", x, labels)[0], kernels.cross_entropy.reference(*wide(x), labels)[0], np.float32)


@pytest.mark.parametrize("shape", [(6, 12), (2, 12, 600), (2, 12_000)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 5, 11])
def test_scores_that_are_no_numbers(gpu, shape, value, at):
    """They spoil their own line, as in the reference."""
    x, g, labels = drawn(shape, 1)
    x[1, at, ...] = value
    up = np.ones(labels.shape, np.float32)
    with np.errstate(invalid="ignore"):
        for name in NAMES:
            y, top, total = call(gpu, name, x, 1)
            right = getattr(kernels, name).reference(x, 1)
            close(y, right[0], np.float32)
            gx = call(gpu, f"{name}_grad", g, x, top, total, 1)
            close(gx, getattr(kernels, f"{name}_grad").reference(g, x, *right[1:], 1), np.float32, 4e-6)
        losses, top, total = call(gpu, "cross_entropy", x, labels)
        right = kernels.cross_entropy.reference(x, labels)
        close(losses, right[0], np.float32)
        close(call(gpu, "cross_entropy_grad", up, x, labels, top, total),
              kernels.cross_entropy_grad.reference(up, x, labels, *right[1:]), np.float32, 4e-6)
    assert np.isfinite(losses[0]).all() and np.isfinite(y[0]).all()


def test_a_label_that_is_no_class_reads_nothing(gpu):
    """Labels are checked above the kernel; here one outside has no loss, and the others theirs."""
    x, _, labels = drawn((4, 10), 1)
    labels[1], labels[2] = -1, 10
    losses, top, total = call(gpu, "cross_entropy", x, labels)
    np.testing.assert_array_equal(np.isnan(losses), [False, True, True, False])
    assert np.isfinite(call(gpu, "cross_entropy_grad", np.ones(4, "f"), x, labels, top, total)).all()


@pytest.mark.parametrize("shape", [(5, 10), (2, 200), (2, 700), (1, 9001), (2, 20, 70), (1, 40, 8200)])
def test_threads_in_any_order_make_the_same_probabilities(shape, monkeypatch):
    x, g, labels = drawn(shape, 1)
    with emulated():
        results = []
        for order in (0, 1, 7):
            monkeypatch.setattr(HostModule, "order", order)
            y, top, total = twins.softmax(x, 1)
            results.append([y, top, total, twins.softmax_grad(g, x, top, total, 1), twins.log_softmax_grad(g, x, top, total, 1),
                            *twins.cross_entropy(x, labels), *twins.mean_cross_entropy(x, labels, 1)])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def test_scores_left_to_the_reference():
    x = np.ones((4, 10), np.float32)
    with emulated():
        for a in (x.astype(np.float16), x.astype(int), x[:0]):
            assert twins.softmax(a, 1) is twins.cross_entropy(a, np.zeros(len(a), int)) is NotImplemented
