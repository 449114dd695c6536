"""Products on tensor cores: the sources with TF32 on this CPU, where host.h does what a warp does, and on a GPU that has them."""

import threading

import numpy as np
import pytest

import tinyvision
from tests.device import fake_module
from tests.kernels.test_conv import PASSES, bound, draw
from tinyvision.kernels import conv
from tinyvision.kernels.cuda import conv as twins
from tinyvision.kernels.cuda import matmul, module, tf32, winograd
from tinyvision.kernels.cuda.random import TurnOnDevice
from tinyvision.kernels.cuda.tile import TF32_TILES, TF32_WEIGHT_TILES
from tinyvision.kernels.window import Window

from .emulate import HostModule, emulated

TABLES = {"conv": TF32_TILES, "conv_weight_grad": TF32_WEIGHT_TILES}
TILES = [(name, tile) for name, tiles in TABLES.items() for tile in tiles]
QUICK = {("conv", (16, 256, 16, 2, 8)), ("conv", (128, 128, 16, 8, 8)), ("conv_weight_grad", (64, 144, 16, 8, 6))}


@pytest.fixture
def coarse(gpu):
    """`gpu` with TensorFloat-32 allowed, and tiles however few the filters are."""
    before, twins.MOST_DIRECT = twins.MOST_DIRECT, 0
    suits, winograd.suits = winograd.suits, lambda *args: False            # its factors want all digits
    twins.forget()
    if module.capability() < tf32.FIRST:
        pytest.skip(f"compute capability {module.capability()}")
    with tinyvision.allow_tf32(True):
        yield gpu
    twins.MOST_DIRECT, winograd.suits = before, suits
    twins.forget()


