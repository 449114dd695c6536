"""Gradients kept in bounds, and all parameters as one vector.

A single bad batch can give a gradient hundreds of times the usual; one step along it undoes much training.  Clipping the norm
keeps its direction and limits its length:

    g <- g * min(1, max_norm / (|g| + 1e-6)),        |g| the norm over all gradients together, as if they were one vector

Sources: Pascanu, Mikolov and Bengio 2012, arXiv:1211.5063, algorithm 1; torch.nn.utils.
"""

from math import inf

import numpy as np

from ..autograd import no_grad
from ..backend import array_module, on_device
from ..kernels import update as kernels
from ..ops.movement import concatenate
from ..tensor import Tensor, raw
from .checks import at_least, positive


def gradients(parameters):
    """The gradients that are there, of one Tensor or several."""
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in parameters if p.grad is not None]


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Shrink all gradients by one factor, so that their common norm is at most max_norm (torch.nn.utils.clip_grad_norm_).

    parameters: Tensors or one Tensor; those without `.grad` are skipped.  norm_type: p of the p-norm, or float('inf').
    error_if_nonfinite: refuse a norm that is infinite or not a number (else it spreads to the gradients).
    Returns the norm before, as a Tensor (), on the device of the first gradient, from which nothing is read.
    Raises ValueError for max_norm < 0 or norm_type <= 0, RuntimeError for a refused norm; nothing is changed then.

    >>> x = Tensor([3.0, 4.0], requires_grad=True); (x * x / 2).sum().backward()
    >>> clip_grad_norm_([x], max_norm=1.0), x.grad.data.round(3)
    (Tensor(5.), array([0.6, 0.8], dtype=float32))
    """
    at_least("clip_grad_norm_", 0, max_norm=max_norm)
    positive("clip_grad_norm_", norm_type=norm_type)
    grads = gradients(parameters)
    arrays = [raw(g) for g in grads]
    norm = Tensor(total_norm(arrays, norm_type))
    if error_if_nonfinite and not np.isfinite(norm.item()):
        raise RuntimeError(f"clip_grad_norm_: the norm of order {norm_type} of the gradients is {norm.item()}. Look for the "
                           "first layer whose output is not finite, lower the learning rate, or pass error_if_nonfinite=False.")
    length = raw(norm) if on_device(raw(norm)) else norm.item()               # a GPU's is not read
    scale = np.minimum(max_norm / (length + 1e-6), 1.0)                       # stays "not a number" if the norm is
    with np.errstate(invalid="ignore"):                                       # infinity * 0
        bound(grads, arrays, scale)
    return norm


def bound(grads, arrays, factor, limit=inf):
    """Multiply gradients by a factor, then limit their elements, in place."""
    if arrays and (on_device(factor) or factor != 1 or limit < inf):
        kernels.bound(arrays[0], arrays, factor, limit)
        for g in grads:
            if isinstance(g, Tensor):
                g.touch()


def total_norm(arrays, p):
    """The p-norm of all elements; each array's share is summed in float64, where squares do not overflow."""
    if not arrays:
        return np.float32(0)
    if on_device(arrays[0]):
        return norm_on_device(arrays, p)
    with np.errstate(invalid="ignore", over="ignore"):
        if p == float("inf"):
            norms = [float(abs(a).max()) for a in arrays if a.size]
            return arrays[0].dtype.type(np.max(norms) if norms else 0)
        if p == 2:
            return arrays[0].dtype.type(kernels.square_sum(arrays[0], arrays) ** 0.5)
        powers = [float((abs(a.astype(np.float64)) ** p).sum()) for a in arrays]
        return arrays[0].dtype.type(sum(powers) ** (1 / p))


def norm_on_device(arrays, p):
    """The same as an array of a GPU, of shape (); the shares stay there."""
    if p == inf:
        xp = array_module(arrays[0])
        norm = xp.stack([abs(a).max() for a in arrays if a.size] or [xp.zeros(())]).max()
    elif p == 2:
        norm = kernels.square_sum(arrays[0], arrays) ** 0.5
    else:
        norm = sum((abs(a.astype("float64")) ** p).sum() for a in arrays) ** (1 / p)
    return array_module(arrays[0]).asarray(norm, arrays[0].dtype)


def clip_grad_value_(parameters, clip_value):
    """Limit every element of every gradient to [-clip_value, clip_value] (torch.nn.utils.clip_grad_value_).

    Raises ValueError for clip_value < 0.

    >>> x = Tensor([3.0, -0.5], requires_grad=True); (x * x / 2).sum().backward()
    >>> clip_grad_value_([x], 1.0); x.grad
    Tensor([ 1. , -0.5])
    """
    at_least("clip_grad_value_", 0, clip_value=clip_value)
    grads = gradients(parameters)
    bound(grads, [raw(g) for g in grads], 1.0, float(clip_value))


def parameters_to_vector(parameters):
    """All parameters, flattened and joined to one vector; gradients flow back (torch.nn.utils.parameters_to_vector).

    Shapes: any -> (P,), P the number of elements.
    Raises ValueError for no parameters.

    >>> parameters_to_vector([Tensor([[1.0, 2.0]]), Tensor([3.0])])
    Tensor([1., 2., 3.])
    """
    parameters = list(parameters)
    if not parameters:
        raise ValueError("parameters_to_vector: needs at least one parameter. Did module.parameters() run out before?")
    return concatenate([p.reshape((p.size,)) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Write the pieces of a vector into the parameters, in place: undoes parameters_to_vector (torch.nn.utils).

    Shapes: vec (P,), P the number of elements of all parameters.
    Raises TypeError unless vec is a Tensor, ValueError for another shape; nothing is changed then.

    >>> w = Tensor([[0.0, 0.0]]); vector_to_parameters(Tensor([1.0, 2.0]), [w]); w
    Tensor([[1., 2.]])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: vec must be a Tensor, got {type(vec).__name__}. Use Tensor(vec).")
    parameters = list(parameters)
    size = sum(p.size for p in parameters)
    if vec.shape != (size,):
        raise ValueError(f"vector_to_parameters: vec must have shape ({size},), one number per element of the parameters, got "
                         f"{vec.shape}.")
    start = 0
    with no_grad():
        for p in parameters:
            p[...] = raw(vec)[start:start + p.size].reshape(p.shape)
            start += p.size
