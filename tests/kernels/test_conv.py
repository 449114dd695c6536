"""Compiled convolution against its reference: random geometries, guarded memory, poisoned scratch, threads, NaN and infinity."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tinyvision import memory
from tinyvision.kernels import conv, registry
from tinyvision.kernels.cpu import conv as compiled_conv
from tinyvision.kernels.cpu import jit, tile, winograd
from tinyvision.kernels.cpu.layout import ONE, Axis, layout, runs, vectors
from tinyvision.kernels.window import Window

PASSES = ("conv", "conv_transpose", "conv_weight_grad")


@pytest.fixture(autouse=True)
def compiled():
    with registry.use_kernels("compiled"):
        yield


def draw(rng, dtype, most=12):
    """Arguments for the three passes over a random geometry; for float32 often one that winograd.py takes."""
    geometry = layer_of_tiles(rng) if dtype == "f" and rng.random() < 0.4 else any_geometry(rng, most)
    N, C, O, sizes, window, groups = geometry
    x, w, u, b, c = (rng.standard_normal(shape).astype(dtype) for shape in
                     ((N, C, *sizes), (O, C // groups, *window.size), (N, O, *window.output(sizes)), O, C))
    given = rng.random() < 0.5
    return {"conv": (x, w, b if given else None, window, groups),
            "conv_transpose": (u, w, c if given else None, window, groups, sizes),
            "conv_weight_grad": (x, u, window, groups)}


def any_geometry(rng, most):
    """Images, channels, filters, sizes, window and groups, over one, two or three axes."""
    n = int(rng.integers(1, 4))
    while True:
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        C, O = groups * int(rng.integers(1, 6)), groups * int(rng.integers(1, 20))
        size, stride, dilation = (tuple(map(int, rng.integers(1, top, n))) for top in (5, 4, 3))
        padding = tuple(map(tuple, rng.integers(0, 4, (n, 2)).tolist()))
        sizes = tuple(map(int, rng.integers(1, most if n < 3 else 8, n)))
        window = Window(size, stride, padding, dilation)
        if min(window.output(sizes)) >= 1:
            return int(rng.choice([1, 2, 3, 5, 34])) if n < 3 else int(rng.choice([2, 2, 34])), C, O, sizes, window, groups


def layer_of_tiles(rng):
    """The same for 3x3 taps with stride 1, and outputs that fill tiles of 4x4, two of them side by side, well enough."""
    C, O = int(rng.choice([8, 12, 16, 24, 31, 40])), int(rng.choice([8, 9, 12, 16, 20, 36]))
    padding = tuple(map(tuple, rng.integers(0, 4, (2, 2)).tolist()))
    height, width = int(rng.integers(3, 20)), int(rng.integers(4, 40))
    sizes = tuple(out + 2 - sum(pads) for out, pads in zip((height, width), padding))
    if min(sizes) < 1 or -(-height // 4) * 4 * -(-width // 8) * 8 > 2 * height * width:
        return layer_of_tiles(rng)
    return int(rng.choice([1, 2, 3, 7])) + 200 // (height * width), C, O, sizes, Window((3, 3), (1, 1), padding, (1, 1)), 1


def bound(name, args):
    """4 eps times the sum of the sizes of what is added: far above what is seen (a random walk), far below any real mistake.

    Where sums of pixels and of weights are multiplied (winograd.py), each counts as much as the largest of its tile or filter.
    """
    sizes = [np.abs(a).astype(np.float64) if isinstance(a, np.ndarray) else a for a in args]
    limit = bound_in_tiles(name, *sizes) if in_tiles(name, args) else getattr(conv, name).reference(*sizes)
    return 4 * np.finfo(args[0].dtype).eps * limit


def bound_in_tiles(name, x, other, *rest):
    """The sums of products of the largest of 6x6 pixels with that of 3x3 weights, or of 4x4 gradients, as often as they occur."""
    window = rest[0] if name == "conv_weight_grad" else rest[1]
    starts = [2 - lo if name == "conv_transpose" else lo for lo, _ in window.padding]
    out = rest[-1] if name == "conv_transpose" else window.output(x.shape[2:])
    pixels = largest_of_tiles(x, 6, starts, out)
    if name == "conv_weight_grad":
        return 16 * np.einsum("nohw,nchw->oc", largest_of_tiles(other, 4, (0, 0), out), pixels)[:, :, None, None]
    weights = other.max(axis=(2, 3))
    limit = 9 * np.einsum("nchw,co->nohw", pixels, weights if name == "conv_transpose" else weights.T)
    limit = limit.repeat(4, axis=2).repeat(4, axis=3)[:, :, :out[0], :out[1]]
    return limit if rest[0] is None else limit + rest[0][:, None, None]


def largest_of_tiles(x, span, starts, out):
    """The largest of span x span numbers, at every fourth place from `starts` numbers before the first on; zeros lie around."""
    around = np.pad(x, ((0, 0), (0, 0), (8, 8), (8, 8)))[:, :, 8 - starts[0]:, 8 - starts[1]:]
    squares = np.lib.stride_tricks.sliding_window_view(around, (span, span), axis=(2, 3))[:, :, ::4, ::4].max(axis=(4, 5))
    return squares[:, :, :-(-out[0] // 4), :-(-out[1] // 4)]


def in_tiles(name, args):
    """Whether winograd.py does this pass."""
    (N, C), other, dtype = args[0].shape[:2], args[1], args[0].dtype
    if name == "conv_weight_grad":
        return winograd.suits_weight(N, C, other.shape[1], other.shape[2:], args[2], args[3], dtype)
    O, out = (len(other), args[3].output(args[0].shape[2:])) if name == "conv" else (other.shape[1], args[5])
    return winograd.suits(N, C, O, out, args[3], args[4], dtype)


def agree(name, args):
    exact = getattr(conv, name).reference(*[a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in args])
    filler = memory.empty(exact.shape, args[0].dtype)     # what is not written shall not look right by chance
    filler[...] = np.nan
    del filler
    twin = registry.twin_of("cpu", "conv", name)
    twin(*args)                                           # makes the scratch as large as it must be
    poison()
    y = twin(*args)
    assert y is not NotImplemented                        # it would not be finite, and the reference would do it again
    assert y.shape == exact.shape and y.dtype == args[0].dtype
    assert (np.abs(y - exact) <= bound(name, args) + 1e-300).all()


def poison():
    for array in jit.scratch.kept.values():
        array.fill(np.nan)


@pytest.mark.parametrize("seed", range(40))
def test_random_geometries(seed):
    rng = np.random.default_rng(seed)
    for name, args in draw(rng, "fd"[seed % 2]).items():
        agree(name, args)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_many_random_geometries(block):
    """2,000 geometries, 6,000 passes."""
    rng = np.random.default_rng(1000 + block)
    for i in range(100):
        for name, args in draw(rng, "fd"[i % 2], most=24).items():
            agree(name, args)


OTHER_MACHINES = """
import sys
import numpy as np
from llvmlite import binding
asked = binding.get_host_cpu_features
binding.get_host_cpu_features = lambda: dict.fromkeys({features}, True)
from tinyvision.kernels import registry
from tinyvision.kernels.cpu import tile
binding.get_host_cpu_features = asked                     # Numba wants to know as well
from tests.kernels.test_conv import LAYERS, agree, draw, layer_arguments
assert (tile.BYTES, tile.REGISTERS) == {registers}, (tile.BYTES, tile.REGISTERS)
rng = np.random.default_rng(0)
with registry.use_kernels("compiled"):
    for i in range({count}):
        for name, args in draw(rng, "fffd"[i % 4]).items():
            agree(name, args)
    for layer in LAYERS:
        for name, args in layer_arguments(*layer):
            agree(name, args)
