"""First values: their distribution, their repeatability, and that writing them is noticed."""

import math

import numpy as np
import pytest

import tinyvision
import tinyvision.nn as nn
from tinyvision import Parameter, Tensor
from tinyvision.nn import init

SHAPE = (400, 50, 3, 3)                                   # 180,000 numbers: the mean of the squares is known to 0.5 %
FAN_IN, FAN_OUT = 50 * 9, 400 * 9


def large(dtype="float32", shape=SHAPE):
    return Parameter(np.full(shape, 7.0, dtype))


def moments(w):
    w = w.data.astype(np.float64)
    return w.mean(), w.var(), (w ** 4).mean() / w.var() ** 2


def check_uniform(w, bound):
    """Every number within the bound, the bound reached, and the moments of the uniform distribution."""
    mean, var, kurtosis = moments(w)
    assert abs(w.data).max() <= np.nextafter(np.float32(bound), np.float32(1)) and abs(w.data).max() > 0.999 * bound
    assert abs(mean) < 5 * bound / math.sqrt(3 * w.size)
    assert var == pytest.approx(bound ** 2 / 3, rel=0.02) and kurtosis == pytest.approx(1.8, rel=0.02)


def check_normal(w, std, at=0.0):
    mean, var, _ = moments(w)
    centred = w.data.astype(np.float64) - at
    assert abs(mean - at) < 5 * std / math.sqrt(w.size)
    assert var == pytest.approx(std ** 2, rel=0.02) and (centred ** 4).mean() / var ** 2 == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(dtype):
    w = large(dtype)
    assert init.uniform_(w, -0.5, 0.5, generator=0) is w and w.dtype == dtype and w.requires_grad and w.is_leaf
    check_uniform(w, 0.5)
    assert len(np.unique(w.data)) > 0.99 * w.size or dtype == "float32"
    init.uniform_(w, 2, 3, generator=0)
    assert w.data.min() >= 2 and w.data.max() <= 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(dtype):
    w = large(dtype)
    assert init.normal_(w, 2.0, 0.1, generator=0) is w and w.dtype == dtype
    check_normal(w, 0.1, at=2.0)


def test_trunc_normal():
    w = init.trunc_normal_(large(), mean=0.5, std=2.0, a=-1.0, b=2.0, generator=0)
    assert w.data.min() >= -1 and w.data.max() <= 2
    # mean of a normal distribution cut at alpha and beta, in its own units: (phi(alpha) - phi(beta)) / (Phi(beta) - Phi(alpha))
    alpha, beta = (-1 - 0.5) / 2, (2 - 0.5) / 2
    phi = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (alpha, beta)]
    Phi = [(1 + math.erf(x / math.sqrt(2))) / 2 for x in (alpha, beta)]
    z = Phi[1] - Phi[0]
    mean = 0.5 + 2 * (phi[0] - phi[1]) / z
    var = 4 * (1 + (alpha * phi[0] - beta * phi[1]) / z - ((phi[0] - phi[1]) / z) ** 2)
    assert moments(w)[0] == pytest.approx(mean, abs=0.01) and moments(w)[1] == pytest.approx(var, rel=0.02)


def test_constants():
    w = large(shape=(3, 2))
    assert (init.zeros_(w).data == 0).all() and (init.ones_(w).data == 1).all() and (init.constant_(w, 2.5).data == 2.5).all()


@pytest.mark.parametrize("a, gain2", [(0, 2), (math.sqrt(5), 1 / 3), (0.01, 2 / 1.0001)])
@pytest.mark.parametrize("mode, fan", [("fan_in", FAN_IN), ("fan_out", FAN_OUT)])
def test_kaiming(a, gain2, mode, fan):
    std = math.sqrt(gain2 / fan)
    check_uniform(init.kaiming_uniform_(large(), a, mode, generator=0), math.sqrt(3) * std)
    check_normal(init.kaiming_normal_(large(), a, mode, generator=0), std)


