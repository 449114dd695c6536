"""Module: what it finds, what may be assigned, its modes, hooks, copies and repr; its state is tested in test_state.py."""

import copy
import gc
import pickle
import re

import numpy as np
import pytest

import tinyvision.nn as nn
from tinyvision import Parameter, Tensor, no_grad


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


class Net(nn.Module):
    """Every kind of attribute, in an order that is not that of the alphabet."""

    def __init__(self):
        self.scale = Parameter([2.0])
        self.register_buffer("steps", np.zeros(3, "float32"))
        self.register_buffer("cache", Tensor([1.0]), persistent=False)
        self.register_buffer("nothing", None)
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        self.register_parameter("offset", None)
        self.word = "not part of the network"
        self.constant = Tensor([7.0])

    def forward(self, x):
        return self.body(x) * self.scale


NAMES = ["scale", "body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"]


# --- what is found

def test_named_parameters_in_order_of_assignment():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [p.shape for p in net.parameters()] == [(1,), (4, 3), (4,), (2, 4), (2,)]
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in net.named_parameters(prefix="net")] == [f"net.{name}" for name in NAMES]


def test_named_buffers():
    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["steps", "cache"]
    assert [b.shape for b in net.buffers()] == [(3,), (1,)]
    net.body.register_buffer("inner", np.ones(2))
    assert [name for name, _ in net.named_buffers()] == ["steps", "cache", "body.inner"]
    assert [name for name, _ in net.named_buffers(recurse=False)] == ["steps", "cache"]


def test_modules_and_children():
    net = Net()
    assert [name for name, _ in net.named_modules()] == ["", "body", "body.0", "body.1", "body.2"]
    assert list(net.modules()) == [net, net.body, *net.body]
    assert list(net.named_children()) == [("body", net.body)] and list(net.children()) == [net.body]
    assert [name for name, _ in net.named_modules(prefix="n")] == ["n", "n.body", "n.body.0", "n.body.1", "n.body.2"]


def test_shared_ones_are_yielded_once():
    layer = nn.Linear(3, 3)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    other = nn.Linear(3, 3)
    other.weight = layer.weight
    net.append(other)
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "3.bias"]
    assert [name for name, _ in net.named_parameters(remove_duplicate=False)] == [
        "0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1", "3"]
    assert [name for name, _ in net.named_modules(remove_duplicate=False)] == ["", "0", "1", "2", "3"]
    assert [name for name, _ in net.named_children()] == ["0", "1", "3"]


def test_get_by_path():
    net = Net()
    assert net.get_submodule("body.2") is net.body[2] and net.get_submodule("") is net
    assert net.get_parameter("body.2.bias") is net.body[2].bias
    assert net.get_buffer("cache") is net.cache
    with pytest.raises(AttributeError, match=r"get_submodule: Net has no submodule 'body.9'. There is: body, body.0"):
        net.get_submodule("body.9")
    with pytest.raises(AttributeError, match=r"get_parameter: Net has no parameter 'steps'. There is: scale"):
        net.get_parameter("steps")
    with pytest.raises(AttributeError, match=r"get_buffer: ReLU has no buffer 'x'. There is: none"):
        nn.ReLU().get_buffer("x")


