"""LeNet-5, the network that read the digits on cheques.

    layer     kernel, channels            output (N, ...)    weights
    conv1     5x5, 1 -> 6                 6, 28, 28          156
    pool      2x2, stride 2               6, 14, 14
    conv2     5x5, 6 -> 16                16, 10, 10         2,416
    pool      2x2, stride 2               16, 5, 5
    fc1       400 -> 120                  120                48,120
    fc2       120 -> 84                   84                 10,164
    fc3       84 -> 10                    10                 850
                                                             61,706

The input is 32x32; pictures of 28x28 (MNIST) get a border of two zeros, as in the paper.  The paper's fc1 is called C5 there: a
5x5 convolution over a 5x5 map is a fully connected layer.  Simplified: conv2 sees all six maps (the paper's table I connects
some), pooling has no weights, and the last layer is linear instead of radial basis functions.

Source: LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document recognition, section II.B.
"""

from .. import functional as F
from .. import nn
from ..nn.pooling import relu_pool
from ..ops.shapes import check_array


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and max pooling, or, with classic=True, tanh and average pooling as in 1998.

    Shapes: input (N, C, 28, 28) or (N, C, 32, 32) -> logits (N, num_classes); brightness 0 (background) to 1 (ink).
    Raises ValueError for pictures of another shape.

    >>> model = LeNet5()
    >>> sum(p.size for p in model.parameters())
    61706
    """

    def __init__(self, num_classes=10, in_channels=1, *, classic=False):
        self.in_channels = in_channels
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)
        self.activation = nn.Tanh() if classic else nn.ReLU()
        self.pool = nn.AvgPool2d(2) if classic else nn.MaxPool2d(2)

    def forward(self, x):
        check_array("LeNet5", input=x)
        if x.ndim != 4 or x.shape[1] != self.in_channels or x.shape[2:] not in ((28, 28), (32, 32)):
            raise ValueError(f"LeNet5: input must be (N, {self.in_channels}, 28, 28) or (N, {self.in_channels}, 32, 32), got "
                             f"shape {x.shape}. A single picture needs a batch axis, x[None], a grey one a channel axis.")
        if x.shape[2] == 28:
            x = F.pad(x, (2, 2, 2, 2))                                    # (N, C, 32, 32)
        x = relu_pool(self.activation, self.pool, self.conv1(x))          # (N, 6, 14, 14)
        x = relu_pool(self.activation, self.pool, self.conv2(x))          # (N, 16, 5, 5)
        x = self.activation(self.fc1(x.flatten(1)))                       # (N, 120)
        x = self.activation(self.fc2(x))                                  # (N, 84)
        return self.fc3(x)                                                # (N, K)
