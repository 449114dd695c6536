"""Schedules: the learning rate as a function of time, one step() after each epoch (or batch) of training.

Large steps move fast while the loss is far from its minimum; small ones settle close to it, where the noise of the batches
would keep large ones bouncing.  So the rate falls: in jumps (StepLR, MultiStepLR), evenly (ExponentialLR, CosineAnnealingLR),
or when a measured value tells it to (ReduceLROnPlateau).  Some warm up first (ConstantLR, LinearLR), because at the start
gradients are large and change quickly; SequentialLR joins a warm-up and a decay, OneCycleLR is both in one.

    for images, labels in loader:                          # or: for each epoch
        optimizer.zero_grad(); loss(images, labels).backward()
        optimizer.step()
        schedule.step()                                    # after optimizer.step()

`rates(schedule, 100)` lists the next learning rates, for a plot.  schedule.py has the base class.

Sources: Goyal et al. 2017, arXiv:1706.02677, section 2.2 (warm-up); Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5
(cosine); Smith and Topin 2018, arXiv:1708.07120 (one cycle).
"""

import math
import types
from bisect import bisect_right
from collections import Counter

from .optimizer import check_not_negative, check_number
from .schedule import LRScheduler, as_float, check_choice, check_count, check_optimizer, per_group, rates

__all__ = ["ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR",
           "OneCycleLR", "ReduceLROnPlateau", "SequentialLR", "StepLR", "rates"]


class LambdaLR(LRScheduler):
    """base_lr * lr_lambda(t): any shape, as a function (torch.optim.lr_scheduler.LambdaLR).

    lr_lambda: a function from the step t = 0, 1, ... to a factor, or a list with one for each group.  Functions are not part
    of the state; objects with __call__ are, by their attributes.
    Raises ValueError for a list of another length, TypeError for what cannot be called.

    >>> from tinyvision import Parameter, optim
    >>> optimizer = optim.SGD([Parameter([1.0])], lr=1.0)
    >>> rates(LambdaLR(optimizer, lambda t: 0.5 ** t), 4)
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        check_optimizer("LambdaLR", optimizer)
        self.lr_lambdas = per_group("LambdaLR", "lr_lambda", lr_lambda, optimizer)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"LambdaLR: lr_lambda must be a function of the step, got {function!r}. "
                                "Use lambda t: 0.9 ** t.")
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [lr * function(self.last_epoch) for lr, function in zip(self.base_lrs, self.lr_lambdas)]

    def state_dict(self):
        attributes = [None if isinstance(f, types.FunctionType) else dict(getattr(f, "__dict__", {})) for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": attributes}

    def _take(self, state_dict):
        super()._take({**state_dict, "lr_lambdas": self.lr_lambdas})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"]):
            if attributes:
                vars(function).update(attributes)


class StepLR(LRScheduler):
    """f(t) = gamma ^ floor(t / step_size): the rate falls by gamma every step_size steps (torch.optim.lr_scheduler.StepLR).

    Raises ValueError for a step_size below 1 and a negative gamma, TypeError for a step_size that is no integer.

    >>> from tinyvision import Parameter, optim
    >>> rates(StepLR(optim.SGD([Parameter([1.0])], lr=1.0), step_size=2, gamma=0.5), 5)
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        check_count("StepLR", step_size=step_size)
        check_not_negative("StepLR", {"gamma": gamma}, "gamma")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        falls = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return self._times(self.gamma if falls else 1)


