"""The rules against PyTorch, against arithmetic by hand, and on functions with a known minimum."""

import inspect
import tracemalloc

import numpy as np
import pytest

from tinyvision import Parameter, Tensor, optim
from tinyvision.tensor import raw

CASES = [
    ("SGD", {}),
    ("SGD", dict(lr=0.1, momentum=0.9)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.2)),
    ("SGD", dict(lr=0.1, momentum=0.9, weight_decay=0.2, nesterov=True)),
    ("SGD", dict(lr=0.1, weight_decay=0.2, maximize=True)),
    ("SGD", dict(lr=0.1, momentum=0.5, nesterov=True, maximize=True)),
    ("Adagrad", {}),
    ("Adagrad", dict(lr=0.1, lr_decay=0.1, weight_decay=0.2, initial_accumulator_value=0.5, eps=1e-3)),
    ("Adagrad", dict(lr=0.1, weight_decay=0.2, maximize=True)),
    ("RMSprop", {}),
    ("RMSprop", dict(lr=0.1, alpha=0.8, eps=1e-3, weight_decay=0.2)),
    ("RMSprop", dict(lr=0.1, momentum=0.9)),
    ("RMSprop", dict(lr=0.1, alpha=0.9, centered=True)),
    ("RMSprop", dict(lr=0.1, weight_decay=0.2, momentum=0.5, centered=True, maximize=True)),
    ("Adadelta", {}),
    ("Adadelta", dict(lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.2)),
    ("Adadelta", dict(weight_decay=0.2, maximize=True)),
    ("Adam", {}),
    ("Adam", dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.2)),
    ("Adam", dict(lr=0.1, betas=(0.8, 0.5), amsgrad=True)),
    ("Adam", dict(lr=0.1, weight_decay=0.2, maximize=True)),
    ("Adam", dict(lr=0.1, weight_decay=0.2, decoupled_weight_decay=True)),
    ("AdamW", {}),
    ("AdamW", dict(lr=0.1, betas=(0.8, 0.5), eps=1e-3, weight_decay=0.3, amsgrad=True, maximize=True)),
]
NAMES = ["SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW"]
SHAPES = [(3, 4), (5,), (), (2, 1, 3), (0, 2)]
TOLERANCE = {"float32": dict(rtol=3e-6, atol=1e-6), "float64": dict(rtol=1e-12, atol=1e-13)}
each_case = pytest.mark.parametrize("name, options", CASES, ids=[f"{n}-{','.join(o) or 'defaults'}" for n, o in CASES])
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


class Twins:
    """The same parameters here and in PyTorch, in two groups, and the same random gradients for both."""

    def __init__(self, name, options, dtype):
        self.torch, self.dtype, self.random = pytest.importorskip("torch"), dtype, np.random.default_rng(7)
        self.name, self.options = name, options
        self.start = [np.asarray(self.random.standard_normal(shape), dtype) for shape in SHAPES]
        self.ours, self.our_optimizer = self.fresh_ours()
        self.theirs, self.their_optimizer = self.fresh_theirs()

    def groups(self, params):
        return [{"params": params[:2]}, {"params": params[2:], "lr": 0.05, "weight_decay": 0.1}]

    def fresh_ours(self):
        params = [Parameter(x) for x in self.start]
        return params, getattr(optim, self.name)(self.groups(params), **self.options)

    def fresh_theirs(self):
        params = [self.torch.nn.Parameter(self.torch.tensor(x)) for x in self.start]
        return params, getattr(self.torch.optim, self.name)(self.groups(params), **self.options)

    def steps(self, count):
        for _ in range(count):
            for i, (p, q) in enumerate(zip(self.ours, self.theirs, strict=True)):
                g = np.asarray(self.random.standard_normal(p.shape) * 2.0 ** self.random.integers(-3, 3), self.dtype)
                skipped = i == 1 and self.random.random() < 0.3                       # no gradient in this step
                p.grad = None if skipped else Tensor(g)
                q.grad = None if skipped else self.torch.tensor(g)
            self.our_optimizer.step()
            self.their_optimizer.step()

    def check(self):
        for p, q in zip(self.ours, self.theirs, strict=True):
            assert p.dtype == self.dtype
            np.testing.assert_allclose(raw(p), q.detach().numpy(), **TOLERANCE[self.dtype])

    def to_arrays(self, state):
        return {**state, "state": {i: {key: value.numpy().copy() if self.torch.is_tensor(value) else value
                                       for key, value in memory.items()} for i, memory in state["state"].items()}}

    def to_tensors(self, state):
        return {**state, "state": {i: {key: self.torch.tensor(value) for key, value in memory.items()}
                                   for i, memory in state["state"].items()}}


