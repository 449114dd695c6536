"""Softmax along every axis, of one class, of a single number, of nothing."""

from tests.cases import case, randn
from tests.oracles import softmax as oracle

NAMES = ["softmax", "log_softmax", "softmin"]
LINES = [(randn(3, 4), 1), (randn(3, 4), 0), (randn(2, 3, 4), -2), (randn(2, 3, 2, 2, scale=3), 1), (randn(5), 0),
         (randn(3, 1), 1), (randn(0, 3), 1), (randn(2, 0), 1)]

CASES = [case(name, draw, dim=dim, oracle=getattr(oracle, name)) for name in NAMES for draw, dim in LINES]
CASES += [case(name, randn(), 0) for name in NAMES]
