"""Schedules against PyTorch's sequences of rates, against their formulas, and resumed in the middle."""

import copy
import functools
import inspect
import math
import re

import numpy as np
import pytest

from tinyvision import Parameter, Tensor, optim
from tinyvision.optim import lr_scheduler

STEPS = 50


class Decay:
    """A schedule with something to remember."""

    def __init__(self, base):
        self.base, self.calls = base, 0

    def __call__(self, t):
        self.calls += 1
        return self.base ** t


def warm_up_then_cosine(library, optimizer):
    first = library.LinearLR(optimizer, start_factor=0.1, total_iters=7)
    return library.SequentialLR(optimizer, [first, library.CosineAnnealingLR(optimizer, T_max=40, eta_min=1e-3)], [7])


def three_in_a_row(library, optimizer):
    parts = [library.ConstantLR(optimizer, factor=0.5, total_iters=3), library.ExponentialLR(optimizer, gamma=0.9),
             library.StepLR(optimizer, step_size=4, gamma=0.5)]
    return library.SequentialLR(optimizer, parts, milestones=[5, 20])


def lambdas_in_a_row(library, optimizer):
    parts = [library.LambdaLR(optimizer, Decay(0.9)), library.MultiStepLR(optimizer, [0, 3, 8]),
             library.LambdaLR(optimizer, [Decay(0.8), lambda t: 1 / (1 + t)])]
    return library.SequentialLR(optimizer, parts, milestones=[11, 30])


def one_cycle_in_a_row(library, optimizer):
    parts = [library.ConstantLR(optimizer, total_iters=100), library.OneCycleLR(optimizer, 0.7, total_steps=45)]
    return library.SequentialLR(optimizer, parts, milestones=[6])


def no_warm_up(library, optimizer):
    parts = [library.LinearLR(optimizer), library.ExponentialLR(optimizer, 0.9)]
    return library.SequentialLR(optimizer, parts, milestones=[0])


def made_by(name, *args, **kwargs):
    return lambda library, optimizer: getattr(library, name)(optimizer, *args, **kwargs)


SCHEDULES = {
    "lambda": made_by("LambdaLR", lambda t: 0.9 ** t),
    "lambda per group": made_by("LambdaLR", [Decay(0.8), lambda t: np.cos(t / 40)]),
    "lambda partial": made_by("LambdaLR", functools.partial(pow, 0.9)),
    "step": made_by("StepLR", 10),
    "step 1": made_by("StepLR", step_size=1, gamma=0.9),
    "step gamma": made_by("StepLR", step_size=7, gamma=0.5),
    "multi": made_by("MultiStepLR", [30, 5, 17]),
    "multi twice": made_by("MultiStepLR", milestones=[0, 5, 5, 20], gamma=0.5),
    "constant": made_by("ConstantLR"),
    "constant 20": made_by("ConstantLR", factor=0.3, total_iters=20),
    "linear": made_by("LinearLR"),
    "linear down": made_by("LinearLR", start_factor=0.9, end_factor=0.0, total_iters=30),
    "linear 1": made_by("LinearLR", start_factor=0.25, total_iters=1),
    "exponential": made_by("ExponentialLR", gamma=0.93),
    "cosine": made_by("CosineAnnealingLR", T_max=50),
    "cosine up again": made_by("CosineAnnealingLR", T_max=12, eta_min=0.01),
    "cosine 1": made_by("CosineAnnealingLR", T_max=1, eta_min=0.02),
    "cosine over": made_by("CosineAnnealingLR", T_max=200, eta_min=0.001),
    "one cycle": made_by("OneCycleLR", max_lr=0.5, total_steps=50),
    "one cycle groups": made_by("OneCycleLR", max_lr=[0.5, 0.1], epochs=10, steps_per_epoch=6, base_momentum=[0.8, 0.7],
                                max_momentum=[0.9, 0.95]),
    "one cycle linear": made_by("OneCycleLR", 0.5, 60, pct_start=0.4, anneal_strategy="linear", div_factor=10.0,
                                final_div_factor=100.0),
    "one cycle three": made_by("OneCycleLR", 0.5, 60, three_phase=True),
    "one cycle three linear": made_by("OneCycleLR", 0.5, 55, pct_start=0.25, anneal_strategy="linear", three_phase=True),
    "one cycle calm": made_by("OneCycleLR", 0.5, 50, cycle_momentum=False),
    "one cycle one step more": made_by("OneCycleLR", 0.5, 49),
    "one cycle falls": made_by("OneCycleLR", 0.5, 50, pct_start=0.0),
    "one cycle rises": made_by("OneCycleLR", 0.5, 51, pct_start=1.0),
    "sequence": warm_up_then_cosine,
    "sequence of three": three_in_a_row,
    "sequence of lambdas": lambdas_in_a_row,
    "sequence of a cycle": one_cycle_in_a_row,
    "sequence without warm-up": no_warm_up,
}
PLATEAUS = {
    "min": dict(patience=2),
    "max": dict(mode="max", factor=0.5, patience=3),
    "abs": dict(threshold_mode="abs", threshold=0.05, patience=1, factor=0.7),
    "max abs": dict(mode="max", threshold_mode="abs", threshold=0.05, patience=1, factor=0.7),
    "cooldown": dict(patience=0, cooldown=4, factor=0.8),
    "least": dict(patience=0, factor=0.5, min_lr=0.02),
    "least per group": dict(patience=0, factor=0.5, min_lr=[0.02, 0.001]),
    "eps": dict(patience=0, factor=0.5, eps=0.02),
}
OPTIMIZERS = {"SGD": dict(lr=0.1, momentum=0.9), "AdamW": dict(lr=0.02)}
each_schedule = pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
each_optimizer = pytest.mark.parametrize("kind", OPTIMIZERS)


