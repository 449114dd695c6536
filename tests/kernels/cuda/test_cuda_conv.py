"""The CUDA sources of convolution against the reference, on this CPU and, where there is one, on a GPU."""

import numpy as np
import pytest

from tests.kernels.test_conv import LAYERS, PASSES, bound, draw, layer_arguments
from tinyvision.kernels import conv
from tinyvision.kernels.cuda import conv as twins
from tinyvision.kernels.cuda import module, winograd
from tinyvision.kernels.cuda.tile import TILES, TILES_OF_DOUBLES, WEIGHT_TILES, WEIGHT_TILES_OF_DOUBLES
from tinyvision.kernels.window import Window

from .emulate import HostModule, emulated


@pytest.fixture(autouse=True)
def no_other_way(monkeypatch):
    """Winograd's products round differently, and have tests of their own."""
    monkeypatch.setattr(winograd, "suits", lambda *args: False)
    twins.forget()
    yield
    twins.forget()


def doubles(args):
    return [a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in args]


def agree(gpu, name, args):
    y = getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args])
    assert y is not NotImplemented
    y, exact = gpu.numpy(y), getattr(conv, name).reference(*doubles(args))
    assert y.shape == exact.shape and y.dtype == args[0].dtype
    assert (np.abs(y - exact) <= bound(name, args) + 1e-300).all()
    return y


@pytest.mark.parametrize("seed", range(25))
def test_random_geometries_on_the_gpu(gpu, seed):
    for name, args in draw(np.random.default_rng(seed), "fd"[seed % 2]).items():
        agree(gpu, name, args)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25, 200))
def test_many_random_geometries_on_the_gpu(gpu, seed):
    for name, args in draw(np.random.default_rng(seed), "fd"[seed % 2], most=20).items():
        agree(gpu, name, args)


@pytest.mark.parametrize("N, C, O, H, k, s, p", LAYERS)
def test_layers_of_networks_on_the_gpu(gpu, N, C, O, H, k, s, p):
    for name, args in layer_arguments(N, C, O, H, k, s, p):
        agree(gpu, name, args)


CASES = [(name, tile, dtype) for dtype, forward, weight in (("f", TILES, WEIGHT_TILES), ("d", TILES_OF_DOUBLES, WEIGHT_TILES_OF_DOUBLES))
         for name, tiles in (("conv", forward), ("conv_transpose", forward), ("conv_weight_grad", weight)) for tile in tiles]


@pytest.mark.parametrize("name, tile, dtype", CASES, ids=str)
def test_every_tile_and_several_parts(gpu, name, tile, dtype, monkeypatch):
    """Sizes that no tile divides, with each tile in turn, whatever would be chosen."""
    monkeypatch.setattr(twins, "choose", lambda *args: tile)
    monkeypatch.setattr(twins, "MOST_DIRECT", 0)
    twins.conv_plan.cache_clear(), twins.transpose_plan.cache_clear(), twins.weight_plan.cache_clear()
    rng = np.random.default_rng(0)
    window = Window((3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1))
    x, w = rng.standard_normal((3, 7, 19, 23)).astype(dtype), rng.standard_normal((37, 7, 3, 2)).astype(dtype)
    u = rng.standard_normal((3, 37, *window.output((19, 23)))).astype(dtype)
    args = {"conv": (x, w, w[:, 0, 0, 0].copy(), window, 1), "conv_transpose": (u, w, None, window, 1, (19, 23)),
            "conv_weight_grad": (x, u, window, 1)}
    agree(gpu, name, args[name])
    monkeypatch.undo()
    twins.forget()


@pytest.mark.parametrize("name, tile, dtype", CASES, ids=str)
def test_every_tile_with_one_tap(gpu, name, tile, dtype, monkeypatch):
    """Pictures of whole vectors, which are read as such wherever they begin, and others; groups; more images than one."""
    monkeypatch.setattr(twins, "choose", lambda *args: tile)
    monkeypatch.setattr(twins, "MOST_DIRECT", 0)
    twins.conv_plan.cache_clear(), twins.transpose_plan.cache_clear(), twins.weight_plan.cache_clear()
    rng, window = np.random.default_rng(0), Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    for groups, sizes in (2, (6, 10)), (1, (2, 2)), (1, (3, 5)):
        x, w = rng.standard_normal((5, 11 * groups, *sizes)).astype(dtype), rng.standard_normal((19 * groups, 11, 1, 1)).astype(dtype)
        u = rng.standard_normal((5, 19 * groups, *sizes)).astype(dtype)
        args = {"conv": (x, w, w[:, 0, 0, 0].copy(), window, groups), "conv_transpose": (u, w, None, window, groups, sizes),
                "conv_weight_grad": (x, u, window, groups)}[name]
        plain = agree(gpu, name, args)
        moved = [gpu.array(a) if isinstance(a, np.ndarray) else a for a in args]
        for i in range(2):                                # the same numbers, which begin 4 or 8 bytes later
            longer = gpu.array(np.append(args[i].ravel()[:1], args[i].ravel())) if isinstance(args[i], np.ndarray) else None
            moved[i] = moved[i] if longer is None else longer[1:].reshape(args[i].shape)
        np.testing.assert_array_equal(gpu.numpy(getattr(twins, name)(*moved)), plain)
    monkeypatch.undo()
    twins.forget()