def nearest(x):
    """x with 11 significant bits, the nearest, ties away from zero: by arithmetic, as the definition says."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.copysign(np.floor(np.abs(mantissa) * 2048 + 0.5), mantissa), exponent - 11).astype(x.dtype)


def changed(args, change):
    """The two factors with something done to them; what is added stays."""
    return [change(a) if i < 2 else a for i, a in enumerate(args)]


def agree(gpu, name, args):
    """With the reference of rounded factors up to the rounding of float sums, with that of factors within the documented bound."""
    y = gpu.numpy(getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args]))
    assert y.dtype == np.float32
    reference, double = getattr(conv, name).reference, [a.astype(float) if isinstance(a, np.ndarray) else a for a in args]
    steps = 1 if gpu.name == "host" else 8                # a GPU cuts off the bits of a sum, and adds eight products at a time
    limit = steps * bound(name, args) + 1e-30
    assert (np.abs(y - reference(*changed(double, nearest))) <= limit).all()
    size = reference(*[np.abs(a) if isinstance(a, np.ndarray) else a for a in double])
    assert (np.abs(y - reference(*double)) <= 2**-10 * (1 + 2**-12) * size + limit).all()
    return y


@pytest.mark.parametrize("seed", [0, 1])
def test_random_geometries_with_tf32(coarse, seed):
    for name, args in draw(np.random.default_rng(seed), "f").items():
        agree(coarse, name, args)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 60))
def test_many_random_geometries_with_tf32(coarse, seed):
    for name, args in draw(np.random.default_rng(seed), "f", most=20).items():
        agree(coarse, name, args)


@pytest.mark.parametrize("name, tile", [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in TILES],
                         ids=str)
def test_every_tile_of_tensor_cores(coarse, name, tile, monkeypatch):
    """Sizes that no tile divides; and small integers, which TensorFloat-32 holds, so that not a bit may be wrong."""
    monkeypatch.setattr(twins, "choose", lambda *args: tile)
    twins.conv_plan.cache_clear(), twins.weight_plan.cache_clear()
    rng = np.random.default_rng(0)
    window = Window((3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1))
    x, w = rng.standard_normal((2, 11, 13, 15)).astype("f"), rng.standard_normal((tile[0] + 5, 11, 3, 2)).astype("f")
    u = rng.standard_normal((2, len(w), *window.output(x.shape[2:]))).astype("f")
    args = (x, w, w[:, 0, 0, 0].copy(), window, 1) if name == "conv" else (x, u, window, 1)
    agree(coarse, name, args)
    whole = changed(args, lambda a: np.rint(4 * a))
    y = coarse.numpy(getattr(twins, name)(*[coarse.array(a) if isinstance(a, np.ndarray) else a for a in whole]))
    expected = getattr(conv, name).reference(*[a.astype(float) if isinstance(a, np.ndarray) else a for a in whole])
    if name == "conv":
        y, expected = y - whole[2][:, None, None], expected - whole[2][:, None, None].astype(float)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4)
    else:
        np.testing.assert_array_equal(y, expected)
    monkeypatch.undo()
    twins.forget()


def test_factors_are_rounded_to_the_nearest(coarse):
    """A filter of one 1 leaves x as it is rounded: ties away from zero, numbers near the ends of the range, infinity, NaN."""
    one, tie = np.float32(1), np.float32(1 + 2**-11)
    x = np.array([tie, -tie, np.nextafter(tie, one), np.nextafter(tie, 2 * one), 1 + 2**-10, 0, 1e30, -1e-30, 2**-126, 1 / 3,
                  np.pi, np.inf, -np.inf, np.nan, 2047.5, -4095], np.float32)
    eye = np.eye(16, dtype="f")[..., None]
    finite = np.where(np.isfinite(x), x, 0).astype("f")
    window = Window((1,), (1,), ((0, 0),), (1,))
    y = coarse.numpy(twins.conv(coarse.array(np.diag(finite)[None]), coarse.array(eye), None, window, 1))[0]
    np.testing.assert_array_equal(y, np.diag(nearest(finite)))
    assert y[0, 0] == 1 + 2**-10 and y[1, 1] == -y[0, 0] and y[2, 2] == 1
    y = coarse.numpy(twins.conv(coarse.array(np.tile(x, (16, 1))[None]), coarse.array(eye), None, window, 1))[0, 0]
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(x))


@pytest.mark.parametrize("seed", [0])
def test_warps_in_any_order_make_the_same_bits(seed, monkeypatch):
    args = draw(np.random.default_rng(seed), "f")
    with emulated(), tinyvision.allow_tf32(True):
        for name in PASSES:
            results = []
            for order in (0, 1, 7):
                monkeypatch.setattr(HostModule, "order", order)
                results.append(getattr(twins, name)(*args[name]))
            np.testing.assert_array_equal(results[0], results[1])
            np.testing.assert_array_equal(results[0], results[2])


class Noted:
    """A module whose functions do nothing; its constants are noted."""

    def __init__(self, code, options):
        noted.append(options)

    def get_function(self, name):
        return lambda *args: None


noted = []


def constants(dtype, capability, allowed):
    """What the launchers of the three passes have compiled for a layer, each set of constants once."""
    noted.clear()
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    x, w, u = np.ones((4, 64, 16, 16), dtype), np.ones((96, 64, 3, 3), dtype), np.ones((4, 96, 16, 16), dtype)
    with emulated(132, capability), tinyvision.allow_tf32(allowed):
        module.compiler.make = Noted                      # until the end of `emulated`
        module.module.cache_clear(), module.loaded.cache_clear(), twins.forget()
        twins.conv(x, w, None, window, 1), twins.conv_transpose(u, w, None, window, 1, (16, 16))
        twins.conv_weight_grad(x, u, window, 1)
        module.module.cache_clear(), module.loaded.cache_clear(), twins.forget()
    return [options for options in noted if any("BM" in option for option in options)]


def test_who_gets_tensor_cores():
    """float32 on chips that have them, where it is allowed; everybody else gets what they got before."""
    plain, double = (constants(d, (9, 0), False) for d in ("f", "d"))
    assert min(len(plain), len(double)) > 1 and not any("TF32" in option for options in plain + double for option in options)
    for capability in (8, 0), (8, 9), (9, 0), (12, 0):
        found = constants("f", capability, True)
        assert len(found) > 1 and all("-DTF32=1" in options for options in found)
    assert constants("f", (7, 5), True) == plain
    assert constants("d", (9, 0), True) == double
    assert constants("f", (9, 0), False) == plain


def test_the_switch():
    seen = []
    assert not tinyvision.is_tf32_allowed()
    with tinyvision.allow_tf32(True):
        with tinyvision.allow_tf32(False):
            assert not tinyvision.is_tf32_allowed()
        assert tinyvision.is_tf32_allowed()
        other = threading.Thread(target=lambda: seen.append(tinyvision.is_tf32_allowed()))
        other.start(), other.join()
        with pytest.raises(TypeError, match="allow_tf32: allowed must be True or False, got 1"):
            tinyvision.allow_tf32(1)
        assert tinyvision.is_tf32_allowed()
    assert not tinyvision.is_tf32_allowed() and seen == [False]
    tinyvision.allow_tf32(True)
    assert tinyvision.is_tf32_allowed()
    tinyvision.allow_tf32(False)


@pytest.mark.parametrize("I, J, K", [(1, 1, 1), (5, 7, 3), (1, 9, 4), (6, 1, 1)])
def test_products_of_matrices_by_cublas(I, J, K):
    """In every order of their numbers: in the fake's cuBLAS, which finds them by their addresses."""
    rng = np.random.default_rng(I)
    a, b = rng.standard_normal((I, J)).astype("f"), rng.standard_normal((J, K)).astype("f")
    module.properties.cache_clear()
    with fake_module.installed():
        import cupy
        for dtype in "fd":
            limit = 4 * np.finfo(dtype).eps * (np.abs(a).astype(float) @ np.abs(b))
            y = matmul.matmul(cupy.asarray(a.astype(dtype)), cupy.asarray(b.astype(dtype))).get()
            assert y.dtype == dtype and (np.abs(y - a.astype(float) @ b.astype(float)) <= limit).all()
        assert matmul.matmul(cupy.asarray(a), cupy.asarray(b.astype("d"))) is NotImplemented
        assert matmul.matmul(cupy.asarray(a.astype("i")), cupy.asarray(b.astype("i"))) is NotImplemented
        with tinyvision.allow_tf32(True):
            for left in (cupy.asarray(a), cupy.asarray(a.T.copy()).T, cupy.asarray(np.repeat(a, 2, 1))[:, ::2]):
                for right in cupy.asarray(b), cupy.asarray(b.T.copy()).T, cupy.asarray(np.repeat(b, 2, 1))[:, ::2]:
                    y = matmul.matmul(left, right).get()
                    exact = nearest(a.astype(float)) @ nearest(b.astype(float))
                    assert (np.abs(y - exact) <= 4 * np.finfo("f").eps * (np.abs(a).astype(float) @ np.abs(b))).all()
                    assert y.dtype == np.float32 and (y != a @ b).any()
            whole = matmul.matmul(cupy.asarray(a.astype("d")), cupy.asarray(b.astype("d"))).get()
            np.testing.assert_allclose(whole, a.astype("d") @ b.astype("d"), rtol=1e-12)
            assert matmul.matmul(cupy.asarray(a[:0]), cupy.asarray(b)) is NotImplemented
            stack = matmul.matmul(cupy.asarray(a[None]), cupy.asarray(b[None])).get()
            np.testing.assert_allclose(stack[0], a @ b, rtol=2**-9)
        assert set(cupy.cuda.cublas.modes.values()) == {0}
    module.properties.cache_clear()


