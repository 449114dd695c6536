"""The CUDA sources of the optimisers' steps against the reference, and their repetition as a recorded step."""

from math import inf, nan

import numpy as np
import pytest

from tests.kernels.test_update import RULES, SHAPES, assert_equal, copied, drawn, each_dtype, each_rule, run, strange
from tinyvision.kernels import update as kernels
from tinyvision.kernels.cuda import update as twins

from .emulate import HostModule, emulated

MANY = [(n % 7, 3) for n in range(300)]                   # more arrays than one launch takes, some of them empty


def on(gpu, name, lists, rest):
    """Run a twin on arrays of the device; the lists as NumPy arrays afterwards."""
    there = [values and [gpu.array(a) for a in values] for values in lists]
    assert getattr(twins, name)(there[0][0], *there, *rest) is not NotImplemented
    return [values and [gpu.numpy(a) for a in values] for values in there]


@each_dtype
@each_rule
def test_a_step_on_the_gpu(gpu, name, kinds, rest, dtype):
    lists = drawn(kinds, dtype)
    right = run(name, copied(lists), rest, "reference")
    found = on(gpu, name, copied(lists), rest)
    assert_equal(found, right)
    np.testing.assert_array_equal(found[1][4], lists[1][4])                           # gradients are only read
    assert not np.array_equal(found[0][4], lists[0][4])


@each_rule
def test_more_arrays_than_a_launch_takes(gpu, name, kinds, rest):
    lists = drawn(kinds, np.float32, MANY)
    rest = tuple(np.resize(option, len(MANY)).tolist() if isinstance(option, list) else option for option in rest)
    assert_equal(on(gpu, name, copied(lists), rest), run(name, copied(lists), rest, "reference"))


@each_rule
def test_new_gradients_in_every_step(gpu, name, kinds, rest):
    lists = drawn(kinds, np.float32)
    there, right = [values and [gpu.array(a.copy()) for a in values] for values in lists], copied(lists)
    for step in range(3):
        right[1] = [np.array(g * (1 + step), np.float32) for g in lists[1]]
        there[1] = [gpu.array(g.copy()) for g in right[1]]
        getattr(twins, name)(there[0][0], *there, *rest)
        run(name, right, rest, "reference")
    assert_equal([values and [gpu.numpy(a) for a in values] for values in there], right, rounding=40)


@each_dtype
@each_rule
def test_awkward_arrays_on_the_gpu(gpu, name, kinds, rest, dtype):
    if gpu.name == "cuda":
        pytest.skip("CuPy's arrays that are made of strided ones lie in one piece")
    found, right = on(gpu, name, strange(drawn(kinds, dtype)), rest), run(name, strange(drawn(kinds, dtype)), rest, "reference")
    few = np.finfo(np.float32).eps * 8                                                # some are float32 in any case
    for some, others in zip(found, right, strict=True):
        for a, b in zip(some or [], others or [], strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=few, atol=few * 8)


@each_rule
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_steps_that_are_not_finite(gpu, name, kinds, rest, value):
    lists = drawn(kinds, np.float32, [(40,)] * 8)
    for i, values in enumerate(lists):
        if values is not None:
            values[i][3] = abs(value) if kinds[i] == "p" else value
    with np.errstate(all="ignore"):
        right = run(name, copied(lists), rest, "reference")
    for some, others in zip(on(gpu, name, copied(lists), rest), right):
        for a, b in zip(some or [], others or []):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
            np.testing.assert_array_equal(a[np.isinf(b)], b[np.isinf(b)])


def test_pieces_of_one_array_are_updated_alone(gpu):
    """Weights that begin anywhere in memory, of sizes that no vector divides; their neighbours stay."""
    block, gradient = gpu.array(np.arange(400, dtype="f")), gpu.array(np.arange(400, 0, -1).astype("f"))
    spans = [(101, 118), (150, 151), (203, 300), (304, 340)]
    ws, gs = [[a[i:j] for i, j in spans] for a in (block, gradient)]
    twins.sgd(ws[0], ws, gs, None, 1.0, 0, 0, 0, False, False)
    right = np.arange(400, dtype="f")
    for i, j in spans:
        right[i:j] -= np.arange(400, 0, -1)[i:j]
    np.testing.assert_array_equal(gpu.numpy(block), right)