class MultiStepLR(LRScheduler):
    """f(t) = gamma ^ (number of milestones up to t): the rate falls at each (torch.optim.lr_scheduler.MultiStepLR).

    milestones: step numbers, in any order; one that stands twice counts twice.
    Raises ValueError for a negative gamma or milestone, TypeError for milestones that are no integers.

    >>> from tinyvision import Parameter, optim
    >>> rates(MultiStepLR(optim.SGD([Parameter([1.0])], lr=1.0), milestones=[1, 3], gamma=0.5), 5)
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        milestones = list(milestones)
        check_count("MultiStepLR", least=0, **{f"milestones[{i}]": step for i, step in enumerate(milestones)})
        check_not_negative("MultiStepLR", {"gamma": gamma}, "gamma")
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._times(self.gamma ** self.milestones[self.last_epoch])


class ConstantLR(LRScheduler):
    """f(t) = factor for t < total_iters, then 1: a warm-up in one step (torch.optim.lr_scheduler.ConstantLR).

    Raises ValueError unless 0 < factor <= 1 and total_iters is at least 1.

    >>> from tinyvision import Parameter, optim
    >>> rates(ConstantLR(optim.SGD([Parameter([1.0])], lr=1.0), factor=0.25, total_iters=2), 4)
    [0.25, 0.25, 1.0, 1.0]
    """

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        check_number("ConstantLR", "factor", factor, "above 0 and at most 1", lambda value: 0 < value <= 1)
        check_count("ConstantLR", total_iters=total_iters)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._times(self.factor if self.last_epoch == 0 else
                           1 / self.factor if self.last_epoch == self.total_iters else 1)


class LinearLR(LRScheduler):
    """From start_factor to end_factor in a straight line, then constant: a warm-up (torch.optim.lr_scheduler.LinearLR).

    f(t) = start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters.
    Raises ValueError unless 0 < start_factor <= 1, 0 <= end_factor <= 1 and total_iters is at least 1.

    >>> from tinyvision import Parameter, optim
    >>> rates(LinearLR(optim.SGD([Parameter([1.0])], lr=1.0), start_factor=0.5, total_iters=4), 6)
    [0.5, 0.625, 0.75, 0.875, 1.0, 1.0]
    """

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        check_number("LinearLR", "start_factor", start_factor, "above 0 and at most 1", lambda value: 0 < value <= 1)
        check_number("LinearLR", "end_factor", end_factor, "from 0 to 1", lambda value: 0 <= value <= 1)
        check_count("LinearLR", total_iters=total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, T, rise = self.last_epoch, self.total_iters, self.end_factor - self.start_factor
        if t == 0:
            return self._times(self.start_factor)
        if self._is_initial or t > T:
            return self._times(1)
        return self._times(1 + rise / (T * self.start_factor + (t - 1) * rise))                     # f(t) / f(t - 1)


class ExponentialLR(LRScheduler):
    """f(t) = gamma ^ t: the rate falls by the same factor in every step (torch.optim.lr_scheduler.ExponentialLR).

    Raises ValueError for a negative gamma.

    >>> from tinyvision import Parameter, optim
    >>> rates(ExponentialLR(optim.SGD([Parameter([1.0])], lr=1.0), gamma=0.5), 4)
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        check_not_negative("ExponentialLR", {"gamma": gamma}, "gamma")
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._times(1 if self._is_initial else self.gamma)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the base rate down to eta_min in T_max steps (torch.optim.lr_scheduler.CosineAnnealingLR).

    lr(t) = eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2, arXiv:1608.03983, eq. 5.
    After T_max the cosine rises again; for restarts chain several in a SequentialLR.
    Raises ValueError for T_max below 1 or a negative eta_min, TypeError for a T_max that is no integer.

    >>> from tinyvision import Parameter, optim
    >>> [round(lr, 3) for lr in rates(CosineAnnealingLR(optim.SGD([Parameter([1.0])], lr=1.0), T_max=4), 5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        check_count("CosineAnnealingLR", T_max=T_max)
        check_not_negative("CosineAnnealingLR", {"eta_min": eta_min}, "eta_min")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, T, low = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return self._times(1)
        if (t - 1) % (2 * T) == T:                        # at the lowest point f is 0, and f(t) / f(t - 1) has no meaning
            rise = (1 - math.cos(math.pi / T)) / 2
            return [lr + (base - low) * rise for lr, base in zip(self._times(1), self.base_lrs)]
        factor = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        return [low + (lr - low) * factor for lr in self._times(1)]


class SequentialLR(LRScheduler):
    """One schedule after another, for instance warm-up and then cosine (torch.optim.lr_scheduler.SequentialLR).

    schedulers: schedules of this optimizer; milestones: the steps at which the second, third, ... begins, counting from its
    own step 0 and from the base rates.
    Raises ValueError for an empty list, other optimizers or milestones that are not one fewer and increasing; TypeError for
    what is no schedule, or for ReduceLROnPlateau, whose step() needs a value.

    >>> from tinyvision import Parameter, optim
    >>> optimizer = optim.SGD([Parameter([1.0])], lr=1.0)
    >>> warm_up, decay = LinearLR(optimizer, start_factor=0.25, total_iters=3), ExponentialLR(optimizer, gamma=0.5)
    >>> rates(SequentialLR(optimizer, [warm_up, decay], milestones=[3]), 6)
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer, schedulers, milestones):
        check_optimizer("SequentialLR", optimizer)
        schedulers, milestones = list(schedulers), list(milestones)
        for i, schedule in enumerate(schedulers):
            if not isinstance(schedule, LRScheduler) or isinstance(schedule, ReduceLROnPlateau):
                raise TypeError(f"SequentialLR: needs schedules whose step() takes no argument, schedulers[{i}] is of type "
                                f"{type(schedule).__name__}.")
            if schedule.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedulers[{i}], {type(schedule).__name__}, belongs to another optimizer. "
                                 "Build all schedules with the same one.")
        check_count("SequentialLR", least=0, **{f"milestones[{i}]": step for i, step in enumerate(milestones)})
        if not schedulers or len(milestones) != len(schedulers) - 1 or milestones != sorted(set(milestones)):
            raise ValueError(f"SequentialLR: needs one schedule or more and an increasing list of one milestone fewer, got "
                             f"{len(schedulers)} schedules and milestones {milestones}.")
        self.optimizer, self._schedulers, self._milestones = optimizer, schedulers, milestones
        self._begin([group["initial_lr"] for group in optimizer.param_groups])

    def _begin(self, lrs=None):
        self.last_epoch = 0
        current = self._schedulers[bisect_right(self._milestones, 0)]
        current._begin(lrs)
        self._last_lr = current.get_last_lr()

    def step(self):
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        current = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            current._begin()
        else:
            current.step()
        self._last_lr = current.get_last_lr()

    def state_dict(self):
        return {**super().state_dict(), "_schedulers": [schedule.state_dict() for schedule in self._schedulers]}

    def _take(self, state_dict):
        super()._take({**state_dict, "_schedulers": self._schedulers})
        for schedule, state in zip(self._schedulers, state_dict["_schedulers"]):
            schedule._take(state)

    def _check_state(self, state_dict):
        super()._check_state(state_dict)
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(f"SequentialLR.load_state_dict: the state has {len(states)} schedules, here are "
                             f"{len(self._schedulers)}. Build the same ones.")
        for schedule, state in zip(self._schedulers, states):
            schedule._check_state(state)


class OneCycleLR(LRScheduler):
    """Up to a very large rate and down to almost nothing, once; momentum runs the other way (arXiv:1708.07120).

    max_lr: the largest rate, one or one per group; the first is max_lr / div_factor, the last 1 / final_div_factor of that.
    total_steps: the length, or epochs * steps_per_epoch; step() belongs after every batch.  pct_start: the share of the way
    up.  anneal_strategy: "cos" or "linear".  cycle_momentum: run momentum (of Adam: betas[0]) from max_momentum to
    base_momentum and back.  three_phase: come down to the first rate as fast as up, then go on to the last.
    Raises ValueError for values out of range, for an optimizer without momentum, and in a step beyond total_steps
    (torch.optim.lr_scheduler.OneCycleLR).

    >>> from tinyvision import Parameter, optim
    >>> optimizer = optim.SGD([Parameter([1.0])], lr=1.0, momentum=0.9)
    >>> cycle = OneCycleLR(optimizer, 1.0, 7, div_factor=10, final_div_factor=10, pct_start=0.5, anneal_strategy="linear")
    >>> [round(lr, 3) for lr in rates(cycle, 7)]
    [0.1, 0.46, 0.82, 0.859, 0.576, 0.293, 0.01]
    """

    def __init__(self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3,
                 anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0,
                 final_div_factor=1e4, three_phase=False, last_epoch=-1):
        op = "OneCycleLR"
        check_optimizer(op, optimizer)
        total_steps = cycle_length(op, total_steps, epochs, steps_per_epoch)
        check_number(op, "pct_start", pct_start, "from 0 to 1", lambda value: 0 <= value <= 1)
        check_choice(op, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        for name, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            check_number(op, name, value, "above 0", lambda value: value > 0)
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(f"{op}: cycle_momentum needs an optimizer with momentum or betas, {type(optimizer).__name__} has "
                             "neither. Pass cycle_momentum=False.")
        if last_epoch != -1 and any("max_lr" not in group for group in optimizer.param_groups):
            raise ValueError(f"{op}: last_epoch={last_epoch} continues a cycle, but the groups of the optimizer have no "
                             "'max_lr'. Load the optimizer's state first, or leave last_epoch=-1.")
        ends = dict(max_lr=max_lr, **(dict(max_momentum=max_momentum, base_momentum=base_momentum) if cycle_momentum else {}))
        ends = {name: per_group(op, name, value, optimizer) for name, value in ends.items()}
        for i in range(len(optimizer.param_groups)):
            check_not_negative(op, {name: values[i] for name, values in ends.items()}, *ends)
        if last_epoch == -1:                              # kept in the groups, where the optimizer's state saves them
            for i, group in enumerate(optimizer.param_groups):
                group.update({name: values[i] for name, values in ends.items()})
                group["initial_lr"] = group["max_lr"] / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.total_steps, self.cycle_momentum, self._anneal_func_type = total_steps, cycle_momentum, anneal_strategy
        self._schedule_phases = phases(pct_start * total_steps, total_steps, three_phase)
        if cycle_momentum:
            self.use_beta1 = "betas" in optimizer.defaults
        super().__init__(optimizer, last_epoch)

    def step(self):
        if self.last_epoch >= self.total_steps:
            raise ValueError(f"OneCycleLR: the cycle has {self.total_steps} steps, and all are done. Give it one step per "
                             "batch of the whole training: total_steps=epochs * len(loader).")
        super().step()

    def get_lr(self):
        t, start = self.last_epoch, 0
        for phase in self._schedule_phases:
            if t <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            start = phase["end_step"]
        length = phase["end_step"] - start
        part = (t - start) / length if length else 1.0
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], part)
                group.update({"betas": (momentum, *group["betas"][1:])} if self.use_beta1 else {"momentum": momentum})
        return [self._between(group[phase["start_lr"]], group[phase["end_lr"]], part) for group in self.optimizer.param_groups]

    def _between(self, start, end, part):
        """The value after this part of the way from start to end."""
        if self._anneal_func_type == "cos":
            part = (1 - math.cos(math.pi * part)) / 2
        return start + (end - start) * part


def cycle_length(op, total_steps, epochs, steps_per_epoch):
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            raise ValueError(f"{op}: needs total_steps, or epochs and steps_per_epoch, got epochs={epochs} and "
                             f"steps_per_epoch={steps_per_epoch}. Pass total_steps=epochs * len(loader).")
        check_count(op, epochs=epochs, steps_per_epoch=steps_per_epoch)
        total_steps = epochs * steps_per_epoch
    check_count(op, total_steps=total_steps)
    return total_steps


def phases(rise, total, three):
    """The legs of a cycle, by the names of the values in a group between which they run."""
    up = ("initial_lr", "max_lr", "max_momentum", "base_momentum", float(rise - 1))
    down = ("max_lr", "min_lr", "base_momentum", "max_momentum", total - 1)
    back = ("max_lr", "initial_lr", "base_momentum", "max_momentum", float(2 * rise - 2))
    out = ("initial_lr", "min_lr", "max_momentum", "max_momentum", total - 1)
    names = "start_lr", "end_lr", "start_momentum", "end_momentum", "end_step"
    return [dict(zip(names, leg)) for leg in ((up, back, out) if three else (up, down))]


class ReduceLROnPlateau(LRScheduler):
    """The rate falls when a measured value stops improving (torch.optim.lr_scheduler.ReduceLROnPlateau).

    mode: "min" for a loss, "max" for an accuracy.  A value is better than the best so far if it beats it by `threshold`, a
    share of the best (threshold_mode "rel") or an absolute amount ("abs").  After more than `patience` steps without a better
    one, every rate is multiplied by factor, but not below min_lr (one, or one per group), and the next `cooldown` steps do not
    count; changes of eps or less are not made.  step(metrics) takes the value, after each validation.
    Raises ValueError unless 0 <= factor < 1, for unknown modes and negative values.

    >>> from tinyvision import Parameter, optim
    >>> optimizer = optim.SGD([Parameter([1.0])], lr=1.0)
    >>> plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in 3.0, 2.0, 2.0, 2.0:
    ...     plateau.step(loss)
    >>> plateau.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0,
                 min_lr=0, eps=1e-8):
        op = "ReduceLROnPlateau"
        check_optimizer(op, optimizer)
        check_choice(op, "mode", mode, ("min", "max"))
        check_choice(op, "threshold_mode", threshold_mode, ("rel", "abs"))
        check_number(op, "factor", factor, "at least 0 and below 1", lambda value: 0 <= value < 1)
        check_count(op, least=0, patience=patience, cooldown=cooldown)
        self.min_lrs = per_group(op, "min_lr", min_lr, optimizer)
        self.default_min_lr = None if isinstance(min_lr, (tuple, list)) else min_lr                 # for groups added later
        for value in self.min_lrs:
            check_not_negative(op, {"min_lr": value, "threshold": threshold, "eps": eps}, "min_lr", "threshold", "eps")
        self.optimizer, self.factor, self.patience, self.cooldown, self.eps = optimizer, factor, patience, cooldown, eps
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.cooldown_counter = self.num_bad_epochs = 0
        self._set(self._times(1))

    def step(self, metrics):
        """Report the value (a number, or a Tensor of one element) after an epoch."""
        value, lrs = as_float(metrics), self._times(1)
        least = self.min_lrs if self.default_min_lr is None else [self.default_min_lr] * len(lrs)
        self._check_groups(least)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            lower = [max(lr * self.factor, floor) for lr, floor in zip(lrs, least)]
            lrs = [new if lr - new > self.eps else lr for lr, new in zip(lrs, lower)]
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._set(lrs)

    def _is_better(self, value):
        sign = -1 if self.mode == "min" else 1
        bound = self.best * (1 + sign * self.threshold) if self.threshold_mode == "rel" else self.best + sign * self.threshold
        return sign * value > sign * bound
