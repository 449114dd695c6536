"""Probabilities as quotients of sums."""

from math import exp, log

from tests.oracles.apply import lines


def probabilities(x):
    return [exp(a) / sum(exp(b) for b in x) for a in x]


softmax = lines(probabilities)
softmin = lines(lambda x: probabilities([-a for a in x]))
log_softmax = lines(lambda x: [a - log(sum(exp(b) for b in x)) for a in x])
