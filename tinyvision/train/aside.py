"""Trying something out on the side: on copies, so that the user's network, optimiser and random numbers stay as they are.

A look at how training would go must not be a part of the training.  Network, optimiser and criterion are copied together, so
that the copied optimiser holds the copied weights; layers that draw (dropout) are copied with their generators.  A loader is
not copied, for it may hold all pictures: instead its place and the state of every random generator that can be reached from
it are noted and given back, as are the states of the engine's generator, NumPy's and Python's own.
"""

import contextlib
import copy
import random

import numpy as np

from ..backend import CPU
from ..nn import Module
from ..ops.device import moved
from ..random import default_generator, reached
from ..tensor import Tensor


@contextlib.contextmanager
def aside(who, model, *others, loaders=(), step=None):
    """A context manager: copies of the model and the others; at the end all random states are as they were.

    step: a function of the user's that will be run; should it work on the original model instead of the copy, then the
    weights are given back and ValueError is raised.
    """
    check_model(who, model)
    for loader in loaders:
        check_loader(who, loader)
    found = list(reached([default_generator(), loaders, others, step]))
    states = [(x, copy.deepcopy(x.bit_generator.state)) for x in found if isinstance(x, np.random.Generator)]
    places = [(x, dict(vars(x))) for x in found if hasattr(x, "__dict__") and hasattr(x, "__iter__") and hasattr(x, "state_dict")]
    legacy = np.random.get_state(), random.getstate()
    kept = {} if step is None else {x: x.data.copy() for x in [*model.parameters(), *model.buffers()]}
    try:
        copies = copied(who, model, others)
        copies[0].zero_grad()
        yield copies
    finally:
        np.random.set_state(legacy[0])
        random.setstate(legacy[1])
        for generator, state in states:
            generator.bit_generator.state = state
        for holder, attributes in places:
            vars(holder).update(attributes)
    changed = [x for x, before in kept.items() if not np.array_equal(x.data, before, equal_nan=True)]
    for x in changed:
        x.data[...] = kept[x]
        x.touch()
    if changed:
        raise ValueError(f"{who}: step changed {len(changed)} arrays of the model itself, which were given back; it must work on "
                         "the model and the optimiser that it is passed. Write step(model, optimizer, inputs, targets) and use "
                         "these names inside.")


def copied(who, model, others):
    try:
        return copy.deepcopy((model, *others))
    except TypeError as error:
        raise TypeError(f"{who}: works on copies, so that nothing of yours is changed, and cannot copy this: {error}. Keep open "
                        "files, locks and generators out of the attributes of the model.") from error


def check_model(who, model):
    if not isinstance(model, Module):
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"{who}: model must be a Module, got {got}.")


def check_loader(who, loader):
    """A loader must be something that can be gone through again."""
    if not hasattr(loader, "__iter__"):
        raise TypeError(f"{who}: loader must give batches in a for loop, got {type(loader).__name__}. Pass a DataLoader.")
    if hasattr(loader, "__next__"):
        raise TypeError(f"{who}: loader must be something to go through more than once, got a {type(loader).__name__}, which "
                        "would "
                        "be used up. Pass a DataLoader, or a list of batches.")


def pairs(who, loader, model=None):
    """The batches (inputs, targets) of a loader, for ever: when a pass ends the next begins.

    model: whose device they are moved to; None for main memory.
    """
    device = CPU if model is None else device_of_model(model)
    while True:
        empty = True
        for batch in loader:
            if not isinstance(batch, (list, tuple)) or len(batch) != 2:
                kind = f"{len(batch)} parts" if isinstance(batch, (list, tuple)) else type(batch).__name__
                raise TypeError(f"{who}: a batch must be a pair (inputs, targets), got {kind}. Give the loader a collate_fn that "
                                "makes pairs.")
            empty = False
            yield tuple(moved(batch, device))
        if empty:
            raise ValueError(f"{who}: the loader gave no batches. Check the data set, batch_size and drop_last.")


def tensors_in(outputs):
    """The Tensors of a network's outputs, which may be one, or come in lists, tuples and dicts.

    >>> from tinyvision import Tensor
    >>> [x.item() for x in tensors_in({"boxes": [Tensor(1.0), Tensor(2.0)], "scores": Tensor(3.0)})]
    [1.0, 2.0, 3.0]
    """
    if isinstance(outputs, Tensor):
        return [outputs]
    parts = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, (list, tuple)) else ()
    return [x for part in parts for x in tensors_in(part)]


def detached(outputs):
    """The outputs of a network outside its graph, for metrics."""
    if isinstance(outputs, Tensor):
        return outputs.detach()
    if isinstance(outputs, dict):
        return {key: detached(value) for key, value in outputs.items()}
    return type(outputs)(map(detached, outputs)) if type(outputs) in (list, tuple) else outputs


def device_of_model(model):
    """Where the first parameter of a network is; main memory for one without parameters."""
    return next((p.device for p in model.parameters()), CPU)


def one_step(model, optimizer, criterion, inputs, targets):
    """A step of training as the loop of `fit` has it; returns the loss."""
    loss = criterion(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss
