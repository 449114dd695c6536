"""The backward pass of a whole network, differentiated again: as gradient penalties and Hessian-vector products need it."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad
from tinyvision.gradcheck import assert_gradients

SHAPES = {"w1": (4, 2, 3, 3), "gamma": (4,), "beta": (4,), "w2": (6, 2, 2, 3), "b2": (6,), "w3": (5, 12), "b3": (5,)}
LABELS = np.array([0, 3, 4])


def network(F, x, w1, gamma, beta, w2, b2, w3, b3, labels):
    """A small network with every kind of layer, in the functions of either library."""
    x = F.conv2d(x, w1, stride=(2, 1), padding=1)                         # (3, 4, 4, 8)
    x = F.relu(F.batch_norm(x, None, None, gamma, beta, training=True))
    x = F.max_pool2d(x, 3, stride=2, padding=1)                           # (3, 4, 2, 4), windows overlap
    x = F.conv2d(x, w2, b2, groups=2)                                     # (3, 6, 1, 2)
    x = F.avg_pool2d(x, (2, 1), stride=1, padding=(1, 0), count_include_pad=False)        # (3, 6, 2, 2)
    x = F.silu(x[:, :, 0]).reshape(3, 12)
    return F.cross_entropy(F.linear(x, w3, b3), labels, label_smoothing=0.1)


def values(seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((3, 2, 8, 8)), *(rng.standard_normal(shape) for shape in SHAPES.values())]


def close(ours, theirs):
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(ours.data, theirs, rtol=1e-9, atol=1e-10 * max(1, abs(theirs).max()))


@pytest.mark.parametrize("seed", range(3))
def test_gradient_of_a_gradient_norm(seed):
    """d/d(everything) of (|dL/dx| - 1)^2 + |dL/dw1|^2 equals PyTorch's, in float64."""
    torch = pytest.importorskip("torch")
    arrays = values(seed)

    def penalty(tensors, loss, grad):
        gx, gw = grad(loss, tensors[:2], create_graph=True)
        return ((gx * gx).sum() ** 0.5 - 1) ** 2 + (gw * gw).sum()

    ours = [Tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = penalty(ours, network(F, *ours, LABELS), grad)
    ty = penalty(theirs, network(torch.nn.functional, *theirs, torch.tensor(LABELS)), torch.autograd.grad)
    close(y, ty)
    for a, b in zip(grad(y, ours), torch.autograd.grad(ty, theirs), strict=True):
        assert b.abs().max() > 1e-6                       # there is something to compare
        close(a, b)


def test_hessian_vector_product():
    """H v is the derivative of the gradient along v: by a second backward pass and by central differences."""
    arrays = values(7)
    rng = np.random.default_rng(8)
    v = [rng.standard_normal(a.shape) for a in arrays]

    def gradient(step):
        tensors = [Tensor(a + step * b, requires_grad=True) for a, b in zip(arrays, v)]
        return tensors, grad(network(F, *tensors, LABELS), tensors, create_graph=True)

    tensors, gs = gradient(0.0)
    product = grad(gs, tensors, v)
    h = 1e-5
    for hv, up, down in zip(product, gradient(h)[1], gradient(-h)[1], strict=True):
        np.testing.assert_allclose(hv.data, (up.data - down.data) / (2 * h), rtol=1e-5, atol=1e-6)


def test_both_orders_of_the_network_hold():
    """gradcheck of order 2 through all layers at once, with respect to the weights of the first."""
    x, w1, *rest = values(9)
    assert_gradients(lambda w: network(F, x, w, *rest, LABELS), w1, order=2)
