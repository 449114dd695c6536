"""What all optimisers share: groups, steps, gradients, states, and what is refused."""

import copy
import re

import numpy as np
import pytest

from tinyvision import Parameter, Tensor, no_grad, optim
from tinyvision.tensor import raw


def parameters(*shapes, dtype="float32"):
    random = np.random.default_rng(5)
    return [Parameter(np.asarray(random.standard_normal(shape), dtype)) for shape in shapes]


def give_gradients(params, seed=6):
    random = np.random.default_rng(seed)
    for p in params:
        p.grad = Tensor(np.asarray(random.standard_normal(p.shape), p.dtype))


def refused(error, message):
    return pytest.raises(error, match=re.escape(message))


def test_groups_have_options_of_their_own():
    w, b, x = parameters((2, 3), (3,), (4,))
    optimizer = optim.SGD([{"params": [w], "lr": 0.5}, {"params": (p for p in [b])}, {"params": x, "note": "mine"}], lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1, 0.1]
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 1]
    assert optimizer.param_groups[2]["note"] == "mine"
    before = [raw(p).copy() for p in (w, b, x)]
    give_gradients([w, b, x])
    optimizer.step()
    for p, old, lr in zip((w, b, x), before, (0.5, 0.1, 0.1)):
        np.testing.assert_allclose(raw(p), old - lr * raw(p.grad), rtol=1e-6)


def test_the_groups_given_are_not_written_to():
    given = {"params": parameters((2,))}
    optim.Adam([given], lr=0.1)
    assert list(given) == ["params"]


def test_add_param_group():
    w, b = parameters((2,), (3,))
    optimizer = optim.SGD([w], lr=0.1)
    optimizer.add_param_group({"params": b, "lr": 0.2, "momentum": np.float32(0.5)})
    assert optimizer.param_groups[1] == {**optimizer.param_groups[0], "params": [b], "lr": 0.2, "momentum": 0.5}
    assert type(optimizer.param_groups[1]["momentum"]) is float


@pytest.mark.parametrize("group, error, message", [
    ([1, 2], TypeError, "SGD: a parameter group must be a dict with the key 'params', got list"),
    ({"lr": 1}, TypeError, "must be a dict with the key 'params', got keys ['lr']"),
    ({"params": 3}, TypeError, "SGD: params must be a list of Tensors or of dicts, got int"),
    ({"params": [np.zeros(2)]}, TypeError, "SGD: can only change Tensors, parameter 0 is of type ndarray"),
    ({"params": iter(())}, ValueError, "SGD: the generator of group 1 gave no parameters. If it was used before, it is empty"),
    ({"params": [Parameter([1.0])], "lr": -1}, ValueError, "SGD: lr must be 0 or more, got -1"),
])
def test_a_refused_group_is_not_added(group, error, message):
    optimizer = optim.SGD(parameters((2,)))
    with refused(error, message):
        optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1


def test_an_empty_list_is_a_group():
    w, = parameters((2,))
    optimizer = optim.SGD([{"params": [w]}, {"params": []}])
    give_gradients([w])
    optimizer.step()
    assert optimizer.state_dict()["param_groups"][1]["params"] == []


def test_parameters_of_one_group_twice():
    w, b = parameters((2,), (3,))
    with refused(ValueError, "SGD: parameter 2 of group 0, shape (2,), was given twice. It would be updated twice"):
        optim.SGD([w, b, w])


def test_parameters_of_two_groups_twice():
    w, b = parameters((2,), (3,))
    optimizer = optim.SGD([b])
    optimizer.add_param_group({"params": [w]})
    with refused(ValueError, "SGD: parameter 0 of group 2, shape (3,), was given twice"):
        optimizer.add_param_group({"params": [b]})


def test_no_parameters():
    used_up = (p for p in parameters((2,)))
    list(used_up)
    for params in ([], used_up):
        with refused(ValueError, "Adam: needs at least one parameter, got none. A generator such as net.parameters()"):
            optim.Adam(params)