def test_kaiming_for_other_nonlinearities():
    check_normal(init.kaiming_normal_(large(), nonlinearity="tanh", generator=0), 5 / 3 / math.sqrt(FAN_IN))
    check_normal(init.kaiming_normal_(large(), nonlinearity="linear", generator=0), 1 / math.sqrt(FAN_IN))


def test_xavier():
    std = 0.7 * math.sqrt(2 / (FAN_IN + FAN_OUT))
    check_uniform(init.xavier_uniform_(large(), 0.7, generator=0), math.sqrt(3) * std)
    check_normal(init.xavier_normal_(large(), 0.7, generator=0), std)


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (5, 2, 3), (8, 2, 2, 1), (4, 4)])
def test_orthogonal(shape):
    w = init.orthogonal_(large("float64", shape), gain=3, generator=1).data.reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-12)
    other = init.orthogonal_(large("float64", shape), gain=3, generator=2).data.reshape(shape[0], -1)
    assert not np.allclose(abs(w), abs(other))


def test_orthogonal_is_uniform():
    """Over many draws every entry of a 2x2 rotation or reflection has mean 0 and mean square 1/2; QR alone would not."""
    rng = np.random.default_rng(0)
    draws = np.array([init.orthogonal_(large(shape=(2, 2)), generator=rng).data for _ in range(4000)])
    assert abs(draws.mean(axis=0)).max() < 0.05 and abs((draws ** 2).mean(axis=0) - 0.5).max() < 0.05


def test_signals_keep_their_size_through_kaiming_layers():
    """He et al. 2015: with gain sqrt(2) the mean square survives 20 layers of ReLU; with a smaller gain it dies out."""
    rng = np.random.default_rng(0)
    for std, low, high in [(math.sqrt(2), 0.3, 3), (1.0, 0, 1e-4)]:
        x = rng.normal(size=(50, 500))
        for _ in range(20):
            w = init.kaiming_normal_(large("float64", (500, 500)), generator=rng).data * std / math.sqrt(2)
            x = np.maximum(x @ w.T, 0)
        assert low <= (x ** 2).mean() < high


def test_fans():
    assert init.fan_in_and_fan_out(Tensor(np.zeros((6, 3, 5, 4)))) == (60, 120)
    assert init.fan_in_and_fan_out(Tensor(np.zeros((6, 3)))) == (3, 6)


def test_gains():
    for name in ("linear", "sigmoid", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"):
        assert init.calculate_gain(name) == 1
    assert init.calculate_gain("relu") == math.sqrt(2) and init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("leaky_relu", 1) == 1


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("groups", [1, 3])
def test_bilinear_enlarges_linearly(factor, groups):
    """A transposed convolution with these weights is interpolation, but for the border, where pixels are missing."""
    K, P = 2 * factor - factor % 2, math.ceil((factor - 1) / 2)
    up = nn.ConvTranspose2d(3, 3, K, stride=factor, padding=P, groups=groups, bias=False)
    init.bilinear_(up.weight)
    x = Tensor(np.random.default_rng(0).normal(size=(1, 3, 6, 7)).astype("float32"))
    expected = tinyvision.functional.interpolate(x, scale_factor=factor, mode="bilinear").data
    y = up(x).data
    inside = (slice(None), slice(None), slice(factor, -factor), slice(factor, -factor))
    assert y.shape == expected.shape and y[inside].size
    np.testing.assert_allclose(y[inside], expected[inside], atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 2, 4), (2, 1, 3, 3), (1, 1, 2, 3, 4)])
def test_bilinear_leaves_channels_apart(shape):
    w = init.bilinear_(large("float64", shape)).data
    assert all((w[i, j] == 0).all() for i in range(shape[0]) for j in range(shape[1]) if shape[1] > 1 and i != j)
    assert (w[0, 0] > 0).all() and (w[-1, -1] == w[0, 0]).all()


