"""tinyvision: a small deep-learning engine for computer vision, to read, to check gradients with and to train with."""

__version__ = "0.1.0"

from . import ops
from .autograd import enable_grad, grad, is_grad_enabled, no_grad
from .tensor import Op, Parameter, Tensor
