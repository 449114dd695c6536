"""Winograd's convolution for a GPU: all passes of its layers, its rounding, turns, and what it computes by the definition."""

import numpy as np
import pytest

from tests.kernels.test_conv import PASSES
from tests.kernels.test_winograd import watched
from tinyvision.kernels import conv
from tinyvision.kernels.cuda import conv as twins
from tinyvision.kernels.cuda import winograd
from tinyvision.kernels.window import Window

from .emulate import HostModule, emulated

SAME = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
EPS = np.finfo("f").eps


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """The plans that have run; they are made wherever they can be."""
    calls = watched(monkeypatch, winograd)
    for decision in "pays", "pays_for_weight":
        monkeypatch.setattr(winograd, decision, lambda *args: True)
    twins.forget()
    yield calls
    twins.forget()


def arguments(rng, N, C, O, sizes, window):
    x, w, u, b, c = (rng.standard_normal(shape).astype("f") for shape in
                     ((N, C, *sizes), (O, C, 3, 3), (N, O, *window.output(sizes)), O, C))
    return dict(zip(PASSES, ((x, w, b, window, 1), (u, w, c, window, 1, sizes), (x, u, window, 1))))


def doubles(args):
    return [a.astype(float) if isinstance(a, np.ndarray) else a for a in args]


def run(gpu, name, args):
    return gpu.numpy(getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args]))


def agree(gpu, name, args):
    """Sums of n products of normal numbers are off by 0.14 eps n in the mean, if added one by one: here by at most four times that."""
    y, exact = run(gpu, name, args), getattr(conv, name).reference(*doubles(args))
    assert y.shape == exact.shape and y.dtype == np.float32
    terms = {"conv": args[1].shape[1] * 9, "conv_transpose": args[1].shape[0] * 9, "conv_weight_grad": args[1][:, 0].size}[name]
    error, limit = np.abs(y - exact), 0.56 * EPS * (terms + 30)
    assert np.sqrt((error**2).mean()) <= limit and error.max() <= 8 * limit
    return y