def test_calling_the_base_constructor_is_allowed_and_needless():
    class With(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = Parameter([1.0])

    class Without(nn.Module):
        def __init__(self):
            self.w = Parameter([1.0])

    for net in With(), Without():
        assert net.training and list(net.state_dict()) == ["w"] and net.eval().training is False


def test_state_is_not_shared_between_instances():
    """Defaults stand on the class: what one instance registers must not appear on another."""
    a, b = nn.Module(), nn.Module()
    a.register_buffer("x", np.zeros(1))
    a.register_forward_hook(lambda *args: None)
    a.eval()
    b.x = Tensor([1.0])
    assert not list(b.buffers()) and not b._forward_hooks and b.training


def test_a_tree_that_bites_its_tail():
    a, b = nn.Module(), nn.Module()
    a.child, b.parent = b, a
    with pytest.raises(ValueError, match="modules must form a tree, but 'child.parent'"):
        list(a.parameters())


def test_forward_is_needed():
    with pytest.raises(NotImplementedError, match=r"Module: has no forward method. Define forward\(self, x\)"):
        nn.Module()(1)


# --- assignments

def test_a_parameter_stays_one():
    net = Net()
    with pytest.raises(TypeError, match="Net.scale: is a Parameter and can only become another one or None, got Tensor. Wrap"):
        net.scale = net.scale * 2
    with pytest.raises(TypeError, match="got ndarray"):
        net.scale = np.ones(1)
    assert [name for name, _ in net.named_parameters()] == NAMES
    net.scale = Parameter([3.0])
    assert next(net.parameters()) is net.scale
    net.scale = None
    assert [name for name, _ in net.named_parameters()] == NAMES[1:]


def test_a_layer_stays_one():
    net = Net()
    with pytest.raises(TypeError, match="Net.body: is a Module and can only become another one or None, got function"):
        net.body = lambda x: x
    with pytest.raises(TypeError, match="got the class ReLU"):
        net.body = nn.ReLU
    net.body = nn.Identity()
    assert list(net.children()) == [net.body]


def test_a_buffer_stays_one():
    net = Net()
    with pytest.raises(TypeError, match=r"Net.steps: is a buffer and can only become another Tensor or None, got ndarray. Use Ten"):
        net.steps = np.ones(3)
    net.steps = Tensor([5.0])
    assert dict(net.named_buffers())["steps"] is net.steps and "steps" in net.state_dict()


@pytest.mark.parametrize("value, what", [([nn.ReLU()], "Module inside a plain list .* ModuleList"),
                                         ((nn.ReLU(),), "Module inside a plain tuple .* ModuleList"),
                                         ({"a": nn.ReLU()}, "Module inside a plain dict .* ModuleDict"),
                                         ([1, Parameter([1.0])], "Parameter inside a plain list .* ParameterList")])
def test_layers_in_a_plain_list_would_be_lost(value, what):
    with pytest.raises(TypeError, match=what):
        Net().layers = value


def test_deleting():
    net = Net()
    del net.scale, net.steps
    assert [name for name, _ in net.named_parameters()] == NAMES[1:] and list(net.state_dict()) == NAMES[1:]


@pytest.mark.parametrize("register", ["register_parameter", "register_buffer", "add_module"])
def test_names(register):
    net = Net()
    for name, error, text in [("a.b", ValueError, "must not be empty or contain a dot, got 'a.b'"), ("", ValueError, "got ''"),
                              (3, TypeError, "a name must be a string, got int"),
                              ("forward", ValueError, "'forward' is already a method or attribute of Net")]:
        with pytest.raises(error, match=f"{register}: .*{text}"):
            getattr(net, register)(name, None)
    assert list(net.state_dict()) == ["scale", "steps", *NAMES[1:]]


def test_what_can_be_registered():
    net = Net()
    with pytest.raises(TypeError, match="register_parameter: w must be a Parameter or None, got Tensor"):
        net.register_parameter("w", Tensor([1.0]))
    with pytest.raises(TypeError, match="register_buffer: b must be a Tensor, an array or None, got list"):
        net.register_buffer("b", [1.0])
    with pytest.raises(TypeError, match="add_module: m must be a Module or None, got the class ReLU. Make an instance"):
        net.add_module("m", nn.ReLU)
    assert not {"w", "b", "m"} & set(vars(net))


# --- modes

def test_train_and_eval():
    net = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.BatchNorm1d(2)))
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    with pytest.raises(TypeError, match="train: mode must be True or False, got 1"):
        net.train(1)


def test_a_part_can_refuse_to_train():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(Frozen(2), nn.BatchNorm1d(2)).train()
    assert [m.training for m in net] == [False, True]


