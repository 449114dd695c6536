"""Right Modules with state, random numbers, unusual inputs and odd parameters."""

import numpy as np

import tinyvision as tv
from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import param, with_zeros
from tinyvision import Op, Tensor, nn


@right("module")
def module_batch_norm_cumulative(rng):
    """Batch norm that averages over all batches so far: its state moves with every call."""
    m = nn.BatchNorm1d(4, momentum=None).double()
    m.weight.data[...], m.bias.data[...] = rng.uniform(0.5, 2, 4), rng.standard_normal(4)
    return m, 5 + 2 * rng.standard_normal((6, 4))


@right("module")
def module_batch_norm_eval(rng):
    """Batch norm in evaluation: running statistics are constants."""
    m = nn.BatchNorm2d(3).double()
    m.running_mean[...], m.running_var[...] = rng.standard_normal(3), rng.uniform(0.1, 3, 3)
    return m.eval(), rng.standard_normal((2, 3, 3, 2))


class CentreByPast(nn.Module):
    """Subtracts the running mean of earlier batches, then updates it: the output depends on the state."""

    def __init__(self, rng):
        self.scale = param(rng.uniform(0.5, 2, 4))
        self.register_buffer("mean", Tensor(rng.standard_normal(4)))

    def forward(self, x):
        y = (x - self.mean.copy()) * self.scale
        with tv.no_grad():
            self.mean[...] = 0.5 * self.mean.data + 0.5 * x.data.mean(axis=0)
        return y


@right("module")
def module_output_depends_on_state(rng):
    """The output depends on a buffer that every call changes: it has to be restored between calls."""
    return CentreByPast(rng), rng.standard_normal((5, 4))


class Counting(nn.Module):
    """Warm-up: the scale grows with the number of calls, a plain attribute."""

    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * x * min(1.0, 0.1 * self.calls)


@right("module")
def module_counts_its_calls(rng):
    """A warm-up counter in a plain attribute makes every call differ."""
    return Counting(), rng.standard_normal((3, 4))


@right("module")
def module_dropout_between(rng):
    """Dropout between two layers, with its own generator."""
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)).double(), rng.standard_normal((5, 4))


@right("module")
def module_channel_dropout(rng):
    """Channel dropout after a convolution."""
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.Dropout2d(0.3)).double(), rng.standard_normal((3, 2, 5, 4))


@right("module")
def module_alpha_dropout(rng):
    """Alpha dropout after SELU."""
    return nn.Sequential(nn.Linear(4, 6), nn.SELU(), nn.AlphaDropout(0.4)).double(), rng.standard_normal((5, 4))


class DropPath(nn.Module):
    """Stochastic depth with a NumPy generator and a custom Op that keeps its mask."""

    class Keep(Op):
        def __init__(self, keep):
            self.keep = keep

        def forward(self, x):
            return x * self.keep

        def backward(self, g, x):
            return g * self.keep

    def __init__(self):
        self.body, self.generator = nn.Linear(4, 4).double(), np.random.default_rng(4)

    def forward(self, x):
        keep = (self.generator.random((len(x), 1)) < 0.6) / 0.6
        return x + self.Keep(keep)(tv.tanh(self.body(x)))


@right("module")
def module_stochastic_depth(rng):
    """Stochastic depth: whole samples lose the branch, by the module's own generator."""
    return DropPath(), rng.standard_normal((10, 4))


class Variational(nn.Module):
    """A reparametrised code and its KL term: two outputs."""

    def __init__(self):
        self.mu, self.logvar, self.rng = nn.Linear(5, 2).double(), nn.Linear(5, 2).double(), np.random.default_rng(2)

    def forward(self, x):
        mu, logvar = self.mu(x), self.logvar(x)
        z = mu + tv.exp(logvar / 2) * self.rng.standard_normal(mu.shape)
        return z, (tv.exp(logvar) + mu * mu - 1 - logvar).sum() / 2


@right("module")
def module_reparametrised_noise(rng):
    """A variational code: noise from an own generator, two outputs, one of them 0-d."""
    return Variational(), rng.standard_normal((4, 5))


class Positions(nn.Module):
    """Word and position embeddings: integer input, a buffer."""

    def __init__(self):
        self.words = nn.Embedding(8, 4).double()
        self.register_buffer("positions", Tensor(np.sin(np.arange(5)[:, None] / 10 ** np.arange(4))))
        self.norm = nn.LayerNorm(4).double()

    def forward(self, index):
        return self.norm(self.words(index) + self.positions)


@right("module")
def module_integer_input_only(rng):
    """Word embeddings: the only input is an integer array."""
    return Positions(), rng.integers(0, 8, (3, 5))


@right("module")
def module_prelu_zeros(rng):
    """PReLU, per channel, with inputs exactly zero."""
    m = nn.PReLU(3).double()
    m.weight.data[...] = [0.1, 0.25, 1.5]
    return m, with_zeros(rng, (2, 3, 5))


@right("module")
def module_group_norm_3d(rng):
    """Group norm and SiLU over volumes."""
    return nn.Sequential(nn.Conv3d(1, 4, (1, 2, 2)), nn.GroupNorm(2, 4), nn.SiLU()).double(), rng.standard_normal((2, 1, 2, 3, 3))


@right("module")
def module_conv_transpose_output_padding(rng):
    """Transposed convolution with stride, padding and output padding."""
    return nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1).double(), rng.standard_normal((1, 2, 3, 4))


@right("module")
def module_empty_batch(rng):
    """A network on an empty batch."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).double(), np.zeros((0, 1, 4, 4))
