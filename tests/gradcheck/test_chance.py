"""Random numbers held still: every generator within reach is found and given back, and a check leaves no trace in any."""

import functools
import random

import numpy as np
import pytest

import tinyvision.random as engine_random
from tinyvision import Op, nn
from tinyvision import functional as F
from tinyvision.gradcheck import check_loss, check_module, gradcheck
from tinyvision.gradcheck.chance import Chance

GLOBAL = np.random.default_rng(1)
X = np.random.default_rng(2).standard_normal((5, 4))


def new(seed=7):
    return np.random.default_rng(seed)


class Holder:
    def __init__(self, generator, **others):
        self.generator = generator
        self.__dict__.update(others)

    def draw(self):
        return self.generator.random()

    def __call__(self):
        return self.draw()


def closure():
    rng = new()
    return lambda: rng.random()


def nested_closure():
    rng = new()

    def outer():
        def inner():
            return rng.random()
        return inner()
    return outer


def default():
    def draw(rng=new()):                                  # noqa: B008
        return rng.random()
    return draw


def keyword_default():
    def draw(*, rng=new()):                               # noqa: B008
        return rng.random()
    return draw


def from_global():
    return GLOBAL.random()


class UsesGlobal:
    def __call__(self):
        return GLOBAL.random()


def in_lambda_inside():
    return (lambda: GLOBAL.random())()


def wrapped():
    inner = closure()

    @functools.wraps(inner)
    def outer():
        return inner()
    return outer


def draws(rng, scale=1):
    return scale * rng.random()


def chained():
    """A function that calls another, which holds the generator."""
    helper = closure()
    return lambda: helper() + 1


PLACES = {
    "attribute": lambda: Holder(new()), "bound method": lambda: Holder(new()).draw,
    "nested objects": lambda: Holder(None, draw=Holder(Holder(new())).generator.draw),
    "in a list": lambda: Holder(None, draw=lambda rngs=[None, [new()]]: rngs[1][0].random()),                 # noqa: B006
    "in a dictionary": lambda: Holder(None, draw=lambda kept={"a": {"b": new()}}: kept["a"]["b"].random()),   # noqa: B006
    "closure": closure, "nested closure": nested_closure, "default": default, "keyword default": keyword_default,
    "global": lambda: from_global, "global of a method": UsesGlobal, "global of a lambda inside": lambda: in_lambda_inside,
    "partial": lambda: functools.partial(draws, new()), "keyword of a partial": lambda: functools.partial(draws, rng=new()),
    "partial of a closure": lambda: functools.partial(closure()), "wrapped": wrapped, "chained": chained,
    "random.Random": lambda: functools.partial(lambda rng: rng.random(), random.Random(3)),
    "RandomState in an object": lambda: functools.partial(lambda h: h.generator.random_sample(),
                                                           Holder(np.random.RandomState(3))),
    "numpy.random": lambda: np.random.random_sample, "random": lambda: random.random,
    "the engine's": lambda: lambda: float(np.sum(F.dropout(np.ones(30), 0.5).data * np.arange(30))),
}


@pytest.mark.parametrize("place", PLACES)
def test_generators_are_found_and_restored(place):
    f = PLACES[place]()
    f = f if getattr(f, "generator", 0) is not None else f.draw
    chance = Chance(f)
    assert not chance.drawn()
    first = [f() for _ in range(3)]
    assert len(set(first)) == 3 and chance.drawn()
    chance.restore()
    assert not chance.drawn() and [f() for _ in range(3)] == first
    chance.restore()
    assert [f() for _ in range(3)] == first               # more than once


def test_torch_generators():
    torch = pytest.importorskip("torch")
    own = torch.Generator().manual_seed(3)
    for f in (lambda: float(torch.rand(1)), lambda: float(torch.rand(1, generator=own))):
        chance = Chance(f)
        first = [f() for _ in range(3)]
        assert len(set(first)) == 3 and chance.drawn()
        chance.restore()
        assert not chance.drawn() and [f() for _ in range(3)] == first


def test_counters_are_restored():
    class Counts:
        def __init__(self):
            self.calls, self.warm, self.share, self.name, self.inner = 0, False, 0.5, "a", None

        def __call__(self):
            self.calls, self.warm, self.share = self.calls + 1, True, self.share / 2
    outer = Counts()
    outer.inner = Counts()
    chance = Chance(outer)
    outer()
    outer.inner()
    chance.restore()
    assert [(c.calls, c.warm, c.share) for c in (outer, outer.inner)] == [(0, False, 0.5)] * 2


def test_what_is_out_of_reach_is_left_alone():
    other = new(9)
    chance, expected = Chance(closure()), new(9).random(2)
    one = other.random()
    chance.restore()
    assert [one, other.random()] == expected.tolist()


def test_circles_end():
    a, b = Holder(new()), Holder(new(8))
    a.other, b.other = b, a
    chance = Chance(a)
    first = a.draw(), b.draw()
    chance.restore()
    assert (a.draw(), b.draw()) == first


# --- a check leaves no trace


def states():
    return [repr(np.random.get_state()), repr(random.getstate()), repr(state(engine_random.engine))]


def state(g):
    return g.bit_generator.state if isinstance(g, np.random.Generator) else g.get_state()


class NoisyOp(Op):
    """x times noise from a generator of its own and from all global ones; counts its calls, which matter."""

    def __init__(self, broken=False):
        self.rng, self.calls, self.broken = new(5), 0, broken

    def forward(self, x):
        self.calls += 1
        self.noise = self.calls * (self.rng.random(x.shape) + np.random.random_sample(x.shape) + random.random())
        return x * self.noise

    def backward(self, g, x):
        if self.broken:
            np.random.random_sample(), self.rng.random()
            raise KeyError("noise")
        return g * self.noise


@pytest.mark.parametrize("broken", [False, True])
def test_own_and_global_generators_are_left_alone(broken):
    op, before = NoisyOp(broken), states()
    report = gradcheck(op, X)
    assert (report.cause == "error") if broken else report
    assert "held still" in str(report) and states() == before and state(op.rng) == state(new(5)) and op.calls == 0


@pytest.mark.parametrize("seed", range(12))
def test_equal_draws_are_random_numbers_as_well(seed):
    """One call in four draws the mask of the call before it: held still for that, not taken for a function without chance."""
    rng = new(seed)
    report = gradcheck(lambda x: x * (rng.random(x.shape) < 0.5), np.array([1.5, -2.0]))
    assert report and "held still" in str(report)


def test_modules_functions_and_losses_leave_no_trace():
    own, before = new(6), states()
    module = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Dropout(0.5, generator=own))
    before = states()                                     # after the weights were drawn
    assert check_module(module, X)
    assert gradcheck(lambda x: F.dropout(x, 0.5) * x, X, order=2)

    def noisy(x):
        noise = own.standard_normal(x.shape) + np.random.standard_normal(x.shape)
        return float((x * noise).sum()), noise
    assert check_loss(noisy, X)
    assert states() == before and state(own) == state(new(6))


def test_torch_is_left_as_it_was():
    torch = pytest.importorskip("torch")
    from tinyvision.gradcheck import check_torch
    before = torch.get_rng_state()
    assert check_torch(lambda x: torch.nn.functional.dropout(x, 0.5) * x, torch.tensor(X))
    assert torch.equal(torch.get_rng_state(), before)
