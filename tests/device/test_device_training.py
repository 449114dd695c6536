"""Training on a device: steps equal to those of the CPU, and nothing crosses between host and device but batch and loss."""

import copy

import numpy as np
import pytest

import tinyvision
from tinyvision import Tensor, models, nn, no_grad, optim
from tinyvision import functional as F
from tinyvision.kernels import softmax
from tinyvision.nn.utils import clip_grad_norm_, clip_grad_value_


def lenet():
    return models.LeNet5(), (8, 1, 28, 28), (8,), 10


def resnet():
    return models.resnet20(), (4, 3, 16, 16), (4,), 10


def unet():
    return models.UNet(1, 3, base_channels=4, depth=2), (2, 1, 16, 16), (2, 16, 16), 3


NETWORKS = {"lenet": lenet, "resnet20": resnet, "unet": unet}


def start(name):
    """A network, pictures and labels, from fixed seeds."""
    tinyvision.manual_seed(4)
    model, shape, labels, classes = NETWORKS[name]()
    rng = np.random.default_rng(5)
    return model, rng.standard_normal(shape).astype("float32"), rng.integers(0, classes, labels)


def step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    return loss


def trained(name, device, steps=3):
    """The losses and the weights after a few steps, brought back."""
    model, images, labels = start(name)
    model.to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    losses = [step(model, optimizer, Tensor(images, device=device), Tensor(labels, device=device)).item() for _ in range(steps)]
    model.eval()
    with no_grad():
        scores = model(Tensor(images, device=device))
    return losses, {key: value.cpu().numpy() for key, value in model.state_dict().items()}, scores.cpu().numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_equal_those_of_the_cpu(name, device):
    (losses, weights, scores), (there, others, answers) = trained(name, "cpu"), trained(name, device)
    np.testing.assert_allclose(there, losses, rtol=1e-4)
    for key, value in weights.items():
        np.testing.assert_allclose(others[key], value, rtol=2e-3, atol=2e-4, err_msg=key)
    np.testing.assert_allclose(answers, scores, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.05, momentum=0.9), optim.Adam, optim.RMSprop],
                         ids=["sgd", "adam", "rmsprop"])
def test_nothing_is_moved_in_a_step(name, make, transfers):
    """The first step brings small tables to the device and keeps them; after it there is the batch, and the loss that is read."""
    model, images, labels = start(name)
    optimizer = make(model.cuda().parameters())
    step(model, optimizer, Tensor(images, device="cuda"), Tensor(labels, device="cuda"))
    transfers.moves.clear()
    loss = step(model, optimizer, Tensor(images, device="cuda"), Tensor(labels, device="cuda"))
    assert dict(transfers.moves) == {"up": 2}
    loss.item()
    assert dict(transfers.moves) == {"up": 2, "down": 1}
    transfers.moves.clear()
    with no_grad():
        model.eval()(Tensor(images, device="cuda"))
    assert dict(transfers.moves) == {"up": 1}


def test_the_counter_would_notice(transfers):
    """A loss that looks at its labels, a mask, a norm that is read: each is counted."""
    x = Tensor(np.arange(4.0), device="cuda")
    for spy in (lambda: float(x.sum()), lambda: x[x.data > 1], lambda: bool((x > 1).all()), lambda: x.data.get(),
                lambda: Tensor(np.ones(4), device="cuda"), lambda: x[[0, 1]]):
        transfers.moves.clear()
        spy()
        assert transfers.moves.total() >= 1


DROPOUTS = {"Dropout": (4, 6), "Dropout1d": (4, 3, 5), "Dropout2d": (4, 3, 5, 5), "Dropout3d": (4, 3, 2, 2, 2), "AlphaDropout": (4, 6)}


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_moves_nothing_and_repeats(name, transfers):
    layer = getattr(nn, name)(0.5, generator=7)
    twin = copy.deepcopy(layer)
    x = Tensor(np.ones(DROPOUTS[name]), requires_grad=True, device="cuda")
    transfers.moves.clear()
    first, second = layer(x), layer(x)
    second.sum().backward()
    assert not transfers.moves
    np.testing.assert_array_equal(twin(x).cpu().numpy(), first.cpu().numpy())
    assert (first.cpu().numpy() != second.cpu().numpy()).any()


def test_cross_entropy_of_few_pictures(device):
    """Ignored labels, with an ignore_index inside and outside of the classes, and nothing but these: as on the CPU."""
    scores = np.random.default_rng(0).standard_normal((6, 3)).astype("float32")
    for labels, ignore in ([0, 1, 2, 2, -100, 0], -100), ([0, 1, 2, 2, 1, 0], 2), ([1] * 6, 1):
        found = []
        for place in "cpu", device:
            x = Tensor(scores, requires_grad=True, device=place)
            loss = F.cross_entropy(x, Tensor(np.array(labels), device=place), ignore_index=ignore)
            loss.backward()
            found.append((loss.cpu().numpy(), x.grad.cpu().numpy()))
        for there, here in zip(found[1], found[0]):
            np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-7)


