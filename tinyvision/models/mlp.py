"""MLP, the fully connected network: every layer multiplies by a matrix, adds a bias, and all but the last bend the result.

    a_m = relu(W_m a_{m-1} + b_m),   a_0 = the picture as one long vector,   logits = W_M a_{M-1} + b_M

    layer            output        weights
    flatten          (N, I)        -
    linear + ReLU    (N, H_m)      (H_{m-1} + 1) * H_m
    linear           (N, K)        (H_M + 1) * K

The vector forgets which pixels were neighbours: permute them all alike and the network learns no worse.  That is what the
convolutional networks in this folder improve on.

Source: Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors.
"""

from math import prod

from .. import nn
from ..ops.shapes import check_array


class MLP(nn.Module):
    """A fully connected network on pictures of any shape.

    Shapes: input (N, ...) with in_features numbers per picture -> logits (N, num_classes).
    hidden: the sizes of the hidden layers.
    Raises ValueError when a picture does not have in_features numbers.

    >>> model = MLP(28 * 28, hidden=(100,), num_classes=10)
    >>> sum(p.size for p in model.parameters())
    79510
    """

    def __init__(self, in_features, hidden=(256, 128), num_classes=10):
        if not isinstance(hidden, (tuple, list)):
            raise TypeError(f"MLP: hidden must be a tuple, one width per hidden layer, got {hidden!r}. Use ({hidden!r},).")
        sizes = [in_features, *hidden]
        layers = []
        for before, after in zip(sizes, sizes[1:]):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.in_features = in_features
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))

    def forward(self, x):
        check_array("MLP", input=x)
        if x.ndim < 2 or prod(x.shape[1:]) != self.in_features:
            raise ValueError(f"MLP: input must be (N, ...) with {self.in_features} numbers per picture, got shape {x.shape}. "
                             "A single picture needs a batch axis: x[None].")
        return self.layers(x.reshape((len(x), self.in_features)))
