"""Pictures are drawn of Tensors of a device as of those of the CPU."""

import io

import numpy as np
import pytest

from tinyvision import Tensor, nn, viz

RNG = np.random.default_rng(0)
DRAWINGS = {"image_grid": RNG.random((4, 3, 8, 8)), "filters": RNG.normal(size=(4, 3, 5, 5)), "feature_maps": RNG.random((4, 8, 8)),
            "confusion_matrix": np.array([[3, 1], [0, 4]])}


def pixels(figure):
    from matplotlib.image import imread
    file = io.BytesIO()
    figure.savefig(file, dpi=60)
    return imread(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("name", DRAWINGS)
def test_pictures_are_the_same(name, device):
    x, draw = DRAWINGS[name], getattr(viz, name)
    here, there = pixels(draw(Tensor(x))), pixels(draw(Tensor(x, device=device)))
    np.testing.assert_array_equal(there, here)
    assert len(np.unique(here)) > 2                       # it shows something


def test_graphs_of_computations_are_the_same(device):
    def drawn(device):
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(device)
        for p in net.parameters():
            p.data[...] = 0.5
        y = (net(Tensor(np.ones((2, 3), "float32"), device=device)) ** 2).sum()
        y.backward(retain_graph=True)
        return str(viz.computation_graph(y)), str(viz.module_graph(net, Tensor(np.ones((2, 3), "float32"), device=device)))
    assert drawn(device) == drawn("cpu")
