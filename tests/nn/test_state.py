"""state_dict and load_state_dict: names, memory, dtypes, and that a refused state changes nothing."""

import numpy as np
import pytest

import tinyvision.nn as nn
from tests.nn.test_module import NAMES, Net, draw
from tinyvision import Tensor


def test_state_dict():
    net = Net()
    state = net.state_dict()
    assert list(state) == ["scale", "steps", *NAMES[1:]]
    assert all(type(t) is Tensor and not t.requires_grad and t.is_leaf for t in state.values())
    assert list(net.state_dict(prefix="net.x")) == [f"net.x.{name}" for name in state]


def test_state_dict_shares_memory_and_writes_are_noticed():
    net = nn.Linear(3, 2)
    state = net.state_dict()
    y = net(Tensor(draw(5, 3))).sum()
    state["weight"][...] = 0
    assert (net.weight.data == 0).all()
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


def test_round_trip():
    a, b = Net(), Net()
    result = b.load_state_dict(a.state_dict())
    assert result == ([], []) and result.missing_keys == [] and result.unexpected_keys == []
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values()):
        assert (x.data == y.data).all() and not np.shares_memory(x.data, y.data), name
    x = Tensor(draw(5, 3))
    assert (a(x).data == b(x).data).all()


def test_loading_is_in_place():
    net = Net()
    before = list(net.parameters())
    net.load_state_dict({name: t.data + 1 for name, t in net.state_dict().items()})
    assert all(p is q for p, q in zip(before, net.parameters(), strict=True)) and net.scale.data == 3


def test_loading_converts_dtypes_and_takes_arrays():
    net = nn.BatchNorm1d(2)
    net.load_state_dict({"weight": np.array([1, 2]), "bias": np.array([0.5, 1.5]), "running_mean": Tensor([3.0, 4.0]),
                         "running_var": np.array([1.0, 2.0], np.float16), "num_batches_tracked": np.float64(7)})
    assert {t.dtype.name for t in net.parameters()} == {"float32"}
    assert net.num_batches_tracked.dtype == np.int64 and net.num_batches_tracked.item() == 7
    assert net.bias.tolist() == [0.5, 1.5] and net.running_var.tolist() == [1, 2] and net.weight.tolist() == [1, 2]


def test_loading_invalidates_graphs():
    net = nn.Linear(3, 2)
    y = net(Tensor(draw(5, 3), requires_grad=True)).sum()
    net.load_state_dict(nn.Linear(3, 2).state_dict())
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.backward()


def test_loading_one_s_own_weights_exchanged():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    state = net.state_dict()
    first, second = state["0.weight"].tolist(), state["1.weight"].tolist()
    net.load_state_dict({**state, "0.weight": state["1.weight"], "1.weight": state["0.weight"]})
    assert net[0].weight.tolist() == second and net[1].weight.tolist() == first


def values(module):
    return {name: t.data.copy() for name, t in module.state_dict().items()}


def test_a_failed_load_names_everything_and_changes_nothing():
    net = Net()
    before = values(net)
    state = {name: array + 1 for name, array in before.items()}
    del state["body.0.bias"], state["steps"]
    state["head.weight"] = np.zeros(2)
    state["extra"] = np.zeros(2)
    state["scale"] = np.zeros((1, 1))
    state["body.2.weight"] = np.zeros((4, 2))
    state["body.2.bias"] = np.array(["a", "b"])
    y = net(Tensor(draw(2, 3))).sum()
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    assert str(error.value) == (
        "load_state_dict: the state must fit Net with its 6 entries; nothing was loaded.\n"
        "  Missing: steps, body.0.bias.\n"
        "  Unexpected: head.weight, extra.\n"
        "  Misfit: scale has shape (1,) here and (1, 1) in the state, body.2.weight has shape (2, 4) here and (4, 2) in the "
        "state, body.2.bias must hold numbers, got dtype <U1.\n"
        "Build the network with the arguments it was saved with.")
    assert all((array == before[name]).all() for name, array in values(net).items())
    y.backward()                                          # and no graph was invalidated


def test_strict_false_loads_what_agrees():
    net = Net()
    before = values(net)
    result = net.load_state_dict({"scale": np.array([9.0]), "head": np.zeros(2)}, strict=False)
    assert result.missing_keys == ["steps", *NAMES[1:]] and result.unexpected_keys == ["head"]
    after = values(net)
    assert after.pop("scale") == 9 and all((array == before[name]).all() for name, array in after.items())


def test_strict_false_still_refuses_shapes_and_lists_only_those():
    net = Net()
    with pytest.raises(ValueError) as error:
        net.load_state_dict({"scale": np.zeros(2), "steps": np.ones(3)}, strict=False)
    assert "Misfit: scale has shape (1,) here and (2,) in the state." in str(error.value)
    assert "Missing" not in str(error.value) and (net.steps.data == 0).all()


def test_hints_of_a_failed_load():
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="Every name in the state begins with 'module.': take it off"):
        net.load_state_dict({f"module.{name}": t for name, t in net.state_dict().items()})
    with pytest.raises(ValueError, match="Build the same network, or pass strict=False"):
        net.load_state_dict({})
    with pytest.raises(TypeError, match="load_state_dict: needs a mapping from names to arrays, got Linear"):
        net.load_state_dict(net)


def test_read_only_memory_is_found_before_anything_is_written():
    net = nn.Linear(2, 2)
    net.bias.data.flags.writeable = False
    before = values(net)
    with pytest.raises(ValueError, match="Misfit: bias is read-only here"):
        net.load_state_dict({"weight": np.ones((2, 2)), "bias": np.ones(2)})
    assert (net.weight.data == before["weight"]).all()


def test_checkpoints_without_the_counter_of_batch_norm():
    """Those of PyTorch before 0.4.1 lack num_batches_tracked; a state dict that we write has it."""
    bn = nn.Sequential(nn.BatchNorm2d(2))
    state = bn.state_dict()
    bn[0].num_batches_tracked[...] = 5
    del state["0.num_batches_tracked"]
    assert bn.load_state_dict(state) == ([], []) and bn[0].num_batches_tracked.item() == 5
    del state["0.running_mean"]
    with pytest.raises(ValueError, match="Missing: 0.running_mean"):
        bn.load_state_dict(state)
