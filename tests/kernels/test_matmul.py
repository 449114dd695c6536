"""Products of matrices by the compiled kernels, against float64."""

import numpy as np
import pytest

from tests.kernels.test_conv import poison
from tests.kernels.threads import some_threads
from tinyvision.kernels import matmul, registry
from tinyvision.kernels.cpu import matmul as compiled

SHAPES = [(1, 1, 1), (1, 300, 5), (3, 7, 200), (8, 256, 48), (9, 257, 49), (193, 255, 385), (200, 600, 20), (70, 513, 800)]


def check(y, a, b):
    """Rounding: float32 and float64 sums within a few eps of the sum of the magnitudes."""
    limit = 4 * np.finfo(y.dtype).eps * (np.abs(a).astype(float) @ np.abs(b).astype(float))
    assert y.shape == limit.shape and (np.abs(y - a.astype(float) @ b.astype(float)) <= limit).all()


def forms(x):
    """The same matrix with rows in one piece, with columns in one piece, and with neither."""
    return x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], x[:, ::-1].copy()[:, ::-1]


@pytest.fixture(autouse=True)
def kernels():
    with registry.use_kernels("compiled"):
        yield


@pytest.fixture(params=["whole", "in blocks"])
def cut(request, monkeypatch):
    if request.param == "in blocks":
        monkeypatch.setattr(compiled, "LARGE", 0)


@pytest.mark.parametrize("seed", range(20))
def test_matmul(seed, cut):
    rng = np.random.default_rng(seed)
    dtype = "fd"[seed % 2]
    I, J, K = rng.integers(1, 80, 3)
    a, b = rng.standard_normal((I, J)).astype(dtype), rng.standard_normal((J, K)).astype(dtype)
    for left in forms(a):
        for right in forms(b):
            matmul.matmul(left, right)                    # makes the scratch as large as it must be
            poison()
            y = compiled.matmul(left, right)
            assert y is not NotImplemented
            check(y, a, b)
    b[J // 2, 0] = np.inf
    with np.errstate(invalid="ignore"):
        expected = a @ b
    np.testing.assert_array_equal(np.isfinite(matmul.matmul(a, np.asfortranarray(b))), np.isfinite(expected))


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("I, J, K", SHAPES)
def test_blocks_of_any_size(I, J, K, dtype, monkeypatch):
    """Borders within and behind blocks, slices and vectors."""
    monkeypatch.setattr(compiled, "LARGE", 0)
    rng = np.random.default_rng(I)
    a, b = rng.standard_normal((I, J)).astype(dtype), rng.standard_normal((J, K)).astype(dtype)
    for left in (a, np.asfortranarray(a)):
        for right in (b, np.asfortranarray(b)):
            check(compiled.matmul(left, right), a, b)


def test_no_product_is_too_large():
    """NumPy's BLAS is asked for none of them: its threads would wait for ours."""
    rng = np.random.default_rng(0)
    for rows, J, K in [(3, 1100, 2048), (64, 2048, 1000), (600, 1024, 1700), (1, 2050, 2050)]:
        a, b = rng.standard_normal((rows, J), dtype=np.float32), rng.standard_normal((J, K), dtype=np.float32)
        for right in (b, np.asfortranarray(b)):
            check(compiled.matmul(a, right), a, b)


def test_blocks_are_the_same_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(compiled, "LARGE", 0)
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((210, 700), dtype=np.float32), rng.standard_normal((700, 500), dtype=np.float32)
    found = []
    for count in (1, 2, 3):
        with some_threads(count):
            found.append(compiled.matmul(a, b))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("front, other", [((3,), (3,)), ((2, 1), (3,)), ((), (2,)), ((2, 2), ())])
def test_stacks_of_large_matrices(front, other):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((*front, 70, 90), dtype=np.float32), rng.standard_normal((*other, 90, 60), dtype=np.float32)
    y = compiled.matmul(a, b)
    np.testing.assert_allclose(y, a.astype(float) @ b.astype(float), rtol=1e-4, atol=1e-4)
    assert y.shape == (a @ b).shape and y.dtype == a.dtype
    assert compiled.matmul(a[..., :9, :], b) is NotImplemented            # quick enough in NumPy
