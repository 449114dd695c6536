"""Sequential, lists and dictionaries of modules: they behave like Python's, and what they hold is found."""

from collections import OrderedDict

import numpy as np
import pytest

import tinyvision.nn as nn
from tinyvision import Parameter, Tensor


def names(module):
    return [name for name, _ in module.named_children()]


def test_sequential_applies_in_order():
    seq = nn.Sequential(nn.LeakyReLU(0.5), nn.Hardtanh(-1, 2))
    assert seq(Tensor([-8.0, -1.0, 5.0])).tolist() == [-1, -0.5, 2]
    assert nn.Sequential()(3) == 3


@pytest.mark.parametrize("mapping", [dict, OrderedDict])
def test_sequential_by_name(mapping):
    seq = nn.Sequential(mapping([("conv", nn.Conv2d(1, 2, 3)), ("act", nn.ReLU())]))
    assert names(seq) == ["conv", "act"] and seq.conv is seq[0] and list(seq.state_dict()) == ["conv.weight", "conv.bias"]
    seq.append(nn.Tanh())
    assert names(seq) == ["conv", "act", "2"]
    assert names(seq[1:]) == ["act", "2"] and seq[1:].act is seq.act
    with pytest.raises(ValueError, match="add_module: 'forward' is already a method"):
        nn.Sequential({"forward": nn.ReLU()})


def test_sequential_indexing():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    seq = nn.Sequential(a, b, c)
    assert seq[0] is a and seq[-1] is c and list(seq) == [a, b, c] and len(seq) == 3
    assert type(seq[:2]) is nn.Sequential and list(seq[:2]) == [a, b] and list(seq[::-2]) == [c, a]
    seq[-2] = d = nn.ELU()
    assert list(seq) == [a, d, c] and names(seq) == ["0", "1", "2"]
    del seq[0]
    assert list(seq) == [d, c] and names(seq) == ["0", "1"]
    seq.insert(1, b)
    assert list(seq) == [d, b, c] and names(seq) == ["0", "1", "2"]
    assert seq.extend([a]) is seq and list(seq) == [d, b, c, a]
    del seq[1:3]
    assert list(seq) == [d, a]
    for i in 2, -3:
        with pytest.raises(IndexError, match=rf"Sequential: index must lie in -2..1 for 2 members, got {i}"):
            seq[i]
    with pytest.raises(TypeError):
        seq["0"]


def test_sequential_with_one_layer_twice():
    layer = nn.Linear(2, 2, bias=False)
    seq = nn.Sequential(layer, layer)
    x = np.ones((1, 2), "float32")
    np.testing.assert_allclose(seq(Tensor(x)).data, x @ layer.weight.data.T @ layer.weight.data.T, rtol=1e-6)
    assert len(seq) == 2 and len(list(seq.parameters())) == 1


@pytest.mark.parametrize("make", [lambda m: nn.Sequential(m), lambda m: nn.ModuleList([m]), lambda m: nn.Sequential().append(m),
                                  lambda m: nn.ModuleList().extend([nn.ReLU(), m]), lambda m: nn.ModuleList().insert(0, m)])
@pytest.mark.parametrize("member, text", [(nn.ReLU, "got the class ReLU. Make an instance of it"), (len, "got builtin"),
                                          (None, "got NoneType")])
def test_members_must_be_modules(make, member, text):
    with pytest.raises(TypeError, match=f"members must be Modules, {text}"):
        make(member)


def test_a_refused_extension_adds_nothing():
    layers = nn.ModuleList([nn.ReLU()])
    with pytest.raises(TypeError):
        layers.extend([nn.Tanh(), 3])
    assert len(layers) == 1


def test_module_list():
    layers = nn.ModuleList(nn.Linear(i, i + 1) for i in range(1, 4))
    assert [layer.in_features for layer in layers] == [1, 2, 3] and layers[-1].out_features == 4
    assert list(layers.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"]
    assert type(layers[1:]) is nn.ModuleList and list(layers[1:]) == list(layers)[1:]
    assert layers[0] in layers and nn.ReLU() not in layers
    with pytest.raises(NotImplementedError, match="ModuleList: has no forward"):
        layers(1)


def test_module_dict():
    heads = nn.ModuleDict({"b": nn.Linear(1, 2)})
    heads["a"] = nn.Linear(1, 3)
    assert list(heads) == ["b", "a"] == list(heads.keys()) and len(heads) == 2 and "a" in heads
    assert list(heads.values()) == [heads["b"], heads.a] and dict(heads.items())["a"] is heads["a"]
    assert list(heads.state_dict()) == ["b.weight", "b.bias", "a.weight", "a.bias"]
    heads.update([("c", nn.ReLU())])
    first = heads["b"]
    assert heads.pop("b") is first and list(heads) == ["a", "c"]
    del heads["a"]
    with pytest.raises(KeyError, match="ModuleDict: has no 'a', only 'c'"):
        heads["a"]
    heads.clear()
    assert len(heads) == 0
    for key, module, error in [("keys", nn.ReLU(), ValueError), ("a.b", nn.ReLU(), ValueError), ("a", 3, TypeError),
                               ("a", None, TypeError), (1, nn.ReLU(), TypeError)]:
        with pytest.raises(error):
            heads[key] = module
    assert len(heads) == 0


def test_parameter_list():
    weights = nn.ParameterList([Parameter([1.0]), np.ones(2)])
    weights.append(Tensor([3.0, 4.0, 5.0])).extend([np.zeros((1, 1))])
    assert all(type(p) is Parameter for p in weights) and [p.size for p in weights.parameters()] == [1, 2, 3, 1]
    assert list(weights.state_dict()) == ["0", "1", "2", "3"] and weights[-1].shape == (1, 1) and len(weights[1:]) == 3
    assert repr(weights) == "ParameterList((1,), (2,), (3,), (1, 1))"
    kept = weights[1]
    del weights[0]
    assert weights[0] is kept and list(weights.state_dict()) == ["0", "1", "2"]
    with pytest.raises(TypeError, match="members must be Parameters, got Tensor"):
        weights[0] = Tensor([1.0])


def test_flatten_and_unflatten_are_inverse_and_views():
    x = Tensor(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
    flat = nn.Flatten(1)(x)
    back = nn.Unflatten(1, (3, -1, 5))(flat)
    assert flat.shape == (2, 60) and (back.data == x.data).all() and np.shares_memory(back.data, x.data)


@pytest.mark.parametrize("sizes, text", [((3, 4), "axis 1 must have the size of .* got 10"), ((3, -1), "axis 1 must have the size")])
def test_unflatten_errors(sizes, text):
    with pytest.raises(ValueError, match=text):
        nn.Unflatten(1, sizes)(Tensor(np.zeros((2, 10))))
    with pytest.raises(ValueError, match="only one size can be -1"):
        nn.Unflatten(1, (-1, -1))
    with pytest.raises(ValueError, match=r"dim must lie in -2..1 for input \(2, 10\), got 2"):
        nn.Unflatten(2, sizes)(Tensor(np.zeros((2, 10))))
