"""tinyvision: a small deep-learning engine for computer vision, to read, to check gradients with and to train with."""

__version__ = "0.1.0"

from . import cuda, ops  # noqa: F401  (ops gives Tensor its operators)
from .autograd import enable_grad, grad, is_grad_enabled, no_grad
from .kernels.cuda.tf32 import allow_tf32, is_tf32_allowed
from .kernels.registry import get_num_threads, set_num_threads, use_kernels
from .ops.arithmetic import add, divide, maximum, minimum, multiply, negative, power, subtract, where
from .ops.broadcast import broadcast_to, sum
from .ops.elementwise import abs, astype, clip, copy, cos, erf, exp, log, log1p, sigmoid, sign, sin, sqrt, tanh
from .ops.index import argsort, repeat, sort, take, take_along_axis
from .ops.matmul import matmul
from .ops.movement import (concatenate, expand_dims, flatten, flip, moveaxis, ravel, reshape, split, squeeze, stack, swapaxes,
                           transpose)
from .ops.reduce import all, any, argmax, argmin, cumsum, logsumexp, max, mean, min, prod, std, var
from .random import default_generator, manual_seed
from .tensor import Op, Parameter, Tensor, from_dlpack

# What `from tinyvision import *` takes.  NumPy's names stay behind `tinyvision.`, or they would hide Python's own sum and max.
__all__ = ["Op", "Parameter", "Tensor", "allow_tf32", "cuda", "default_generator", "enable_grad", "from_dlpack", "get_num_threads",
           "grad", "is_grad_enabled", "is_tf32_allowed", "manual_seed", "no_grad", "set_num_threads", "use_kernels"]