@pytest.mark.parametrize("filters", [1, 2, 3, 6, 8])
def test_few_filters_and_depthwise(gpu, filters):
    """conv_direct.cu: few filters of several channels, and one or more filters for each of 5 channels."""
    rng = np.random.default_rng(filters)
    window = Window((3, 3), (2, 1), ((1, 1), (1, 0)), (1, 2))
    for groups, channels in (1, 7), (5, 1):
        x, w = rng.standard_normal((3, groups * channels, 13, 17)).astype("f"), rng.standard_normal((groups * filters, channels, 3, 3)).astype("f")
        out = window.output((13, 17))
        u, b = rng.standard_normal((3, groups * filters, *out)).astype("f"), rng.standard_normal(groups * filters).astype("f")
        agree(gpu, "conv", (x, w, b, window, groups))
        agree(gpu, "conv_transpose", (u, w, None, window, groups, (13, 17)))
        agree(gpu, "conv_weight_grad", (x, u, window, groups))


@pytest.mark.parametrize("sizes", [(12, 16), (9, 14), (16,), (3, 4, 8)], ids=str)
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_positions_of_a_line_share_what_they_read(gpu, sizes, dtype, monkeypatch):
    """Four or two to a thread, both ways, with taps that reach no pixel; many images, for a GPU wants to be busy."""
    names = []
    monkeypatch.setattr(module, "function", lambda file, name, made=module.function, **known: names.append(
        (name, known.get("PIXELS"), known.get("TURNED"))) or made(file, name, **known))
    monkeypatch.setattr(module, "multiprocessors", lambda: 1)
    twins.forget()
    rng, n = np.random.default_rng(0), len(sizes)
    window = Window((3,) * (n - 1) + (5,), (1,) * n, ((2, 0),) * (n - 1) + ((1, 3),), (2,) * (n - 1) + (1,))
    for groups, channels, filters in (1, 3, 5), (6, 1, 1), (2, 2, 3), (1, 300, 1):
        x, w = rng.standard_normal((9, groups * channels, *sizes)).astype(dtype), rng.standard_normal((groups * filters, channels, *window.size)).astype(dtype)
        u, b = rng.standard_normal((9, groups * filters, *window.output(sizes))).astype(dtype), rng.standard_normal(groups * filters).astype(dtype)
        agree(gpu, "conv", (x, w, b, window, groups))
        if channels < 9:
            agree(gpu, "conv_transpose", (u, w, None, window, groups, sizes))
    out, size = window.output(sizes)[-1], sizes[-1]
    assert {("direct_line", 4 if out % 4 == 0 else 2, 0), ("direct_line", 4 if size % 4 == 0 else 2, 1)} <= set(names)


PATCHES = [((2, 2), (5, 8), 1, 64, "f", 1), ((2, 2), (8, 4), 2, 9, "d", 1), ((2, 3), (4, 6), 2, 9, "f", 1), ((3,), (11,), 1, 10, "d", 1),
           ((2, 1, 2), (3, 2, 5), 3, 10, "f", 1), ((2, 2), (5, 8), 1, 9, "f", 4), ((4, 4), (2, 3), 1, 8, "f", 16)]


@pytest.mark.parametrize("size, sizes, groups, filters, dtype, launches", PATCHES, ids=str)
def test_filters_that_stride_as_far_as_they_are_large(gpu, size, sizes, groups, filters, dtype, launches):
    """One launch makes all patches; not where they overlap the border (the sixth is padded), nor for few filters (the last)."""
    rng, n = np.random.default_rng(0), len(size)
    padding = ((1, 0),) * n if launches == 4 else ((0, 0),) * n
    window = Window(size, size, padding, (1,) * n)
    u, w = rng.standard_normal((2, groups * 5, *sizes)).astype(dtype), rng.standard_normal((groups * 5, filters, *size)).astype(dtype)
    out = tuple(k * h - lo for k, h, (lo, _) in zip(size, sizes, padding))
    for bias in None, rng.standard_normal(groups * filters).astype(dtype):
        agree(gpu, "conv_transpose", (u, w, bias, window, groups, out))
    plan = twins.transpose_plan(module.compiler.device(), u.shape, w.shape, u.dtype, False, window, groups, out)
    assert len(plan[2]) == launches


