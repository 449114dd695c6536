"""Layers that are one matrix product, or one look-up: Linear, Bilinear, Embedding.

    Linear       y = x W^T + b                 W (O, I)          W, b uniform +-1/sqrt(I)
    Bilinear     y_o = x1^T W_o x2 + b_o       W (O, I1, I2)     W, b uniform +-1/sqrt(I1)
    Embedding    y = W[index]                  W (V, D)          W normal, mean 0, standard deviation 1

Source: torch.nn.Linear, Bilinear, Embedding, whose first values these are.
"""

from math import sqrt

import numpy as np

from .. import functional as F
from ..autograd import no_grad
from ..tensor import Parameter
from . import init
from .checks import flag, whole
from .module import Module


class Linear(Module):
    """A fully connected layer: every output is a weighted sum of all inputs (torch.nn.Linear).

    Shapes: input (*, I) -> (*, O); weight (O, I), bias (O,).
    Raises ValueError for sizes below 1 and, when called, for an input whose last axis is not I.

    >>> from tinyvision import Tensor
    >>> Linear(784, 10)(Tensor(np.zeros((64, 784), "float32"))).shape
    (64, 10)
    """

    def __init__(self, in_features, out_features, bias=True):
        whole("Linear", in_features=in_features, out_features=out_features)
        flag("Linear", bias=bias)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_features, np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))     # the bound is 1 / sqrt(I)
        if self.bias is not None:
            bound = 1 / sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """A form that is linear in each of two inputs: it weighs every product of a feature with a feature (torch.nn.Bilinear).

    Shapes: input1 (*, I1), input2 (*, I2) -> (*, O); weight (O, I1, I2), bias (O,).
    Raises ValueError for sizes below 1 and, when called, for inputs of other sizes.

    >>> from tinyvision import Tensor
    >>> Bilinear(3, 4, 2)(Tensor(np.zeros((8, 3), "float32")), Tensor(np.zeros((8, 4), "float32"))).shape
    (8, 2)
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True):
        whole("Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        flag("Bilinear", bias=bias)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(np.empty((out_features, in1_features, in2_features), np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_features, np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias anew."""
        bound = 1 / sqrt(self.in1_features)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def forward(self, input1, input2):
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        return (f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")


class Embedding(Module):
    """A learnt vector for each of V things: a table whose rows are looked up by number (torch.nn.Embedding).

    Shapes: input (*) of integers in 0..V-1 -> (*, D); weight (V, D).
    num_embeddings, embedding_dim: V and D.  padding_idx: this row starts as zeros and is never learned.
    Raises ValueError for sizes below 1 and a padding_idx outside of -V..V-1; TypeError when called with other than integers.

    >>> Embedding(10, 3)(np.array([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None):
        whole("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            whole("Embedding", -num_embeddings, padding_idx=padding_idx)
            if padding_idx >= num_embeddings:
                raise ValueError(f"Embedding: padding_idx must be below num_embeddings, got padding_idx={padding_idx} and "
                                 f"num_embeddings={num_embeddings}.")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