@each_dtype
@each_case
def test_twenty_steps_as_in_torch(name, options, dtype):
    twins = Twins(name, options, dtype)
    twins.steps(20)
    twins.check()


@each_case
def test_state_dict_has_the_layout_of_torch(name, options):
    twins = Twins(name, options, "float32")
    twins.steps(3)
    mine, other = twins.our_optimizer.state_dict(), twins.to_arrays(twins.their_optimizer.state_dict())
    assert set(mine) == set(other) == {"state", "param_groups"}
    assert set(mine["state"]) == set(other["state"])
    for i, memory in other["state"].items():
        assert set(mine["state"][i]) == set(memory)
        for key, value in memory.items():
            ours = mine["state"][i][key]
            assert isinstance(ours, np.ndarray) and (ours.shape, ours.dtype) == (value.shape, value.dtype)
            np.testing.assert_allclose(ours, value, **TOLERANCE["float32"])
    for mine, other in zip(mine["param_groups"], other["param_groups"], strict=True):
        absent = {"foreach", "differentiable", "fused", "capturable"}
        assert mine == {key: value for key, value in other.items() if key not in absent}


@each_dtype
@each_case
def test_a_run_of_torch_goes_on_here(name, options, dtype):
    twins = Twins(name, options, dtype)
    twins.steps(5)
    twins.ours, twins.our_optimizer = twins.fresh_ours()
    for p, q in zip(twins.ours, twins.theirs):
        p.data = q.detach().numpy().copy()
    twins.our_optimizer.load_state_dict(twins.to_arrays(twins.their_optimizer.state_dict()))
    twins.steps(5)
    twins.check()


@each_dtype
@each_case
def test_a_run_from_here_goes_on_in_torch(name, options, dtype):
    twins = Twins(name, options, dtype)
    twins.steps(5)
    twins.theirs, twins.their_optimizer = twins.fresh_theirs()
    for p, q in zip(twins.ours, twins.theirs):
        q.data.copy_(twins.torch.tensor(raw(p)))
    twins.their_optimizer.load_state_dict(twins.to_tensors(twins.our_optimizer.state_dict()))
    twins.steps(5)
    twins.check()


@each_case
def test_a_checkpoint_file_of_torch_goes_on_here(name, options, tmp_path):
    from tinyvision.io import load_torch
    twins = Twins(name, options, "float32")
    twins.steps(3)
    twins.torch.save(twins.their_optimizer.state_dict(), tmp_path / "optimizer.pt")
    twins.our_optimizer.load_state_dict(load_torch(tmp_path / "optimizer.pt"))
    twins.steps(3)
    twins.check()


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    check_signature(getattr(optim, name), getattr(torch.optim, name))


def check_signature(ours, theirs):
    """Same names and defaults; what can be given by position stands in the same position."""
    mine, other = (list(inspect.signature(cls).parameters.values()) for cls in (ours, theirs))
    by_name = {p.name: p for p in other}
    for i, p in enumerate(mine):
        assert p.default == by_name[p.name].default
        assert p.kind == p.KEYWORD_ONLY or other[i].name == p.name


# Arithmetic by hand.


def stepped(optimizer, p, *gradients):
    """The values of p after each step."""
    values = []
    for g in gradients:
        p.grad = Tensor(np.full(p.shape, g, p.dtype))
        optimizer.step()
        values.append(p.item())
    return values


def weight(value=1.0):
    return Parameter(np.array([value]))


def test_sgd_momentum_by_hand():
    w = weight()
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5, dampening=0.25)
    # b = 2, then 0.5 * 2 + 0.75 * 4 = 4, then 0.5 * 4 + 0.75 * 0 = 2
    assert stepped(optimizer, w, 2, 4, 0) == pytest.approx([1 - 0.2, 0.8 - 0.4, 0.4 - 0.2])


def test_sgd_nesterov_by_hand():
    w = weight()
    # b = 2, step 2 + 0.5 * 2 = 3;  b = 0.5 * 2 + 4 = 5, step 4 + 0.5 * 5 = 6.5
    assert stepped(optim.SGD([w], lr=0.1, momentum=0.5, nesterov=True), w, 2, 4) == pytest.approx([0.7, 0.05])