"""


@pytest.mark.slow
@pytest.mark.parametrize("features, registers", [(["avx2", "fma"], (32, 16)), ([], (16, 16)), (["neon"], (16, 32))],
                         ids=["AVX2", "SSE", "Arm"])
def test_tiles_for_other_processors(features, registers, tmp_path):
    """The kernels that a processor with shorter or fewer vector registers gets, run on this one."""
    code = OTHER_MACHINES.format(features=features, registers=registers, count=150)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), registry.HELPER: "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


LAYERS = [  # N, C, O, size, kernel, stride, padding: the shapes of LeNet, ResNet and U-Net, where the tuned paths are
    (40, 1, 6, 28, 5, 1, 2), (36, 6, 16, 14, 5, 1, 0), (3, 16, 16, 32, 3, 1, 1), (4, 32, 32, 16, 3, 1, 1), (9, 24, 20, 8, 3, 1, 1),
    (2, 16, 32, 32, 3, 2, 1), (33, 9, 17, 7, 3, 1, 1), (2, 32, 24, 16, 1, 1, 0), (2, 16, 8, 16, 1, 2, 0), (1, 200, 40, 16, 3, 1, 1),
    (1, 8, 8, 128, 3, 1, 1), (2, 3, 8, 64, 7, 2, 3), (2, 8, 4, 8, 2, 2, 0), (1, 7, 4, 301, 3, 1, 1), (50, 16, 20, 5, 5, 1, 0),
    (41, 4, 9, 7, 5, 1, 2), (37, 3, 5, 9, 4, 2, 1),
]


@pytest.mark.parametrize("N, C, O, H, k, s, p", LAYERS)
def test_layers_of_networks(N, C, O, H, k, s, p):
    for name, args in layer_arguments(N, C, O, H, k, s, p):
        agree(name, args)


def layer_arguments(N, C, O, H, k, s, p):
    """The passes of a layer, and their arguments."""
    rng = np.random.default_rng(N + C)
    window = Window((k, k), (s, s), ((p, p), (p, p)), (1, 1))
    x, w, u = (rng.standard_normal(shape).astype(np.float32) for shape in
               ((N, C, H, H), (O, C, k, k), (N, O, *window.output((H, H)))))
    return zip(PASSES, ((x, w, None, window, 1), (u, w, None, window, 1, (H, H)), (x, u, window, 1)))


@pytest.mark.parametrize("seed", range(6))
def test_threads(seed):
    """The images are the same bit for bit with one thread and with all; gradients of weights up to the order of their sums."""
    args = draw(np.random.default_rng(seed), "f", most=30)
    before = jit.threads.count
    try:
        jit.set_num_threads(1)
        alone = {name: getattr(conv, name)(*args[name]) for name in PASSES}
    finally:
        jit.set_num_threads(before)
    for name in PASSES:
        if name == "conv_weight_grad":
            assert (np.abs(getattr(conv, name)(*args[name]) - alone[name]) <= bound(name, args[name])).all()
        else:
            np.testing.assert_array_equal(getattr(conv, name)(*args[name]), alone[name])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(seed, value):
    """NaN and infinity reach exactly those numbers that they reach in the reference."""
    rng = np.random.default_rng(seed)
    for name, args in draw(rng, "f").items():
        first = args[0].copy()
        first.flat[rng.integers(first.size)] = value
        args = (first, *args[1:])
        with np.errstate(invalid="ignore"):
            expected = getattr(conv, name).reference(*args)
        np.testing.assert_array_equal(np.isfinite(getattr(conv, name)(*args)), np.isfinite(expected))


@pytest.mark.parametrize("scale", [1e-41, 1e-20, 1e18])
def test_tiny_and_huge(scale):
    """Denormal numbers are not flushed to zero, and huge ones do not overflow on the way."""
    args = draw(np.random.default_rng(1), "f")
    x, w, _, window, groups = args["conv"]
    x = x * np.float32(scale)
    exact = conv.conv.reference(x.astype(float), w.astype(float), None, window, groups)
    limit = bound("conv", (x, w, None, window, groups)) + 200 * np.finfo(np.float32).smallest_subnormal
    assert (np.abs(conv.conv(x, w, None, window, groups) - exact) <= limit).all()


def test_layouts_that_a_kernel_is_not_compiled_for():
    rng = np.random.default_rng(0)
    args = draw(rng, "f")
    for name in PASSES:
        first, second, *rest = args[name]
        plain = getattr(conv, name)(first, second, *rest)
        turned = np.asfortranarray(first), second[::-1].copy()[::-1]
        turned[0].flags.writeable = False
        np.testing.assert_array_equal(getattr(conv, name)(*turned, *rest), plain)


def test_small_doubles_are_left_to_the_reference():
    """A gradient check of a small layer shall not wait for a compilation; but what is asked for is done."""
    x, w, b, window, groups = draw(np.random.default_rng(5), "d")["conv"]
    from tinyvision.kernels.cpu import conv as twin
    assert twin.conv(x, w, b, window, groups) is not NotImplemented
    with registry.use_kernels("auto"):
        assert twin.conv(x, w, b, window, groups) is NotImplemented
        assert twin.conv(x.astype(np.float16), w.astype(np.float16), None, window, groups) is NotImplemented


def test_the_products_of_a_grouped_layer_are_those_within_its_groups():
    """Small float64 layers are NumPy's in all three passes: depthwise, 64 channels have 590 thousand products."""
    from tinyvision.kernels.cpu import conv as twin
    window, x, w = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)), np.ones((1, 64, 32, 32)), np.ones((64, 1, 3, 3))
    with registry.use_kernels("auto"):
        assert twin.conv(x, w, None, window, 64) is NotImplemented
        assert twin.conv_transpose(x, w, None, window, 64, (32, 32)) is NotImplemented
        assert twin.conv_weight_grad(x, x, window, 64) is NotImplemented


