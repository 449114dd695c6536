"""Wrong functions of PyTorch."""

import numpy as np
import torch

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import away


def t(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64, requires_grad=True)


class TorchFocal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        p = torch.sigmoid(x)
        pt = torch.where(y > 0, p, 1 - p)
        ctx.save_for_backward(pt, y)
        return -((1 - pt) ** 2 * pt.log()).sum(dim=1)

    @staticmethod
    def backward(ctx, g):
        pt, y = ctx.saved_tensors
        d = (1 - pt) ** 2 * (2 * pt * pt.log() - (1 - pt))
        return torch.where(y > 0, d, -d), None


@wrong("torch", "upstream-ignored")
def torch_focal_without_upstream(rng):
    """A focal loss per sample whose backward ignores grad_output."""
    return TorchFocal.apply, t(rng.standard_normal((4, 5))), torch.tensor(rng.integers(0, 2, (4, 5)))


class DeconvRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        return g.clamp(min=0)


@wrong("torch", "guided", "mask-missing")
def torch_deconvnet_relu(rng):
    """The deconvnet's ReLU: masks by the sign of the gradient, not of the input."""
    return DeconvRelu.apply, t(rng.standard_normal((4, 6)))


class TorchMse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return ((x - y) ** 2).mean()

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        d = 2 * g * (x - y) / len(x)                                      # the mean runs over all elements, not over the batch
        return d, -d


@wrong("torch", "constant-factor")
def torch_mse_divides_by_batch(rng):
    """A mean over all elements divided in backward by the batch size only: 6 times too large."""
    return TorchMse.apply, t(rng.standard_normal((4, 6))), t(rng.standard_normal((4, 6)))


class TorchGlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * torch.sigmoid(b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        s = torch.sigmoid(b)
        return g * a * s * (1 - s), g * s


@wrong("torch", "swapped-gradients")
def torch_gated_unit_swapped(rng):
    """A gated unit that returns the gate's gradient first."""
    return TorchGlu.apply, t(rng.standard_normal((4, 5))), t(rng.standard_normal((4, 5)))


class TorchBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        m, v = x.mean(dim=(0, 2)), x.var(dim=(0, 2), unbiased=False)
        r = (v + 1e-5).rsqrt()[:, None]
        xhat = (x - m[:, None]) * r
        ctx.save_for_backward(xhat, r, w)
        return xhat * w[:, None]

    @staticmethod
    def backward(ctx, g):
        xhat, r, w = ctx.saved_tensors
        return g * w[:, None] * r, (g * xhat).sum(dim=(0, 2))


@wrong("torch", "diagonal-only", "term-missing")
def torch_batch_norm_as_scale(rng):
    """Batch norm in training differentiated as a scale and shift."""
    return TorchBatchNorm.apply, t(rng.standard_normal((3, 2, 5))), t(rng.uniform(0.5, 2, 2))


class TorchGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 0.5 * (1 + torch.erf(x / 2 ** 0.5))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(1.702 * x)
        return g * (s + 1.702 * x * s * (1 - s))


@wrong("torch", "wrong-local-derivative")
def torch_gelu_mixed_formulas(rng):
    """The exact GELU with the derivative of its sigmoid approximation, off by 2%."""
    return TorchGelu.apply, t(rng.standard_normal((5, 6)))


class TorchDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, p):
        ctx.p = p
        return x * (torch.rand_like(x) >= p) / (1 - p)

    @staticmethod
    def backward(ctx, g):
        return g * (torch.rand_like(g) >= ctx.p) / (1 - ctx.p), None


@wrong("torch", "mask-redrawn", costly=True)
def torch_dropout_redraws(rng):
    """Dropout that draws its mask again in backward."""
    return lambda x: TorchDropout.apply(x, 0.5), t(rng.standard_normal((6, 8)))


class TorchExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


@wrong("torch", "modified-in-place", "extra-term", "wrong-local-derivative")
def torch_saved_output_changed(rng):
    """The saved output of exp is changed through .data before backward reads it."""
    def shifted_exp(x):
        y = TorchExp.apply(x)
        y.data.add_(1.0)
        return y
    return shifted_exp, t(rng.standard_normal((4, 5)))


class TorchClassCache(torch.autograd.Function):
    mask = None

    @staticmethod
    def forward(ctx, x):
        TorchClassCache.mask = x > 0
        return torch.where(TorchClassCache.mask, x, 0.1 * x)

    @staticmethod
    def backward(ctx, g):
        return torch.where(TorchClassCache.mask, g, 0.1 * g)