@pytest.mark.parametrize("params, error, message", [
    (Parameter([1.0]), TypeError, "SGD: params must be a list of Tensors, got one Parameter. Use [params]"),
    (np.zeros(3), TypeError, "SGD: params must be a list of Tensors or of dicts, got ndarray. Use net.parameters()"),
    (None, TypeError, "SGD: params must be a list of Tensors or of dicts, got NoneType"),
    ({Parameter([1.0])}, TypeError, "SGD: parameters need an order that is the same in every run, got a set. Use a list"),
    ([Parameter([1.0]), "weight"], TypeError, "SGD: can only change Tensors, parameter 1 is of type str. Use net"),
    ([Parameter([1.0]), {"params": []}], TypeError, "SGD: can only change Tensors, parameter 1 is of type dict"),
    ([{"params": []}, Parameter([1.0])], TypeError, "SGD: a parameter group must be a dict with the key 'params', got Par"),
    ([Tensor([1.0])], ValueError, "SGD: parameter 0, shape (1,), does not require a gradient, so it would never change"),
    ([Parameter([1.0]) * 2], ValueError, "SGD: parameter 0, shape (1,), was computed from other tensors, so changing it"),
])
def test_refused_parameters(params, error, message):
    with refused(error, message):
        optim.SGD(params)


@pytest.mark.parametrize("name, options, error, message", [
    ("SGD", dict(lr=-0.1), ValueError, "SGD: lr must be 0 or more, got -0.1"),
    ("SGD", dict(lr=float("nan")), ValueError, "SGD: lr must be 0 or more, got nan"),
    ("SGD", dict(lr="0.1"), TypeError, "SGD: lr must be a number, got '0.1'"),
    ("SGD", dict(momentum=True), TypeError, "SGD: momentum must be a number, got True"),
    ("SGD", dict(momentum=-1), ValueError, "SGD: momentum must be 0 or more, got -1"),
    ("SGD", dict(weight_decay=-1), ValueError, "SGD: weight_decay must be 0 or more, got -1"),
    ("SGD", dict(nesterov=True), ValueError, "SGD: nesterov needs a momentum above 0 and no dampening, got momentum 0 and"),
    ("SGD", dict(nesterov=True, momentum=0.9, dampening=0.1), ValueError, "got momentum 0.9 and dampening 0.1"),
    ("Adagrad", dict(lr=-1), ValueError, "Adagrad: lr must be 0 or more, got -1"),
    ("Adagrad", dict(lr_decay=-1), ValueError, "Adagrad: lr_decay must be 0 or more, got -1"),
    ("Adagrad", dict(weight_decay=-1), ValueError, "Adagrad: weight_decay must be 0 or more, got -1"),
    ("Adagrad", dict(initial_accumulator_value=-1), ValueError, "initial_accumulator_value must be 0 or more, got -1"),
    ("Adagrad", dict(eps=-1), ValueError, "Adagrad: eps must be 0 or more, got -1"),
    ("RMSprop", dict(lr=-1), ValueError, "RMSprop: lr must be 0 or more, got -1"),
    ("RMSprop", dict(alpha=-1), ValueError, "RMSprop: alpha must be 0 or more, got -1"),
    ("RMSprop", dict(alpha=1.5), ValueError, "RMSprop: alpha must be at most 1, got 1.5"),
    ("RMSprop", dict(eps=-1), ValueError, "RMSprop: eps must be 0 or more, got -1"),
    ("RMSprop", dict(weight_decay=-1), ValueError, "RMSprop: weight_decay must be 0 or more, got -1"),
    ("RMSprop", dict(momentum=-1), ValueError, "RMSprop: momentum must be 0 or more, got -1"),
    ("Adadelta", dict(lr=-1), ValueError, "Adadelta: lr must be 0 or more, got -1"),
    ("Adadelta", dict(rho=-1), ValueError, "Adadelta: rho must be 0 or more, got -1"),
    ("Adadelta", dict(rho=1.5), ValueError, "Adadelta: rho must be at most 1, got 1.5"),
    ("Adadelta", dict(eps=-1), ValueError, "Adadelta: eps must be 0 or more, got -1"),
    ("Adadelta", dict(weight_decay=-1), ValueError, "Adadelta: weight_decay must be 0 or more, got -1"),
    ("Adam", dict(lr=-1), ValueError, "Adam: lr must be 0 or more, got -1"),
    ("Adam", dict(eps=-1), ValueError, "Adam: eps must be 0 or more, got -1"),
    ("Adam", dict(weight_decay=-1), ValueError, "Adam: weight_decay must be 0 or more, got -1"),
    ("Adam", dict(betas=0.9), TypeError, "Adam: betas must be two numbers, got 0.9"),
    ("Adam", dict(betas=(0.9, "0.999")), TypeError, "Adam: betas[1] must be a number, got '0.999'"),
    ("Adam", dict(betas=(-0.1, 0.999)), ValueError, "Adam: betas[0] must be at least 0 and below 1, got -0.1"),
    ("AdamW", dict(betas=(0.9, 1.0)), ValueError, "AdamW: betas[1] must be at least 0 and below 1, got 1.0"),
    ("AdamW", dict(weight_decay=-1), ValueError, "AdamW: weight_decay must be 0 or more, got -1"),
])
def test_refused_options(name, options, error, message):
    with refused(error, message):
        getattr(optim, name)(parameters((2,)), **options)


