"""The compiled softmax, log-softmax and cross entropy against the references in float64."""

import math

import numpy as np
import pytest

from tests.kernels.threads import some_threads
from tinyvision.kernels import softmax as kernels
from tinyvision.kernels.registry import use_kernels

pytest.importorskip("numba")

# shape, axis: lines, rows of pixels, blocks that are not full, one class, one line
TABLE = [((5, 10), 1), ((1, 1), 1), ((3, 257), 1), ((7,), 0), ((2, 3, 4), 1), ((2, 3, 4), 0), ((2, 3, 4), 2), ((1, 2, 1030), 1),
         ((3, 5, 8, 64), 1), ((2, 1, 5), 1), ((64, 9, 1), 1), ((4100, 3), 1), ((4096, 16, 1), 1), ((4097, 1), 1)]
TABLE += [((int(n), int(k), int(p)), 1) for n, k, p in np.random.default_rng(1).integers(1, 30, (6, 3))]
PLAIN = [row for row in TABLE if row[1] == 1]


def drawn(shape, axis, scale=3.0, shift=0.0):
    rng = np.random.default_rng(len(shape) + axis)
    x = (scale * rng.standard_normal(shape) + shift).astype(np.float32)
    labels = rng.integers(0, shape[axis], shape[:axis] + shape[axis + 1:])
    return x, rng.standard_normal(shape).astype(np.float32), labels


def wide(*arrays):
    return [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]


def assert_close(found, right, tolerance=1e-6):
    assert found.dtype == np.float32 and found.shape == right.shape and found.flags.c_contiguous
    scale = np.abs(right[np.isfinite(right)]).max(initial=1)
    np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape, axis", TABLE)
def test_as_the_reference(shape, axis, name, threads):
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_grad")
    x, g, _ = drawn(shape, axis)
    with use_kernels("compiled"), some_threads(threads):
        y, top, total = forward(x, axis)
        gx = backward(g, x, top, total, axis)
    right = forward.reference(*wide(x), axis)
    for a, b in zip((y, top, total), right):
        assert_close(a, b)
    assert_close(gx, backward.reference(*wide(g, x), *right[1:], axis), 2e-6)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
@pytest.mark.parametrize("shape, axis", PLAIN)
def test_cross_entropy_as_the_reference(shape, axis, dtype, threads):
    x, _, labels = drawn(shape, axis)
    labels, g = labels.astype(dtype), drawn(labels.shape, 0)[0]
    with use_kernels("compiled"), some_threads(threads):
        losses, top, total = kernels.cross_entropy(x, labels)
        gx = kernels.cross_entropy_grad(g, x, labels, top, total)
    right = kernels.cross_entropy.reference(*wide(x), labels)
    for a, b in zip((losses, top, total), right):
        assert_close(a, b)
    assert_close(gx, kernels.cross_entropy_grad.reference(*wide(g, x), labels, *right[1:]))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ignored", [-100, 0])
@pytest.mark.parametrize("shape, axis", PLAIN)
def test_mean_cross_entropy_as_the_reference(shape, axis, ignored, threads):
    """The loss is one number, divided by the number of labels that count, and so is its gradient."""
    x, _, labels = drawn(shape, axis)
    labels[labels == 0] = ignored
    g = np.asarray(-1.75, np.float32)
    with use_kernels("compiled"), some_threads(threads):
        mean, count, top, total = kernels.mean_cross_entropy(x, labels, ignored)
        gx = kernels.mean_cross_entropy_grad(g, x, labels, ignored, count, top, total)
    right = kernels.mean_cross_entropy.reference(*wide(x), labels, ignored)
    for a, b in zip((mean, count, top, total), right):
        assert_close(a, b, 2e-6)
    assert count == (labels != ignored).sum()
    expected = kernels.mean_cross_entropy_grad.reference(*wide(g, x), labels, ignored, *right[1:])
    assert_close(gx * max(count, 1), expected * max(count, 1))
    assert not gx[np.broadcast_to((labels == ignored)[:, None], gx.shape)].any()


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2)])
def test_mean_over_no_labels_and_over_labels_that_are_no_class(shape):
    x, _, labels = drawn(shape, 1)
    for wrong, ignored in ([7, 7, 7], 7), ([0, 4, 1], 7), ([0, -1, 1], 7):
        labels[:] = np.array(wrong).reshape((3,) + (1,) * (len(shape) - 2))
        with use_kernels("compiled"):
            mean, count, *state = kernels.mean_cross_entropy(x, labels, ignored)
            gx = kernels.mean_cross_entropy_grad(np.ones((), np.float32), x, labels, ignored, count, *state)
        assert np.isnan(mean) and count == (labels != ignored).sum() and np.isfinite(gx).all()


