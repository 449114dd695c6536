"""HED: six outputs, the balanced loss by its formula, and that each stage is taught by itself."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad, manual_seed, models, no_grad, optim
from tinyvision.gradcheck import check_network, gradcheck


def drawn(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_hed_counts():
    """VGG's convolutions, and 1x1 kernels beside them: for the paper's size 14,714,688 + 1,477 + 6."""
    def count(base, norm):
        total, before = 0, 3
        for w, n in zip((1, 2, 4, 8, 8), (2, 2, 3, 3, 3)):
            for _ in range(n):
                total += 9 * before * w * base + (2 if norm else 1) * w * base
                before = w * base
        return total + sum(w * base + 1 for w in (1, 2, 4, 8, 8)) + 6
    assert count(64, False) == 14_714_688 + 23 * 64 + 5 + 6               # the first: VGG-16's convolutions
    for base, norm in ((4, True), (3, False)):
        assert sum(p.size for p in models.HED(3, base, norm=norm).parameters()) == count(base, norm)


def test_hed_outputs():
    """Any size from 16 on; the mixture begins as the mean of the side outputs."""
    manual_seed(0)
    model = models.HED(base_channels=2).eval()
    with no_grad():
        for side in model.side:                           # they begin as zeros
            side.weight[...] = np.random.default_rng(0).standard_normal(side.weight.shape)
        outputs = model(drawn(2, 3, 19, 33))
    assert [y.shape for y in outputs] == [(2, 1, 19, 33)] * 6
    np.testing.assert_allclose(outputs[5].data, np.mean([y.data for y in outputs[:5]], axis=0), atol=1e-5)


def test_hed_loss_by_hand():
    rng = np.random.default_rng(0)
    outputs, y = [rng.standard_normal((2, 1, 3, 4)) for _ in range(3)], (rng.random((2, 1, 3, 4)) < 0.3).astype(float)
    total = 0.0
    for z in outputs:
        p = 1 / (1 + np.exp(-z))
        for i in range(2):                                # equation 2 for each picture
            beta = (y[i] == 0).mean()
            total -= (beta * np.log(p[i][y[i] == 1]).sum() + (1 - beta) * np.log(1 - p[i][y[i] == 0]).sum()) / y.size
    assert models.HED.loss([Tensor(z) for z in outputs], Tensor(y)).item() == pytest.approx(total, rel=1e-12)
    assert gradcheck(lambda a, b, c: models.HED.loss([a, b, c], y), *outputs, order=2)


def test_both_kinds_weigh_the_same():
    """At p = 1/2 everywhere the gradient's sum over the edges is the negative of that over the rest, however few edges."""
    z = Tensor(np.zeros((1, 1, 10, 10)), requires_grad=True)
    y = np.zeros((1, 1, 10, 10))
    y[0, 0, 0, :3] = 1
    (g,) = grad(models.HED.loss([z], Tensor(y)), z)
    assert g.data[y == 1].sum() == pytest.approx(-g.data[y == 0].sum(), rel=1e-12)


def test_early_stages_are_taught_directly():
    """Stage 1 has a gradient when all later stages are silent; without its side loss it has none."""
    manual_seed(0)
    model = models.HED(base_channels=2)
    with no_grad():
        for p in (p for stage in model.stages[1:] for p in stage.parameters()):
            p[...] = 0
        model.side[0].weight[...] = 0.5
    y, first = Tensor((drawn(1, 1, 32, 32).data > 1).astype("float32")), next(model.stages[0].parameters())
    outputs = model(drawn(1, 3, 32, 32))
    (direct,) = grad(models.HED.loss(outputs[:1], y), first, retain_graph=True)
    (late,) = grad(models.HED.loss(outputs[1:5], y), first, allow_unused=True)
    assert np.abs(direct.data).max() > 1e-4 and (late is None or np.abs(late.data).max() < 1e-12)


def test_gradients_of_hed():
    manual_seed(0)
    model = models.HED(1, 1, convs=(1, 1, 1, 1, 1))
    with no_grad():
        for side in model.side:
            side.weight[...] = 0.4
    y = (np.random.default_rng(1).random((2, 1, 32, 32)) < 0.2).astype(float)
    x = np.random.default_rng(0).standard_normal((2, 1, 32, 32))
    assert check_network(model, x, lambda outputs: models.HED.loss(outputs, y))


@pytest.mark.parametrize("words, call", [
    (r"HED: height and width must be at least 16, got \(8, 32\)", lambda: models.HED(base_channels=1)(drawn(1, 3, 8, 32))),
    (r"HED: input must be \(N, 3, H, W\)", lambda: models.HED(base_channels=1)(drawn(1, 1, 32, 32))),
    (r"HED.loss: outputs and edges must have one shape", lambda: models.HED.loss([drawn(1, 1, 4, 4)], drawn(1, 4, 4))),
])
def test_hed_refuses(words, call):
    with pytest.raises(ValueError, match=words):
        call()


def test_hed_learns_an_outline():
    """Two pictures of squares: the outline gets a probability above all other pixels."""
    manual_seed(0)
    x, y = np.zeros((2, 1, 24, 24), np.float32), np.zeros((2, 1, 24, 24), np.float32)
    for i, a in enumerate((4, 9)):
        x[i, 0, a:a + 10, a:a + 10] = 1
        y[i, 0, a:a + 10, [a, a + 9]] = y[i, 0, [a, a + 9], a:a + 10] = 1
    model = models.HED(1, 4, convs=(1, 1, 1, 1, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(outputs := model(Tensor(x)), Tensor(y)).backward()
        optimizer.step()
    p = F.sigmoid(outputs[-1]).data
    assert p[y == 1].mean() > 0.8 and p[y == 0].mean() < 0.2