def our_optimizer(kind="SGD", groups=2):
    params = [{"params": [Parameter([1.0])]}, {"params": [Parameter([1.0])], "lr": 0.03}][:groups]
    return getattr(optim, kind)(params, **OPTIMIZERS[kind])


def their_optimizer(kind="SGD"):
    torch = pytest.importorskip("torch")
    params = [{"params": [torch.nn.Parameter(torch.ones(1))]}, {"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.03}]
    return getattr(torch.optim, kind)(params, **OPTIMIZERS[kind])


def ours(make, kind="SGD"):
    optimizer = our_optimizer(kind)
    return optimizer, make(lr_scheduler, optimizer)


def theirs(make, kind="SGD"):
    torch, optimizer = pytest.importorskip("torch"), their_optimizer(kind)
    return optimizer, make(torch.optim.lr_scheduler, optimizer)


def options(optimizer):
    """What schedules write into the groups."""
    return [[group["lr"], group.get("momentum", 0), *group.get("betas", ())] for group in optimizer.param_groups]


def course(optimizer, schedule, steps, values=None):
    """The options in the next steps, this one included; the schedule ends in the last."""
    found = [options(optimizer)]
    for i in range(steps - 1):
        optimizer.step()
        schedule.step(*([] if values is None else [values[i]]))
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        found.append(options(optimizer))
    return found


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@each_optimizer
@each_schedule
def test_fifty_steps_as_in_torch(make, kind):
    found = course(*ours(make, kind), STEPS)
    assert_same(found, course(*theirs(make, kind), STEPS))
    assert all(type(lr) is float for lr in (row[0] for step in found for row in step))


@each_schedule
def test_resumed_in_the_middle(make):
    whole = course(*ours(make), STEPS)
    optimizer, schedule = ours(make)
    course(optimizer, schedule, 20)
    states = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    optimizer, schedule = ours(make)
    schedule.load_state_dict(states[1])
    optimizer.load_state_dict(states[0])
    assert_same(course(optimizer, schedule, STEPS - 19), whole[19:])


@each_schedule
def test_states_are_exchanged_with_torch(make):
    whole = course(*ours(make), STEPS)
    for start, end in ((theirs, ours), (ours, theirs)):
        optimizer, schedule = start(make)
        course(optimizer, schedule, 20)
        states = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
        optimizer, schedule = end(make)
        schedule.load_state_dict(states[1])
        optimizer.load_state_dict(states[0])
        assert_same(course(optimizer, schedule, STEPS - 19), whole[19:])


@pytest.mark.parametrize("name, kwargs", [
    ("LambdaLR", dict(lr_lambda=lambda t: 0.9 ** t)), ("StepLR", dict(step_size=5)), ("StepLR", dict(step_size=7)),
    ("MultiStepLR", dict(milestones=[10, 20, 30])), ("ConstantLR", dict(total_iters=30)), ("LinearLR", dict(total_iters=30)),
    ("ExponentialLR", dict(gamma=0.9)), ("CosineAnnealingLR", dict(T_max=40, eta_min=0.01)),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=50)),
])
def test_resumed_by_last_epoch_as_in_torch(name, kwargs):
    torch = pytest.importorskip("torch")
    found = []
    for library, optimizer in ((lr_scheduler, our_optimizer), (torch.optim.lr_scheduler, their_optimizer)):
        first = optimizer()
        course(first, getattr(library, name)(first, **kwargs), 20)
        second = optimizer()
        second.load_state_dict(first.state_dict())
        found.append(course(second, getattr(library, name)(second, **kwargs, last_epoch=19), 25))
    assert_same(*found)