def test_products_within_a_recorded_step(coarse):
    """There the kernels of convolution do them, on tensor cores as well."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((33, 10)).astype("f"), rng.standard_normal((10, 40)).astype("f")
    left, right = coarse.array(a), coarse.array(b)
    with TurnOnDevice(left).recorded():
        y = coarse.numpy(matmul.matmul(left, right))
    exact = nearest(a.astype(float)) @ nearest(b.astype(float))
    assert (np.abs(y - exact) <= 32 * np.finfo("f").eps * (np.abs(a).astype(float) @ np.abs(b))).all()


@pytest.mark.parametrize("stack", [(), (3,)])
def test_cublas_uses_tensor_cores(gpu, stack):
    """On a GPU only: products are off by more than float32 would be, and by no more than TensorFloat-32 may."""
    if gpu.name == "host":
        pytest.skip("cuBLAS needs a GPU")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((*stack, 256, 512)).astype("f"), rng.standard_normal((*stack, 512, 384)).astype("f")
    exact, size = a.astype(float) @ b, np.abs(a).astype(float) @ np.abs(b)
    with tinyvision.allow_tf32(True):
        coarsely = gpu.numpy(matmul.matmul(gpu.array(a), gpu.array(b)))
    assert (np.abs(coarsely - exact) <= (2**-10 + 2**-16) * size).all()
    assert np.abs(coarsely - exact).max() > 1e-3 > 1e-4 > np.abs(gpu.numpy(gpu.array(a) @ gpu.array(b)) - exact).max()


def test_one_switch_for_two_blocks():
    switch = tf32.allow_tf32(True)
    for _ in range(2):
        with switch:
            assert tf32.is_tf32_allowed()
        assert not tf32.is_tf32_allowed()