def test_labels_take_few_operations(transfers):
    """A small network waits for Python here: beside the kernel of a mean there is a copy of the labels."""
    x, labels = Tensor(np.zeros((6, 3), "float32"), device="cuda"), Tensor(np.zeros(6, "int64"), device="cuda")
    made = []

    def counted(size):
        made.append(size)
        return transfers.malloc(size)
    transfers.allocator = counted
    F.cross_entropy(x, labels)
    whole = len(made)
    softmax.mean_cross_entropy(x.data, labels.data, -100)
    assert len(made) == 2 * whole - 1


def test_bad_labels_show_in_the_loss(device):
    """On a GPU labels are not looked at: one that is no class makes its loss not a number, and never a wrong number."""
    x = Tensor(np.zeros((4, 3), "float32"), device=device)
    for labels, ignore in ([0, 1, 3, 2], -100), ([0, 1, -1, 2], -100), ([0, 1, 3, 2], 1):
        for loss in F.cross_entropy, F.nll_loss:
            found = loss(x, Tensor(np.array(labels), device=device), ignore_index=ignore, reduction="none").cpu().numpy()
            assert np.isnan(found).tolist() == [False, False, True, False]
        assert np.isnan(F.cross_entropy(x, Tensor(np.array(labels), device=device), ignore_index=ignore).item())
    found = F.multi_margin_loss(x, Tensor(np.array([0, 3, -1, 2]), device=device), reduction="none").cpu().numpy()
    assert np.isnan(found).tolist() == [False, True, True, False]
    rows = Tensor(np.array([[0, -1, -1], [3, 0, -1], [-2, 0, 0], [1, -1, 2]]), device=device)
    found = F.multilabel_margin_loss(x, rows, reduction="none").cpu().numpy()
    assert np.isnan(found).tolist() == [False, True, True, False]


def test_bad_values_show_in_the_loss(device):
    def there(*values):
        return Tensor(np.array(values, "float32"), device=device)
    p = there(0.5, 0.5, 0.5)
    for target in there(0, 1, 255), there(0, 1, -0.5):
        assert np.isnan(F.binary_cross_entropy(p, target, reduction="none").cpu().numpy()).tolist() == [False, False, True]
        assert np.isnan(F.dice_loss(p, target).item())
    for loss in F.soft_margin_loss, F.hinge_embedding_loss:
        assert np.isnan(loss(p, there(1, -1, 0), reduction="none").cpu().numpy()).tolist() == [False, False, True]
    assert np.isnan(F.cosine_embedding_loss(p.reshape(1, 3), p.reshape(1, 3), there(0)).item())
    assert np.isnan(F.gaussian_nll_loss(p, p, there(1, 1, -1)).item())
    assert np.isnan(F.mse_loss(p, p, weight=there(0, 0, 0)).item())


def test_labels_of_another_device_are_refused(device):
    x = Tensor(np.zeros((2, 3), "float32"), device=device)
    for loss in F.cross_entropy, F.multi_margin_loss:
        with pytest.raises(TypeError, match="must be on one device"):
            loss(x, np.array([0, 1]))
        assert loss(x, [0, 1]).device == device           # a list goes where the scores are
    with pytest.raises(TypeError, match="must be on one device"):
        F.hinge_embedding_loss(x[0], np.array([1, -1, 1]))


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
def test_clipping_equals_that_of_the_cpu(norm, device):
    def clipped(device):
        rng = np.random.default_rng(0)
        xs = [Tensor(rng.standard_normal(shape), requires_grad=True, device=device) for shape in [(3, 4), (5,), ()]]
        for x in xs:
            x.grad = x.detach() * 7
        total = clip_grad_norm_(xs, 2.0, norm)
        clip_grad_value_(xs, 0.9)
        return [total, *(x.grad for x in xs)]
    for right, found in zip(clipped("cpu"), clipped(device)):
        assert found.device == device and found.dtype == right.dtype
        np.testing.assert_allclose(found.cpu().numpy(), right.numpy(), rtol=1e-6)


def test_running_statistics_without_momentum(device):
    """momentum=None averages over all batches: the number of batches is a number of the device."""
    def run(device):
        layer, rng = nn.BatchNorm2d(3, momentum=None), np.random.default_rng(1)
        layer.to(device)
        for _ in range(3):
            layer(Tensor(rng.standard_normal((4, 3, 5, 5)).astype("float32"), device=device))
        return [b.cpu().numpy() for b in layer.buffers()]
    for right, found in zip(run("cpu"), run(device)):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
