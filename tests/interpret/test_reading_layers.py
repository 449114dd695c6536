"""Outputs of layers by name: the same numbers that a hand-made pass gives, and the network left as it was."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, models, nn, no_grad
from tinyvision.interpret import activations
from tinyvision.interpret.record import run

from .nets import draw, network, snapshot, stack


def test_outputs_of_lenet_by_hand():
    net, x = network("LeNet5"), draw(5, 1, 28, 28)
    found = activations(net, x, ["conv1", "pool", "pool #2", "activation #3", "fc3", ""], batch_size=2)
    with no_grad():
        conv1 = net.conv1(F.pad(Tensor(x), (2, 2, 2, 2)))
        pool = F.max_pool2d(F.relu(conv1), 2)
        pool2 = F.max_pool2d(F.relu(net.conv2(pool)), 2)
        hidden = F.relu(net.fc1(pool2.flatten(1)))
        logits = net(Tensor(x))
    expected = {"conv1": conv1, "pool": pool, "pool #2": pool2, "activation #3": hidden, "fc3": logits, "": logits}
    for name, y in expected.items():
        np.testing.assert_allclose(found[name], y.data, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(activations(net, x, "conv1"), activations(net, x, ["conv1"])["conv1"])


def test_evaluation_mode_inside_and_everything_as_before_outside():
    net = models.resnet20()
    net.layer1.eval()                                     # frozen by the user, stays so
    net.conv1.weight.grad = Tensor(np.ones(net.conv1.weight.shape, "float32"))
    before = snapshot(net)
    x = draw(4, 3, 8, 8).astype("float32")
    found = activations(net, x, "layer2.0")
    assert snapshot(net) == before
    net.eval()
    np.testing.assert_array_equal(found, activations(net, x, "layer2.0"))


def test_the_pass_ends_where_everything_was_seen():
    net, seen = network("LeNet5"), []
    net.fc1.register_forward_pre_hook(lambda *_: seen.append("fc1"))
    activations(net, draw(2, 1, 28, 28), ["pool #2", "conv1"])
    assert seen == []
    output, found = run("test", net, Tensor(draw(2, 1, 28, 28)), ["conv1"], through=True)
    assert seen == ["fc1"] and output.shape == (2, 10) and list(found) == ["conv1"]


def test_hooks_are_gone_after_an_error():
    net = network("LeNet5")
    before = snapshot(net)
    with pytest.raises(ValueError, match="LeNet5: input must be"):
        activations(net, draw(2, 1, 20, 20), "fc1")
    assert snapshot(net) == before


def test_pictures_take_the_dtype_of_the_weights():
    net = stack(nn.Conv2d(1, 2, 3)).float()
    assert activations(net, draw(1, 1, 5, 5), "0").dtype == np.float32


class Two(nn.Module):
    def __init__(self):
        self.inner, self.unused = nn.Identity(), nn.Identity()

    def forward(self, x):
        return self.inner((x, x))[0]


@pytest.mark.parametrize("model, images, layers, error, match", [
    (Two, draw(1, 1, 2, 2), "inner", TypeError, "'inner' must be one Tensor, got tuple"),
    (Two, draw(1, 1, 2, 2), "unused", ValueError, "'unused' gave no output .* called 0 times"),
    (Two, draw(1, 1, 2, 2), "other", ValueError, "Two has no layer 'other'. There is: inner, unused"),
    (models.LeNet5, draw(1, 1, 28, 28), "pool #3", ValueError, "'pool #3' gave no output .* called 2 times"),
    (models.LeNet5, draw(1, 1, 28, 28), [], ValueError, "at least one layer"),
    (models.LeNet5, draw(1, 1, 28, 28), [3], TypeError, "a string, got int"),
    (models.LeNet5, np.zeros((1, 1, 28, 28), np.uint8), "fc1", TypeError, "floats, prepared as .* takes them, got uint8"),
    (models.LeNet5, np.zeros((0, 1, 28, 28)), "fc1", ValueError, "not empty"),
    (models.LeNet5, np.full((1, 1, 28, 28), np.nan), "fc1", ValueError, "finite, got nan"),
    (lambda: models.LeNet5, draw(1, 1, 28, 28), "fc1", TypeError, "must be a Module, got the class LeNet5"),
])
def test_messages_about_layers(model, images, layers, error, match):
    with pytest.raises(error, match=match):
        activations(model(), images, layers)


def test_batch_size_is_checked():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        activations(models.LeNet5(), draw(1, 1, 28, 28), "fc1", batch_size=0)
