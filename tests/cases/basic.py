"""The operations under all others; NumPy and SciPy are the oracles."""

import numpy as np
import scipy.special

from tests.cases import case, distinct, integers, randn, uniform


def broadcasting(name, oracle, first, second):
    """A function of two arguments over every way of broadcasting; first and second make arguments of a shape."""
    shapes = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((2, 3, 4), (3, 1)), ((), (2, 3)), ((1, 1), (1,)),
              ((0, 3), (1, 3))]
    return [case(name, first(*a), second(*b), torch=None, oracle=oracle) for a, b in shapes]


def positive(*shape):
    return uniform(0.5, 2.0, *shape)


BINARY = (broadcasting("add", np.add, randn, randn) + broadcasting("subtract", np.subtract, randn, randn)
          + broadcasting("multiply", np.multiply, randn, randn) + broadcasting("divide", np.divide, randn, positive)
          + broadcasting("power", np.power, positive, randn)
          + broadcasting("maximum", np.maximum, distinct, lambda *s: uniform(-0.05, 0.05, *s))
          + broadcasting("minimum", np.minimum, distinct, lambda *s: uniform(-0.05, 0.05, *s)))

UNARY = [case(name, draw, torch=None, oracle=oracle) for name, draw, oracle in [
    ("negative", randn(3, 4), np.negative), ("exp", randn(3, 4), np.exp), ("log", positive(3, 4), np.log),
    ("log1p", positive(3, 4), np.log1p), ("sqrt", positive(3, 4), np.sqrt), ("sin", randn(3, 4), np.sin),
    ("cos", randn(3, 4), np.cos), ("tanh", randn(3, 4), np.tanh), ("sigmoid", randn(3, 4, scale=3), scipy.special.expit),
    ("abs", distinct(3, 4), np.abs), ("erf", randn(3, 4), scipy.special.erf), ("exp", randn(), np.exp),
    ("exp", randn(0, 2), np.exp),
]] + [
    case("power", randn(3, 4), 2, torch=None, oracle=np.power), case("power", randn(3, 4), 3.0, torch=None, oracle=np.power),
    case("power", positive(3, 4), -0.5, torch=None, oracle=np.power),
    case("power", randn(3, 4), 0, torch=None, oracle=np.power),
    case("power", 2.5, randn(3, 4), torch=None, oracle=np.power), case("power", randn(2), 1, torch=None, oracle=np.power),
    case("clip", distinct(3, 4), -0.5, 0.5, torch=None, oracle=np.clip),
    case("clip", distinct(3, 4), None, 0.5, torch=None, oracle=np.clip),
    case("where", np.array([[True], [False], [True]]), randn(3, 4), randn(4), torch=None, oracle=np.where),
]

REDUCE = [case(name, draw, torch=None, oracle=oracle, **kwargs)
          for name, draw, oracle in [("sum", randn(2, 3, 4), np.sum), ("mean", randn(2, 3, 4), np.mean),
                                     ("var", randn(2, 3, 4), np.var), ("std", randn(2, 3, 4), np.std),
                                     ("max", distinct(2, 3, 4), np.max), ("min", distinct(2, 3, 4), np.min),
                                     ("logsumexp", randn(2, 3, 4), scipy.special.logsumexp)]
          for kwargs in [{}, {"axis": 1}, {"axis": (0, -1)}, {"axis": -1, "keepdims": True}, {"keepdims": True}]] + [
    case("var", randn(3, 4), axis=0, ddof=1, torch=None, oracle=np.var),
    case("sum", randn(), torch=None, oracle=np.sum), case("max", randn(), torch=None, oracle=np.max),
    case("sum", randn(0, 3), axis=0, torch=None, oracle=np.sum), case("max", randn(0, 3), axis=1, torch=None, oracle=np.max),
    *[case("prod", randn(2, 3, 5), torch=None, oracle=np.prod, **kwargs)
      for kwargs in [{}, {"axis": 1}, {"axis": (0, -1)}, {"axis": -1, "keepdims": True}]],
    case("prod", randn(0, 2), axis=0, torch=None, oracle=np.prod),
    case("cumsum", randn(3, 4), axis=1, torch=None, linear=(0,), oracle=np.cumsum),
    case("broadcast_to", randn(3, 1), (2, 3, 4), torch=None, linear=(0,), oracle=np.broadcast_to),
]

