"""gradcheck: does a backward pass return the derivative of its forward pass?

The upstream gradient is random and bounded away from zero.  With ones, many wrong rules pass: a softmax whose backward
returns zeros, because the outputs of a softmax always add up to one; a rule that ignores its upstream; a flipped kernel.
"""

from dataclasses import dataclass, field

import numpy as np

from ..autograd import grad
from ..tensor import Tensor, raw
from .numeric import numeric_gradient


@dataclass
class InputReport:
    """What was found for one input: the element where analytic and numeric gradient differ most, against the tolerance."""

    name: str
    shape: tuple
    passed: bool
    worst: tuple = ()
    analytic: float = 0.0
    numeric: float = 0.0

    def __str__(self):
        verdict = "ok   " if self.passed else "WRONG"
        where = f" worst at {list(self.worst)}: analytic {self.analytic:.8g}, numeric {self.numeric:.8g}" if self.worst else ""
        return f"  {verdict} {self.name} {self.shape}{where}"


@dataclass
class GradReport:
    """The result of a check; true when every gradient agreed."""

    inputs: list = field(default_factory=list)

    def __bool__(self):
        return all(row.passed for row in self.inputs)

    def __str__(self):
        head = "gradients agree" if self else "gradients DISAGREE with central differences"
        return "\n".join([head, *map(str, self.inputs)])


def random_upstream(rng, shape):
    """Random signs times magnitudes in [0.5, 1.5]: no entry so small that it hides a mistake."""
    return rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 1.5, size=shape)


def gradcheck(f, *inputs, order=1, rtol=1e-6, atol=1e-7, seed=0):
    """Compare the gradients of f with central differences, in float64.

    f: takes Tensors, returns one Tensor; inputs: Tensors or arrays, of which floating-point ones are differentiated.
    order: 2 also checks the gradient of the gradient.  An element passes when |analytic - numeric| is at most
    atol + rtol * max(|numeric|, 1), atol and rtol multiplied by 100 for the second order.
    Returns a GradReport, true when all agree.  Raises RuntimeError when f's result does not depend on any input,
    TypeError when there is nothing to differentiate or f returns no Tensor.

    >>> x = np.array([0.5, -2.0])
    >>> bool(gradcheck(lambda x: (x * x).sum(), x))
    True
    """
    for x in inputs:
        if isinstance(x, (tuple, list)) and any(isinstance(item, (Tensor, np.ndarray)) for item in x):
            raise TypeError(f"gradcheck: inputs go one by one, gradcheck(f, x, w), got a {type(x).__name__} of {len(x)}. "
                            "Write a star before it.")
    arrays = [np.array(raw(x), np.float64) if np.asarray(raw(x)).dtype.kind == "f" else raw(x) for x in inputs]
    wanted = [i for i, a in enumerate(arrays) if getattr(a, "dtype", None) == np.float64]
    if not wanted:
        raise TypeError("gradcheck: needs at least one floating-point input to differentiate.")
    rng = np.random.default_rng(seed)

    def forward(*arrays):
        return raw(f(*map(Tensor, arrays)))

    y = forward(*arrays)
    if not hasattr(y, "shape"):
        raise TypeError(f"gradcheck: f must return one Tensor, got {type(y).__name__}. Does it lack its return?")
    u = random_upstream(rng, y.shape)
    report = GradReport()
    for i, g in zip(wanted, analytic(f, arrays, wanted, u)):
        n = numeric_gradient(forward, arrays, i, u)
        report.inputs.append(compare(f"input {i}", raw(g), n, rtol, atol))
    if order > 1:
        second = second_order(f, arrays, wanted)
        rows = gradcheck(second, *[arrays[i] for i in wanted], u, rtol=100 * rtol, atol=100 * atol, seed=seed + 1).inputs
        names = [f"input {i}" for i in wanted] + ["upstream"]
        for name, row in zip(names, rows):
            row.name = f"second order, {name}"
        report.inputs += rows
    return report


def analytic(f, arrays, wanted, upstream, create_graph=False):
    """The gradients of <upstream, f> that the backward pass computes."""
    tensors = [a if isinstance(a, Tensor) else Tensor(a, requires_grad=i in wanted) for i, a in enumerate(arrays)]
    y = f(*tensors)
    gradients = grad(y, [tensors[i] for i in wanted], upstream, create_graph=create_graph, allow_unused=True)
    return [Tensor(np.zeros(tensors[i].shape)) if g is None else g for i, g in zip(wanted, gradients)]


def second_order(f, arrays, wanted):
    """The function (inputs, upstream) -> all first-order gradients in one vector, for checking it in turn."""
    def gradients(*args):
        *xs, u = args
        tensors = list(arrays)
        for i, x in zip(wanted, xs):
            tensors[i] = x if x.requires_grad else Tensor(x, requires_grad=True)
        gs = analytic(f, tensors, wanted, u, create_graph=True)
        return np.concatenate([g.reshape(-1) for g in gs])
    return gradients


def compare(name, a, n, rtol, atol):
    if a.size == 0:
        return InputReport(name, a.shape, True)
    excess = np.abs(a - n) - (atol + rtol * np.maximum(np.abs(n), 1))
    excess = np.where(np.isnan(excess), np.inf, excess)
    worst = np.unravel_index(excess.argmax(), a.shape)
    return InputReport(name, a.shape, bool(excess[worst] <= 0), tuple(map(int, worst)), float(a[worst]), float(n[worst]))


def assert_gradients(f, *inputs, **options):
    """gradcheck for tests: raises AssertionError with the report when the gradients disagree.

    >>> assert_gradients(lambda x: x ** 3, np.array([1.0, 2.0]), order=2)
    """
    report = gradcheck(f, *inputs, **options)
    if not report:
        raise AssertionError(str(report))