@pytest.mark.parametrize("shape", [(4, 10), (2, 5, 70)])
def test_any_memory_layout_and_read_only_arrays(shape):
    def strange(a):
        return np.repeat(a[..., ::-1], 2, axis=-1)[..., ::-2]

    x, g, labels = drawn(shape, 1)
    with use_kernels("compiled"):
        right = kernels.cross_entropy(x, labels), kernels.log_softmax(x, 1)
        up = np.broadcast_to(np.float32(0.5), labels.shape)               # what a mean hands back: read-only, stride 0
        grads = kernels.cross_entropy_grad(up.copy(), x, labels, *right[0][1:]), kernels.softmax_grad(g, x, *right[1][1:], 1)
        for a in (x, g, labels):
            a.flags.writeable = False
        for a, b, c in ((strange(x), strange(g), strange(labels)), (x, g, labels)):
            found = kernels.cross_entropy(a, c), kernels.log_softmax(a, 1)
            assert all((p == q).all() for p, q in zip(found[0] + found[1], right[0] + right[1]))
            assert (kernels.cross_entropy_grad(up, a, c, *found[0][1:]) == grads[0]).all()
            assert (kernels.softmax_grad(b, a, *found[1][1:], 1) == grads[1]).all()


def test_left_to_the_reference():
    from tinyvision.kernels.cpu import softmax as twin
    x = np.ones((4, 10), np.float32)
    with use_kernels("compiled"):
        assert twin.softmax(x, 1) is not NotImplemented
        for a in (x.astype(np.float64), x.astype(np.float16), x[:0]):
            assert twin.softmax(a, 1) is twin.cross_entropy(a, np.zeros(len(a), int)) is NotImplemented


@pytest.mark.parametrize("shift", [1e4, -1e4, 3e38, -3e38])
@pytest.mark.parametrize("shape", [(6, 12), (2, 12, 40)])
def test_large_numbers(shape, shift):
    """Only differences count, and those of huge numbers are exact."""
    x, _, labels = drawn(shape, 1, scale=3.0 if abs(shift) < 1e5 else 0.0, shift=shift)
    with use_kernels("compiled"):
        for name in ("softmax", "log_softmax"):
            assert_close(getattr(kernels, name)(x, 1)[0], getattr(kernels, name).reference(*wide(x), 1)[0])
        assert_close(kernels.cross_entropy(x, labels)[0], kernels.cross_entropy.reference(*wide(x), labels)[0])


@pytest.mark.parametrize("shape", [(6, 12), (2, 12, 40)])
def test_numbers_far_apart(shape):
    """Probabilities from 1 down to nothing; those below the smallest normal number may be 0."""
    x = np.broadcast_to(np.linspace(0, -120, 12).reshape((1, 12) + (1,) * (len(shape) - 2)), shape).astype(np.float32)
    with use_kernels("compiled"):
        y, log_y = kernels.softmax(x, 1)[0], kernels.log_softmax(x, 1)[0]
    np.testing.assert_allclose(y, kernels.softmax.reference(*wide(x), 1)[0], rtol=1e-6, atol=1.2e-38)
    np.testing.assert_allclose(log_y, kernels.log_softmax.reference(*wide(x), 1)[0], rtol=1e-6, atol=1.2e-7)
    assert (y.sum(axis=1) <= 1 + 1e-6).all() and (y[:, -1] == 0).all()


@pytest.mark.parametrize("shape", [(6, 12), (2, 12, 600)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 5, 11])
def test_what_is_not_a_number_spoils_its_line_only(shape, value, at):
    x, g, labels = drawn(shape, 1)
    x[1, at, ...] = value
    up = np.ones(labels.shape, np.float32)
    with use_kernels("compiled"), np.errstate(invalid="ignore"):
        for name in ("softmax", "log_softmax"):
            forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_grad")
            y, top, total = forward(x, 1)
            right = forward.reference(x, 1)
            assert_close(y, right[0])
            assert_close(backward(g, x, top, total, 1), backward.reference(g, x, *right[1:], 1), 4e-6)
        losses, top, total = kernels.cross_entropy(x, labels)
        right = kernels.cross_entropy.reference(x, labels)
        assert_close(losses, right[0])
        assert_close(kernels.cross_entropy_grad(up, x, labels, top, total),
                     kernels.cross_entropy_grad.reference(up, x, labels, *right[1:]), 4e-6)
    assert np.isfinite(losses[0]).all() and np.isfinite(y[0]).all()


def test_exponential_and_logarithm_to_two_units_in_the_last_place():
    """softmax of (0, x) shows exp(x) / (1 + exp(x)), log_softmax log(1 + exp(x))."""
    x = np.linspace(-87, 0, 40_001).astype(np.float32)
    pairs = np.stack([np.zeros_like(x), x])[None]
    with use_kernels("compiled"):
        y, log_y = kernels.softmax(pairs, 1)[0][0], kernels.log_softmax(pairs, 1)[0][0]
    e = np.array([math.exp(v) for v in x])
    np.testing.assert_allclose(y[1], e / (1 + e), rtol=3e-7)
    np.testing.assert_allclose(log_y[0], -np.log1p(e), rtol=3e-7, atol=6e-8)             # 1 + e itself is rounded


@pytest.mark.slow
def test_more_labels_than_float32_can_count():
    """2^24 + 1 labels, of which one is ignored: their count is, rounded, that of all."""
    n = (1 << 24) + 1
    x, labels = np.zeros((1, 2, n), "f"), np.zeros((1, n), np.uint8)
    labels[0, -1] = 7
    _, count, top, total = kernels.mean_cross_entropy(x, labels, 7)
    gx = kernels.mean_cross_entropy_grad(np.float32(1), x, labels, 7, count, top, total)
    assert not gx[0, :, -1].any() and np.allclose(gx[0, :, 0] * n, (-0.5, 0.5))
