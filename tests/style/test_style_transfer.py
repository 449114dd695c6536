"""Style transfer by gradient: the goal by hand, its gradient, what weights, mixtures and colours promise."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, models, nn, no_grad
from tinyvision.style import (RandomFeatures, StyleFeatures, gram_matrix, match_colors, stylize, with_colors)
from tinyvision.style.colors import YIQ, brightness
from tinyvision.style.transfer import Goal


def picture(seed=0, height=16, width=24, low=0.0, high=1.0):
    """A smooth colour picture."""
    rng = np.random.default_rng(seed)
    coarse = Tensor(rng.uniform(low, high, (1, 3, height // 4, width // 4)).astype(np.float32))
    return F.interpolate(coarse, size=(height, width), mode="bilinear").data[0]


def few():
    return StyleFeatures(RandomFeatures(8, 2, generator=0), "stages.1", ["stages.0", "stages.1"])


def test_random_features_are_theirs():
    """The same seed, the same filters; nothing of them is learned; reflected borders and overlapping means in PyTorch."""
    torch = pytest.importorskip("torch")
    net, x = RandomFeatures(6, 3, generator=3), picture()[None]
    for p, q in zip(net.parameters(), RandomFeatures(6, 3, generator=3).parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
        assert not p.requires_grad
    T = torch.nn.functional
    y = torch.tensor(x)
    for i, stage in enumerate(net.stages):
        y = T.avg_pool2d(T.pad(y, (1, 1, 1, 1), mode="replicate"), 4, 2) if i else y
        y = T.relu(T.conv2d(T.pad(y, (1, 1, 1, 1), mode="reflect"), torch.tensor(stage[0].weight.numpy())))
    np.testing.assert_allclose(net(Tensor(x)).data, y.numpy(), atol=1e-5)
    w = net.stages[1][0].weight.numpy().reshape(6, -1)
    np.testing.assert_allclose(w @ w.T, 2 * np.eye(6), atol=1e-5)


def test_usual_layers_of_vgg():
    """conv4_2 for the content, conv1_1 to conv5_1 for the style, each after its ReLU; inputs standardised as for ImageNet."""
    manual_seed(0)
    net = models.PlainNet(5, base_channels=2, norm=False).eval()
    features, x = StyleFeatures(net), picture(0, 32, 32)[None]
    with no_grad():
        content, grams = features.both(Tensor(x))
        y = (x - np.array([0.485, 0.456, 0.406], "f4").reshape(3, 1, 1)) / np.array([0.229, 0.224, 0.225], "f4").reshape(3, 1, 1)
        right = []
        for i, stage in enumerate(net.stages):
            y = F.max_pool2d(y, 2) if i else Tensor(y)
            first = F.relu(stage[0](y))
            right.append(gram_matrix(first).data)
            if i == 3:
                second = F.relu(stage[2](first)).data
            y = stage(y)
    np.testing.assert_allclose(content["stages.3.3"].data, second, atol=1e-6)
    for found, wanted in zip(grams.values(), right, strict=True):
        np.testing.assert_allclose(found.data, wanted, rtol=1e-4, atol=1e-6)


def test_networks_in_training_are_left_so():
    net = models.CifarResNet(1)
    features = StyleFeatures(net)
    before = net.bn1.running_mean.numpy().copy()
    features.grams(Tensor(picture()[None]))
    assert net.training and net.bn1.training and np.array_equal(before, net.bn1.running_mean.numpy())


def test_goal_by_hand():
    content, styles = picture(0), [picture(1), picture(2, 20, 20)]
    goal = Goal(few(), content, styles, [0.25, 0.75], 3.0, 5.0, 7.0)
    x = picture(3)
    total, _ = goal(x)
    features = few()
    p, (f, grams) = features.content(Tensor(content[None]))["stages.1"].data, features.both(Tensor(x[None]))
    f = f["stages.1"].data
    near, like = ((f - p) ** 2).sum() / (p ** 2).sum(), 0.0
    for style, share in zip(styles, (0.25, 0.75)):
        for name, a in features.grams(Tensor(style[None])).items():
            like += share * ((grams[name].data - a.data) ** 2).sum() / (a.data ** 2).sum() / 2
    rough = ((np.diff(x, axis=1) ** 2).sum() + (np.diff(x, axis=2) ** 2).sum()) / x.size
    assert total == pytest.approx(3 * near + 5 * like + 7 * rough, rel=1e-4)
    assert [goal.losses[name][0] for name in ("content", "style", "tv")] == pytest.approx([near, like, rough], rel=1e-4)


def test_gradient_of_the_goal():
    """Central differences in float64 along random directions."""
    net = RandomFeatures(8, 2, generator=0).double()
    features = StyleFeatures(net, "stages.1", ["stages.0", "stages.1"])
    goal = Goal(features, picture(0).astype(float), [picture(1).astype(float)], [1.0], 1.0, 10.0, 2.0)
    x, rng = picture(2).astype(float), np.random.default_rng(0)
    _, g = goal(x)
    for _ in range(5):
        d = rng.standard_normal(x.shape)
        numeric = (goal(x + 1e-6 * d)[0] - goal(x - 1e-6 * d)[0]) / 2e-6
        assert numeric == pytest.approx((g * d).sum(), rel=1e-5)


def test_without_style_the_content_remains():
    content = picture(0)
    painted = stylize(content, picture(1), few(), style_weight=0, tv_weight=0, steps=3)
    np.testing.assert_allclose(painted.image, content, atol=1e-6)
    assert painted.losses["total"][0] == pytest.approx(0, abs=1e-10)


def test_content_comes_back_from_noise():
    """With the first layer as content and nothing else, noise becomes the picture."""
    content = picture(0, low=0.2, high=0.8)
    features = StyleFeatures(RandomFeatures(32, 1, generator=0), "stages.0", "stages.0")
    painted = stylize(content, picture(1), features, style_weight=0, tv_weight=0, start="noise", steps=200, generator=0)
    assert np.abs(painted.image - content).mean() < 0.02


def test_style_alone_gives_the_styles_statistics():
    """Texture from noise: the Gram matrices come within a hundredth, the places do not."""
    style = picture(1)
    painted = stylize(picture(0), style, few(), content_weight=0, tv_weight=0, start="noise", steps=150, generator=0)
    assert painted.losses["style"][-1] < 0.01 < 0.1 < painted.losses["style"][0] * 10
    assert np.abs(painted.image - style).mean() > 0.1


def test_more_style_is_less_content():
    runs = [stylize(picture(0), picture(1), few(), style_weight=w, steps=40).losses for w in (1.0, 100.0)]
    assert runs[1]["style"][-1] < runs[0]["style"][-1] and runs[1]["content"][-1] > runs[0]["content"][-1]


def test_mixtures():
    """Shares scale to sum 1; all on one style is that style; half and half is nearer to each than the other alone."""
    content, one, two = picture(0), picture(1), picture(2)
    alone, weighed = stylize(content, one, few(), steps=5), stylize(content, [one, two], few(), mix=[3, 0], steps=5)
    np.testing.assert_allclose(alone.image, weighed.image, atol=1e-6)
    options = dict(content_weight=0, tv_weight=0, steps=60)
    mixed, first = (stylize(content, [one, two], few(), mix=mix, **options).image for mix in (None, [1, 0]))

    def far(image, style):
        return Goal(few(), content, [style], [1.0], 0, 1, 0)(image)[0]
    assert far(mixed, two) < far(first, two) and far(mixed, one) < far(two, one)


def test_brightness_stays_in_its_range_and_runs_repeat():
    options = dict(start="noise", steps=5, generator=4)
    a, b = (stylize(picture(0), picture(1), few(), **options).image for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.min() >= 0 and a.max() <= 1 and a.dtype == np.float32


def test_every_step_is_told():
    told = []
    stylize(picture(0), picture(1), few(), steps=4, callback=lambda step, image: told.append((step, image.shape)))
    assert told == [(k, (3, 16, 24)) for k in (1, 2, 3, 4)]


def test_luminance_keeps_every_colour():
    """I and Q are the content's wherever nothing was clipped; the brightness is not."""
    content = picture(0, low=0.35, high=0.65)
    painted = stylize(content, picture(1), few(), colors="luminance", content_weight=0.1, steps=40).image
    inside = ((painted > 0.001) & (painted < 0.999)).all(axis=0)
    a, b = (np.tensordot(YIQ, x.astype(float), 1) for x in (painted, content))
    assert inside.mean() > 0.5
    np.testing.assert_allclose(a[1:, inside], b[1:, inside], atol=1e-5)
    assert np.abs(a[0] - b[0]).mean() > 0.005


