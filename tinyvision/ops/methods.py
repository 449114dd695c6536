"""Which operation serves which method or operator of Tensor, and which NumPy function: tables, and their installation."""

import operator

import numpy as np

from ..tensor import Tensor, raw, recording, result, tracked
from . import arithmetic, broadcast, device, elementwise, index, matmul, movement, reduce

METHODS = {
    "__add__": arithmetic.add, "__sub__": arithmetic.subtract, "__mul__": arithmetic.multiply,
    "__truediv__": arithmetic.divide, "__pow__": arithmetic.power, "__matmul__": matmul.matmul,
    "__neg__": arithmetic.negative, "__pos__": elementwise.copy, "__abs__": elementwise.abs, "__getitem__": index.getitem,
    "sum": broadcast.sum, "mean": reduce.mean, "var": reduce.var, "std": reduce.std, "max": reduce.max, "min": reduce.min,
    "prod": reduce.prod, "cumsum": reduce.cumsum, "take": index.take, "repeat": index.repeat, "argsort": index.argsort,
    "reshape": movement.reshape, "ravel": movement.ravel, "transpose": movement.transpose, "swapaxes": movement.swapaxes,
    "squeeze": movement.squeeze, "flatten": movement.flatten,
    "astype": elementwise.astype, "clip": elementwise.clip, "copy": elementwise.copy, "argmax": reduce.argmax,
    "argmin": reduce.argmin, "all": reduce.all, "any": reduce.any,
    "exp": elementwise.exp, "log": elementwise.log, "sqrt": elementwise.sqrt, "abs": elementwise.abs,
    "tanh": elementwise.tanh, "sigmoid": elementwise.sigmoid, "to": device.to, "cuda": device.cuda, "cpu": device.cpu,
}

REFLECTED = {                                             # number or array on the left, Tensor on the right
    "__radd__": arithmetic.add, "__rsub__": arithmetic.subtract, "__rmul__": arithmetic.multiply,
    "__rtruediv__": arithmetic.divide, "__rpow__": arithmetic.power, "__rmatmul__": matmul.matmul,
}

COMPARISONS = {                                           # booleans and integers: computed, never recorded
    "__eq__": np.equal, "__ne__": np.not_equal, "__lt__": np.less, "__le__": np.less_equal, "__gt__": np.greater,
    "__ge__": np.greater_equal, "__and__": np.bitwise_and, "__or__": np.bitwise_or, "__xor__": np.bitwise_xor,
    "__invert__": np.invert, "__floordiv__": np.floor_divide, "__mod__": np.mod,
}

UFUNCS = {                                                # np.exp(tensor) and array + tensor arrive here
    np.add: arithmetic.add, np.subtract: arithmetic.subtract, np.multiply: arithmetic.multiply,
    np.divide: arithmetic.divide, np.power: arithmetic.power, np.negative: arithmetic.negative,
    np.maximum: arithmetic.maximum, np.minimum: arithmetic.minimum, np.matmul: matmul.matmul,
    np.exp: elementwise.exp, np.log: elementwise.log, np.log1p: elementwise.log1p, np.sqrt: elementwise.sqrt,
    np.sin: elementwise.sin, np.cos: elementwise.cos, np.tanh: elementwise.tanh, np.absolute: elementwise.abs,
    np.sign: elementwise.sign,
}

FUNCTIONS = {                                             # np.sum(tensor) arrives here
    np.sum: broadcast.sum, np.mean: reduce.mean, np.var: reduce.var, np.std: reduce.std, np.max: reduce.max,
    np.min: reduce.min, np.argmax: reduce.argmax, np.argmin: reduce.argmin, np.cumsum: reduce.cumsum,
    np.all: reduce.all, np.any: reduce.any, np.clip: elementwise.clip, np.copy: elementwise.copy,
    np.reshape: movement.reshape, np.transpose: movement.transpose, np.swapaxes: movement.swapaxes,
    np.moveaxis: movement.moveaxis, np.squeeze: movement.squeeze, np.expand_dims: movement.expand_dims,
    np.flip: movement.flip, np.concatenate: movement.concatenate, np.stack: movement.stack, np.split: movement.split,
    np.broadcast_to: broadcast.broadcast_to, np.where: arithmetic.where, np.take_along_axis: index.take_along_axis,
    np.prod: reduce.prod, np.take: index.take, np.repeat: index.repeat, np.argsort: index.argsort, np.sort: index.sort,
    np.ravel: movement.ravel,
}

