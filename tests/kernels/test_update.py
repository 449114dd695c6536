"""The compiled steps of the optimisers against their references, for arrays that are awkward to reach by address."""

from math import inf, nan

import numpy as np
import pytest

from tests.kernels.threads import some_threads
from tinyvision.kernels import update as kernels
from tinyvision.kernels.registry import use_kernels

pytest.importorskip("numba")

SHAPES = [(3, 4), (), (5,), (0, 2), (70_001,), (2, 1, 3), (1,), (64, 33)]
STEPS = [1, 2, 3, 4, 5, 1, 2, 10]
RULES = {                                                 # which lists: s signed, p positive, -: none; and the other arguments
    "sgd": ("sgd", "ss-", (0.1, 0, 0, 0, False, False)),
    "sgd, decay": ("sgd", "ss-", (0.1, 0, 0, 0.2, False, True)),
    "sgd, momentum": ("sgd", "sss", (0.1, 0.9, 0.3, 0.2, False, True)),
    "sgd, nesterov": ("sgd", "sss", (0.1, 0.9, 0, 0.2, True, False)),
    "adam": ("adam", "sssp-", (STEPS, 0.1, (0.9, 0.99), 1e-3, 0.1, False, True)),
    "adam, all in one step": ("adam", "sssp-", ([7] * 8, 0.1, (0.9, 0.99), 1e-3, 0.1, True, False)),
    "amsgrad": ("adam", "ssspp", (STEPS, 0.1, (0.8, 0.5), 1e-3, 0, False, False)),
    "rmsprop": ("rmsprop", "ssp--", (0.1, 0.9, 1e-3, 0.1, 0, False)),
    "rmsprop, momentum": ("rmsprop", "ssp-s", (0.1, 0.9, 1e-3, 0, 0.9, True)),
    "rmsprop, centered": ("rmsprop", "sspcs", (0.1, 0.9, 1e-3, 0.1, 0.9, False)),
    "adagrad": ("adagrad", "ssp", ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 1e-3, 0.1, False)),
    "adadelta": ("adadelta", "sspp", (0.5, 0.9, 1e-3, 0.1, True)),
}
each_rule = pytest.mark.parametrize("name, kinds, rest", RULES.values(), ids=RULES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def drawn(kinds, dtype, shapes=SHAPES):
    """Lists of arrays, one list for each kind."""
    rng = np.random.default_rng(5)
    make = {"s": lambda x: x, "p": lambda x: abs(x) + 0.2, "c": lambda x: x / 20, "-": None}
    return [make[k] and [np.array(make[k](rng.standard_normal(shape)), dtype) for shape in shapes] for k in kinds]


def copied(lists):
    return [values and [a.copy() for a in values] for values in lists]


def run(name, lists, rest, choice="compiled"):
    with use_kernels(choice):
        getattr(kernels, name)(lists[0][0], *lists, *rest)
    return lists


def assert_equal(found, right, rounding=8):
    for some, others in zip(found, right, strict=True):
        assert (some is None) == (others is None)
        for a, b in zip(some or [], others or [], strict=True):
            eps = rounding * np.finfo(b.dtype).eps
            np.testing.assert_allclose(a, b, rtol=eps, atol=eps * max(1, np.abs(b[np.isfinite(b)]).max(initial=0)))


@each_dtype
@each_rule
@pytest.mark.parametrize("threads", [1, 2])
def test_as_the_reference(name, kinds, rest, dtype, threads):
    lists = drawn(kinds, dtype)
    right = run(name, copied(lists), rest, "reference")
    with some_threads(threads):
        found = run(name, copied(lists), rest)
    assert_equal(found, right)
    np.testing.assert_array_equal(found[1][4], lists[1][4])                           # gradients are only read
    assert not np.array_equal(found[0][4], lists[0][4])


@each_rule
def test_a_second_step_uses_the_new_gradients(name, kinds, rest):
    lists = drawn(kinds, np.float32)
    found, right = copied(lists), copied(lists)
    for step in range(3):
        for values, choice in (found, "compiled"), (right, "reference"):
            values[1] = [np.array(g * (1 + step), np.float32) for g in lists[1]]      # fresh arrays, as backward() gives them
            run(name, values, rest, choice)
    assert_equal(found, right, rounding=40)


def strange(lists):
    """Arrays of other orders, dtypes and rights among ordinary ones."""
    ws, gs = lists[:2]
    ws[0], gs[0] = np.asfortranarray(ws[0]), np.asfortranarray(gs[0])
    gs[7] = np.asfortranarray(gs[7])
    ws[2], gs[2] = np.zeros(10, ws[2].dtype)[::2], gs[2][::-1]
    gs[4] = np.broadcast_to(gs[4][:1], gs[4].shape)                                   # read only, of stride 0
    gs[6] = gs[6].astype(np.float64 if ws[6].dtype == np.float32 else np.float32)
    for values in lists:
        if values is not None:
            values[5] = values[5].astype(np.float64 if values[5].dtype == np.float32 else np.float32)
    return lists


@each_dtype
@each_rule
def test_awkward_arrays(name, kinds, rest, dtype):
    lists = drawn(kinds, dtype)
    found, right = (run(name, strange(copied(lists)), rest, choice) for choice in ("compiled", "reference"))
    few = np.finfo(np.float32).eps * 8                                                # some are float32 in any case
    for some, others in zip(found, right, strict=True):
        for a, b in zip(some or [], others or [], strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=few, atol=few * 8)


@each_rule
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_stays_where_it_is(name, kinds, rest, value):
    lists = drawn(kinds, np.float32, [(40,)] * 8)
    for i, values in enumerate(lists):
        if values is not None:
            values[i][3] = abs(value) if kinds[i] == "p" else value
    with np.errstate(all="ignore"):
        right = run(name, copied(lists), rest, "reference")
    found = run(name, copied(lists), rest)
    for some, others in zip(found, right):
        for a, b in zip(some or [], others or []):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
            np.testing.assert_array_equal(a[np.isinf(b)], b[np.isinf(b)])


def test_neighbours_in_memory_are_left_alone():
    block = np.arange(400, dtype=np.float32)
    ws = [block[100:117], block[150:151], block[200:300]]
    before, gs = block.copy(), [np.ones(w.size, np.float32) for w in ws]
    run("sgd", [ws, gs, None], (1.0, 0, 0, 0, False, False))
    changed = np.flatnonzero(block != before)
    np.testing.assert_array_equal(changed, [*range(100, 117), 150, *range(200, 300)])


def test_the_kept_addresses_are_those_of_these_arrays():
    """Arrays that take the place of others, one by one, are found where they are; a locked one is refused as ever."""
    rest = (1.0, 0.5, 0, 0, False, False)
    ws, bs = [np.zeros(50, np.float32) for _ in range(3)], [np.zeros(50, np.float32) for _ in range(3)]
    gs = [np.ones(50, np.float32)] * 3
    run("sgd", [ws, gs, bs], rest)
    old = ws[1], bs[2]
    ws[1], bs[2] = np.full(50, 9, np.float32), np.full(50, 4, np.float32)
    run("sgd", [ws, gs, bs], rest)
    assert [w[7] for w in ws] == [-2.5, 7.5, -4.0] and [b[7] for b in bs] == [1.5, 1.5, 3.0]
    assert old[0][7] == -1 and old[1][7] == 1
    ws[0].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        run("sgd", [ws, gs, bs], rest)


def test_few_numbers_of_float64_are_not_worth_compiling(monkeypatch):
    from tinyvision.kernels.cpu import update
    monkeypatch.setattr(update, "plan", None)
    ws, gs = [np.ones(3)], [np.ones(3)]
    run("sgd", [ws, gs, None], (1.0, 0, 0, 0, False, False), "auto")
    assert ws[0].tolist() == [0, 0, 0]


# --- clipping

@each_dtype
@pytest.mark.parametrize("threads", [1, 2])
def test_square_sum(dtype, threads):
    arrays, = drawn("s", dtype)
    arrays[2] = arrays[2][::-1]
    exact = sum(float((a.astype(np.longdouble) ** 2).sum()) for a in arrays)
    with use_kernels("compiled"), some_threads(threads):
        assert kernels.square_sum(arrays[0], arrays) == pytest.approx(exact, rel=1e-13)
    assert kernels.square_sum.reference(arrays[0], arrays) == pytest.approx(exact, rel=1e-13)


def test_square_sum_beyond_the_range_of_float32():
    arrays = [np.full(1000, 1e30, np.float32), np.full(3, nan, np.float32)]
    with use_kernels("compiled"):
        assert kernels.square_sum(arrays[0], arrays[:1]) == pytest.approx(1e63, rel=1e-6)
        assert np.isnan(kernels.square_sum(arrays[0], arrays))


@each_dtype
@pytest.mark.parametrize("factor, limit", [(0.3, inf), (1, 0.5), (-2.0, 0.5), (0.0, inf), (nan, inf)])
def test_bound(dtype, factor, limit):
    arrays, = drawn("s", dtype)
    arrays[4][:3] = nan, inf, -inf
    arrays[2] = np.concatenate([arrays[2], arrays[2]])[::2]
    found, right = ([a.copy("K") for a in arrays] for _ in range(2))
    with use_kernels("compiled"):
        kernels.bound(found[0], found, factor, limit)
    with np.errstate(invalid="ignore"):
        kernels.bound.reference(right[0], right, factor, limit)
    for a, b in zip(found, right):
        np.testing.assert_array_equal(a, b)


def test_one_array_twice_has_two_turns():
    a = np.ones(100, np.float32)
    with use_kernels("compiled"):
        kernels.bound(a, [a, a], 0.5)
    assert set(a) == {0.25}