@pytest.mark.parametrize("pair", [("StepLR", dict(step_size=5), "LinearLR", dict(total_iters=8)),
                                  ("CosineAnnealingLR", dict(T_max=20), "ExponentialLR", dict(gamma=0.95))])
def test_two_schedules_on_one_optimizer_as_in_torch(pair):
    torch = pytest.importorskip("torch")
    found = []
    for library, optimizer in ((lr_scheduler, our_optimizer()), (torch.optim.lr_scheduler, their_optimizer())):
        schedules = [getattr(library, name)(optimizer, **kwargs) for name, kwargs in (pair[:2], pair[2:])]
        rates = []
        for _ in range(STEPS):
            optimizer.step()
            for schedule in schedules:
                schedule.step()
            rates.append(options(optimizer))
        found.append(rates)
    assert_same(*found)


def plateau_values():
    """Loss-like values that fall, stall, rise, fall again; the same upside down is an accuracy."""
    random = np.random.default_rng(2)
    return np.concatenate([np.linspace(2, 1, 10), np.full(15, 1.0), np.linspace(1, 1.3, 8), np.linspace(0.9, 0.7, 16)]
                          ) + 0.01 * random.standard_normal(49)


@pytest.mark.parametrize("kwargs", PLATEAUS.values(), ids=PLATEAUS)
def test_plateau_as_in_torch(kwargs):
    values, make = plateau_values(), made_by("ReduceLROnPlateau", **kwargs)
    values = -values if kwargs.get("mode") == "max" else values
    found = course(*ours(make), STEPS, values)
    assert_same(found, course(*theirs(make), STEPS, values))
    assert found[-1] != found[0]                          # it did fall
    for start, end in ((ours, ours), (ours, theirs), (theirs, ours)):
        optimizer, schedule = start(make)
        course(optimizer, schedule, 20, values)
        states = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
        optimizer, schedule = end(make)
        schedule.load_state_dict(states[1])
        optimizer.load_state_dict(states[0])
        assert_same(course(optimizer, schedule, STEPS - 19, values[19:]), found[19:])


@pytest.mark.parametrize("name", [name for name in lr_scheduler.__all__ if name != "rates"])
def test_arguments_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    mine, other = (list(inspect.signature(getattr(library, name)).parameters.values())
                   for library in (lr_scheduler, torch.optim.lr_scheduler))
    assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in other[:len(mine)]]


# Formulas.