ELSEWHERE = {                                             # PyTorch's names for what NumPy's methods call otherwise
    "view": "x.reshape(shape)", "unsqueeze": "tinyvision.expand_dims(x, axis), or x[:, None]", "permute": "x.transpose(axes)",
    "expand": "tinyvision.broadcast_to(x, shape)", "clone": "x.copy()", "dim": "x.ndim", "numel": "x.size", "t": "x.T",
    "float": "x.astype('float32')", "double": "x.astype('float64')", "long": "x.astype('int64')", "type": "x.astype(dtype)",
    "pow": "x ** y", "mm": "x @ y", "matmul": "x @ y", "dot": "x @ y", "norm": "(x * x).sum() ** 0.5", "eq": "x == y",
    "softmax": "functional.softmax(x, dim)", "log_softmax": "functional.log_softmax(x, dim)", "relu": "functional.relu(x)",
    "requires_grad_": "x.requires_grad = True", "grad_fn": "x.op",
    "zero_": "x.data[...] = 0, or x.grad = None to forget a gradient", "zero_grad": "x.grad = None",
    "add_": "x += y", "sub_": "x -= y", "mul_": "x *= y", "div_": "x /= y", "copy_": "x[...] = y", "fill_": "x[...] = y",
}


class Elsewhere:
    """PyTorch's name of a method, which Tensor has not: who looks for it is told NumPy's.

    A descriptor for each name, for a __getattr__ would make every access to any attribute of a Tensor several times slower.
    """

    def __init__(self, name, hint):
        self.name, self.hint = name, hint

    def __get__(self, tensor, owner):
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}. Use {self.hint}.", name=self.name,
                             obj=tensor)


def install():
    """Give Tensor its methods."""
    for name, function in METHODS.items():
        setattr(Tensor, name, function)
    for name, function in REFLECTED.items():
        setattr(Tensor, name, reflected(name, function))
    for name, ufunc in COMPARISONS.items():
        setattr(Tensor, name, compared(name, ufunc))
    for name in ("__iadd__", "__isub__", "__imul__", "__itruediv__"):
        setattr(Tensor, name, in_place(name, METHODS[name.replace("__i", "__")]))
    for name, hint in ELSEWHERE.items():
        setattr(Tensor, name, Elsewhere(name, hint))
    Tensor.__dir__ = lambda self: [name for name in object.__dir__(self) if name not in ELSEWHERE]
    Tensor.__array_ufunc__ = array_ufunc
    Tensor.__array_function__ = array_function


def reflected(name, function):
    def method(self, other):
        return function(other, self)
    method.__name__ = name
    return method


def compared(name, ufunc):
    def method(self, *other):
        return result(ufunc(raw(self), *map(raw, other)))
    method.__name__ = name
    return method


def in_place(name, function):
    """x += y.  Under no_grad, or between constants, the array is changed; in a graph x becomes the new tensor x + y."""
    array_method = getattr(operator, name)

    def method(self, other):
        if not (recording.on and (tracked(self) or tracked(other))):
            array_method(raw(self), raw(other))
            self.touch()
            return self
        if tracked(self) and self.is_leaf:
            raise RuntimeError(f"{name}: a leaf that requires a gradient cannot change in a recorded computation. "
                               "Write y = x + ... for a new tensor, or update weights under `with no_grad():`.")
        return function(self, other)
    method.__name__ = name
    return method


def array_ufunc(self, ufunc, method, *inputs, **options):
    """NumPy's elementwise functions on Tensors: ours where there is one, its own where no gradient is at stake."""
    if method == "__call__" and not options and ufunc in UFUNCS:
        return UFUNCS[ufunc](*inputs)
    plain = method == "__call__" and "out" not in options
    if plain and (ufunc in COMPARISONS.values() or not (recording.on and any(map(tracked, inputs)))):
        y = ufunc(*map(raw, inputs), **options)
        return tuple(map(result, y)) if isinstance(y, tuple) else result(y)
    raise TypeError(f"numpy.{ufunc.__name__}: is not defined in this form for Tensors in a graph. Use the functions of "
                    "tinyvision.functional, write x = x + y instead of x += y on an array, or take the plain array x.data.")


def array_function(self, function, types, args, options):
    """NumPy's other functions on Tensors: ours where there is one, else on plain arrays if no gradient is at stake."""
    if function in FUNCTIONS:
        return FUNCTIONS[function](*args, **options)

    def plain(x):
        return type(x)(map(plain, x)) if type(x) in (list, tuple) else np.asarray(x) if isinstance(x, Tensor) else x
    return function(*plain(args), **{name: plain(x) for name, x in options.items()})


install()