@wrong("torch", "stale-cache")
def torch_mask_on_class(rng):
    """Two activations in a row keep their mask in one class attribute: the first gets the second's."""
    def two_layers(x, w):
        return TorchClassCache.apply(TorchClassCache.apply(x) @ w)
    return two_layers, t(rng.standard_normal((5, 5))), t(rng.standard_normal((5, 5)))


class TorchTopK(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        values, index = x.reshape(-1).topk(7)
        ctx.save_for_backward(index)
        ctx.like = x.detach()
        return values

    @staticmethod
    def backward(ctx, g):
        (index,) = ctx.saved_tensors
        gx = torch.zeros_like(ctx.like)
        gx.reshape(-1)[index] = g
        return gx


@wrong("torch", "memory-layout", "zero-gradient")
def torch_top_values_of_transposed(rng):
    """gx.reshape(-1)[index] = g writes to a copy: the input, a transposed matrix, is not contiguous."""
    return TorchTopK.apply, t(rng.standard_normal((4, 6))).detach().T.requires_grad_()


class TorchFloatInside(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.float())
        return torch.sin(x.float()).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return (g.float() * torch.cos(x)).to(g.dtype)


@wrong("torch", "precision-lost")
def torch_casts_to_float(rng):
    """Everything is cast with .float() 'for mixed precision'."""
    return TorchFloatInside.apply, t(rng.standard_normal((4, 5)))


@wrong("torch", "term-missing", "missing-gradient")
def torch_numpy_inside(rng):
    """A fall-back to NumPy on the values of x: only the gate, recorded, reaches x."""
    def gated(x):
        ranks = torch.from_numpy(np.cbrt(x.detach().numpy()))
        return ranks * torch.sigmoid(x)
    return gated, t(rng.uniform(0.5, 2, (4, 5)))


class TorchGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, index):
        ctx.save_for_backward(index)
        ctx.shape = x.shape
        return x[index]

    @staticmethod
    def backward(ctx, g):
        (index,) = ctx.saved_tensors
        gx = g.new_zeros(ctx.shape)
        gx[index] += g                                                    # += with repeated indices keeps one of them
        return gx, None


@wrong("torch", "overwritten")
def torch_gather_repeats(rng):
    """gx[index] += g: repeated indices count once."""
    return TorchGather.apply, t(rng.standard_normal((5, 3))), torch.tensor([0, 3, 3, 1, 0, 3])


class TorchOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos()


@wrong("torch", "error", "missing-gradient", "zero-gradient", order=2)
def second_torch_once_differentiable(rng):
    """once_differentiable: backward() through it raises, autograd.grad with allow_unused gives None."""
    return TorchOnce.apply, t(rng.standard_normal((3, 4)))


class TorchIntermediate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        s = torch.sigmoid(x)
        ctx.save_for_backward(x, s)                       # s is neither input nor output: a constant to the second pass
        return x * s

    @staticmethod
    def backward(ctx, g):
        x, s = ctx.saved_tensors
        return g * (s + x * s * (1 - s))


@wrong("torch", "wrong-local-derivative", "term-missing", order=2)
def second_torch_saved_intermediate(rng):
    """An intermediate result saved in forward has no history in the second pass."""
    return TorchIntermediate.apply, t(rng.standard_normal((3, 4)))


class TorchDetached(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = (a.detach() for a in ctx.saved_tensors)
        return g @ w.T, x.T @ g


@wrong("torch", "missing-gradient", "zero-gradient", order=2)
def second_torch_detached_saved(rng):
    """The saved tensors are detached in backward."""
    return TorchDetached.apply, t(rng.standard_normal((3, 4))), t(rng.standard_normal((4, 2)))


class TorchCube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, g):
        return TorchCubeSlope.apply(g, *ctx.saved_tensors)


class TorchCubeSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, g, x):
        ctx.save_for_backward(g, x)
        return 3 * g * x * x

    @staticmethod
    def backward(ctx, v):
        g, x = ctx.saved_tensors
        return 3 * v * x * x, 3 * v * g * x


@wrong("torch", "constant-factor", order=2)
def second_torch_helper_factor(rng):
    """The Function of the backward returns 3 v g x for 6 v g x."""
    return TorchCube.apply, t(away(rng, (3, 4)))
