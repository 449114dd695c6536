"""What a run is, in words and numbers: by this a snapshot of another run is told, and what the other one has otherwise.

Not everything need agree: a run may go on for more epochs, with more patience, or with worker processes for its batches.
"""

import types

from ..backend import is_array
from ..nn import Module
from ..tensor import Tensor, raw

SHOWN = 6                                                 # differences in a message


def settings_of(model, optimizer, scheduler, loader, criterion, metrics, **numbers):
    """The description of a run: nested dicts of numbers and text."""
    groups = {f"group {i}": {**group, "params": len(group["params"])} for i, group in enumerate(optimizer.param_groups)}
    place = loader.state_dict() if hasattr(loader, "state_dict") else {}
    return described({
        "model": {"class": name_of(model), **{path: f"{raw(x).dtype} {x.shape}" for path, x in model.state_dict().items()}},
        "optimizer": {"class": name_of(optimizer), **groups},
        "scheduler": None if scheduler is None else {"class": name_of(scheduler), **scheduler.state_dict()},
        "loader": {name: place[name] for name in ("size", "batch_size", "shuffle", "drop_last") if name in place},
        "criterion": criterion, "metrics": {name: name_of(metric) for name, metric in (metrics or {}).items()}, **numbers})


def described(value):
    """Numbers and text as they are, containers of them, and anything else by its name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): described(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(v) for v in value]
    if isinstance(value, Tensor) or is_array(value):
        return raw(value).tolist() if raw(value).size < 100 else f"{raw(value).dtype} {raw(value).shape}"
    return repr(value) if isinstance(value, Module) else name_of(value)


def name_of(x):
    """The name of a function, or of an object's class."""
    if isinstance(x, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)):
        return x.__qualname__
    return type(x).__qualname__


def differences(ours, theirs):
    """What differs between two descriptions, one sentence each.

    >>> differences({"lr": 0.1, "model": {"class": "MLP"}}, {"lr": 0.2, "model": {"class": "MLP", "bias": "float32 (3,)"}})
    ['lr is 0.1 here and 0.2 there', 'model.bias is nothing here and float32 (3,) there']
    """
    found = [f"{path} is {a} here and {b} there" for path, a, b in compared(ours, theirs, "")]
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"and {len(found) - SHOWN} more"]


def compared(ours, theirs, path):
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.get("class") == theirs.get("class"):
        for key in {**ours, **theirs}:
            yield from compared(ours.get(key, "nothing"), theirs.get(key, "nothing"), f"{path}.{key}" if path else key)
    elif ours != theirs:
        yield path, short(ours), short(theirs)


def short(value):
    text = value["class"] if isinstance(value, dict) and "class" in value else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