@pytest.mark.parametrize("processors", [1, 132])
def test_chunks_of_any_size_make_the_same_bits(processors, monkeypatch):
    """One round of a block or several, threads in any order."""
    results = []
    for order in (0, 1, 7):
        monkeypatch.setattr(HostModule, "order", order)
        with emulated(processors):
            for name, kinds, rest in (RULES["amsgrad"], RULES["sgd, nesterov"]):
                lists = drawn(kinds, np.float32)
                getattr(twins, name)(lists[0][0], *lists, *rest)
                results.append(lists)
            results.append([[np.asarray(twins.square_sum(lists[0][0], lists[0]))]])
            launch, = twins.plan_of_one(lists[0]).tables[0].launches()
            assert (launch.group["chunk"] > 1024) == (processors == 1)
    for i, lists in enumerate(results[3:]):
        assert_equal(lists, results[i % 3], rounding=0)


def test_a_gradient_of_another_dtype_is_left_to_the_reference(gpu):
    ws, gs = [gpu.array(np.ones(3, "f")) for _ in range(3)], [gpu.array(np.ones(3, d)) for d in "fdf"]
    twins.sgd(ws[0], ws, gs, None, 0.25, 0, 0, 0, False, False)
    assert [gpu.numpy(w).tolist() for w in ws] == [[0.75] * 3] * 3


def test_arrays_that_take_the_place_of_others(gpu):
    make = lambda value: gpu.array(np.full(50, value, "f"))                           # noqa: E731
    ws, bs, gs = [make(0) for _ in range(3)], [make(0) for _ in range(3)], [make(1)] * 3
    rest = (1.0, 0.5, 0, 0, False, False)
    twins.sgd(ws[0], ws, gs, bs, *rest)
    old = ws[1], bs[2]
    ws[1], bs[2] = make(9), make(4)
    twins.sgd(ws[0], ws, gs, bs, *rest)
    assert [float(gpu.numpy(w)[7]) for w in ws] == [-2.5, 7.5, -4.0] and [float(gpu.numpy(b)[7]) for b in bs] == [1.5, 1.5, 3.0]
    assert gpu.numpy(old[0])[7] == -1 and gpu.numpy(old[1])[7] == 1


# --- clipping

@each_dtype
def test_square_sum_on_the_gpu(gpu, dtype):
    arrays, = drawn("s", dtype, SHAPES + MANY)
    arrays[2] = arrays[2][::-1]
    there = [gpu.array(a) for a in arrays]
    total = twins.square_sum(there[0], there)
    assert total.shape == () and total.dtype == np.float64
    exact = sum(float((a.astype(np.longdouble) ** 2).sum()) for a in arrays)
    assert float(gpu.numpy(total)) == pytest.approx(exact, rel=1e-13)


def test_square_sum_of_all_kinds(gpu):
    arrays = [gpu.array(a) for a in (np.full(1000, 1e30, "f"), np.ones((2, 3)), np.full(5, 2, np.float16), np.ones(0, "f"))]
    assert float(gpu.numpy(twins.square_sum(arrays[0], arrays))) == pytest.approx(1e63, rel=1e-6)
    assert float(gpu.numpy(twins.square_sum(arrays[1], arrays[1:]))) == 26
    assert float(gpu.numpy(twins.square_sum(arrays[2], arrays[2:]))) == 20
    arrays.append(gpu.array(np.full(3, nan, "f")))
    assert np.isnan(float(gpu.numpy(twins.square_sum(arrays[0], arrays))))


@each_dtype
@pytest.mark.parametrize("factor, limit", [(0.3, inf), (1, 0.5), (-2.0, 0.5), (0.0, inf), (nan, inf)])
@pytest.mark.parametrize("kind", [None, "f", "d"])
def test_bound_on_the_gpu(gpu, dtype, factor, limit, kind):
    """The factor as a number, and as an array of one number that stays where it is."""
    arrays, = drawn("s", dtype)
    arrays[4][:3] = nan, inf, -inf
    arrays[3] = arrays[3].astype(np.float16)
    arrays[2] = np.concatenate([arrays[2], arrays[2]])[::2]
    there = [gpu.array(a.copy("K")) for a in arrays]
    twins.bound(there[0], there, factor if kind is None else gpu.array(np.array(factor, kind)), limit)
    with np.errstate(invalid="ignore"):
        kernels.bound.reference(arrays[0], arrays, factor if kind is None else float(np.array(factor, kind)), limit)
    for a, b in zip(there, arrays):
        np.testing.assert_array_equal(gpu.numpy(a), b)


def test_one_array_twice_is_left_to_the_reference(gpu):
    a = gpu.array(np.ones(100, "f"))
    assert twins.bound(a, [a, a], 0.5) is NotImplemented


# --- recorded steps

REST = ([3, 3, 5, 5, 5, 5, 5, 5], 0.1, (0.9, 0.99), 1e-3, 0.1, True, False)


def later(n):
    """The options of the n-th step: other counts, another lr."""
    return ([t + n for t in REST[0]], REST[1] / (1 + n), *REST[2:])


def test_a_recorded_step_finds_new_numbers(gpu, monkeypatch):
    """What was launched while recording is launched again, with the very arguments: only what lies on the device may change."""
    lists = drawn("sssp-", np.float32)
    there, right = [values and [gpu.array(a.copy()) for a in values] for values in lists], copied(lists)
    numbers, launched = twins.NumbersOnDevice(there[0][0]), []
    function = twins.module.function

    def recorder(file, name, **constants):
        return lambda *args: launched.append((function(file, name, **constants), args[:2], copy_of(args[2])))

    with monkeypatch.context() as patch, numbers.recorded():
        patch.setattr(twins.module, "function", recorder)
        twins.adam(there[0][0], *there, *REST)
    assert len(launched) == 2 and all(np.array_equal(gpu.numpy(w), w0) for w, w0 in zip(there[0], lists[0]))
    numbers.write()
    for n in range(3):
        if n:
            with numbers.renewed():
                twins.adam(there[0][0], *there, *later(n))
        for run_again, grid, args in launched:
            run_again(*grid, args)
        kernels.adam.reference(right[0][0], *right, *later(n))
    assert_equal([values and [gpu.numpy(a) for a in values] for values in there], right, rounding=40)


def copy_of(args):
    return tuple(a.copy() if isinstance(a, np.ndarray) and a.dtype.names else a for a in args)


def test_many_rows_of_numbers_are_brought_to_the_device(gpu):
    lists = drawn("ssp", np.float32, MANY)
    there = [[gpu.array(a.copy()) for a in values] for values in lists]
    rates = [0.5 + i / 512 for i in range(len(MANY))]
    numbers = twins.NumbersOnDevice(there[0][0], rows=300)
    with numbers.recorded():
        twins.adagrad(there[0][0], *there, rates, 1e-3, 0, False)
    numbers.write()
    found = gpu.numpy(numbers.array)
    used = [rate for rate, (n, _) in zip(rates, MANY) if n]
    np.testing.assert_array_equal(found[:len(used), :4], [[rate, 1e-3, 0, 1] for rate in used])
    np.testing.assert_array_equal(found[len(used):], 0)


def test_another_step_than_the_recorded_one_is_refused(gpu):
    lists = [[gpu.array(a) for a in values] for values in drawn("sss", np.float32)]
    rest = (0.1, 0.9, 0, 0, False, False)
    numbers = twins.NumbersOnDevice(lists[0][0], rows=1)
    with numbers.recorded():
        twins.sgd(lists[0][0], *lists, *rest)
        with pytest.raises(RuntimeError, match="rows for 1 launches"):
            twins.sgd(lists[0][0], *lists, *rest)
        with pytest.raises(RuntimeError, match="recorded already"), numbers.recorded():
            pass
    with pytest.raises(RuntimeError, match="has 1 launches, this one 0"), numbers.renewed():
        pass
    with pytest.raises(RuntimeError, match="launch 0, sgd, is of other arrays"), numbers.renewed():
        twins.sgd(lists[0][0], lists[0], lists[1], [gpu.array(np.zeros(b.shape, "f")) for b in lists[2]], *rest)
    assert twins.state.ledger is None
    with pytest.raises(RuntimeError, match="weight 0, .* of float16, is updated by CuPy's functions"), numbers.recorded():
        w = gpu.array(np.ones(3, np.float16))
        twins.sgd(w, [w], [w], None, *rest)
