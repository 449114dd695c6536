"""Normalisation: with and without each parameter, 0 to 3 spatial axes, one example, one pixel, nothing."""

from math import inf

import numpy as np

from tests.cases import Spec, case, constant, distinct, randn, uniform
from tests.oracles import normalize as oracle


def norm(name, *args, **kwargs):
    return case(name, *args, oracle=getattr(oracle, name), **kwargs)


def bias_only(name, *args, **kwargs):
    """PyTorch 2.13 fails in the second order, or even in the first, where there is a bias but no weight."""
    return norm(name, *args, torch=None, **kwargs)


def statistics(channels):
    """running_mean and running_var: not differentiated."""
    return constant(randn(channels)), constant(uniform(0.5, 2, channels))


zeros = Spec(lambda rng: np.concatenate([np.zeros((1, 3)), rng.standard_normal((1, 3))]), "(2,3)-one-line-of-zeros")

CASES = [
    norm("batch_norm", randn(4, 3), None, None, training=True),
    norm("batch_norm", randn(3, 2, 4), None, None, randn(2), randn(2), True),
    norm("batch_norm", randn(2, 3, 2, 3), None, None, randn(3), randn(3), training=True, eps=0.1),
    bias_only("batch_norm", randn(2, 2, 2, 1, 3), None, None, bias=randn(2), training=True),
    norm("batch_norm", randn(1, 2, 3), None, None, randn(2), training=True),
    norm("batch_norm", randn(3, 2, 4), *statistics(2), randn(2), randn(2), True),
    norm("batch_norm", randn(3, 2, 4), *statistics(2), randn(2), randn(2)),
    norm("batch_norm", randn(1, 3), *statistics(3), weight=randn(3), eps=0.1),
    bias_only("batch_norm", randn(2, 3, 2, 2), *statistics(3), bias=randn(3), momentum=0.5),
    norm("batch_norm", randn(2, 3, 2, 2), *statistics(3)),
    case("batch_norm", randn(0, 3, 2), None, None, randn(3), randn(3), training=True),
    norm("instance_norm", randn(2, 3, 4)),
    norm("instance_norm", randn(2, 3, 2, 3), weight=randn(3), bias=randn(3), eps=0.1),
    norm("instance_norm", randn(1, 2, 2, 1, 3), *statistics(2), randn(2)),
    norm("instance_norm", randn(2, 3, 1, 1), *statistics(3), randn(3), randn(3), use_input_stats=False),
    norm("layer_norm", randn(4, 5), (5,)),
    norm("layer_norm", randn(2, 3, 4), [4], randn(4), randn(4)),
    norm("layer_norm", randn(2, 3, 4), (3, 4), randn(3, 4), randn(3, 4), eps=0.1),
    norm("layer_norm", randn(2, 3), (2, 3), weight=randn(2, 3)),
    bias_only("layer_norm", randn(3, 4), (4,), bias=randn(4)),
    case("layer_norm", randn(0, 4), (4,), randn(4), randn(4)),
    norm("layer_norm", randn(3, 1), (1,), randn(1), randn(1)),
    norm("group_norm", randn(2, 4, 3), 2, randn(4), randn(4)),
    norm("group_norm", randn(2, 6, 2, 2), 3, eps=0.1),
    norm("group_norm", randn(3, 4), 1, randn(4)),
    bias_only("group_norm", randn(1, 3, 2), 3, bias=randn(3)),
    case("group_norm", randn(0, 4, 3), 2, randn(4), randn(4)),
    norm("rms_norm", randn(4, 5), (5,)),
    norm("rms_norm", randn(2, 3, 4), (3, 4), randn(3, 4), eps=0.1),
    norm("rms_norm", randn(2, 3, 4), (4,), randn(4)),
    norm("local_response_norm", randn(2, 5, 3), 3, alpha=0.5),
    norm("local_response_norm", randn(2, 5, 2, 2), 4, alpha=0.9, beta=0.6, k=2.0),
    norm("local_response_norm", randn(1, 2, 2, 1, 2), 5, 0.7, 1.5, 0.8),
    norm("local_response_norm", randn(2, 3, 2), 1, alpha=0.5),
    case("local_response_norm", randn(0, 3, 2), 2),
    norm("normalize", randn(3, 4)),
    norm("normalize", randn(2, 3, 4), p=1, dim=-1),
    norm("normalize", distinct(3, 4), p=3.0, dim=0),
    norm("normalize", distinct(3, 4), p=0.5),
    norm("normalize", distinct(3, 4), p=-1.0),
    norm("normalize", distinct(3, 4), p=0),
    norm("normalize", distinct(3, 4), p=inf),
    norm("normalize", distinct(3, 4), p=-inf),
    norm("normalize", randn(2, 3, 4), dim=(0, 2)),
    norm("normalize", randn(3, 4), eps=2.0),
    norm("normalize", zeros, eps=0.1, torch=None),                       # PyTorch's second order is not a number there
    norm("normalize", zeros, eps=0.2, order=1),
    case("normalize", randn(), dim=0),
]
