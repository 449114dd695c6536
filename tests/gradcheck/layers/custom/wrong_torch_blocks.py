"""Wrong PyTorch functions and modules: parts of larger ones."""

import torch

from tests.gradcheck.layers import wrong


class Center(torch.nn.Module):
    """Center loss: squared distance to the centre of the class."""

    def __init__(self, centers):
        super().__init__()
        self.centers = torch.nn.Parameter(torch.tensor(centers))

    def forward(self, x, y):
        return ((x - self.centers.detach()[y]) ** 2).sum(dim=1).mean() + 0 * self.centers.sum()


@wrong("torch", "zero-gradient", "missing-gradient")
def torch_center_loss_centers_detached(rng):
    """The centres are detached."""
    return Center(rng.normal(size=(3, 4))), rng.normal(size=(5, 4)), torch.tensor(rng.integers(0, 3, 5))


class PairNorm(torch.nn.Module):
    def forward(self, x):
        with torch.no_grad():
            mean = x.mean(dim=0, keepdim=True)
        centred = x - mean
        return centred / (centred.pow(2).sum(dim=1, keepdim=True) + 1e-6).sqrt()


@wrong("torch", "term-missing")
def torch_centring_without_gradient(rng):
    """The mean over the batch is computed under no_grad."""
    return PairNorm(), rng.normal(size=(4, 5))


class Quantised(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x, scale)
        return x * scale

    @staticmethod
    def backward(ctx, g):
        x, scale = ctx.saved_tensors
        return (g.half() * scale.half()).double(), (g * x).sum().reshape(scale.shape)


@wrong("torch", "precision-lost")
def torch_gradient_in_half(rng):
    """The gradient is computed in half precision."""
    return Quantised.apply, rng.normal(size=(4, 4)), rng.uniform(0.5, 2, 1)


class TorchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        s = x.std(dim=1, keepdim=True, unbiased=False)
        h = (x - x.mean(dim=1, keepdim=True)) / s
        ctx.save_for_backward(h, s)
        return h

    @staticmethod
    def backward(ctx, g):
        h, s = ctx.saved_tensors
        return (g - h * (g * h).mean(dim=1, keepdim=True)) / s


@wrong("torch", "term-missing")
def torch_mixer_norm_without_mean_term(rng):
    """A mixer block around a hand-written norm that forgets the term of the mean."""
    a, b = torch.nn.Linear(4, 5).double(), torch.nn.Linear(5, 4).double()

    def block(x):
        return x + b(torch.nn.functional.gelu(a(TorchNorm.apply(x))))
    return block, rng.normal(size=(3, 4))


@wrong("torch", "missing-gradient", "term-missing")
def torch_query_detached(rng):
    """Cross attention: the queries are detached before the product."""
    def attend(q, k, v):
        a = torch.softmax(q.detach() @ k.T / 2, dim=1)
        return a @ v
    return attend, rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 2))


class TorchUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.repeat_interleave(2, dim=2)

    @staticmethod
    def backward(ctx, g):
        return g.reshape(*g.shape[:2], -1, 2).mean(dim=3)


@wrong("torch", "constant-factor")
def torch_decoder_upsampling_mean(rng):
    """A decoder's step; nearest upsampling averages the gradients that it has to add up."""
    conv = torch.nn.Conv1d(2, 3, 3, padding=1).double()
    return (lambda x: torch.relu(conv(TorchUp.apply(x)))), rng.normal(size=(2, 2, 4))


class Sparsemax(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(4))

    def forward(self, x):
        z = torch.sort(x * self.scale, dim=1, descending=True).values
        k = torch.arange(1, x.shape[1] + 1)
        tau = ((z.cumsum(1) - 1) / k)
        support = (z > tau).sum(1, keepdim=True)
        t = tau.gather(1, support - 1).detach()
        return torch.clamp(x * self.scale - t, min=0)


@wrong("torch", "term-missing", "diagonal-only")
def torch_sparsemax_threshold_detached(rng):
    """Sparsemax whose threshold is detached."""
    return Sparsemax(), rng.normal(size=(3, 4))
