"""Batch norm, sum and ReLU as one operation, a maximum before the ReLU: the same numbers as one by one, in both orders, and only
where nobody can tell.
"""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad, manual_seed, models, nn
from tinyvision.nn.norm import norm_relu


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def fused(y):
    return getattr(y.op, "relu", False)


def fused_ops(y):
    """How many fused operations stand in the graph behind y."""
    seen, stack, count = set(), [y], 0
    while stack:
        t = stack.pop()
        if isinstance(t, Tensor) and t not in seen and t.op is not None:
            seen.add(t)
            count += fused(t)
            stack.extend(t.op.inputs)
    return count


def one_by_one(module):
    """Hooks that do nothing: the modules are called one after the other."""
    return [m.register_forward_hook(lambda *_: None) for m in module.modules()]


NETS = {                                                  # a network, the shape of its input, the fused operations in it
    "Sequential": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)),
                   (3, 2, 6, 5), 1),
    "Sequential 1d": (lambda: nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.BatchNorm1d(7)), (6, 5), 1),
    "BasicBlock": (lambda: nn.BasicBlock(3, 3), (2, 3, 5, 4), 2),
    "BasicBlock projected": (lambda: nn.BasicBlock(3, 4, 2), (2, 3, 5, 4), 2),
    "Bottleneck": (lambda: nn.Bottleneck(4, 2, 2), (2, 4, 6, 4), 3),
    "PreActivationBlock": (lambda: nn.PreActivationBlock(3, 4, 2), (2, 3, 5, 4), 2),
    "resnet20": (models.resnet20, (2, 3, 8, 8), 19),
    "UNet": (lambda: models.UNet(1, 2, base_channels=2, depth=1), (2, 1, 4, 4), 6),
}


def results(net, x, second):
    """Output, gradients of input and parameters, those of a function of them, and the buffers afterwards."""
    x = Tensor(x, requires_grad=True)
    y = net(x)
    ops, inputs = fused_ops(y), [x, *net.parameters()]    # counted before the graph is released
    gs = grad(y, inputs, draw(*y.shape, seed=1, dtype=y.dtype), create_graph=second)
    found = [y, *gs]
    if second:
        found += grad([g for g in gs if g.requires_grad], inputs, [draw(*g.shape, seed=2) for g in gs if g.requires_grad],
                      allow_unused=True)
    return ops, [np.array(t.data) for t in [*found, *net.buffers()] if t is not None]


def prepared(name, dtype):
    """The network with parameters at random, so that no channel is as another."""
    make, shape, count = NETS[name]
    manual_seed(0)
    net = make().float() if dtype == np.float32 else make().double()
    for i, p in enumerate(net.parameters()):
        p.data = p.data + 0.1 * draw(*p.shape, seed=i, dtype=dtype)
    return net, draw(*shape, dtype=dtype), count