# --- layers

@pytest.mark.parametrize("make, fan_in", [
    (lambda: nn.Conv2d(64, 128, 3), 64 * 9), (lambda: nn.Conv1d(64, 128, 5, groups=2), 32 * 5),
    (lambda: nn.Conv3d(16, 64, (1, 3, 3)), 16 * 9), (lambda: nn.ConvTranspose2d(64, 128, 3), 128 * 9),
    (lambda: nn.Linear(300, 200), 300),
])
def test_layers_start_like_pytorch_s(make, fan_in):
    """Weight and bias uniform within 1/sqrt(fan_in); fan_in counts the second axis, also for transposed convolutions."""
    torch = pytest.importorskip("torch")
    tinyvision.manual_seed(0)
    ours = make()
    check_uniform(ours.weight, 1 / math.sqrt(fan_in))
    assert abs(ours.bias.data).max() <= 1 / math.sqrt(fan_in) and abs(ours.bias.data).max() > 0.9 / math.sqrt(fan_in)
    torch.manual_seed(0)
    names = ("in_channels", "out_channels", "kernel_size", "groups") if hasattr(ours, "groups") else ("in_features", "out_features")
    theirs = getattr(torch.nn, type(ours).__name__)(**{name: getattr(ours, name) for name in names})
    assert theirs.weight.abs().max().item() == pytest.approx(1 / math.sqrt(fan_in), rel=1e-3)
    assert theirs.weight.std().item() == pytest.approx(ours.weight.std().item(), rel=0.02)
    assert theirs.bias.abs().max().item() == pytest.approx(abs(ours.bias.data).max(), rel=0.1)


def test_other_first_values():
    tinyvision.manual_seed(0)
    check_normal(nn.Embedding(2000, 50).weight, 1.0)
    assert (nn.Embedding(5, 3, padding_idx=-2).weight.data[3] == 0).all()
    bilinear = nn.Bilinear(100, 30, 40)
    check_uniform(bilinear.weight, 0.1)
    assert 0.05 < abs(bilinear.bias.data).max() <= 0.1
    for norm in nn.BatchNorm2d(3), nn.InstanceNorm2d(3, affine=True), nn.GroupNorm(1, 3), nn.LayerNorm(3):
        assert norm.weight.tolist() == [1, 1, 1] and norm.bias.tolist() == [0, 0, 0]
    assert nn.BatchNorm1d(2).running_mean.tolist() == [0, 0] and nn.BatchNorm1d(2).running_var.tolist() == [1, 1]
    assert nn.PReLU(2, 0.5).weight.tolist() == [0.5, 0.5] and nn.RMSNorm(2).weight.tolist() == [1, 1]


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(2, 3, 3), lambda: nn.ConvTranspose1d(2, 3, 3), lambda: nn.Linear(2, 3),
                                  lambda: nn.Bilinear(2, 3, 4), lambda: nn.Embedding(4, 3, padding_idx=1)])
def test_reset_parameters_draws_again(make):
    tinyvision.manual_seed(5)
    layer = make()
    before = {name: p.data.copy() for name, p in layer.named_parameters()}
    layer.reset_parameters()
    assert not any((p.data == before[name]).all() for name, p in layer.named_parameters())
    tinyvision.manual_seed(5)
    layer.reset_parameters()
    assert all((p.data == before[name]).all() for name, p in layer.named_parameters())


def test_reset_parameters_of_norms():
    bn = nn.BatchNorm1d(2)
    bn(Tensor(np.random.default_rng(0).normal(size=(4, 2)).astype("float32")))
    bn.weight.data, bn.bias.data = np.full(2, 5.0, "float32"), np.full(2, 5.0, "float32")
    bn.reset_parameters()
    assert {name: t.tolist() for name, t in bn.state_dict().items()} == {
        name: t.tolist() for name, t in nn.BatchNorm1d(2).state_dict().items()}
    slopes = nn.PReLU(2)
    init.zeros_(slopes.weight)
    slopes.reset_parameters()
    assert slopes.weight.tolist() == [0.25, 0.25]