MOVEMENT = [case(name, *args, torch=None, linear=(0,), oracle=oracle) for name, oracle, *args in [
    ("reshape", np.reshape, randn(3, 4), (2, -1)), ("transpose", np.transpose, randn(2, 3, 4)),
    ("transpose", np.transpose, randn(2, 3, 4), (1, 2, 0)), ("transpose", np.transpose, randn(2, 3, 4), (-1, 0, 1)),
    ("swapaxes", np.swapaxes, randn(2, 3, 4), 0, -1), ("moveaxis", np.moveaxis, randn(2, 3, 4), 0, -1),
    ("moveaxis", np.moveaxis, randn(2, 3, 4), -1, 1), ("squeeze", np.squeeze, randn(1, 3, 1)),
    ("squeeze", np.squeeze, randn(1, 3, 1), -1), ("expand_dims", np.expand_dims, randn(2, 3), -1),
    ("expand_dims", np.expand_dims, randn(2, 3), 0), ("flip", np.flip, randn(3, 4)), ("flip", np.flip, randn(3, 4), 1),
    ("flip", np.flip, randn(3, 4), (0, 1)), ("ravel", np.ravel, randn(3, 4)),
]]

INDEX = [
    case("take", randn(3, 5), integers(0, 5, 2, 2), 1, torch=None, linear=(0,), oracle=np.take),
    case("take", randn(3, 5), integers(0, 15, 4), torch=None, linear=(0,), oracle=np.take),
    case("repeat", randn(3, 5), 2, axis=0, torch=None, linear=(0,), oracle=np.repeat),
    case("repeat", randn(3, 2), np.array([1, 0]), axis=-1, torch=None, linear=(0,), oracle=np.repeat),
    case("repeat", randn(3, 2), 3, torch=None, linear=(0,), oracle=np.repeat),
    case("sort", distinct(3, 5), torch=None, oracle=np.sort), case("sort", distinct(3, 5), axis=0, torch=None, oracle=np.sort),
    case("take_along_axis", randn(3, 5), integers(0, 5, 3, 7), 1, torch=None, linear=(0,), oracle=np.take_along_axis),
    case("take_along_axis", randn(3, 5, 2), integers(0, 3, 1, 5, 2), 0, torch=None, linear=(0,), oracle=np.take_along_axis),
    case("embedding", integers(0, 5, 2, 6), randn(5, 3)),
    case("embedding", integers(0, 4), randn(5, 3)),
]

PRODUCTS = [case("matmul", randn(*a), randn(*b), torch=None, linear=(0, 1), oracle=np.matmul) for a, b in [
    ((3, 4), (4, 2)), ((4,), (4,)), ((4,), (4, 2)), ((3, 4), (4,)), ((2, 1, 3, 4), (5, 4, 2)), ((5, 3, 4), (4,)),
    ((4,), (5, 4, 2)), ((0, 4), (4, 2)), ((3, 0), (0, 2)),
]] + [
    case("linear", randn(5, 4), randn(3, 4), randn(3)), case("linear", randn(2, 5, 4), randn(3, 4)),
    case("linear", randn(4), randn(3, 4), randn(3)), case("linear", randn(5, 4), randn(4)),
    case("linear", randn(0, 4), randn(3, 4), randn(3)), case("linear", randn(2, 0, 4), randn(3, 4)),
    case("bilinear", randn(5, 4), randn(5, 3), randn(2, 4, 3), randn(2)),
    case("bilinear", randn(2, 2, 4), randn(2, 2, 1), randn(3, 4, 1)),
    case("bilinear", randn(4), randn(3), randn(2, 4, 3), randn(2)),
]

CASES = BINARY + UNARY + REDUCE + MOVEMENT + INDEX + PRODUCTS
