"""Activations: both sides of every kink, a single number, nothing at all; values at the kinks are in tests/ops."""

from tests.cases import case, distinct, randn, uniform
from tests.oracles import activation as oracle

NAMES = ["relu", "relu6", "leaky_relu", "hardtanh", "hardsigmoid", "hardswish", "softshrink", "hardshrink", "elu", "selu",
         "celu", "gelu", "silu", "mish", "softplus", "logsigmoid", "softsign", "tanhshrink"]


def activation(name, *args, **kwargs):
    # PyTorch 2.13 divides hardsigmoid's gradient by a 6 that is a float32 also for float64; see test_hardsigmoid_as_torch
    return case(name, *args, oracle=getattr(oracle, name), torch=None if name == "hardsigmoid" else name, **kwargs)


CASES = [activation(name, distinct(8, 9)) for name in NAMES] + [
    activation(name, draw) for name in ("relu", "elu", "softplus", "gelu") for draw in (distinct(), distinct(2, 0, 3))
] + [
    activation("leaky_relu", distinct(3, 5), negative_slope=0.2),
    activation("leaky_relu", distinct(3, 5), negative_slope=3),
    activation("leaky_relu", distinct(3, 5), negative_slope=-0.5),
    activation("leaky_relu", distinct(3, 5), 0),
    activation("hardtanh", distinct(3, 5), -0.31, 1.09),
    activation("hardtanh", distinct(3, 5), 0.0, 0.0),
    activation("threshold", distinct(3, 5), 0.3, -2.0),
    activation("softshrink", distinct(3, 5), lambd=0.3),
    activation("hardshrink", distinct(3, 5), lambd=0.0),
    activation("hardshrink", distinct(3, 5), lambd=-0.5),
    activation("elu", distinct(3, 5), alpha=0.4),
    activation("celu", distinct(3, 5), alpha=2.5),
    activation("gelu", distinct(3, 5), approximate="tanh"),
    activation("softplus", distinct(3, 5), beta=3, threshold=0.8),
    activation("softplus", distinct(3, 5), -0.7, 1.1),
    activation("softplus", uniform(15, 25, 12)),
    activation("prelu", distinct(2, 3, 2, 4), randn(3)),
    activation("prelu", distinct(2, 3, 4), randn(1)),
    activation("prelu", distinct(4, 3), randn()),
    activation("prelu", distinct(5), randn(1)),
    activation("prelu", distinct(), randn(1)),
    activation("prelu", distinct(0, 3, 2), randn(3)),
    activation("glu", randn(3, 6)),
    activation("glu", randn(2, 4, 3), dim=1),
    activation("glu", randn(4), 0),
    activation("glu", randn(0, 2)),
]