@pytest.mark.parametrize("second", [False, True], ids=["first order", "second order"])
@pytest.mark.parametrize("name", NETS)
def test_same_as_one_by_one(name, second):
    both = []
    for plain in (False, True):
        net, x, count = prepared(name, np.float64)
        handles = one_by_one(net) if plain else []
        ops, arrays = results(net, x, second)
        assert ops == (0 if plain else count) and len(handles) == (len(list(net.modules())) if plain else 0)
        both.append(arrays)
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9 * max(1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("name", ["Sequential", "BasicBlock", "UNet"])
def test_same_as_one_by_one_in_float32(name):
    both = []
    for plain in (False, True):
        net, x, count = prepared(name, np.float32)
        if plain:
            one_by_one(net)
        ops, arrays = results(net, x, False)
        assert ops == (0 if plain else count)
        both.append(arrays)
    for a, b in zip(*both, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3 * max(1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("with_residual", [False, True])
def test_slope_at_the_kink_is_zero(with_residual):
    """A channel with weight and bias 0, on a residual of 0: nothing passes, and nothing comes back."""
    bn = nn.BatchNorm2d(1).double()
    bn.weight.data[...] = 0
    x, r = Tensor(draw(2, 1, 3, 3), requires_grad=True), Tensor(np.zeros((2, 1, 3, 3)), requires_grad=True)
    y = norm_relu(bn, x, r if with_residual else None)
    assert fused(y) and not y.data.any()
    for g in grad(y, (x, r, bn.weight, bn.bias), np.ones(y.shape), allow_unused=True):
        assert g is None or not g.data.any()


def own_norm():
    class Own(nn.BatchNorm2d):
        def forward(self, input):
            return 2 * super().forward(input)
    return Own(3)


def own_call():
    class Own(nn.BatchNorm2d):
        def __call__(self, input):
            return 2 * super().__call__(input)
    return Own(3)


def on_the_instance():
    bn = nn.BatchNorm2d(3)
    bn.forward = lambda x: 2 * nn.BatchNorm2d.forward(bn, x)
    return bn


@pytest.mark.parametrize("make", [own_norm, own_call, on_the_instance])
def test_a_norm_of_one_s_own_is_called(make):
    x = Tensor(draw(2, 3, 4, 4, dtype=np.float32), requires_grad=True)
    y = nn.Sequential(make(), nn.ReLU())(x)
    assert not fused_ops(y)
    np.testing.assert_allclose(y.data, 2 * nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())(x).data, rtol=1e-5)


def test_a_relu_of_one_s_own_is_called():
    class Own(nn.ReLU):
        def forward(self, input):
            return super().forward(input) + 1

    x = Tensor(draw(2, 3, 4, 4, dtype=np.float32))
    for net in (nn.Sequential(nn.BatchNorm2d(3), Own()), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU6())):
        assert not fused_ops(net(x))
    assert nn.Sequential(nn.BatchNorm2d(3), Own())(x).data.min() == 1


def test_a_subclass_without_a_forward_of_its_own_is_joined():
    class Own(nn.BatchNorm2d):
        pass
    assert fused(nn.Sequential(Own(3), nn.ReLU())(Tensor(draw(2, 3, 4, 4, dtype=np.float32))))


def test_a_forward_replaced_in_the_class(monkeypatch):
    calls, true = [], nn.BatchNorm2d.forward

    def watched(self, input):
        calls.append(self)
        return true(self, input)
    monkeypatch.setattr(nn.norm.BatchNorm, "forward", watched)
    nn.BasicBlock(3, 3)(Tensor(draw(2, 3, 4, 4, dtype=np.float32)))
    assert len(calls) == 2


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
@pytest.mark.parametrize("index", [0, 1])
def test_hooks_fire(register, index):
    net, seen = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), []
    x = Tensor(draw(2, 3, 4, 4, dtype=np.float32), requires_grad=True)
    with getattr(net[index], register)(lambda module, *rest: seen.append(module)):
        assert not fused_ops(net(x)) and seen == [net[index]]
    assert fused(net(x)) and len(seen) == 1


def test_a_hook_on_resnet_s_relu_fires():
    net, x, seen = models.resnet18(4), Tensor(draw(2, 3, 32, 32, dtype=np.float32)), []
    assert fused_ops(net(x)) == 17
    net.relu.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    assert fused_ops(net(x)) == 16 and seen == [(2, 64, 16, 16)]


def test_in_evaluation_running_statistics_are_used():
    net, x = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), Tensor(draw(2, 3, 4, 4, dtype=np.float32))
    before = net.eval()[0].running_mean.tolist()
    np.testing.assert_allclose(net(x).data, np.maximum(x.data, 0), rtol=1e-4)
    assert net[0].running_mean.tolist() == before and int(net[0].num_batches_tracked) == 0