def test_refused_defaults_though_every_group_has_its_own():
    with refused(ValueError, "SGD: lr must be 0 or more, got -1"):
        optim.SGD([{"params": parameters((2,)), "lr": 0.1}], lr=-1)


def test_frozen_parameters_stay_and_can_be_freed():
    w, frozen = parameters((2,), (3,))
    frozen.requires_grad = False
    optimizer = optim.SGD([w, frozen], lr=0.1, momentum=0.9, weight_decay=0.1)
    start = raw(frozen).copy()
    (w.sum() + frozen.sum()).backward()
    optimizer.step()
    np.testing.assert_array_equal(raw(frozen), start)
    frozen.requires_grad = True
    frozen.sum().backward()
    optimizer.step()
    assert (raw(frozen) != start).all()


def test_zero_grad():
    w, b = parameters((2,), (3,))
    optimizer = optim.SGD([w, b], lr=1.0, weight_decay=0.5)
    w.sum().backward()
    kept = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0, 0] and kept.tolist() == [1, 1] and b.grad is None
    before = raw(w).copy(), raw(b).copy()
    optimizer.step()                                      # zeros are a gradient: the weights decay; None is none
    np.testing.assert_allclose(raw(w), before[0] / 2, rtol=1e-6)
    np.testing.assert_array_equal(raw(b), before[1])
    optimizer.zero_grad()
    assert w.grad is None


def test_step_returns_what_the_closure_returned():
    w, = parameters((3,))
    optimizer = optim.SGD([w], lr=0.25)
    start = raw(w).copy()

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert loss.item() == pytest.approx((start ** 2).sum())
    np.testing.assert_allclose(raw(w), start / 2, rtol=1e-6)
    with no_grad():                                       # the closure records all the same
        optimizer.step(closure)
    np.testing.assert_allclose(raw(w), start / 4, rtol=1e-6)
    w.grad = None
    assert optimizer.step() is None


def test_a_gradient_of_another_shape_changes_nothing():
    w, b = parameters((2,), (3,))
    give_gradients([w])
    b.grad = Tensor([[1.0, 2.0, 3.0]])
    start = raw(w).copy()
    with refused(ValueError, "SGD: a gradient must have its parameter's shape (3,), got (1, 3). What was assigned to p.grad?"):
        optim.SGD([w, b], lr=0.1).step()
    np.testing.assert_array_equal(raw(w), start)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW"])
def test_a_step_between_forward_and_backward_is_noticed(name):
    w, = parameters((3,))
    optimizer = getattr(optim, name)([w])
    give_gradients([w])
    loss = (w * w).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"Multiply, shape \(3,\), was changed in place after the forward pass"):
        loss.backward()


def test_a_step_without_gradients_disturbs_no_graph():
    w, = parameters((3,))
    optimizer = optim.SGD([w], lr=0.1)
    loss = (w * w).sum()
    optimizer.step()
    loss.backward()
    np.testing.assert_allclose(raw(w.grad), 2 * raw(w), rtol=1e-6)