def test_requires_grad_and_zero_grad():
    net = Net()
    net(Tensor(draw(5, 3))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.body.requires_grad_(False) is net.body
    net(Tensor(draw(5, 3))).sum().backward()
    assert [p.grad is None for p in net.parameters()] == [False, True, True, True, True]


def test_float_and_double():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net(Tensor(draw(4, 2))).sum().backward()
    weight, gradient = net[0].weight.data.copy(), net[0].weight.grad.data.copy()
    assert net.double() is net
    assert {t.dtype.name for t in net.parameters()} == {"float64"} == {p.grad.dtype.name for p in net.parameters()}
    assert [b.dtype.name for b in net.buffers()] == ["float64", "float64", "int64"]
    assert net(Tensor(draw(4, 2).astype("float64"))).dtype == np.float64
    assert (net[0].weight.data == weight).all() and (net[0].weight.grad.data == gradient).all()
    assert {t.dtype.name for t in net.float().parameters()} == {"float32"}


def test_apply_goes_from_the_leaves_to_the_root():
    net, seen = Net(), []
    assert net.apply(seen.append) is net
    assert seen == [*net.body, net.body, net]


# --- hooks

def test_forward_hook_sees_and_replaces():
    layer, seen = nn.Linear(2, 2), []
    x = Tensor(draw(1, 2))
    handle = layer.register_forward_hook(lambda module, args, output: seen.append((module, args, output)))
    y = layer(x)
    assert seen[0][0] is layer and seen[0][1] == (x,) and seen[0][2] is y
    layer.register_forward_hook(lambda module, args, output: output * 0)
    assert (layer(x).data == 0).all() and len(seen) == 2
    handle.remove(), handle.remove()
    layer(x)
    assert len(seen) == 2


def test_forward_pre_hook():
    layer = nn.Bilinear(1, 1, 1)
    a, b, c = Tensor([[1.0]]), Tensor([[2.0]]), Tensor([[3.0]])
    expected = layer(c, b).data
    handle = layer.register_forward_pre_hook(lambda module, args: (c, args[1]))
    assert (layer(a, b).data == expected).all()
    handle.remove()
    assert not (layer(a, b).data == expected).all()
    square = nn.ReLU()
    square.register_forward_pre_hook(lambda module, args: args[0] * 2)                 # a single value for a single argument
    assert square(a).item() == 2


def test_hooks_run_in_order_and_pass_keywords_by():
    layer, order = nn.ConvTranspose1d(1, 1, 2, stride=2), []
    for i in range(3):
        layer.register_forward_pre_hook(lambda module, args, i=i: order.append(-i))
        layer.register_forward_hook(lambda module, args, output, i=i: order.append(i))
    assert layer(Tensor(draw(1, 1, 3)), output_size=(7,)).shape == (1, 1, 7)
    assert order == [0, -1, -2, 0, 1, 2]


def test_a_hook_as_a_context():
    layer, seen = nn.ReLU(), []
    with pytest.raises(ZeroDivisionError), layer.register_forward_hook(lambda *args: seen.append(1)):
        layer(Tensor([1.0]))
        1 / 0
    layer(Tensor([1.0]))
    assert seen == [1]


def test_a_hook_that_removes_itself():
    layer, seen = nn.ReLU(), []
    first = layer.register_forward_hook(lambda *args: (seen.append("first"), first.remove())[1])
    layer.register_forward_hook(lambda *args: seen.append("second"))
    layer(Tensor([1.0])), layer(Tensor([1.0]))
    assert seen == ["first", "second", "second"]


def test_a_hook_is_a_function():
    with pytest.raises(TypeError, match="register_forward_hook: hook must be a function, got int"):
        nn.ReLU().register_forward_hook(3)
    with pytest.raises(TypeError, match="register_forward_pre_hook: hook must be a function, got Tensor"):
        nn.ReLU().register_forward_pre_hook(Tensor([1.0]))


# --- copies

@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_equal_and_apart(duplicate):
    net = nn.Sequential(Net(), nn.BatchNorm1d(2), nn.Dropout(0.5, generator=3)).train()
    net(Tensor(draw(4, 3)))
    other = duplicate(net)
    x = Tensor(draw(4, 3, seed=1))
    assert (net(x).data == other(x).data).all()                                        # the same masks, the same statistics
    assert list(net.state_dict()) == list(other.state_dict()) and list(map(str, net.buffers())) == list(map(str, other.buffers()))
    assert not any(np.shares_memory(p.data, q.data) for p, q in zip(net.parameters(), other.parameters(), strict=True))
    with no_grad():
        other[0].scale *= 5
    assert net[0].scale.item() == 2 and other[0].scale.item() == 10
    other(x).sum().backward()
    assert all(p.grad is None for p in net.parameters()) and all(p.grad is not None for p in other.parameters())


def test_a_deep_copy_keeps_what_is_shared_shared():
    layer = nn.Linear(2, 2)
    other = copy.deepcopy(nn.Sequential(layer, layer))
    assert other[0] is other[1] and len(list(other.parameters())) == 2


def test_a_module_is_freed_at_once():
    """No cycles, also after a hook, a backward pass and a summary: memory goes by reference count."""
    class Canary:
        freed = False

        def __del__(self):
            Canary.freed = True

    gc.disable()
    try:
        net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        net.canary = Canary()
        handle = net.register_forward_hook(lambda *args: None)
        net(Tensor(draw(1, 2))).sum().backward()
        net.summary((1, 2))
        handle.remove()
        del net, handle
        assert Canary.freed
    finally:
        gc.enable()


# --- repr

def test_repr():
    assert repr(nn.Module()) == "Module()"
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): Sequential(\n    (0): ReLU()\n  )\n)")

    class Named(nn.Module):
        def __init__(self):
            self.act = nn.Tanh()

        def extra_repr(self):
            return "depth=3"
    assert repr(Named()) == "Named(\n  depth=3\n  (act): Tanh()\n)"


def test_every_layer_has_a_docstring_that_names_its_counterpart():
    for name, cls in vars(nn).items():
        if isinstance(cls, type) and name not in ("Parameter", "BasicBlock", "Bottleneck", "PreActivationBlock"):
            assert re.search(rf"\(torch\.nn\.{name}\b", cls.__doc__), name