def one_group(name, *args, **kwargs):
    return getattr(lr_scheduler, name)(our_optimizer(groups=1), *args, **kwargs)


def test_cosine_formula():
    expected = [0.01 + 0.09 * (1 + math.cos(math.pi * t / 30)) / 2 for t in range(31)]
    assert lr_scheduler.rates(one_group("CosineAnnealingLR", T_max=30, eta_min=0.01), 31) == pytest.approx(expected)


def test_linear_formula():
    expected = [0.1 * (0.2 + 0.6 * min(t, 5) / 5) for t in range(8)]
    assert lr_scheduler.rates(one_group("LinearLR", 0.2, 0.8, 5), 8) == pytest.approx(expected)


def test_warm_up_then_cosine_meet_at_the_base_rate():
    rates = lr_scheduler.rates(warm_up_then_cosine(lr_scheduler, our_optimizer(groups=1)), 48)
    assert rates[0] == pytest.approx(0.01) and rates[7] == pytest.approx(0.1) and rates[47] == pytest.approx(1e-3)
    assert np.argmax(rates) == 7 and (np.diff(rates[:8]) > 0).all() and (np.diff(rates[7:]) < 0).all()


def test_one_cycle_of_momentum():
    optimizer = our_optimizer(groups=1)
    schedule = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=20, pct_start=0.5)
    found = np.array(course(optimizer, schedule, 20))[:, 0]
    assert found[0] == pytest.approx([1 / 25, 0.95]) and found[9] == pytest.approx([1.0, 0.85])
    assert found[19] == pytest.approx([1 / 25e4, 0.95])


def test_one_cycle_with_a_way_up_of_one_step():
    rates = lr_scheduler.rates(one_group("OneCycleLR", 1.0, total_steps=10, pct_start=0.1), 10)     # its end is step 0
    assert rates[0] == 1.0 and rates[9] == pytest.approx(1 / 25e4)


def test_a_rate_changed_by_hand_stays_changed():
    optimizer = our_optimizer(groups=1)
    schedule = lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    optimizer.step()
    schedule.step()
    optimizer.param_groups[0]["lr"] = 8.0
    schedule.step()
    assert schedule.get_last_lr() == [4.0]


def test_schedules_in_a_row_of_rows():
    optimizer = our_optimizer(groups=1)
    inner = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ConstantLR(optimizer, 0.5, 100),
                                                  lr_scheduler.ConstantLR(optimizer, 0.25, 100)], milestones=[2])
    outer = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.ConstantLR(optimizer, 1.0, 100), inner], milestones=[3])
    assert lr_scheduler.rates(outer, 7) == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_plateau_by_hand():
    optimizer = our_optimizer(groups=1)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, threshold=0.1)
    found = []
    #           best  no   -> falls, cooling, cooling, no, falls
    for value in (1, 0.95, Tensor(0.91), 0.9, 0.9, 0.9, 0.9, 0.9):
        optimizer.step()
        schedule.step(value)
        found.append(schedule.get_last_lr()[0])
    assert found == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025])


@each_schedule
def test_rates_looks_ahead_and_changes_nothing(make):
    optimizer, schedule = ours(make)
    course(optimizer, schedule, 5)
    before = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    ahead = lr_scheduler.rates(schedule, 30)
    assert (optimizer.state_dict(), schedule.state_dict()) == before
    assert ahead == [step[0][0] for step in course(optimizer, schedule, 30)]


# What is refused.


def test_schedule_before_optimizer_warns():
    schedule = one_group("StepLR", 1)
    with pytest.warns(UserWarning, match=r"StepLR: step\(\) came before the first optimizer.step\(\), so the first learning"):
        schedule.step()
    schedule.step()                                       # once is enough


def test_an_optimizer_with_a_step_of_its_own_is_not_suspected():
    class Walk(optim.SGD):
        def step(self, closure=None):
            return None

    schedule = lr_scheduler.StepLR(Walk([Parameter([1.0])]), 1)
    schedule.step()