GEOMETRIES = [(2, 16, 16, (8, 8), SAME), (1, 17, 21, (9, 14), SAME), (3, 20, 33, (6, 5), Window((3, 3), (1, 1), ((2, 0), (0, 1)), (1, 1))),
              (1, 16, 70, (3, 3), Window((3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))), (5, 40, 16, (1, 2), SAME),
              (2, 16, 18, (7, 11), Window((3, 3), (1, 1), ((3, 2), (5, 4)), (1, 1)))]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_all_passes_of_its_layers(gpu, geometry, taken):
    for name, args in arguments(np.random.default_rng(0), *geometry).items():
        agree(gpu, name, args)
    assert taken == ["Correlation"] * 2 + ["WeightGradient"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_many_random_geometries(gpu, seed):
    rng = np.random.default_rng(seed)
    padding = tuple(map(tuple, rng.integers(0, 4, (2, 2)).tolist()))
    sizes = tuple(int(n) for n in rng.integers(3, 24, 2))
    for name, args in arguments(rng, *rng.integers((1, 16, 16), (5, 70, 70)), sizes, Window((3, 3), (1, 1), padding, (1, 1))).items():
        agree(gpu, name, args)


def test_tiles_take_turns_where_scratch_is_short(gpu, monkeypatch, taken):
    """Every output is that of one turn bit for bit; gradients of weights are added up in other parts."""
    passes = arguments(np.random.default_rng(1), 3, 16, 16, (72, 90), SAME)                   # 1,242 tiles
    whole = {name: run(gpu, name, args) for name, args in passes.items()}
    monkeypatch.setattr(winograd, "SCRATCH", 0)
    twins.forget()
    assert [turn[1] for turn in winograd.turns(3, 16, 16, (72, 90))] == [624, 618]
    for name, args in passes.items():
        y = agree(gpu, name, args)
        if name != "conv_weight_grad":
            np.testing.assert_array_equal(y, whole[name])
    assert len(taken) == 6


@pytest.mark.parametrize("change", [dict(C=15), dict(O=15), dict(groups=2), dict(stride=(2, 2)), dict(dilation=(2, 2)), dict(size=(3, 5)),
                                    dict(dtype="d")], ids=str)
def test_which_layers_are_left_to_conv(gpu, change, taken):
    """Also transposed convolutions whose phases have 3x3 taps: they do not write neighbours."""
    given = dict(C=32, O=32, groups=1, stride=(1, 1), dilation=(1, 1), size=(3, 3), dtype="f") | change
    window = Window(given["size"], given["stride"], ((1, 1), (1, 1)), given["dilation"])
    rng, C, O, groups = np.random.default_rng(0), given["C"], given["O"], given["groups"]
    x, w = (gpu.array(rng.standard_normal(shape).astype(given["dtype"])) for shape in
            ((1, C, 9, 9), (O, C // groups, *given["size"])))
    u = gpu.array(rng.standard_normal((1, O, *window.output((9, 9)))).astype(given["dtype"]))
    twins.conv(x, w, None, window, groups), twins.conv_transpose(u, w, None, window, groups, (9, 9))
    twins.conv_weight_grad(x, u, window, groups)
    six = gpu.array(rng.standard_normal((16, 16, 6, 6)).astype("f"))
    twins.conv_transpose(six[:1], six, None, Window((6, 6), (2, 2), ((0, 0), (0, 0)), (1, 1)), 1, (16, 16))
    assert taken == []


def test_the_bound_on_rounding(gpu):
    """Pixels and weights of very different size: errors are those of the largest of a tile and of a filter, channel by channel."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 16, 16, 16)), rng.standard_normal((16, 16, 3, 3))
    x, w = ((v * 10.0 ** rng.integers(-6, 4, v.shape)).astype("f") for v in (x, w))
    exact = conv.conv.reference(x.astype(float), w.astype(float), None, SAME, 1)
    padded = np.pad(np.abs(x.astype(float)), ((0, 0), (0, 0), (1, 1), (1, 1)))
    largest = np.array([[padded[:, :, i:i + 6, j:j + 6].max(axis=(2, 3)) for j in range(0, 16, 4)] for i in range(0, 16, 4)])
    limit = np.einsum("ijnc,oc->noij", largest, np.abs(w).max(axis=(2, 3)).astype(float)).repeat(4, 2).repeat(4, 3)
    error = np.abs(run(gpu, "conv", (x, w, None, SAME, 1)) - exact)
    assert (error <= 9 * 3 * EPS * limit).all() and (error > 0).any()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("name", PASSES)
def test_what_is_not_finite_is_computed_by_the_definition(gpu, name, value, taken):
    rng = np.random.default_rng(0)
    args = arguments(rng, 2, 16, 17, (11, 12), SAME)[name]
    args[0][1, 3, 4, 5:7] = value
    args[0][0, 2, 0, 0] = value
    if value == 3e38:
        args[1][...] *= 1e-3                              # the products fit, the sums of pixels do not
    with np.errstate(invalid="ignore", over="ignore"):
        expected, found = getattr(conv, name).reference(*args), run(gpu, name, args)
    assert taken
    for same in np.isnan, np.isposinf, np.isneginf:
        np.testing.assert_array_equal(same(found), same(expected))
    whole = np.isfinite(expected)
    np.testing.assert_allclose(found[whole], expected[whole], rtol=1e-4, atol=1e-4 * np.abs(expected[whole]).max())


def test_threads_in_any_order_make_the_same_bits(monkeypatch):
    passes = arguments(np.random.default_rng(0), 2, 16, 16, (7, 9), SAME)
    passes["conv_weight_grad"][0][0, 0, 0, 0] = np.inf
    with emulated():
        for name, args in passes.items():
            results = []
            for order in (0, 1, 7):
                monkeypatch.setattr(HostModule, "order", order)
                results.append(getattr(twins, name)(*args))
            np.testing.assert_array_equal(results[0], results[1])
            np.testing.assert_array_equal(results[0], results[2])


def test_it_pays_for_many_channels_only(monkeypatch):
    """On an H200."""
    monkeypatch.undo()
    with emulated(processors=132):
        for C, H, N, expected in (16, 32, 128, False), (256, 14, 64, True), (512, 64, 1, True):
            assert winograd.pays(False, N, C, C, (H, H), (H, H)) == winograd.pays_for_weight(False, N, C, C, (H, H), (H, H)) == expected


def test_more_channels_than_a_grid_has_blocks():
    assert winograd.suits((1, 3, 3), np.dtype("f"), 64, 65535, 1, (16, 16), (1, 1), (1, 1))
    assert not winograd.suits((1, 3, 3), np.dtype("f"), 64, 65536, 1, (16, 16), (1, 1), (1, 1))