# --- in place, unrecorded, checked

def functions():
    return [init.uniform_, init.normal_, init.trunc_normal_, init.zeros_, init.ones_, lambda w: init.constant_(w, 2),
            init.kaiming_uniform_, init.kaiming_normal_, init.xavier_uniform_, init.xavier_normal_, init.orthogonal_]


@pytest.mark.parametrize("function", functions())
def test_a_graph_notices(function):
    w = Parameter(np.random.default_rng(0).normal(size=(3, 3)))
    view, y = w.detach(), (w * w).sum()
    function(w)
    assert (view.data == w.data).all() and w.is_leaf and w.requires_grad
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


DRAWING = [init.uniform_, init.normal_, init.trunc_normal_, init.kaiming_uniform_, init.kaiming_normal_, init.xavier_uniform_,
           init.xavier_normal_, init.orthogonal_]


@pytest.mark.parametrize("function", DRAWING)
def test_generators(function):
    def drawn(generator):
        return function(large(shape=(4, 4)), generator=generator).data.copy()
    assert (drawn(3) == drawn(3)).all() and (drawn(3) == drawn(np.random.default_rng(3))).all()
    assert not (drawn(3) == drawn(4)).any()
    tinyvision.manual_seed(3)
    assert (drawn(None) == drawn(3)).all() and not (drawn(None) == drawn(3)).any()
    with pytest.raises(TypeError, match=rf"{function.__name__.removeprefix('kaiming_').removeprefix('xavier_')}.*integer seed"):
        drawn("seed")


@pytest.mark.parametrize("function", functions() + [init.bilinear_, init.fan_in_and_fan_out])
def test_what_can_be_initialised(function):
    with pytest.raises(TypeError, match="needs a Tensor to write into, got ndarray"):
        function(np.zeros((3, 3)))
    with pytest.raises(TypeError, match="needs a floating-point tensor, got int64"):
        function(Tensor(np.zeros((3, 3), np.int64)))


@pytest.mark.parametrize("call, text", [
    (lambda: init.uniform_(large(shape=(2,)), 1, 0), "uniform_: a must not exceed b, got a=1, b=0"),
    (lambda: init.normal_(large(shape=(2,)), std=-1), "normal_: std must be at least 0, got -1"),
    (lambda: init.trunc_normal_(large(shape=(2,)), std=0), "trunc_normal_: std must be above 0"),
    (lambda: init.trunc_normal_(large(shape=(2,)), a=10, b=11), r"trunc_normal_: \[a, b\] must hold a part of .* a=10, b=11"),
    (lambda: init.kaiming_uniform_(large(shape=(2,))), r"kaiming_uniform_: needs a tensor of at least 2 axes, .* got shape \(2,\)"),
    (lambda: init.kaiming_normal_(large(shape=(2, 2)), mode="fan"), "kaiming_normal_: mode must be one of 'fan_in', 'fan_out'"),
    (lambda: init.kaiming_normal_(large(shape=(2, 2)), nonlinearity="gelu"), "calculate_gain: nonlinearity must be one of"),
    (lambda: init.xavier_normal_(large(shape=(2,))), "xavier_normal_: needs a tensor of at least 2 axes"),
    (lambda: init.orthogonal_(large(shape=(2,))), "orthogonal_: needs a tensor of at least 2 axes"),
    (lambda: init.bilinear_(large(shape=(2, 3, 4, 4))), r"bilinear_: needs as many channels out as in, .* \(2, 3, 4, 4\)"),
    (lambda: init.bilinear_(large(shape=(2, 2))), "bilinear_: needs a tensor of at least 3 axes"),
])
def test_errors_change_nothing(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_empty_tensors():
    for function in functions():
        assert function(large(shape=(0, 3))).shape == (0, 3)