@pytest.mark.parametrize("name, args, kwargs, error, message", [
    ("LambdaLR", [[lambda t: 1]], {}, ValueError,
     "LambdaLR: lr_lambda must be one value or one for each of the 2 parameter groups, got 1"),
    ("LambdaLR", [0.9], {}, TypeError, "LambdaLR: lr_lambda must be a function of the step, got 0.9"),
    ("StepLR", [0], {}, ValueError, "StepLR: step_size must be at least 1, got 0"),
    ("StepLR", [2.5], {}, TypeError, "StepLR: step_size must be an integer, got 2.5"),
    ("StepLR", [2, -1], {}, ValueError, "StepLR: gamma must be 0 or more, got -1"),
    ("MultiStepLR", [[3, -1]], {}, ValueError, "MultiStepLR: milestones[1] must be at least 0, got -1"),
    ("MultiStepLR", [[0.5]], {}, TypeError, "MultiStepLR: milestones[0] must be an integer, got 0.5"),
    ("MultiStepLR", [[3], -1], {}, ValueError, "MultiStepLR: gamma must be 0 or more, got -1"),
    ("ConstantLR", [0], {}, ValueError, "ConstantLR: factor must be above 0 and at most 1, got 0"),
    ("ConstantLR", [1.5], {}, ValueError, "ConstantLR: factor must be above 0 and at most 1, got 1.5"),
    ("ConstantLR", [0.5, 0], {}, ValueError, "ConstantLR: total_iters must be at least 1, got 0"),
    ("LinearLR", [0], {}, ValueError, "LinearLR: start_factor must be above 0 and at most 1, got 0"),
    ("LinearLR", [0.5, 1.5], {}, ValueError, "LinearLR: end_factor must be from 0 to 1, got 1.5"),
    ("LinearLR", [0.5, 1, 0], {}, ValueError, "LinearLR: total_iters must be at least 1, got 0"),
    ("ExponentialLR", [-0.1], {}, ValueError, "ExponentialLR: gamma must be 0 or more, got -0.1"),
    ("CosineAnnealingLR", [0], {}, ValueError, "CosineAnnealingLR: T_max must be at least 1, got 0"),
    ("CosineAnnealingLR", [5, -1], {}, ValueError, "CosineAnnealingLR: eta_min must be 0 or more, got -1"),
    ("OneCycleLR", [1.0], {}, ValueError, "OneCycleLR: needs total_steps, or epochs and steps_per_epoch, got epochs=None"),
    ("OneCycleLR", [1.0], dict(epochs=3), ValueError, "got epochs=3 and steps_per_epoch=None"),
    ("OneCycleLR", [1.0, 0], {}, ValueError, "OneCycleLR: total_steps must be at least 1, got 0"),
    ("OneCycleLR", [1.0], dict(epochs=2, steps_per_epoch=0.5), TypeError, "OneCycleLR: steps_per_epoch must be an integer"),
    ("OneCycleLR", [1.0, 5], dict(pct_start=1.5), ValueError, "OneCycleLR: pct_start must be from 0 to 1, got 1.5"),
    ("OneCycleLR", [1.0, 5], dict(anneal_strategy="x"), ValueError, "anneal_strategy must be 'cos' or 'linear', got 'x'"),
    ("OneCycleLR", [1.0, 5], dict(div_factor=0), ValueError, "OneCycleLR: div_factor must be above 0, got 0"),
    ("OneCycleLR", [1.0, 5], dict(final_div_factor=-1), ValueError, "OneCycleLR: final_div_factor must be above 0, got -1"),
    ("OneCycleLR", [[1.0], 5], {}, ValueError, "OneCycleLR: max_lr must be one value or one for each of the 2 parameter"),
    ("OneCycleLR", [-1.0, 5], {}, ValueError, "OneCycleLR: max_lr must be 0 or more, got -1.0"),
    ("OneCycleLR", [1.0, 5], dict(last_epoch=3), ValueError, "OneCycleLR: last_epoch=3 continues a cycle, but the groups of"),
    ("StepLR", [5], dict(last_epoch=3), ValueError,
     "StepLR: last_epoch=3 continues a schedule, but group 0 of the optimizer has no 'initial_lr'"),
    ("ReduceLROnPlateau", ["least"], {}, ValueError, "ReduceLROnPlateau: mode must be 'min' or 'max', got 'least'"),
    ("ReduceLROnPlateau", [], dict(threshold_mode="x"), ValueError, "threshold_mode must be 'rel' or 'abs', got 'x'"),
    ("ReduceLROnPlateau", [], dict(factor=1.0), ValueError, "factor must be at least 0 and below 1, got 1.0"),
    ("ReduceLROnPlateau", [], dict(patience=-1), ValueError, "ReduceLROnPlateau: patience must be at least 0, got -1"),
    ("ReduceLROnPlateau", [], dict(cooldown=-1), ValueError, "ReduceLROnPlateau: cooldown must be at least 0, got -1"),
    ("ReduceLROnPlateau", [], dict(min_lr=-1), ValueError, "ReduceLROnPlateau: min_lr must be 0 or more, got -1"),
    ("ReduceLROnPlateau", [], dict(threshold=-1), ValueError, "ReduceLROnPlateau: threshold must be 0 or more, got -1"),
    ("ReduceLROnPlateau", [], dict(eps=-1), ValueError, "ReduceLROnPlateau: eps must be 0 or more, got -1"),
    ("ReduceLROnPlateau", [], dict(min_lr=[1, 2, 3]), ValueError, "min_lr must be one value or one for each of the 2"),
])
def test_refused_arguments_change_nothing(name, args, kwargs, error, message):
    optimizer = our_optimizer()
    before = optimizer.state_dict()["param_groups"]
    with pytest.raises(error, match=re.escape(message)):
        getattr(lr_scheduler, name)(optimizer, *args, **kwargs)
    assert optimizer.state_dict()["param_groups"] == before


