"""Content and style by their formulas, their derivatives as the paper prints them, and what a style does not know: places."""

import numpy as np
import pytest

from tinyvision import Tensor, grad
from tinyvision.gradcheck import gradcheck
from tinyvision.style import content_loss, gram_matrix, style_loss, total_variation_loss


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 4, 7), (2, 2, 3, 2, 2)])
def test_gram_by_hand(shape):
    x = drawn(*shape)
    g = gram_matrix(x)
    for n in range(shape[0]):
        for i in range(shape[1]):
            for j in range(shape[1]):
                assert g[n, i, j] == pytest.approx((x[n, i] * x[n, j]).mean(), rel=1e-12)
    np.testing.assert_array_equal(gram_matrix(Tensor(x)).data, g)


def test_style_has_no_places():
    """Any permutation of the pixels gives the same Gram matrix, and another content."""
    x = drawn(1, 3, 4, 5)
    mixed = x.reshape(1, 3, 20)[:, :, np.random.default_rng(1).permutation(20)].reshape(x.shape)
    np.testing.assert_allclose(gram_matrix(mixed), gram_matrix(x), rtol=1e-12)
    assert content_loss(mixed, x)[0] > 1


def test_derivatives_are_the_papers():
    """dcontent/dF = F - P; dstyle/dF = (G - A) F / (C^2 M)."""
    f, p = Tensor(drawn(2, 3, 4, 5), requires_grad=True), drawn(2, 3, 4, 5, seed=1)
    u = drawn(2, seed=2)
    (g,) = grad(content_loss(f, Tensor(p)), f, Tensor(u))
    np.testing.assert_allclose(g.data, u[:, None, None, None] * (f.data - p), rtol=1e-12)
    a = gram_matrix(p)
    (g,) = grad(style_loss(gram_matrix(f), Tensor(a)), f, Tensor(u))
    flat = f.data.reshape(2, 3, 20)
    right = (gram_matrix(f.data) - a) @ flat / (3 ** 2 * 20)
    np.testing.assert_allclose(g.data.reshape(2, 3, 20), u[:, None, None] * right, rtol=1e-10)


def test_the_papers_scale():
    """With sums instead of means, 1/(4 C^2 M^2) sum (F F^T - P P^T)^2, in PyTorch."""
    torch = pytest.importorskip("torch")
    f, p = drawn(1, 3, 4, 5), drawn(1, 3, 4, 5, seed=1)
    a, b = (torch.einsum("nchw,ndhw->ncd", torch.tensor(x), torch.tensor(x)) for x in (f, p))
    right = ((a - b) ** 2).sum().item() / (4 * 3 ** 2 * 20 ** 2)
    assert style_loss(gram_matrix(f), gram_matrix(p))[0] == pytest.approx(right, rel=1e-10)
    assert content_loss(f, p)[0] == pytest.approx(0.5 * ((f - p) ** 2).sum(), rel=1e-12)


def test_gradients_of_the_losses():
    f, p = drawn(2, 3, 2, 3), drawn(2, 3, 2, 3, seed=1)
    assert gradcheck(lambda f: style_loss(gram_matrix(f), gram_matrix(p)), f, order=2)
    assert gradcheck(lambda f: content_loss(f, p), f, order=2)
    assert gradcheck(total_variation_loss, f, order=2)


def test_total_variation_by_hand():
    x = drawn(2, 3, 4, 5)
    right = [((x[n, :, 1:] - x[n, :, :-1]) ** 2).sum() + ((x[n, :, :, 1:] - x[n, :, :, :-1]) ** 2).sum() for n in range(2)]
    np.testing.assert_allclose(total_variation_loss(x), np.array(right) / 60, rtol=1e-12)


@pytest.mark.parametrize("words, call", [
    (r"gram_matrix: features must be \(N, C, ...\), got shape \(3, 4\)", lambda: gram_matrix(drawn(3, 4))),
    ("content_loss: features and target must have one shape", lambda: content_loss(drawn(1, 2, 3), drawn(1, 3, 3))),
    (r"style_loss: gram and target must be Gram matrices .* got \(1, 3, 3\) and \(2, 2\)",
     lambda: style_loss(drawn(1, 3, 3), drawn(2, 2))),
    (r"total_variation_loss: images must be \(N, C, ...\), got shape \(3, 4\)", lambda: total_variation_loss(drawn(3, 4))),
    ("style_loss: gram and target must be", lambda: style_loss(drawn(1, 3, 4), drawn(1, 3, 4))),
])
def test_style_losses_refuse(words, call):
    with pytest.raises(ValueError, match=words):
        call()