GUARDED = """
import ctypes, mmap, sys
import numpy as np
from tinyvision.kernels import registry
from tinyvision.kernels.cpu.matmul import blocks_plan
from tests.kernels.test_conv import draw, PASSES, LAYERS, conv
libc, page, kept = ctypes.CDLL(None), mmap.PAGESIZE, []

def guarded(shape, dtype, at_end):
    # an array that ends (or begins) exactly where memory does that nobody may touch
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    middle = -(-size // page) * page
    memory = mmap.mmap(-1, middle + 2 * page)
    kept.append(memory)
    whole = np.frombuffer(memory, np.uint8)
    for start in (whole.ctypes.data, whole.ctypes.data + page + middle):
        assert libc.mprotect(ctypes.c_void_p(start), page, 0) == 0
    first = page + (middle - size if at_end else 0)
    return whole[first:first + size].view(dtype).reshape(shape)

def fenced(a, at_end):
    if not isinstance(a, np.ndarray):
        return a
    y = guarded(a.shape, a.dtype, at_end)
    y[...] = a
    return y

empty = np.empty
registry.use_kernels("compiled")
for seed in range(int(sys.argv[1])):
    args = draw(np.random.default_rng(seed), "fd"[seed % 2])
    for at_end in (False, True):
        for name in PASSES:
            inside = [fenced(a, at_end) for a in args[name]]
            np.empty = lambda shape, dtype=float: guarded(shape, dtype, at_end) if isinstance(shape, tuple) and len(shape) > 2 else empty(shape, dtype)
            try:
                y = getattr(conv, name)(*inside)
            finally:
                np.empty = empty
            assert np.isfinite(y).all()
        rng = np.random.default_rng(seed)
        (I, J, K), turned = map(int, rng.integers(1, 300, 3)), (seed // 2 % 2, seed // 4 % 2)
        a, b = (fenced(rng.standard_normal(size).astype("fd"[seed % 2]), at_end) for size in (I * J, J * K))
        y = guarded((I, K), a.dtype, at_end)
        blocks_plan(I, J, K, *turned, a.dtype, 2)(a, b, y)
        a, b = (x.reshape(n, m).T if t else x.reshape(m, n) for x, m, n, t in zip((a, b), (I, J), (J, K), turned))
        np.testing.assert_allclose(y, a @ b, rtol=1e-3, atol=1e-3)
print("untouched")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects pages of memory as Linux does")
def test_memory_outside_the_arrays_is_not_touched():
    run = subprocess.run([sys.executable, "-c", GUARDED, "40"], capture_output=True, text=True)
    assert run.stdout.strip() == "untouched", run.stderr[-2000:]


def test_layout_covers_every_tap_and_output():
    """The integers alone: each tap of each output reads the number of the buffer that pack puts there."""
    width = Axis((-1, 0, 1), 2, 5, 10)
    assert width.phases == (0, 1) and width.reach == 1
    assert [width.place(r) for r in (-1, 0, 1)] == [(0, 0), (1, 0), (0, 1)]
    plan = layout(3, Axis((0,), 1, 1, 1), Axis((-1, 0, 1), 1, 4, 4), Axis((-1, 0, 1), 1, 4, 4), 4)
    assert plan.pitch == 5 and plan.lines == 6                            # the zero behind a row is the one before the next
    assert plan.offsets()[:9].tolist() == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    strided = layout(1, ONE, *[Axis((-1, 0, 1), 2, 5, 9)] * 2, 4)         # the example of layout.py
    assert strided.phase == 36 and strided.offsets().tolist() == [0, 36, 1, 72, 108, 73, 6, 42, 7]
    cut = vectors(plan, 4, 16, 4, True)
    assert cut.by_rows and cut.vin.tolist() == [0, 5, 10, 15] and cut.vout.tolist() == [0, 4, 8, 12]


def test_a_tile_that_reads_the_picture_itself_has_at_least_a_vector():
    """However many channels there are: behind the last of them nothing may be read."""
    axis = Axis((0,), 1, 4, 4)
    for channels in (1, 1 << 14, 1 << 20):
        plan = layout(channels, ONE, axis, axis, 4, in_place=True, L=16)
        assert plan.rows * plan.width.count >= 16 and not plan.copied
    assert layout(1 << 14, ONE, axis, axis, 8, in_place=True, L=8).rows == 2


def test_taps_that_read_only_zeros_are_left_out():
    """Of mixed pictures with a wide border: every output has each tap that reads a pixel there, once, and few others."""
    axis, M, L = Axis((-4, -3, -2, -1, 0), 1, 14, 10), 6, 16              # the gradient of LeNet's second layer
    plan = layout(2, ONE, axis, axis, 4, most_images=L, L=L)
    cut, (table, taps) = vectors(plan, 14, 14 * 14, L, True), runs(plan, 14 * 14, M)
    assert plan.lane == L and 100 <= plan.work <= 110 and table[-1, 1] == 14 * 14
    np.testing.assert_array_equal(taps[:, 0], plan.offsets()[taps[:, 1] // M])
    assert sorted(cut.vout) == list(range(0, 14 * 14 * L, L))
    for first, end, start, count in table:
        chosen = (taps[start:start + count, 1] // M).tolist()
        assert chosen == sorted(set(chosen))
        for v in range(first, end):
            row, column = divmod(cut.vout[v] // L, 14)
            assert cut.vin[v] == (row * plan.pitch + column) * L
            shifts = [(axis.shifts[k // 5 % 5], axis.shifts[k % 5]) for k in range(2 * 25)]
            inside = {k for k, (up, along) in enumerate(shifts) if 0 <= row + up < 10 and 0 <= column + along < 10}
            assert inside <= set(chosen)


def test_pictures_without_a_border_have_one_run_of_all_taps():
    axis = Axis((0, 1, 2, 3, 4), 1, 10, 14)
    plan = layout(6, ONE, axis, axis, 4, most_images=16, L=16)
    table, taps = runs(plan, 100, 8)
    assert plan.lane == 16 and plan.work == 100 and table.tolist() == [[0, 100, 0, 150]]
    np.testing.assert_array_equal(taps, np.stack([plan.offsets(), 8 * np.arange(150)], axis=1))


@pytest.mark.parametrize("bias", [False, True])
def test_six_filters_have_the_same_numbers_before_their_kernel_is_compiled(monkeypatch, bias):
    rng, window, names = np.random.default_rng(5), Window((5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1)), []
    x, w, b = (rng.standard_normal(shape).astype("f") for shape in ((3, 2, 16, 16), (6, 2, 5, 5), 6))

    def computed(ready):
        """By a plan that is made anew."""
        monkeypatch.setattr(jit.Shared, "ready", lambda self: ready)
        plan = compiled_conv.conv_plan.__wrapped__(3, 2, 6, (16, 16), window, 1, x.dtype, 2)
        y = np.full((3, 6, 16, 16), np.nan, "f")
        plan(x, w, b if bias else None, y)
        names.append(plan.kernel.__qualname__)
        return y
    np.testing.assert_array_equal(computed(True), computed(False))
    assert (names[0] == names[1]) == (tile.FMA[0] != 8)