@pytest.mark.parametrize("name, args", [("LambdaLR", [lambda t: 1]), ("StepLR", [1]), ("OneCycleLR", [1.0, 5]),
                                        ("SequentialLR", [[], []]), ("ReduceLROnPlateau", [])])
def test_an_optimizer_is_needed(name, args):
    with pytest.raises(TypeError, match=f"{name}: optimizer must be an Optimizer, got list. Pass it first."):
        getattr(lr_scheduler, name)([], *args)


def test_one_cycle_needs_momentum_to_cycle():
    optimizer = optim.Adagrad([Parameter([1.0])])
    with pytest.raises(ValueError, match="cycle_momentum needs an optimizer with momentum or betas, Adagrad has neither"):
        lr_scheduler.OneCycleLR(optimizer, 1.0, 5)
    assert lr_scheduler.rates(lr_scheduler.OneCycleLR(optimizer, 1.0, 5, cycle_momentum=False), 5)[0] == pytest.approx(0.04)


def test_one_cycle_ends():
    optimizer = our_optimizer()
    schedule = lr_scheduler.OneCycleLR(optimizer, 1.0, 5)
    course(optimizer, schedule, 6)
    before = optimizer.state_dict()["param_groups"], schedule.state_dict()
    with pytest.raises(ValueError, match="OneCycleLR: the cycle has 5 steps, and all are done"):
        schedule.step()
    assert (optimizer.state_dict()["param_groups"], schedule.state_dict()) == before


