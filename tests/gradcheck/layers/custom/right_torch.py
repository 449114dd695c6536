"""Right functions and modules of PyTorch."""

import numpy as np
import torch

from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import away, spaced, with_zeros


def t(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64, requires_grad=True)


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


@right("torch")
def torch_exp(rng):
    """Exp that saves its output."""
    return TorchExp.apply, t(3 * rng.standard_normal((4, 5)))


class TorchAffine(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x * w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g * w, g * x, g                            # PyTorch sums expandable gradients itself


@right("torch")
def torch_unreduced_broadcast(rng):
    """Gradients left unsummed for broadcast inputs: PyTorch reduces them."""
    return TorchAffine.apply, t(rng.standard_normal((5, 3))), t(rng.standard_normal(3)), t(rng.standard_normal((1, 3)))


class TorchMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        values, index = x.max(dim=1)
        ctx.save_for_backward(index)
        ctx.shape = x.shape
        ctx.mark_non_differentiable(index)
        return values, index

    @staticmethod
    def backward(ctx, g, _):
        (index,) = ctx.saved_tensors
        return g.new_zeros(ctx.shape).scatter_(1, index[:, None], g[:, None])


@right("torch")
def torch_max_with_indices(rng):
    """Values and non-differentiable integer indices."""
    return TorchMax.apply, t(spaced(rng, (4, 6)))


class TorchLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w.T + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        gx = g @ w if ctx.needs_input_grad[0] else None
        gw = g.T @ x if ctx.needs_input_grad[1] else None
        return gx, gw, g.sum(0) if ctx.needs_input_grad[2] else None


@right("torch")
def torch_frozen_weight(rng):
    """A linear function whose weight is frozen: None for what needs no gradient."""
    return TorchLinear.apply, t(rng.standard_normal((4, 3))), t(rng.standard_normal((2, 3))).detach(), t(rng.standard_normal(2))


class TorchInplaceRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.clamp_(min=0)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (y > 0)


@right("torch")
def torch_inplace_relu_on_copy(rng):
    """An in-place ReLU, properly marked, on a copy; exact zeros among the inputs."""
    return lambda x: TorchInplaceRelu.apply(x.clone()), t(with_zeros(rng, (4, 5)))


class TorchDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        keep = (torch.rand_like(x) < 0.6) / 0.6
        ctx.save_for_backward(keep)
        return x * keep

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


@right("torch")
def torch_dropout_keeps_mask(rng):
    """Dropout from the global generator, the mask kept."""
    return TorchDropout.apply, t(rng.standard_normal((6, 5)))


class TorchLayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        r = (x.var(-1, keepdim=True, unbiased=False) + 1e-8).rsqrt()
        xhat = (x - x.mean(-1, keepdim=True)) * r
        ctx.save_for_backward(xhat, r, w)
        return xhat * w

    @staticmethod
    def backward(ctx, g):
        xhat, r, w = ctx.saved_tensors
        u = g * w
        gx = r * (u - u.mean(-1, keepdim=True) - xhat * (u * xhat).mean(-1, keepdim=True))
        return gx, (g * xhat).flatten(0, -2).sum(0)


@right("torch")
def torch_layer_norm_transposed(rng):
    """Layer norm of a transposed, non-contiguous tensor at a scale of 1e-2."""
    x = (1e-2 * torch.tensor(rng.standard_normal((6, 2, 4)))).permute(1, 2, 0).requires_grad_()
    return TorchLayerNorm.apply, x, t(rng.uniform(0.5, 2, 6))


@right("torch")
def torch_mixed_arguments(rng):
    """An integer tensor, a Python number and None among the arguments of the function."""
    class Pick(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, index, scale, bias):
            ctx.save_for_backward(index)
            ctx.scale, ctx.shape = scale, x.shape
            return scale * x[index]

        @staticmethod
        def backward(ctx, g):
            (index,) = ctx.saved_tensors
            return g.new_zeros(ctx.shape).index_add_(0, index, ctx.scale * g), None, None, None
    return lambda x, i: Pick.apply(x, i, 2.5, None), t(rng.standard_normal((5, 3))), torch.tensor([0, 3, 3, 1])


@right("torch", costly=True)
def torch_module_batch_norm(rng):
    """A torch module in training with batch norm: running statistics move with every call."""
    net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.GELU()).double()
    return net, t(rng.standard_normal((6, 4)))


class TorchCube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return TorchCubeGrad.apply(g, x)


class TorchCubeGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, g, x):
        ctx.save_for_backward(g, x)
        return 3 * g * x * x

    @staticmethod
    def backward(ctx, v):
        g, x = ctx.saved_tensors
        return 3 * v * x * x, 6 * v * g * x


@right("torch", order=2)
def second_torch_two_functions(rng):
    """x^3 with a second Function for its backward."""
    return TorchCube.apply, t(away(rng, (3, 4)))


@right("torch", order=2)
def second_torch_exp(rng):
    """Exp that saves its output, differentiable twice."""
    return TorchExp.apply, t(rng.standard_normal((3, 4)))