def test_sgd_on_a_parabola_decays_geometrically():
    w = weight(3.0)
    optimizer = optim.SGD([w], lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        (w * w).sum().backward()                          # w - 0.1 * 2 w = 0.8 w
        optimizer.step()
    assert w.item() == pytest.approx(3 * 0.8 ** 10, rel=1e-12)


def test_adagrad_by_hand():
    w = weight()
    # s = 9, then 9 + 16 = 25; rates 1 and 1 / (1 + 0.5)
    assert stepped(optim.Adagrad([w], lr=1, lr_decay=0.5, eps=0), w, 3, -4) == pytest.approx([0, 4 / 5 / 1.5])


def test_rmsprop_by_hand():
    w = weight()
    # v = 0.5 * 4 = 2, then 0.5 * 2 + 0.5 * 16 = 9;  b = 2 / sqrt 2, then 0.5 b + 4 / 3
    first, second = 2 / 2 ** 0.5, 1 / 2 ** 0.5 + 4 / 3
    assert stepped(optim.RMSprop([w], lr=1, alpha=0.5, eps=0, momentum=0.5), w, 2, 4) == pytest.approx(
        [1 - first, 1 - first - second])


def test_rmsprop_centered_by_hand():
    w = weight()
    # v = 0.5 * 4 = 2, m = 0.5 * 2 = 1, variance 1
    assert stepped(optim.RMSprop([w], lr=1, alpha=0.5, eps=0, centered=True), w, 2) == pytest.approx([1 - 2])


def test_rmsprop_variance_of_a_constant_gradient_is_not_negative():
    w = Parameter(np.full(100, 1.0, "float32"))
    optimizer = optim.RMSprop([w], lr=1e-12, alpha=0.5, centered=True)
    w.grad = Tensor(np.linspace(0.1, 3, 100, dtype="float32"))
    for _ in range(60):
        optimizer.step()                                  # v - m^2 tends to 0, from either side under round-off
    state = optimizer.state[w]
    assert (state["square_avg"] < state["grad_avg"] ** 2).any()
    assert np.isfinite(raw(w)).all()


def test_adadelta_by_hand():
    w = weight()
    # v = 0.5 * 16 = 8, x = sqrt(1 / 9) * 4 = 4/3, u = 8/9;  v = 0.5 * 8 + 0.5 * 8 = 8, x = sqrt(17/9 / 9) * sqrt(8)
    first, second = 4 / 3, 136 ** 0.5 / 9
    assert stepped(optim.Adadelta([w], lr=0.5, rho=0.5, eps=1.0), w, 4, 8 ** 0.5) == pytest.approx(
        [1 - first / 2, 1 - first / 2 - second / 2])


def test_adam_by_hand():
    w = weight()
    # m = 0.5 * 2 = 1, v = 0.25 * 4 = 1, step (1/0.5) / sqrt(1/0.25) = 1
    # m = 0.5 * 1 + 0.5 * 4 = 2.5, v = 0.75 * 1 + 0.25 * 16 = 4.75, step (2.5/0.75) / sqrt(4.75/0.4375)
    second = 2.5 / 0.75 / (4.75 / 0.4375) ** 0.5
    assert stepped(optim.Adam([w], lr=0.1, betas=(0.5, 0.75), eps=0), w, 2, 4) == pytest.approx([0.9, 0.9 - 0.1 * second])


def test_amsgrad_never_lets_the_divisor_shrink():
    w = weight()
    optimizer = optim.Adam([w], betas=(0, 0.5), eps=0, lr=1, amsgrad=True)
    # v = 0.5 * 64 = 32, step 8 / sqrt(32 / 0.5) = 1;  v = 16.5 < 32, step 1 / sqrt(32 / 0.75)
    assert stepped(optimizer, w, 8, 1) == pytest.approx([0, -1 / (32 / 0.75) ** 0.5])


def test_decay_of_adamw_is_the_same_for_all_gradients():
    w = Parameter(np.array([1.0, 1.0]))
    optimizer = optim.AdamW([w], lr=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    for sign in (1, -1):
        w.grad = Tensor(sign * np.array([1e-3, 1e3]))
        optimizer.step()
    v1, v2 = raw(w)
    assert v1 == pytest.approx(v2, rel=1e-4)              # the whole path is free of the gradient's scale
    alone = Parameter(np.array([1.0]))
    assert stepped(optim.AdamW([alone], lr=0.1, weight_decay=0.5), alone, 0, 0) == pytest.approx([0.95, 0.95 ** 2])


# In place.


@each_case
def test_steps_write_into_the_parameter(name, options):
    w = Parameter(np.ones((3, 2)))
    array, changes = raw(w), w._changes.count
    optimizer = getattr(optim, name)([w], **options)
    g = np.random.default_rng(3).standard_normal((3, 2))
    w.grad = Tensor(g)
    for _ in range(2):
        optimizer.step()
    assert raw(w) is array and w._changes.count == changes + 2 and (array != 1).all()
    np.testing.assert_array_equal(raw(w.grad), g)


@each_case
def test_arrays_of_any_layout(name, options):
    random = np.random.default_rng(4)
    plain, strided = Parameter(random.standard_normal((4, 3))), Parameter(np.zeros((4, 3)))
    strided.data = np.zeros((6, 8)).T[::2, ::-2]          # transposed, every second, backwards
    strided.data[...] = raw(plain)
    optimizers = [getattr(optim, name)([p], **options) for p in (plain, strided)]
    for _ in range(3):
        g = random.standard_normal((3, 4)).T
        plain.grad, strided.grad = Tensor(g.copy()), Tensor(g)
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_allclose(raw(strided), raw(plain), rtol=1e-13)


@pytest.mark.parametrize("name, options, arrays", [
    ("SGD", {}, 1), ("SGD", dict(momentum=0.9), 1), ("SGD", dict(momentum=0.9, weight_decay=0.1), 2), ("Adagrad", {}, 1),
    ("RMSprop", dict(momentum=0.9, centered=True), 1), ("Adadelta", {}, 2), ("Adam", dict(amsgrad=True), 1), ("AdamW", {}, 1),
])
def test_memory_of_a_step(name, options, arrays):
    w = Parameter(np.ones(100_000, "float32"))
    optimizer = getattr(optim, name)([w], **options)
    w.grad = Tensor(np.ones(100_000, "float32"))
    optimizer.step()                                      # makes what is remembered
    tracemalloc.start()
    optimizer.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (arrays + 0.1) * raw(w).nbytes


def test_numbers_of_numpy_do_not_widen_the_arithmetic():
    w = Parameter(np.ones(100_000, "float32"))
    optimizer = optim.Adam([w], lr=np.float64(0.1), betas=(np.float64(0.9), np.float64(0.99)))
    group = optimizer.param_groups[0]
    assert type(group["lr"]) is float and [type(beta) for beta in group["betas"]] == [float, float]


# Functions with a known minimum.


def descend(optimizer, loss, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
    return value.item()


@pytest.mark.parametrize("name, options", [
    ("SGD", dict(lr=0.05)), ("SGD", dict(lr=0.02, momentum=0.9)), ("SGD", dict(lr=0.02, momentum=0.9, nesterov=True)),
    ("Adagrad", dict(lr=1.0)), ("RMSprop", dict(lr=0.01)), ("RMSprop", dict(lr=0.01, momentum=0.5, centered=True, eps=1e-2)),
    ("Adadelta", dict(lr=10.0)), ("Adam", dict(lr=0.1)), ("Adam", dict(lr=0.1, amsgrad=True)), ("AdamW", dict(lr=0.1)),
])
def test_finds_the_minimum_of_a_parabola(name, options):
    curvature, centre = np.array([1.0, 3.0, 10.0]), np.array([1.0, -2.0, 0.5])
    w = Parameter(np.zeros(3))
    descend(getattr(optim, name)([w], **options), lambda: (curvature * (w - centre) ** 2).sum(), 500)
    np.testing.assert_allclose(raw(w), centre, atol=0.03)


@pytest.mark.parametrize("name, options, steps", [("SGD", dict(lr=5e-4, momentum=0.95), 3000), ("Adam", dict(lr=0.03), 2000)])
def test_follows_the_valley_of_rosenbrock(name, options, steps):
    w = Parameter(np.array([-1.2, 1.0]))

    def rosenbrock():
        x, y = w[0], w[1]
        return (1 - x) ** 2 + 100 * (y - x ** 2) ** 2

    assert rosenbrock().item() == pytest.approx(24.2)
    assert descend(getattr(optim, name)([w], **options), rosenbrock, steps) < 1e-4
    np.testing.assert_allclose(raw(w), [1, 1], atol=0.02)


def test_maximize_climbs():
    w = Parameter(np.array([0.0]))
    descend(optim.SGD([w], lr=0.1, maximize=True), lambda: (-(w - 2) ** 2).sum(), 100)
    assert w.item() == pytest.approx(2, abs=1e-6)