@pytest.mark.parametrize("parts, milestones, error, message", [
    ([], [], ValueError, "needs one schedule or more and an increasing list of one milestone fewer, got 0 schedules"),
    (["step", "step"], [], ValueError, "got 2 schedules and milestones []"),
    (["step", "step", "step"], [5, 5], ValueError, "got 3 schedules and milestones [5, 5]"),
    (["step", "step"], [0.5], TypeError, "SequentialLR: milestones[0] must be an integer, got 0.5"),
    (["step", "plateau"], [5], TypeError, "schedulers[1] is of type ReduceLROnPlateau"),
    (["step", "text"], [5], TypeError, "schedulers[1] is of type str"),
    (["step", "other"], [5], ValueError, "schedulers[1], StepLR, belongs to another optimizer"),
])
def test_refused_sequences(parts, milestones, error, message):
    optimizer = our_optimizer()
    kinds = {"step": lambda: lr_scheduler.StepLR(optimizer, 3), "other": lambda: lr_scheduler.StepLR(our_optimizer(), 3),
             "plateau": lambda: lr_scheduler.ReduceLROnPlateau(optimizer), "text": lambda: "text"}
    with pytest.raises(error, match=re.escape(message)):
        lr_scheduler.SequentialLR(optimizer, [kinds[part]() for part in parts], milestones)


def sequence(count):
    optimizer = our_optimizer()
    return lr_scheduler.SequentialLR(optimizer, [lr_scheduler.StepLR(optimizer, 3) for _ in range(count)],
                                     list(range(5, 4 + count)))


@pytest.mark.parametrize("schedule, state, error, message", [
    (one_group("StepLR", 3), [], TypeError, "StepLR.load_state_dict: needs a dict, got list"),
    (one_group("StepLR", 3), one_group("ExponentialLR", 0.5).state_dict(), ValueError,
     "StepLR.load_state_dict: the state lacks step_size. Was it saved by another schedule?"),
    (one_group("StepLR", 3), lr_scheduler.StepLR(our_optimizer(), 3).state_dict(), ValueError,
     "StepLR.load_state_dict: the state has 2 learning rates, the optimizer has 1 groups"),
    (sequence(2), sequence(3).state_dict(), ValueError, "SequentialLR.load_state_dict: the state has 3 schedules, here are 2"),
    (sequence(2), {**sequence(2).state_dict(), "_schedulers": [sequence(2).state_dict()["_schedulers"][0], {}]}, ValueError,
     "StepLR.load_state_dict: the state lacks"),
])
def test_a_refused_state_changes_nothing(schedule, state, error, message):
    before = copy.deepcopy(schedule.state_dict())
    with pytest.raises(error, match=re.escape(message)):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


@pytest.mark.parametrize("name, args", [("LambdaLR", [lambda t: 1]), ("CosineAnnealingLR", [1]),
                                        ("ReduceLROnPlateau", ["min", 0.1, 10, 1e-4, "rel", 0, [0.1, 0.1]])])
def test_a_group_added_later_is_refused(name, args):
    optimizer = our_optimizer()
    schedule = getattr(lr_scheduler, name)(optimizer, *args)
    optimizer.add_param_group({"params": [Parameter([1.0])]})
    optimizer.step()
    with pytest.raises(ValueError, match=f"{name}: was made for 2 parameter groups, the optimizer has 3 now"):
        for _ in range(2):                                # the cosine needs its base rates only on the way up
            schedule.step(*([1.0] if name == "ReduceLROnPlateau" else []))


@pytest.mark.parametrize("name, args, values", [("ExponentialLR", [0.5], []), ("ReduceLROnPlateau", ["min", 0.5, 0], [1.0])])
def test_a_group_added_later_joins(name, args, values):
    optimizer = our_optimizer()
    schedule = getattr(lr_scheduler, name)(optimizer, *args)
    optimizer.add_param_group({"params": [Parameter([1.0])], "lr": 8.0})
    optimizer.step()
    for _ in range(2):
        schedule.step(*values)
    assert schedule.get_last_lr()[2] == (2.0 if name == "ExponentialLR" else 4.0)


def test_a_schedule_without_get_lr():
    class Nothing(lr_scheduler.LRScheduler):
        pass

    with pytest.raises(NotImplementedError, match=re.escape("Nothing: a schedule must define get_lr()")):
        Nothing(our_optimizer())
