"""Right PyTorch functions and modules: parts of larger ones."""

import torch

from tests.gradcheck.layers import right


@right("torch")
def torch_lstm_cell(rng):
    """PyTorch's LSTM cell, two outputs."""
    cell = torch.nn.LSTMCell(3, 4)
    return (lambda x, h, c: cell.double()(x, (h, c))), rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), rng.normal(size=(2, 4))


@right("torch")
def torch_group_norm_module(rng):
    """Group norm after a grouped convolution."""
    return (torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, groups=2, padding=1), torch.nn.GroupNorm(2, 4), torch.nn.Hardswish()),
            rng.normal(size=(2, 4, 3, 3)))


class StraightRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x.clamp(min=0) @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return (g @ w.T) * (x > 0), x.clamp(min=0).T @ g if ctx.needs_input_grad[1] else None


@right("torch")
def torch_needs_input_grad(rng):
    """A function that skips gradients nobody needs."""
    return StraightRound.apply, rng.normal(size=(4, 3)), rng.normal(size=(3, 5))


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
        return (g - g.mean(dim=1, keepdim=True) - h * (g * h).mean(dim=1, keepdim=True)) / s


@right("torch")
def torch_mixer_block(rng):
    """A mixer block around a hand-written norm."""
    a, b = torch.nn.Linear(4, 5).double(), torch.nn.Linear(5, 4).double()
    return (lambda x: x + b(torch.nn.functional.gelu(a(TorchNorm.apply(x))))), rng.normal(size=(3, 4))


@right("torch")
def torch_fresh_batch_norm(rng):
    """PyTorch's own batch norm as it begins."""
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.PReLU()), rng.normal(size=(5, 3))
