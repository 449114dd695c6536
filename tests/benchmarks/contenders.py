"""The checks that are compared, each given the very same layers.

A front of the checker makes a Subject of whatever it is called with: arrays in, arrays out, and a backward pass.  Here the fronts
hand that Subject to another examiner, so that every contender sees a layer through the same window: parameters are inputs,
gradients that add up start from zero, running statistics start from the same place.  Random numbers are held still for all.

    tinyvision   the checker itself
    torch        torch.autograd.gradcheck as it comes: every element, eps 1e-6, atol 1e-5, rtol 1e-3
    torch fast   the same with fast_mode=True: one random projection
    ones         as teaching engines check: upstream gradient of ones, central differences at 1e-6, tolerance 1e-4

Functions of PyTorch are given to torch.autograd.gradcheck as they are, everything else inside a torch.autograd.Function whose
forward and backward call the layer's.  That wrapper is generous: a layer that remembers its last pass only gets the right one
again before each backward, and the gradient of a loss without an upstream is multiplied by it.  PyTorch itself sums a gradient
that was not summed over the broadcast axes, so that a layer whose only mistake is that passes there.
"""

import warnings
from dataclasses import dataclass
from unittest import mock

import numpy as np

from tests.gradcheck.layers import HAS_TORCH
from tinyvision.gradcheck import check
from tinyvision.gradcheck.chance import Chance
from tinyvision.gradcheck.subject import MISSING

MOST_NUMBERS = 2 ** 25                                    # of a Jacobian: 256 MiB, of which gradcheck holds several
MOST_INPUTS = 50_000                                      # minutes, where the others take seconds
SAMPLED = 500                                             # so many elements of an input are checked with ones


@dataclass(frozen=True)
class Verdict:
    """passed: True, False, or None where the check cannot be applied; cause: the name of the mistake; text: what was said."""

    passed: bool
    cause: str = ""
    text: str = ""


def tinyvision(layer, seed):
    """The checker; an error that it raises counts as a failure of its own."""
    try:
        report = layer.check(seed)
    except Exception as error:
        return Verdict(bool(layer.causes), "raised", f"{type(error).__name__}: {error}")
    return Verdict(bool(report), report.cause, report.diagnosis)


def through_front(examiner, layer, seed):
    """The examiner's verdict on the Subject that the layer's front makes; an error while checking is a rejection."""
    if layer.form == "network":
        return Verdict(None, text="it checks a function, not the layers of a network")

    def examined(subject, order=1, seed=seed, dtype=np.float64):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return examiner(subject, order, np.random.default_rng(seed))
    with mock.patch.object(check, "examined", examined):
        try:
            return layer.check(seed)
        except NotApplicable as reason:
            return Verdict(None, text=str(reason))
        except Exception as error:
            return Verdict(False, text=f"{type(error).__name__}: {error}")


class NotApplicable(Exception):
    """The check cannot be asked this question."""


def orders(subject, order, chance, rng):
    """The subject, and for order 2 that of its gradients as well."""
    yield subject
    if order == 2:
        chance.restore()
        outputs = subject.run(copies(subject.values)).outputs
        yield subject.second([rng.standard_normal(np.shape(y)) for y in outputs])


def copies(values):
    return [v.copy() if isinstance(v, np.ndarray) else v for v in values]


def differentiated(subject, chance):
    """Positions of the inputs that backward returns gradients for: labels and masks are data, unless it does."""
    chance.restore()
    try:
        run = subject.run(copies(subject.values))
        found = run.backward([np.ones_like(y) for y in run.outputs])
    except Exception:                                     # the check itself will meet it again
        return list(subject.wanted)
    return [i for i, g in zip(subject.wanted, found) if not (g is MISSING and subject.is_data(i))]


# --- PyTorch

def torch_slow(layer, seed):
    """torch.autograd.gradcheck with its defaults."""
    return through_front(lambda *args: torch_examiner(*args, fast=False), layer, seed)


def torch_fast(layer, seed):
    """torch.autograd.gradcheck(fast_mode=True)."""
    return through_front(lambda *args: torch_examiner(*args, fast=True), layer, seed)


