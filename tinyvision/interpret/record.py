"""Reading what the layers compute: any layer's output, by the layer's name, while the network runs in evaluation mode.

A layer is named by its path, "layer1.0.conv1"; a module that is called several times in one pass (one pooling for all levels of
a network) gives "pool" for the first call, "pool #2" for the second.  Forward hooks catch the outputs, and they are gone when
the pass is over.  What lies behind the last layer that was asked for is not computed.
"""

import contextlib

import numpy as np

from ..autograd import no_grad
from ..backend import CPU, to_device
from ..nn import Module
from ..nn.checks import whole
from ..ops.device import on_host
from ..tensor import Tensor


class Enough(BaseException):
    """Ends a forward pass when everything was seen; no `except Exception` of a network's catches it."""


def check_model(who, model):
    if not isinstance(model, Module):
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"{who}: model must be a Module, got {got}.")


@contextlib.contextmanager
def evaluating(model):
    """Evaluation mode inside the block (batch norm by its running statistics, no dropout), each module's own mode after it."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield model
    finally:
        for module, mode in modes:
            module.training = mode


def as_batch(who, model, images, least=3):
    """Pictures as an array (N, C, *S) in the dtype that the model's weights have."""
    x = np.asarray(on_host(images))
    if x.dtype.kind != "f":
        raise TypeError(f"{who}: images must hold floats, prepared as the network takes them, got {x.dtype}. "
                        "Bytes become brightness by images.astype('float32') / 255.")
    if x.ndim < least or 0 in x.shape:
        raise ValueError(f"{who}: images must be a batch (N, C, ...), not empty, got shape {x.shape}. A single picture needs a "
                         "batch axis: x[None].")
    if not np.isfinite(x).all():
        raise ValueError(f"{who}: images must be finite, got {x[~np.isfinite(x)][0]}. Look for a division by 0 in what prepares "
                         "them.")
    return x.astype(dtype_of(model, x.dtype), copy=False)


def dtype_of(model, default=np.dtype("float32")):
    """The dtype of the first floating-point parameter."""
    return next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), default)


def shown(model, x, requires_grad=False):
    """An array as a Tensor where the model is."""
    device = next((p.device for p in model.parameters()), CPU)
    return Tensor(to_device(np.ascontiguousarray(x), device), requires_grad=requires_grad)


def split_name(name):
    """ "pool #2" is the second call of the module at "pool"."""
    path, mark, call = name.rpartition(" #")
    return (path, int(call)) if mark and call.isdigit() and int(call) > 0 else (name, 1)


def watched_modules(who, model, names):
    """{module: [(name, which call)]}, for names that the model has."""
    modules, wanted = dict(model.named_modules(remove_duplicate=False)), {}
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{who}: a layer is named by its path, a string, got {type(name).__name__}.")
        path, call = split_name(name)
        if path not in modules:
            known = [path for path in modules if path]
            listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise ValueError(f"{who}: {type(model).__name__} has no layer {path!r}. There is: {listed or 'none'}.")
        wanted.setdefault(modules[path], []).append((name, call))
    return wanted


def run(who, model, x, names=(), through=False):
    """One pass forward: (the model's output, {name: the output Tensor of that layer}).

    through: go on to the end; otherwise the pass ends where the last of the named layers was seen, and the output is None.
    """
    wanted, found, calls, handles = watched_modules(who, model, names), {}, {}, []

    def hook(module, args, output):
        calls[module] = calls.get(module, 0) + 1
        for name, call in wanted[module]:
            if call == calls[module]:
                found[name] = check_output(who, name, output)
        if len(found) == len(set(names)) and not through:
            raise Enough

    try:
        for module in wanted:
            handles.append(module.register_forward_hook(hook))
        output = model(x)
    except Enough:
        output = None
    finally:
        for handle in handles:
            handle.remove()
    for name in names:
        if name not in found:
            seen = max(calls.get(module, 0) for module, pairs in wanted.items() if name in dict(pairs))
            raise ValueError(f"{who}: the layer {name!r} gave no output in this pass, its module was called {seen} times. Name a "
                             "layer that the forward pass calls; containers like ModuleList are never called themselves.")
    return output, found


def check_output(who, name, output):
    if not isinstance(output, Tensor):
        raise TypeError(f"{who}: the output of layer {name!r} must be one Tensor, got {type(output).__name__}. Name a layer "
                        "inside of it.")
    return output


def activations(model, images, layers, *, batch_size=32):
    """The outputs of named layers for a batch of pictures, computed in evaluation mode.

    Shapes: images (N, C, *S), floats, as the network takes them -> {name: array (N, ...)}, or for one name its array.
    layers: a name, or several; see model.named_modules() for the paths.  A module called repeatedly has "pool", "pool #2", ...
    batch_size: how many pictures go through at a time.  Modes and hooks are as before afterwards.
    Raises ValueError for names that the model does not have or does not call, TypeError for layers whose output is no Tensor.

    >>> from tinyvision import models
    >>> found = activations(models.LeNet5(), np.zeros((2, 1, 28, 28), "float32"), ["conv1", "pool #2"])
    >>> {name: y.shape for name, y in found.items()}
    {'conv1': (2, 6, 28, 28), 'pool #2': (2, 16, 5, 5)}
    """
    who = "activations"
    check_model(who, model)
    whole(who, batch_size=batch_size)
    x, names = as_batch(who, model, images, 1), [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError(f"{who}: layers must name at least one layer, got none.")
    parts = []
    with evaluating(model), no_grad():
        for start in range(0, len(x), batch_size):
            _, found = run(who, model, shown(model, x[start:start + batch_size]), names)
            parts.append({name: np.array(on_host(y)) for name, y in found.items()})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return joined[layers] if isinstance(layers, str) else joined