@pytest.mark.parametrize("size, padding, sizes, stride, groups, dtype", [
    ((3, 3), ((1, 1), (1, 1)), (8, 12), (2, 2), 1, "f"), ((3, 3), ((1, 1), (1, 1)), (8, 12), (2, 2), 2, "d"),
    ((4, 4), ((1, 1), (1, 1)), (7, 16), (2, 2), 1, "f"), ((7, 7), ((3, 3), (3, 3)), (9, 10), (2, 2), 1, "f"),
    ((3,), ((0, 4),), (18,), (2,), 1, "f"), ((5,), ((6, 1),), (22,), (2,), 3, "f"), ((2, 3, 6), ((0, 0), (1, 0), (2, 1)), (3, 4, 8), (1, 3, 2), 1, "d"),
    ((3, 5), ((1, 1), (0, 0)), (4, 24), (3, 2), 1, "f")], ids=str)
def test_two_pixels_of_a_line_at_once(gpu, size, padding, sizes, stride, groups, dtype, monkeypatch):
    """The gradient of the input at stride 2: also with taps that reach no pixel, and lines that are no whole vectors."""
    pairs = []
    monkeypatch.setattr(twins.Pair, "__init__", lambda self, *args, made=twins.Pair.__init__: pairs.append(args) or made(self, *args))
    rng, M = np.random.default_rng(0), 11
    window = Window(size, stride, padding, (1,) * len(size))
    u, w = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 6 * groups, *window.output(sizes)), (6 * groups, M, *size)))
    for bias in None, rng.standard_normal(groups * M).astype(dtype):
        agree(gpu, "conv_transpose", (u, w, bias, window, groups, sizes))
    assert pairs
    for name, tile, kind in CASES:
        if name == "conv_transpose" and kind == dtype and size == (3, 3):
            monkeypatch.setattr(twins, "choose", lambda *args: tile)
            twins.transpose_plan.cache_clear()
            agree(gpu, "conv_transpose", (u, w, None, window, groups, sizes))
    monkeypatch.undo()


@pytest.mark.parametrize("seed", range(4))
def test_threads_in_any_order_make_the_same_bits(seed, monkeypatch):
    """A barrier that is missing would show here: see host.h."""
    args = draw(np.random.default_rng(seed), "f")
    with emulated():
        for name in PASSES:
            results = []
            for order in (0, 1, 7):
                monkeypatch.setattr(HostModule, "order", order)
                results.append(getattr(twins, name)(*args[name]))
            np.testing.assert_array_equal(results[0], results[1])
            np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_on_the_gpu(gpu, value):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        for name, args in draw(rng, "f").items():
            first = args[0].copy()
            first.flat[rng.integers(first.size)] = value
            args = (first, *args[1:])
            with np.errstate(invalid="ignore"):
                expected = getattr(conv, name).reference(*args)
            y = getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args])
            np.testing.assert_array_equal(np.isfinite(gpu.numpy(y)), np.isfinite(expected))


def test_layouts_on_the_gpu(gpu):
    args = draw(np.random.default_rng(0), "f")
    for name in PASSES:
        first, second, *rest = [gpu.array(a) if isinstance(a, np.ndarray) else a for a in args[name]]
        plain = gpu.numpy(getattr(twins, name)(first, second, *rest))
        turned = gpu.numpy(getattr(twins, name)(first.T.copy().T, second[::-1].copy()[::-1], *rest))
        np.testing.assert_array_equal(plain, turned)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 7, 9), (2, 40, 33, 31), (300, 2, 3, 1)])
def test_channel_sum_on_the_gpu(gpu, shape):
    u = np.random.default_rng(0).standard_normal(shape).astype("f")
    y = gpu.numpy(twins.channel_sum(gpu.array(u)))
    limit = 4 * np.finfo("f").eps * np.abs(u).astype(float).sum(axis=(0, 2, 3))
    assert (np.abs(y - u.astype(float).sum(axis=(0, 2, 3))) <= limit).all()


def test_what_is_left_to_the_reference():
    x, w, _, window, groups = draw(np.random.default_rng(0), "f")["conv"]
    half = [a.astype(np.float16) for a in (x, w)]
    assert twins.conv(*half, None, window, groups) is NotImplemented
    assert twins.conv(x[:0], w, None, window, groups) is NotImplemented
    wide = Window((1, 1), (9, 9), ((0, 0), (0, 0)), (1, 1))
    with emulated():
        assert twins.conv_transpose(np.ones((1, 1, 2, 2), "f"), np.ones((1, 1, 1, 1), "f"), None, wide, 1, (10, 10)) is NotImplemented


def test_more_groups_than_a_grid_has_blocks(gpu):
    """Left to the reference: 65,535 is the most along y and along z."""
    groups = 1 << 16
    x, w, u = np.ones((1, groups, 2, 2), "f"), np.ones((groups, 1, 3, 3), "f"), np.ones((1, 2 * groups, 2, 2), "f")
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    for name, args in {"conv": (x, w, None, window, groups), "conv_transpose": (x, w, None, window, groups, (2, 2)),
                       "conv_weight_grad": (x, u, window, groups)}.items():
        found = getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args])
        assert found is NotImplemented, name
