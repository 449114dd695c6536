"""Dropout: in training, set numbers to zero at random and enlarge the rest by 1/(1-p), so that the mean stays the same.

    Dropout          every element by itself
    Dropout1d        whole channels (N, C, W): neighbouring samples resemble each other, so single ones would not be missed
    Dropout2d, 3d    whole channels of pictures (N, C, H, W) and volumes (N, C, D, H, W)
    AlphaDropout     elements, to SELU's lower limit instead of zero, keeping mean and variance

In evaluation the input passes unchanged.  Each layer draws from a generator of its own: that of the argument `generator`
(a numpy.random.Generator or an integer seed) or one split off from the engine's at construction, so that runs repeat bit
for bit after tinyvision.manual_seed.  A copied or pickled layer continues from where the original stood.

Sources: Srivastava et al. 2014 (dropout); Tompson et al. 2015, arXiv:1411.4280 (channels); torch.nn.Dropout, Dropout2d.
"""

from .. import functional as F
from ..random import as_generator, own_generator
from .checks import probability
from .module import Module


class DropoutBase(Module):
    """What the dropout layers share: the probability and the generator."""

    def __init__(self, p=0.5, *, generator=None):
        name = type(self).__name__
        probability(name, p)
        self.p = p
        self.generator = own_generator() if generator is None else as_generator(name, generator)

    def extra_repr(self):
        return f"p={self.p}"


class Dropout(DropoutBase):
    """Set elements to zero with probability p, in training (torch.nn.Dropout).

    Shapes: input (*) -> (*).
    Raises ValueError for p outside of 0..1, TypeError for a generator that is neither a Generator nor an integer.

    >>> import numpy as np
    >>> y = Dropout(0.5, generator=0)(np.ones((100, 100))); np.unique(y), float(y.mean().round(1))
    (array([0., 2.]), 1.0)
    """

    def forward(self, input):
        return F.dropout(input, self.p, self.training, generator=self.generator)


class Dropout1d(DropoutBase):
    """Set whole channels to zero with probability p, in training (torch.nn.Dropout1d).

    Shapes: input (N, C, W) or (C, W) -> the same.

    >>> import numpy as np
    >>> np.unique(Dropout1d(0.5, generator=0)(np.ones((8, 16, 5))).sum(axis=2)).tolist()
    [0.0, 10.0]
    """

    def forward(self, input):
        return F.dropout1d(input, self.p, self.training, generator=self.generator)


class Dropout2d(DropoutBase):
    """Set whole channels of pictures to zero with probability p, in training (torch.nn.Dropout2d).

    Shapes: input (N, C, H, W) -> the same; three axes are read as (N, C, W) (see F.dropout2d).

    >>> import numpy as np
    >>> np.unique(Dropout2d(0.5, generator=0)(np.ones((8, 16, 5, 5))).sum(axis=(2, 3))).tolist()
    [0.0, 50.0]
    """

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, generator=self.generator)


class Dropout3d(DropoutBase):
    """Set whole channels of volumes to zero with probability p, in training (torch.nn.Dropout3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> the same.

    >>> import numpy as np
    >>> np.unique(Dropout3d(0.5, generator=0)(np.ones((8, 16, 2, 5, 5))).sum(axis=(2, 3, 4))).tolist()
    [0.0, 100.0]
    """

    def forward(self, input):
        return F.dropout3d(input, self.p, self.training, generator=self.generator)


class AlphaDropout(DropoutBase):
    """Dropout for networks of SELU: keeps mean 0 and variance 1 (torch.nn.AlphaDropout; arXiv:1706.02515).

    Shapes: input (*) -> (*).

    >>> import numpy as np
    >>> y = AlphaDropout(0.1, generator=0)(np.random.default_rng(1).standard_normal(100_000)); abs(y.var() - 1) < 0.02
    np.True_
    """

    def forward(self, input):
        return F.alpha_dropout(input, self.p, self.training, generator=self.generator)
