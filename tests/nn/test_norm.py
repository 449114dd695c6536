"""Batch norm over time: running statistics, their count, and what graphs may rely on."""

import numpy as np
import pytest

import tinyvision.nn as nn
from tinyvision import Tensor


def batches(n, *shape, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(loc=rng.normal(), scale=2, size=shape).astype("float32") for _ in range(n)]


def test_running_statistics_by_hand():
    bn, mean, var = nn.BatchNorm2d(3, momentum=0.3), np.zeros(3), np.ones(3)
    for x in batches(4, 2, 3, 4, 5):
        bn(Tensor(x))
        mean = 0.7 * mean + 0.3 * x.mean(axis=(0, 2, 3))
        var = 0.7 * var + 0.3 * x.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(bn.running_mean.data, mean, rtol=1e-5)
    np.testing.assert_allclose(bn.running_var.data, var, rtol=1e-5)
    assert bn.num_batches_tracked.item() == 4
    x = batches(1, 2, 3, 4, 5, seed=9)[0]
    expected = (x - mean.reshape(3, 1, 1)) / np.sqrt(var.reshape(3, 1, 1) + 1e-5)
    np.testing.assert_allclose(bn.eval()(Tensor(x)).data, expected, rtol=1e-4, atol=1e-5)
    assert bn.num_batches_tracked.item() == 4             # evaluation records nothing


def test_momentum_none_is_the_plain_mean():
    bn, xs = nn.BatchNorm1d(3, momentum=None), batches(5, 8, 3)
    for x in xs:
        bn(Tensor(x))
    np.testing.assert_allclose(bn.running_mean.data, np.mean([x.mean(axis=0) for x in xs], axis=0), rtol=1e-5)
    np.testing.assert_allclose(bn.running_var.data, np.mean([x.var(axis=0, ddof=1) for x in xs], axis=0), rtol=1e-5)


def test_without_tracking_evaluation_uses_the_batch():
    bn = nn.BatchNorm1d(3, track_running_stats=False)
    x = Tensor(batches(1, 8, 3)[0])
    assert (bn(x).data == bn.eval()(x).data).all() and list(bn.state_dict()) == ["weight", "bias"]
    assert bn.running_mean is None and bn.num_batches_tracked is None


@pytest.mark.parametrize("shape, text", [((2, 4, 3, 3), "num_features=3"), ((2, 3, 3), r"\(N, C, H, W\)"), ((1, 3, 1, 1), "more than")])
def test_a_refused_input_is_not_counted(shape, text):
    bn = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match=text):
        bn(Tensor(np.ones(shape, "float32")))
    assert bn.num_batches_tracked.item() == 0 and (bn.running_mean.data == 0).all() and (bn.running_var.data == 1).all()


def test_training_moves_the_buffers_of_a_state_dict_in_place():
    bn = nn.BatchNorm1d(3)
    state, mean = bn.state_dict(), bn.running_mean
    bn(Tensor(batches(1, 8, 3)[0]))
    assert bn.running_mean is mean and (state["running_mean"].data == mean.data).all() and state["num_batches_tracked"].item() == 1


def test_an_evaluation_graph_is_right_or_refuses_after_training():
    """A training pass between forward and backward moves the statistics: the gradient must not silently use the new ones."""
    bn = nn.BatchNorm1d(2).eval()
    x = Tensor(batches(1, 4, 2)[0], requires_grad=True)
    y = bn(x)
    bn.train()(Tensor(100 * batches(1, 4, 2, seed=1)[0]))
    try:
        y.backward(np.ones(y.shape, "float32"))
    except RuntimeError as error:
        assert "was changed in place" in str(error)
    else:
        np.testing.assert_allclose(x.grad.data, 1 / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_float64_statistics_stay_float64():
    bn = nn.BatchNorm1d(2).double()
    bn(Tensor(np.random.default_rng(0).normal(size=(4, 2))))
    assert bn.running_mean.dtype == bn.running_var.dtype == np.float64 and bn.num_batches_tracked.dtype == np.int64


@pytest.mark.parametrize("make", [lambda: nn.BatchNorm2d(4), lambda: nn.InstanceNorm2d(4), lambda: nn.GroupNorm(2, 4),
                                  lambda: nn.LayerNorm((4, 5, 6))])
def test_normalised_axes_have_mean_0_and_variance_1(make):
    x = 5 + 3 * np.random.default_rng(0).normal(size=(8, 4, 5, 6))
    y = make().double()(Tensor(x)).data
    axes = {"BatchNorm2d": (0, 2, 3), "InstanceNorm2d": (2, 3), "GroupNorm": (2, 3, 4), "LayerNorm": (1, 2, 3)}[type(make()).__name__]
    y = y.reshape(8, 2, 2, 5, 6) if len(axes) == 3 and axes[0] == 2 else y
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1, atol=1e-5)


def test_instance_norm_momentum_none_keeps_the_first_statistics():
    norm = nn.InstanceNorm1d(2, track_running_stats=True, momentum=None)
    norm(Tensor(batches(1, 3, 2, 5)[0]))
    assert norm.running_mean.tolist() == [0, 0] and norm.running_var.tolist() == [1, 1]
