"""What all schedules of the learning rate share; the schedules themselves are in lr_scheduler.py.

A schedule writes group["lr"] of every parameter group, once when it is made and again in every step().  Its clock is
`last_epoch`, t in the formulas: 0 after it was made, one more with each step().  Most schedules multiply the rate that stands
in the group by f(t) / f(t - 1), where f is the shape they document, instead of writing base_lr * f(t): so two of them can
act on one optimizer, and a rate changed by hand stays changed.

To resume, build optimizer and schedule as before, then load the states of both; the schedule's alone does not set the
optimizer's rate.  Names, arguments, arithmetic and states are those of torch.optim.lr_scheduler.
"""

import copy
import numbers
import warnings

from .optimizer import Optimizer


class LRScheduler:
    """The base of all schedules (torch.optim.lr_scheduler.LRScheduler).

    optimizer: whose rates to set; last_epoch: the number of the last step done, -1 for a new run (otherwise its groups
    must have an `initial_lr`, as after loading a saved state).

    A schedule of your own is a subclass with get_lr(), which returns the rate of each group for step `self.last_epoch`, from
    `self.base_lrs` (the rates at the start) or from the groups of `self.optimizer`.
    Raises TypeError without an optimizer, ValueError for a last_epoch that the optimizer knows nothing of.

    >>> from tinyvision import Parameter
    >>> from tinyvision.optim import SGD
    >>> class Harmonic(LRScheduler):
    ...     def get_lr(self):
    ...         return [lr / (1 + self.last_epoch) for lr in self.base_lrs]
    >>> optimizer = SGD([Parameter([1.0])], lr=0.5)
    >>> schedule = Harmonic(optimizer); optimizer.step(); schedule.step(); schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, last_epoch=-1):
        name = type(self).__name__
        check_optimizer(name, optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(f"{name}: last_epoch={last_epoch} continues a schedule, but group {i} of the optimizer has "
                                 "no 'initial_lr'. Load the optimizer's state first, or leave last_epoch=-1.")
        self.optimizer, self.last_epoch = optimizer, last_epoch
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self._first_step()

    def _first_step(self):
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def _begin(self, lrs=None):
        """Step 0 from these rates, the base rates if not given, whatever went before."""
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs if lrs is None else lrs):
            group["lr"] = lr
        self.last_epoch = -1
        self._first_step()

    def step(self):
        """Set the learning rates of the next epoch (or batch, whatever the schedule counts)."""
        optimizer = self.optimizer
        if self._step_count == 1 and not optimizer.stepped and type(optimizer).step is Optimizer.step:
            warnings.warn(f"{type(self).__name__}: step() came before the first optimizer.step(), so the first learning rate "
                          "of the schedule was never used. Call optimizer.step() first.", stacklevel=2)
        self._step_count += 1
        self.last_epoch += 1
        self._set(self.get_lr())

    def get_lr(self):
        raise NotImplementedError(f"{type(self).__name__}: a schedule must define get_lr().")

    def _set(self, lrs):
        self._check_groups(lrs)
        self._last_lr = [as_float(lr) for lr in lrs]
        for group, lr in zip(self.optimizer.param_groups, self._last_lr):
            group["lr"] = lr

    def _check_groups(self, values):
        if len(values) != len(self.optimizer.param_groups):
            raise ValueError(f"{type(self).__name__}: was made for {len(values)} parameter groups, the optimizer has "
                             f"{len(self.optimizer.param_groups)} now. Make the schedule after add_param_group().")

    def _times(self, factor):
        """The rates that stand in the groups, times a factor."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def get_last_lr(self):
        """The learning rates set by the last step(), one per parameter group."""
        return self._last_lr

    def state_dict(self):
        """Everything but the optimizer, as a dict."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict):
        """Go on where the schedule stood that gave this state.  Load the optimizer's state as well: it holds the rates.

        Raises TypeError for what is not a dict, ValueError where it lacks something or has other groups; then nothing was
        changed.
        """
        self._check_state(state_dict)
        self._take(state_dict)

    def _take(self, state_dict):
        for name in self.state_dict():
            setattr(self, name, state_dict[name])

    def _check_state(self, state_dict):
        op = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, dict):
            raise TypeError(f"{op}: needs a dict, got {type(state_dict).__name__}. Pass what state_dict() gave.")
        missing = [name for name in self.state_dict() if name not in state_dict]
        if missing:
            raise ValueError(f"{op}: the state lacks {', '.join(missing)}. Was it saved by another schedule?")
        if len(state_dict["_last_lr"]) != len(self.optimizer.param_groups):
            raise ValueError(f"{op}: the state has {len(state_dict['_last_lr'])} learning rates, the optimizer has "
                             f"{len(self.optimizer.param_groups)} groups. Build the optimizer as it was when it was saved.")


def rates(schedule, steps):
    """The first group's learning rates in this step and the next, `steps` in all, for a plot.  Nothing is changed."""
    optimizer, before = schedule.optimizer, copy.deepcopy(schedule.state_dict())
    groups, stepped, found = [dict(group) for group in optimizer.param_groups], optimizer.stepped, []
    optimizer.stepped = True
    try:
        for i in range(steps):
            if i:
                schedule.step()
            found.append(schedule.get_last_lr()[0])
    finally:
        optimizer.stepped = stepped
        schedule._take(before)
        for group, options in zip(optimizer.param_groups, groups):
            group.update(options)
    return found


# Checks of arguments.


def check_optimizer(op, optimizer):
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{op}: optimizer must be an Optimizer, got {type(optimizer).__name__}. Pass it first.")


def check_count(op, least=1, **counts):
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{op}: {name} must be an integer, got {value!r}. It counts steps.")
        if value < least:
            raise ValueError(f"{op}: {name} must be at least {least}, got {value}.")


def check_choice(op, name, value, choices):
    if value not in choices:
        raise ValueError(f"{op}: {name} must be {' or '.join(map(repr, choices))}, got {value!r}.")


def per_group(op, name, value, optimizer):
    """One value for all parameter groups, or a list with one for each, as a list."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (tuple, list)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{op}: {name} must be one value or one for each of the {groups} parameter groups, "
                         f"got {len(values)}.")
    return values


def as_float(value):
    """Python's float: rates are saved, and a float64 of NumPy would drag the arithmetic of float32 weights along."""
    return float(value)