def test_gradients_with_a_graph_of_their_own():
    w, = parameters((3,))
    (w * w * w).sum().backward(create_graph=True)
    assert w.grad.requires_grad
    start = raw(w).copy()
    optim.SGD([w], lr=0.1).step()
    np.testing.assert_allclose(raw(w), start - 0.3 * start ** 2, rtol=1e-5)


# States.


def trained(optimizer, params, steps=2):
    for i in range(steps):
        give_gradients(params, seed=i)
        optimizer.step()
    return optimizer


def test_resuming_equals_going_on():
    params = parameters((2, 3), (3,))
    optimizer = trained(optim.Adam([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], lr=0.1), params)
    state, copies = copy.deepcopy(optimizer.state_dict()), [Parameter(raw(p)) for p in params]
    again = optim.Adam([{"params": copies[:1]}, {"params": copies[1:]}], lr=3.0)
    again.load_state_dict(state)
    for pair in ((optimizer, params), (again, copies)):
        trained(*pair, steps=4)
    for p, q in zip(params, copies):
        np.testing.assert_array_equal(raw(p), raw(q))


def test_a_loaded_state_is_a_copy_with_the_dtype_of_the_parameter():
    w, = parameters((3,), dtype="float64")
    state = {"state": {7: {"step": 4, "exp_avg": np.ones(3, "float32"), "exp_avg_sq": Tensor(np.ones(3))}},
             "param_groups": [{"lr": 0.5, "initial_lr": 0.9, "foreach": None, "note": ["mine"], "params": [7]}]}
    given = copy.deepcopy(state)
    optimizer = optim.Adam([{"params": w, "gone": 1}])
    group = optimizer.param_groups[0]
    optimizer.load_state_dict(state)
    assert "gone" not in group and group["note"] == ["mine"] and group["note"] is not state["param_groups"][0]["note"]
    assert optimizer.param_groups[0] is group and group["params"] == [w]
    assert (group["lr"], group["initial_lr"], group["betas"]) == (0.5, 0.9, (0.9, 0.999))
    memory = optimizer.state[w]
    assert [(memory[name].dtype, memory[name].shape) for name in ("step", "exp_avg", "exp_avg_sq")] == [
        ("float32", ()), ("float64", (3,)), ("float64", (3,))]
    trained(optimizer, [w])
    assert memory["step"] == 6
    np.testing.assert_array_equal(state["state"][7]["exp_avg"], given["state"][7]["exp_avg"])
    np.testing.assert_array_equal(raw(state["state"][7]["exp_avg_sq"]), 1)
    assert state["param_groups"] == given["param_groups"]


def test_state_dict_numbers_parameters_through_all_groups_and_is_live():
    a, b, c = parameters((1,), (2,), (3,))
    optimizer = optim.SGD([{"params": [a, b]}, {"params": [c]}], momentum=0.9)
    assert optimizer.state_dict()["state"] == {}
    trained(optimizer, [a, c])
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0, 1], [2]] and set(state["state"]) == {0, 2}
    assert state["state"][2]["momentum_buffer"] is optimizer.state[c]["momentum_buffer"]
    assert optimizer.param_groups[1]["params"] == [c]


def groups_of(*sizes):
    return [{"lr": 0.5, "params": list(range(size))} for size in sizes]


