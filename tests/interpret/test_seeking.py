"""Pictures sought by gradient: each step by hand, penalties by loops, scores that rise, losses that fall, seeds that repeat."""

import numpy as np
import pytest

from tinyvision import Tensor, models, nn
from tinyvision.interpret import activations, deep_dream, filter_pictures, invert_features, maximize
from tinyvision.interpret.picture import Ascent, Standard, blurred, total_variation
from tinyvision.interpret.target import Target

from .nets import draw, network, snapshot, stack

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


def brightness(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def test_steps_by_hand():
    """A linear score of standardised brightness: g = w / std - 2 l2 (z - x) - tv * gradient of TV; rms, clip, shorter steps."""
    net = stack(nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    x, k, l2, tv, lr = brightness(2, 3, 4, 5), [1, 0], 0.3, 0.7, 0.1
    options = {"lr": lr, "jitter": 0, "blur": 0, "smooth": 0, "l2": l2, "tv": tv, "mean": MEAN, "std": STD}
    w = net[1].weight.data[k].reshape(2, 3, 4, 5)

    def stepped(z, length):
        slope = np.zeros_like(z)                          # of TV: 2 (z_p - z_q) for each neighbour q of p
        for p in np.ndindex(z.shape):
            for axis in (2, 3):
                for side in (-1, 1):
                    q = list(p)
                    q[axis] += side
                    if 0 <= q[axis] < z.shape[axis]:
                        slope[p] += 2 * (z[p] - z[tuple(q)])
        g = w / np.reshape(STD, (3, 1, 1)) - 2 * l2 * (z - x) - tv * slope
        return np.clip(z + length * g / np.sqrt((g ** 2).mean(axis=(1, 2, 3), keepdims=True)), 0, 1)

    one, four = (maximize(net, k, (3, 4, 5), start=x, steps=steps, **options) for steps in (1, 4))
    np.testing.assert_allclose(one, stepped(x, lr), rtol=1e-10)
    np.testing.assert_allclose(four, stepped(stepped(stepped(one, lr), lr), lr / 2), rtol=1e-10)


@pytest.mark.parametrize("penalty", [{}, {"l2": 0.01, "tv": 0.01}])
def test_units_that_are_off_are_woken(penalty):
    """Off at the start, two rectifiers have no gradient; opened, they lead along the product of the weights."""
    net = stack(nn.Flatten(), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU())
    start, options = np.full((1, 5, 6), 0.5), {"jitter": 0, "blur": 0, "smooth": 0, "lr": 0.01}
    net[3].bias.data -= activations(net, start[None], "3")[0] + 0.05      # so that all lie below 0
    assert not net(Tensor(start[None])).data.any()
    w = (net[3].weight.data[[1, 2]] @ net[1].weight.data).reshape(2, 1, 5, 6)
    one = maximize(net, [1, 2], (1, 5, 6), start=start, steps=1, **options)
    np.testing.assert_allclose(one - start, 0.01 * w / np.sqrt((w ** 2).mean(axis=(1, 2, 3), keepdims=True)), rtol=1e-9)
    found = maximize(net, [1, 2], (1, 5, 6), start=start, steps=200, **options, **penalty)
    assert (net(Tensor(found)).data[[0, 1], [1, 2]] > 0).all()


def test_jitter_looks_at_the_shifted_picture():
    """The gradient is taken at the rolled picture and rolled back: of a score that weighs pixels, the shifted weights."""
    net, x = stack(nn.Flatten(), nn.Linear(6 * 7, 1)), np.full((1, 1, 6, 7), 0.5)
    ascent = Ascent("test", net, Target("test", 0, 1), Standard("test", 0, 1, 1, np.float64, 2), lr=0.1, jitter=2, generator=5)
    shift = np.random.default_rng(5).integers(-2, 3, 2)
    moved, scores = ascent.step(x)
    w = np.roll(net[1].weight.data.reshape(1, 1, 6, 7), tuple(-shift), (2, 3))
    np.testing.assert_allclose(moved - x, 0.1 * w / np.sqrt((w ** 2).mean()), rtol=1e-10)
    np.testing.assert_allclose(scores, net(Tensor(x)).data[:, 0])


def test_total_variation_and_blur():
    x = draw(2, 3, 4, 5)
    by_loops = [sum((a[:, i, j] - a[:, i + di, j + dj]) @ (a[:, i, j] - a[:, i + di, j + dj]) for di, dj in ((0, 1), (1, 0))
                    for i in range(4 - di) for j in range(5 - dj)) for a in x]
    np.testing.assert_allclose(total_variation(Tensor(x)).data, by_loops, rtol=1e-12)
    one = np.zeros((1, 1, 41, 41))
    one[0, 0, 20, 20] = 1
    soft = blurred("test", one, 2.0)[0, 0]
    d = np.arange(41) - 20
    np.testing.assert_allclose([soft.sum(), (soft.sum(axis=0) * d * d).sum()], [1, 4], rtol=0.01)      # variance 2 squared


@pytest.mark.parametrize("name, target, layer", [("LeNet5", [3, 8], None), ("LeNet5", 4, "conv2"), ("resnet20", 5, "layer2"),
                                                 ("UNet", [1, 2], None), ("UNet", (0, 3, 3), None),
                                                 ("LeNet5", lambda y: y[:, 2] - y[:, 3], None)])
def test_scores_rise(name, target, layer):
    from .nets import NETS
    net, shape, scores = network(name).train(), NETS[name][2], []
    options = {"steps": 30, "jitter": 1, "smooth": 1.0, "generator": 0}
    before = snapshot(net)
    x = maximize(net, target, shape, layer=layer, callback=lambda i, x, s: scores.append(s), **options)
    assert snapshot(net) == before and len(scores) == 30
    assert (np.mean(scores[-3:], axis=0) > scores[0]).all() and 0 <= x.min() and x.max() <= 1
    assert len(x) == (2 if isinstance(target, list) else 1) and x.shape[1:] == shape
    np.testing.assert_array_equal(x, maximize(net, target, shape, layer=layer, **options))


def test_penalties_do_what_they_say():
    net, shape = network("LeNet5"), (1, 28, 28)
    plain, small, smooth = (maximize(net, 3, shape, steps=60, jitter=0, blur=0, smooth=0, generator=0, **penalty)
                            for penalty in ({}, {"l2": 1.0}, {"tv": 1.0}))
    assert np.square(small - 0.5).sum() < 0.5 * np.square(plain - 0.5).sum()
    assert total_variation(Tensor(smooth)).data < 0.2 * total_variation(Tensor(plain)).data


def test_filter_pictures_are_those_of_maximize():
    net = network("LeNet5")
    found = filter_pictures(net, "conv2", (1, 28, 28), filters=[3, 9, 5], steps=20, jitter=0, batch_size=2, generator=0)
    y = activations(net, found, "conv2").mean(axis=(2, 3))
    empty = activations(net, np.full((1, 1, 28, 28), 0.5), "conv2").mean(axis=(2, 3))
    assert found.shape == (3, 1, 28, 28) and all(y[i, k] > empty[0, k] + 0.1 for i, k in enumerate((3, 9, 5)))
    assert len(filter_pictures(net, "conv1", (1, 28, 28), steps=1)) == 6


def test_the_middle_place_draws_inside_of_its_field():
    """conv2's place (5, 5) sees the rows 8 to 21 (2 * 5 - 2 on, 14 of them); pixels outside keep their value."""
    net = network("LeNet5")
    start = np.full((1, 28, 28), 0.5)
    found = filter_pictures(net, "conv2", (1, 28, 28), place="middle", filters=[2, 7], steps=10, jitter=0, blur=0, smooth=0,
                            start=start)
    changed = np.argwhere((found != 0.5).any(axis=(0, 1)))
    assert changed.min() == 8 and changed.max() == 21
    y, empty = activations(net, found, "conv2")[:, :, 5, 5], activations(net, start[None], "conv2")[0, :, 5, 5]
    assert y[0, 2] > empty[2] + 0.1 and y[1, 7] > empty[7] + 0.1


@pytest.mark.parametrize("target", [None, 3])
def test_dreams_raise_the_activation(target):
    net, image = network("resnet20").train(), brightness(3, 20, 26).astype(np.float32)
    before = snapshot(net)
    dream = deep_dream(net, image, "layer1.1", target=target, octaves=2, steps=6, mean=MEAN, std=STD, generator=0)
    assert snapshot(net) == before and dream.shape == image.shape and 0 <= dream.min() and dream.max() <= 1
    mean, std = np.reshape(MEAN, (3, 1, 1)), np.reshape(STD, (3, 1, 1))
    y = [activations(net, ((v - mean) / std)[None], "layer1.1") for v in (image, dream)]
    if target is None:
        assert y[1].mean() > 1.2 * y[0].mean() and np.square(y[1]).mean() > 1.5 * np.square(y[0]).mean()
    else:
        assert y[1][:, 3].mean() > 1.2 * y[0][:, 3].mean()
    assert 0 < np.abs(dream - image).mean() < 0.3         # still the photograph


def test_a_dream_of_one_octave_begins_as_plain_ascent():
    net, image = network("resnet20"), brightness(1, 3, 12, 12)
    dream = deep_dream(net, image, "layer1", octaves=1, steps=1, lr=0.02, jitter=0, smooth=0)
    def strength(y):
        return (y * y).mean(axis=(1, 2, 3)) / 2
    plain = maximize(net, strength, (3, 12, 12), layer="layer1", start=image, steps=1, lr=0.02, jitter=0, blur=0, smooth=0)
    np.testing.assert_allclose(dream, plain, rtol=1e-10)


def test_inversion_finds_the_picture_of_an_invertible_layer():
    """A layer from which nothing is lost, and no penalties: the picture itself comes back."""
    net, images = stack(nn.Conv2d(1, 9, 3, padding=1), nn.LeakyReLU()), brightness(2, 1, 6, 7)
    found = invert_features(net, images, "1", steps=600, lr=0.05, alpha=0, tv=0, generator=0)
    np.testing.assert_allclose(found, images, atol=0.01)


def test_inversion_reduces_the_loss():
    net, images, errors = network("LeNet5").train(), brightness(2, 1, 28, 28), []
    before = snapshot(net)
    found = invert_features(net, images, "pool", steps=100, tv=0.0, generator=0, callback=lambda i, error: errors.append(error))
    assert snapshot(net) == before and 0 <= found.min() and found.max() <= 1
    target, y = activations(net, images, "pool"), activations(net, found, "pool")
    by_hand = np.square(y - target).sum(axis=(1, 2, 3)) / np.square(target).sum(axis=(1, 2, 3))
    assert (by_hand < 0.1 * errors[0]).all() and len(errors) == 100
    np.testing.assert_allclose(by_hand, errors[-1], atol=0.02)
    flat = invert_features(net, images, "pool", steps=100, tv=50.0, generator=0)
    assert (total_variation(Tensor(flat)).data < 0.3 * total_variation(Tensor(found)).data).all()


LENET = models.LeNet5


@pytest.mark.parametrize("call, match", [
    (lambda: maximize(LENET(), 10, (1, 28, 28)), "target must lie in 0..9"),
    (lambda: maximize(LENET(), None, (1, 28, 28)), "target must say what to maximise"),
    (lambda: maximize(LENET(), 3, 28), r"shape must be that of one picture, \(C, H, W\), got 28"),
    (lambda: maximize(LENET(), 3, (3, 28, 28)), r"LeNet5: input must be \(N, 1"),
    (lambda: maximize(LENET(), 3, (1, 28, 28), steps=0), "steps must be at least 1, got 0"),
    (lambda: maximize(LENET(), 3, (1, 28, 28), lr=0), "lr must be above 0, got 0"),
    (lambda: maximize(LENET(), 3, (1, 28, 28), tv=-1), "tv must be at least 0, got -1"),
    (lambda: maximize(LENET(), 3, (1, 28, 28), jitter=-1), "jitter must be at least 0, got -1"),
    (lambda: maximize(LENET(), 3, (1, 28, 28), std=0), "std must be above 0, got 0"),
    (lambda: maximize(LENET(), 3, (1, 28, 28), mean=(0, 1)), r"mean must be one number or 1, .* got shape \(2,\)"),
    (lambda: maximize(LENET(), [3, 4], (1, 28, 28), start=draw(3, 1, 28, 28)), "start must hold floats, .* the 2 pictures"),
    (lambda: maximize(LENET(), 3, (1, 28, 28), start=draw(1, 28, 28)), "start must be brightness 0..1"),
    (lambda: filter_pictures(LENET(), "conv1", (1, 28, 28), filters=[]), "filters must name at least one, got none"),
    (lambda: filter_pictures(LENET(), "conv1", (1, 28, 28), filters=[6], steps=1), "target must lie in 0..5"),
    (lambda: deep_dream(LENET(), draw(1, 28, 28), "conv1"), "image must be brightness 0..1"),
    (lambda: deep_dream(LENET(), brightness(1, 28, 28), "conv1"), "LeNet5: input must be"),
    (lambda: deep_dream(LENET(), brightness(1, 28, 28), "conv1", octave_scale=1.0), "octave_scale must be above 1, got 1.0"),
    (lambda: deep_dream(LENET(), brightness(1, 28, 28), "conv7", octaves=1), "LeNet5 has no layer 'conv7'"),
    (lambda: invert_features(LENET(), draw(1, 1, 28, 28), "conv1"), "images must be brightness 0..1"),
    (lambda: invert_features(stack(nn.Conv2d(1, 1, 1), nn.Threshold(9.0, 0.0)), brightness(1, 1, 4, 4), "1"),
     "zero everywhere for picture 0"),
    (lambda: invert_features(LENET(), brightness(1, 1, 28, 28), "conv1", alpha=-1), "alpha must be at least 0, got -1"),
])
def test_messages_of_seekers(call, match):
    with pytest.raises(ValueError, match=match):
        call()
