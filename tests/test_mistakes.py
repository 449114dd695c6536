"""A beginner's mistakes, on real layers: each gets a sentence that says what to do."""

import re

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, models, nn, no_grad, optim


def picture(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def backward_twice():
    loss = F.cross_entropy(models.MLP(4, (3,), 2)(picture(2, 4)), [0, 1])
    loss.backward()
    loss.backward()


def step_between_forward_and_backward():
    model = models.MLP(4, (3,), 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss = F.cross_entropy(model(picture(2, 4)), [0, 1])
    loss.backward(retain_graph=True)
    optimizer.step()
    loss.backward()


def weights_changed_by_hand():
    layer = nn.Linear(4, 3)
    y = layer(Tensor(np.ones((2, 4), np.float32), requires_grad=True)).sum()
    layer.weight.data[0] = 0
    y.backward()


MISTAKES = {
    "wrong channels": (ValueError, "takes 3 channels in .* got input (2, 1, 32, 32) with 1 channels",
                       lambda: nn.Conv2d(3, 8, 3)(picture(2, 1, 32, 32))),
    "channels last": (ValueError, "Pictures are channels first: (N, C, H, W)", lambda: nn.Conv2d(3, 8, 3)(picture(2, 32, 32, 3))),
    "float labels": (TypeError, "class indices as integers, got float32 .* target.astype('int64')",
                     lambda: F.cross_entropy(picture(2, 10), Tensor([1.0, 2.0]))),
    "label out of range": (ValueError, "target must lie in 0..9 for 10 classes .* got 10 .* Count classes from 0",
                           lambda: F.cross_entropy(picture(2, 10), [1, 10])),
    "labels as a column": (ValueError, "(2, 1)", lambda: F.cross_entropy(picture(2, 10), np.array([[1], [2]]))),
    "missing batch axis": (ValueError, "LeNet5: input must be (N, 1, 28, 28) .* A single picture needs a batch axis, x[None]",
                           lambda: models.LeNet5()(picture(1, 28, 28))),
    "missing batch and channel axes": (ValueError, "Add the missing axes: x[None, None]",
                                       lambda: nn.Conv2d(1, 8, 3)(picture(28, 28))),
    "forgotten flatten": (ValueError, "For pictures, flatten first", lambda: nn.Linear(784, 10)(picture(2, 1, 28, 28))),
    "kernel larger than the image": (ValueError, "the kernel must fit into the padded image",
                                     lambda: nn.Conv2d(1, 8, 5)(picture(1, 1, 4, 4))),
    "pooled away": (ValueError, "Use a smaller kernel or a larger image", lambda: nn.MaxPool2d(2)(picture(1, 1, 1, 1))),
    "bytes instead of floats": (TypeError, "input must be floating point, got uint8 .* astype('float32')",
                                lambda: nn.Conv2d(1, 8, 3)(Tensor(np.zeros((1, 1, 8, 8), np.uint8)))),
    "float64 pictures": (TypeError, "one dtype, got input float64, weight float32 .* networks use float32",
                         lambda: nn.Conv2d(1, 8, 3)(Tensor(np.zeros((1, 1, 8, 8))))),
    "float64 features": (TypeError, "one dtype, got input float64, weight float32",
                         lambda: nn.Linear(4, 2)(Tensor(np.zeros((1, 4))))),
    "backward twice": (RuntimeError, "already used by an earlier backward() .* retain_graph=True", backward_twice),
    "optimiser step before backward": (RuntimeError, "was changed in place after the forward pass",
                                       step_between_forward_and_backward),
    "weights changed by hand": (RuntimeError, "was changed in place after the forward pass .* update weights only after backward",
                                weights_changed_by_hand),
    "non-scalar backward": (RuntimeError, "only for a single number, this tensor has shape (2, 3) .* y.sum() or y.mean()",
                            lambda: nn.Linear(4, 3)(picture(2, 4)).backward()),
    "backward under no_grad": (RuntimeError, "under no_grad", lambda: no_grad()(lambda: nn.Linear(4, 1)(picture(1, 4)))().backward()),
    "batch norm on one value": (ValueError, "more than one value per channel .* module.eval()",
                                lambda: nn.BatchNorm1d(3)(picture(1, 3))),
    "other network's weights": (ValueError, "Missing .* Unexpected",
                                lambda: models.MLP(4).load_state_dict(models.LeNet5().state_dict())),
}


@pytest.mark.parametrize("error, words, mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_a_sentence(error, words, mistake):
    pattern = "(.|\n)*".join(re.escape(part) for part in words.split(" .* "))
    with pytest.raises(error, match=pattern) as raised:
        mistake()
    assert len(str(raised.value)) < 600