def test_histogram_takes_the_contents_palette():
    """The painted picture's mean colour is nearer to the content's than without."""
    content, style = picture(0, low=0.6, high=0.9), picture(1, low=0.0, high=0.4)
    means = [stylize(content, style, few(), colors=colors, content_weight=0, steps=40).image.mean(axis=(1, 2))
             for colors in ("style", "histogram")]
    far = [np.abs(m - content.mean(axis=(1, 2))).max() for m in means]
    assert far[1] < 0.05 < 0.2 < far[0]


def test_match_colors_by_moments():
    rng = np.random.default_rng(0)
    image, reference = rng.uniform(0.2, 0.8, (3, 20, 20)), 0.5 + 0.2 * np.tensordot(rng.uniform(-0.5, 0.5, (3, 3)),
                                                                                  rng.uniform(-1, 1, (3, 30, 10)), 1)
    y = match_colors(image, reference)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), reference.mean(axis=(1, 2)), atol=1e-9)
    np.testing.assert_allclose(np.cov(y.reshape(3, -1)), np.cov(reference.reshape(3, -1)) * 299 / 300 * 400 / 399, atol=1e-9)
    np.testing.assert_allclose(match_colors(image, image), image, atol=1e-9)
    flat = np.full((3, 4, 4), 0.5)
    np.testing.assert_allclose(match_colors(flat, reference)[:, 0, 0], reference.mean(axis=(1, 2)), atol=1e-9)