@pytest.mark.parametrize("options", [{"track_running_stats": False}, {"affine": False}, {"momentum": None}])
def test_options_of_the_norm(options):
    """Twice, for momentum=None looks at the counter."""
    one, two = (nn.BatchNorm2d(3, **options).double() for _ in range(2))
    for seed in (0, 1):
        x = Tensor(draw(2, 3, 4, 4, seed=seed), requires_grad=True)
        y, right = norm_relu(one, x), F.relu(two(x))
        assert fused(y)
        np.testing.assert_allclose(y.data, right.data, rtol=1e-12, atol=1e-12)
        for a, b in zip(grad(y, x, draw(*x.shape, seed=5)), grad(right, x, draw(*x.shape, seed=5))):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-9, atol=1e-12)
    for a, b in zip(one.buffers(), two.buffers(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


@pytest.mark.parametrize("residual", [draw(2, 3, 1, 1, dtype=np.float32), draw(2, 3, 4, 4)], ids=["broadcast", "float64"])
def test_a_residual_of_other_shape_or_dtype_is_added_as_ever(residual):
    bn, x = nn.BatchNorm2d(3), Tensor(draw(2, 3, 4, 4, dtype=np.float32))
    y = norm_relu(bn, x, Tensor(residual))
    right = F.relu(nn.BatchNorm2d(3)(x) + Tensor(residual))
    assert not fused_ops(y) and y.dtype == right.dtype
    np.testing.assert_allclose(y.data, right.data, rtol=1e-6)


def test_messages_are_those_of_the_layer():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    for shape, words in (((2, 4, 5, 5), "BatchNorm2d: input must have num_features=3"), ((2, 3, 5), "BatchNorm2d: input must be"),
                         ((1, 3, 1, 1), "batch_norm: training needs more than one value")):
        with pytest.raises(ValueError, match=words):
            net(Tensor(draw(*shape, dtype=np.float32)))
    assert int(net[0].num_batches_tracked) == 0 and not net[0].running_mean.data.any()


def swapped(y):
    """Whether the last operation of a graph is the ReLU, behind a maximum or as one with it."""
    return getattr(y.op, "relu", False) or type(y.op).__name__ == "ReluOp" and type(y.op.inputs[0].op).__name__ == "MaxPoolOp"


@pytest.mark.parametrize("options", [(2,), (3, 2, 1), (2, 1), ((3, 2), 2, (1, 0), (1, 2)), (3, 2, 0, 1, False, True)])
@pytest.mark.parametrize("second", [False, True])
def test_a_relu_after_the_maximum_is_the_same(options, second):
    """Bit for bit, ties and windows below 0 included: numbers in quarters repeat, and half the windows are shifted below 0."""
    rng = np.random.default_rng(3)
    x = np.round(4 * rng.standard_normal((2, 3, 9, 8))) / 4 - 2 * (rng.random((2, 3, 9, 8)) < 0.5)
    x[0, 0] -= 9
    net = nn.Sequential(nn.Tanh(), nn.ReLU(), nn.MaxPool2d(*options))
    assert swapped(net(Tensor(x, requires_grad=True)))
    _, ours = results(net, x, second)
    one_by_one(net)
    assert not swapped(net(Tensor(x, requires_grad=True)))
    for a, b in zip(ours, results(net, x, second)[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_maximum_goes_first_only_where_nobody_can_tell():
    class Own(nn.ReLU):
        def forward(self, input):
            return super().forward(input) - 1

    x = Tensor(draw(2, 3, 4, 4), requires_grad=True)
    assert swapped(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))(x))
    for net in (nn.Sequential(Own(), nn.MaxPool2d(2)), nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)),
                nn.Sequential(nn.LeakyReLU(), nn.MaxPool2d(2)), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)).eval()):
        assert not swapped(net(x))
    found, where = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))(Tensor(-np.ones((1, 1, 2, 2))))
    assert (found.data == 0).all() and (where.data == 0).all()
    np.testing.assert_array_equal(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))(Tensor(np.full((1, 1, 2, 2), np.nan))).data, np.nan)