def torch_examiner(subject, order, rng, fast):
    import torch
    torch.manual_seed(int(rng.integers(2 ** 31)))
    chance = Chance(*subject.roots)
    for s in orders(subject, order, chance, rng):
        if hasattr(s, "torch"):
            f, tensors = as_it_is(s, chance)
        else:
            f, tensors = wrapped(s, chance)
        if not tensors:
            raise NotApplicable("no floating-point input")
        if not fast:
            refuse_large(sum(t.numel() for t in tensors), sum(np.size(y) for y in s.forward(copies(s.values))))
        if not torch.autograd.gradcheck(f, tensors, fast_mode=fast):
            return Verdict(False)
    return Verdict(True)


def refuse_large(inputs, outputs):
    if inputs * outputs > MOST_NUMBERS:
        raise NotApplicable(f"its Jacobian would have {inputs * outputs:,} numbers")
    if inputs > MOST_INPUTS:
        raise NotApplicable(f"it would have to be evaluated {2 * inputs:,} times")


def as_it_is(subject, chance):
    """A function of PyTorch and its tensors, the parameters of a module among them."""
    def f(*tensors):
        chance.restore()
        for b, data in getattr(subject, "buffers", []):
            b.data = data.clone()
        return tuple(subject.call(list(tensors)))
    return f, tuple(subject.tensors(copies(subject.values), True))


def tensor(x):
    """A copy of an array, row by row: PyTorch knows no negative strides, and dislikes NumPy's of an empty array."""
    import torch
    return torch.zeros(np.shape(x), dtype=torch.float64) if np.size(x) == 0 else torch.tensor(np.array(x, order="C"))


def wrapped(subject, chance):
    """A layer as a torch.autograd.Function, and its differentiated inputs as tensors."""
    import torch
    wanted, latest = differentiated(subject, chance), [None]
    remembers = not subject.interleaves or hasattr(getattr(subject, "inner", subject), "module")

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            values = copies(subject.values)
            for i, t in zip(wanted, tensors):
                values[i] = t.detach().numpy()
            chance.restore()
            ctx.values, ctx.run, latest[0] = copies(values), subject.run(values), ctx
            return tuple(map(tensor, ctx.run.outputs))

        @staticmethod
        def backward(ctx, *upstreams):
            if remembers and latest[0] is not ctx:        # a layer that remembers its last pass: give it this one again
                chance.restore()
                ctx.run = subject.run(copies(ctx.values))
            latest[0] = None
            found = dict(zip(subject.wanted, ctx.run.backward([u.numpy().copy() for u in upstreams])))
            scale = 1 if subject.upstream else upstreams[0].item()
            return tuple(None if g is None or g is MISSING else tensor(scale * g) for g in (found[i] for i in wanted))
    return Wrapped.apply, tuple(tensor(subject.values[i]).requires_grad_() for i in wanted)


# --- an upstream gradient of ones

def ones(layer, seed):
    """Central differences of the sum of all outputs, |analytic - numeric| <= 1e-4 max(1, |numeric|)."""
    return through_front(ones_examiner, layer, seed)


def ones_examiner(subject, order, rng):
    chance = Chance(*subject.roots)
    for s in orders(subject, order, chance, rng):
        wanted = differentiated(s, chance)
        chance.restore()
        run = s.run(copies(s.values))
        found = dict(zip(s.wanted, run.backward([np.ones_like(y) for y in run.outputs])))
        for i in wanted:
            if not agrees_with_ones(s, i, found[i], chance, rng):
                return Verdict(False)
    return Verdict(True)


def agrees_with_ones(subject, i, g, chance, rng, eps=1e-6):
    x = subject.values[i]
    g = np.zeros(x.shape) if g is None or g is MISSING else np.asarray(g)
    if g.shape != x.shape:
        return False
    places = np.arange(x.size) if x.size <= SAMPLED else rng.choice(x.size, SAMPLED, replace=False)
    for p in places:
        sums = []
        for t in (eps, -eps):
            values = copies(subject.values)
            moved = x.copy()
            moved.reshape(-1)[p] += t
            values[i] = moved
            chance.restore()
            sums.append(sum(np.sum(y) for y in subject.forward(values)))
        numeric = (sums[0] - sums[1]) / (2 * eps)
        if not abs(g.reshape(-1)[p] - numeric) <= 1e-4 * max(1, abs(numeric)):
            return False
    return True


CONTENDERS = {"tinyvision": tinyvision, "torch": torch_slow, "torch fast": torch_fast, "ones": ones}
if not HAS_TORCH:
    del CONTENDERS["torch"], CONTENDERS["torch fast"]