def test_with_colors_by_hand():
    image, colors = picture(0, low=0.4, high=0.6), picture(1, low=0.4, high=0.6)
    y = with_colors(image, colors)
    np.testing.assert_allclose(brightness(y), brightness(image.astype(float)), atol=1e-9)
    np.testing.assert_allclose(np.tensordot(YIQ[1:], y, 1), np.tensordot(YIQ[1:], colors.astype(float), 1), atol=1e-9)


GREY = np.full((1, 16, 16), 0.5, "f4")


@pytest.mark.parametrize("error, words, call", [
    (ValueError, r"stylize: content must be a colour picture \(3, H, W\).*got float32 of shape \(1, 16, 16\). Grey pictures",
     lambda: stylize(GREY, picture(1))),
    (ValueError, "stylize: styles must be brightness 0..1, got 0.0946 to 1.96", lambda: stylize(picture(0), 2 * picture(1))),
    (ValueError, r"stylize: mix must be 2 numbers from 0 on.*got \[1.0\]",
     lambda: stylize(picture(0), [picture(1)] * 2, mix=[1])),
    (ValueError, "stylize: mix must be 1 numbers", lambda: stylize(picture(0), picture(1), mix=[-1])),
    (ValueError, "stylize: styles must be one picture at least", lambda: stylize(picture(0), [])),
    (ValueError, "stylize: colors must be one of 'style', 'luminance', 'histogram'",
     lambda: stylize(picture(0), picture(1), colors="lab")),
    (ValueError, "stylize: style_weight must be at least 0", lambda: stylize(picture(0), picture(1), style_weight=-1)),
    (ValueError, "stylize: start must be one of 'content', 'noise'", lambda: stylize(picture(0), picture(1), start="grey")),
    (ValueError, r"stylize: start must be of the content's shape \(3, 16, 24\), got \(3, 24, 24\)",
     lambda: stylize(picture(0), picture(1), start=picture(1, 24, 24))),
    (TypeError, "stylize: features must be a StyleFeatures, got RandomFeatures",
     lambda: stylize(picture(0), picture(1), RandomFeatures())),
    (ValueError, "StyleFeatures: content_layers must name layers of Sequential, got none. There is: 0, 1",
     lambda: StyleFeatures(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))),
    (ValueError, "StyleFeatures: RandomFeatures has no layer 'stages.9'", lambda: StyleFeatures(
        style_layers="stages.9").grams(Tensor(picture(0)[None]))),
    (ValueError, "RandomFeatures: input must be .* at least 16x16", lambda: RandomFeatures()(Tensor(picture(0, 12, 24)[None]))),
    (ValueError, "with_colors: image and colors must have one size", lambda: with_colors(picture(0), picture(1, 24, 24))),
])
def test_style_transfer_refuses(error, words, call):
    with pytest.raises(error, match=words):
        call()