@pytest.mark.parametrize("state, error, message", [
    ([], TypeError, "Adam.load_state_dict: needs a dict with 'state' and 'param_groups'"),
    ({"state": {}}, TypeError, "Adam.load_state_dict: needs a dict with 'state' and 'param_groups'"),
    ({"state": {}, "param_groups": groups_of(2, 1)}, ValueError,
     "Adam.load_state_dict: the groups here hold [2] parameters, those of the state [2, 1]"),
    ({"state": {}, "param_groups": groups_of(3)}, ValueError,
     "Adam.load_state_dict: the groups here hold [2] parameters, those of the state [3]"),
    ({"state": {5: {}}, "param_groups": groups_of(2)}, ValueError,
     "Adam.load_state_dict: the state has a memory for parameter 5, which is in no group"),
    ({"state": {1: {"momentum_buffer": np.zeros(3)}}, "param_groups": groups_of(2)}, ValueError,
     "remembers step, exp_avg, exp_avg_sq, max_exp_avg_sq, but the state of parameter 1 has 'momentum_buffer'"),
    ({"state": {0: {"exp_avg": np.zeros((3, 2))}}, "param_groups": groups_of(2)}, ValueError,
     "Adam.load_state_dict: exp_avg of parameter 0 must have the parameter's shape (2, 3), got (3, 2)"),
])
def test_a_refused_state_changes_nothing(state, error, message):
    params = parameters((2, 3), (3,))
    optimizer = trained(optim.Adam(params, lr=0.1), params)
    before = copy.deepcopy(optimizer.state_dict())
    with refused(error, message):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    np.testing.assert_equal(after["state"], before["state"])


def test_sgd_takes_pytorchs_empty_momentum():
    w, = parameters((2,))
    optimizer = optim.SGD([w], lr=0.1)
    optimizer.load_state_dict({"state": {0: {"momentum_buffer": None}}, "param_groups": [{"params": [0], "momentum": 0.9}]})
    trained(optimizer, [w])
    assert optimizer.state[w]["momentum_buffer"].shape == (2,)


def test_a_state_of_adam_goes_on_as_adamw():
    w, = parameters((2,))
    state = trained(optim.Adam([w], lr=0.1, weight_decay=0.5), [w]).state_dict()
    optimizer = optim.AdamW([w])
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True
    assert optimizer.param_groups[0]["weight_decay"] == 0.5


class Remembering(optim.Optimizer):
    """A rule of a user's own, which remembers what it likes."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @staticmethod
    def update(w, g, state, options):
        state["steps"] = [*state.get("steps", []), "step"]
        state["largest"] = max(state.get("largest", np.zeros(1)), abs(g).max(keepdims=True))
        w -= options["lr"] * g / state["largest"]


def test_a_rule_of_ones_own():
    w, = parameters((3,))
    optimizer = trained(Remembering([w], lr=0.1), [w])
    state = copy.deepcopy(optimizer.state_dict())
    assert state["state"][0]["steps"] == ["step", "step"]
    again = Remembering([w], lr=0.1)
    again.load_state_dict(state)
    assert again.state[w]["steps"] == ["step", "step"] and again.state[w]["steps"] is not state["state"][0]["steps"]
    assert again.state[w]["largest"].shape == (1,)


def test_a_changed_rule_of_a_known_optimiser():
    class Halved(optim.SGD):
        @staticmethod
        def update(w, g, state, options):
            optim.SGD.update(w, g / 2, state, options)

    class Renamed(Halved):
        pass

    for cls in (Halved, Renamed):
        w, = parameters((3,))
        start = raw(w).copy()
        w.grad = Tensor(np.ones(3, "float32"))
        cls([w], lr=1.0, momentum=0.9).step()
        np.testing.assert_allclose(raw(w), start - 0.5, rtol=1e-6)


def test_a_rule_that_fails_counts_as_a_change():
    class Failing(optim.Optimizer):
        @staticmethod
        def update(w, g, state, options):
            w -= 1
            raise KeyError("a mistake in the rule")

    w, = parameters((3,))
    y = (w * w).sum()
    give_gradients([w])
    with pytest.raises(KeyError):
        Failing([w], {}).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_rule_without_update():
    w, = parameters((3,))
    give_gradients([w])
    with pytest.raises(NotImplementedError, match=re.escape("a subclass must define update(w, g, state, options)")):
        optim.Optimizer([w], {}).step()


def test_repr_shows_the_options():
    w, b = parameters((2,), (3,))
    optimizer = optim.Adagrad([{"params": [w, b]}, {"params": parameters((1,)), "lr": 0.5}])
    assert repr(optimizer).splitlines()[1] == ("    group 0: 2 parameters, lr=0.01, lr_decay=0, eps=1e-10, weight_decay=0, "
                                               "initial_accumulator_value=0, maximize=False")
    assert "group 1: 1 parameters, lr=0.5," in repr(optimizer)
