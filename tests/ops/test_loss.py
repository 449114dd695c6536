"""What the case table does not say about losses: their messages, their limits, and the derivatives their papers print."""

import inspect

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad
from tinyvision.ops.index import take_along_axis
from tinyvision.ops.loss_classes import CrossEntropyOp

inf, nan = float("inf"), float("nan")


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def variable(values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


def slope(loss, x):
    return grad(loss, x)[0].data


@pytest.mark.parametrize("error, words, call", [
    (ValueError, r"reduction must be one of 'none', 'mean', 'sum', got 'average'",
     lambda: F.cross_entropy(zeros(2, 3), [0, 1], reduction="average")),
    (TypeError, "input must be floating point, got int64", lambda: F.cross_entropy(zeros(2, 3, dtype=int), [0, 1])),
    (TypeError, r"Use Tensor\(input\)", lambda: F.cross_entropy([[0.0, 1.0]], [0])),
    (ValueError, "at least one class, got shape ()", lambda: F.cross_entropy(np.float32(1), 0)),
    (ValueError, r"at least one class, got shape \(2, 0\)", lambda: F.cross_entropy(zeros(2, 0), [0, 1])),
    (TypeError, "class indices as integers, got float32.*astype", lambda: F.cross_entropy(zeros(2, 3), zeros(2))),
    (TypeError, "integers, got bool", lambda: F.cross_entropy(zeros(2, 3), np.zeros(2, bool))),
    (ValueError, "lie in 0..2 for 3 classes .or ignore_index -100., got 3.*from 0",
     lambda: F.cross_entropy(zeros(2, 3), [0, 3])),
    (ValueError, "got -1", lambda: F.cross_entropy(zeros(2, 3), [0, -1])),
    (ValueError, r"shape \(2,\) for input \(2, 3\), got \(2, 1\). Use target.reshape\(\(2,\)\)",
     lambda: F.cross_entropy(zeros(2, 3), [[0], [1]])),
    (ValueError, r"one-hot rows use target.argmax", lambda: F.cross_entropy(zeros(2, 3), np.eye(2, 3, dtype=int))),
    (ValueError, r"shape \(2, 4, 5\) for input \(2, 3, 4, 5\), got \(2,\). One label per picture \(or pixel\)",
     lambda: F.cross_entropy(zeros(2, 3, 4, 5), [0, 1])),
    (ValueError, r"shape \(\) for input \(3,\)", lambda: F.cross_entropy(zeros(3), [0, 1])),
    (ValueError, r"one value per class, shape \(3,\), got \(2,\)", lambda: F.cross_entropy(zeros(2, 3), [0, 1], [1, 2])),
    (TypeError, "one dtype, got input float32, weight float64",
     lambda: F.cross_entropy(zeros(2, 3), [0, 1], zeros(3, dtype=np.float64))),
    (ValueError, "label_smoothing must be a probability in",
     lambda: F.cross_entropy(zeros(2, 3), [0, 1], label_smoothing=1.5)),
    (ValueError, "ignore_index=1 needs class indices", lambda: F.cross_entropy(zeros(2, 3), zeros(2, 3), ignore_index=1)),
    (TypeError, "one dtype, got input float32, target float64",
     lambda: F.cross_entropy(zeros(2, 3), zeros(2, 3, dtype=np.float64))),
    (ValueError, "nll_loss: target must lie in 0..2", lambda: F.nll_loss(zeros(2, 3), [0, 3])),
    (ValueError, "nll_loss: reduction", lambda: F.nll_loss(zeros(2, 3), [0, 1], reduction="batchmean")),

    (ValueError, r"one shape, got \(3, 1\) and \(3,\)", lambda: F.binary_cross_entropy(zeros(3, 1), zeros(3))),
    (ValueError, r"input must lie in \[0, 1\], got 1.5. For scores use binary_cross_entropy_with_logits",
     lambda: F.binary_cross_entropy(np.array([0.5, 1.5]), [0, 1])),
    (ValueError, "input must lie in .* got nan", lambda: F.binary_cross_entropy(np.array([0.5, nan]), [0, 1])),
    (ValueError, "target must lie in .* got 255.*divide masks", lambda: F.binary_cross_entropy(zeros(2), [0, 255])),
    (ValueError, r"weight must broadcast to the input's shape \(2, 3\), got \(2,\)",
     lambda: F.binary_cross_entropy(zeros(2, 3), zeros(2, 3), zeros(2))),
    (ValueError, r"pos_weight must broadcast to the input's shape \(3,\), got \(2, 3\)",
     lambda: F.binary_cross_entropy_with_logits(zeros(3), zeros(3), pos_weight=zeros(2, 3))),
    (TypeError, "one dtype", lambda: F.binary_cross_entropy_with_logits(zeros(3), zeros(3, dtype=np.float64))),
    (ValueError, "alpha must lie in .* got 2", lambda: F.sigmoid_focal_loss(zeros(3), zeros(3), alpha=2)),
    (ValueError, "gamma must be at least 0, got -1", lambda: F.sigmoid_focal_loss(zeros(3), zeros(3), gamma=-1)),
    (ValueError, "inputs and targets must have one shape", lambda: F.sigmoid_focal_loss(zeros(3), zeros(4))),
    (ValueError, r"soft_margin_loss: target must be 1 or -1, got 0.*2 \* target - 1",
     lambda: F.soft_margin_loss(zeros(2), [0, 1])),
    (ValueError, "one shape", lambda: F.multilabel_soft_margin_loss(zeros(2, 3), zeros(3))),

    (ValueError, "input must lie in .*sigmoid or softmax", lambda: F.dice_loss(np.array([-1.0, 2.0]), [0, 1])),
    (ValueError, "target must lie in .*Divide masks of 0..255 by 255.*one_hot",
     lambda: F.dice_loss(zeros(2), [0, 3])),
    (ValueError, "smooth must be at least 0, got -1", lambda: F.dice_loss(zeros(2), zeros(2), smooth=-1)),

    (ValueError, r"mse_loss: input and target must have one shape, got \(3, 1\) and \(3,\).*hide a mistake",
     lambda: F.mse_loss(zeros(3, 1), zeros(3))),
    (ValueError, "input and weight must have one shape", lambda: F.l1_loss(zeros(3), zeros(3), weight=zeros(1))),
    (ValueError, "delta must be greater than 0, got 0", lambda: F.huber_loss(zeros(3), zeros(3), delta=0)),
    (ValueError, "beta must be at least 0, got -1", lambda: F.smooth_l1_loss(zeros(3), zeros(3), beta=-1)),
    (ValueError, "'sum', 'batchmean', got 'max'", lambda: F.kl_div(zeros(3), zeros(3), reduction="max")),
    (ValueError, "one shape", lambda: F.poisson_nll_loss(zeros(3), zeros(4))),
    (ValueError, "var must not be negative, got -1", lambda: F.gaussian_nll_loss(zeros(2), zeros(2), [-1, 1])),
    (ValueError, r"var must have the shape \(2, 3\).*got \(2, 2\)",
     lambda: F.gaussian_nll_loss(zeros(2, 3), zeros(2, 3), np.eye(2, dtype=int))),
    (ValueError, "broadcast to one shape", lambda: F.gaussian_nll_loss(zeros(2, 3), zeros(2), 1.0)),
    (ValueError, "eps must be greater than 0", lambda: F.gaussian_nll_loss(zeros(2), zeros(2), 1.0, eps=0)),

    (ValueError, "hinge_embedding_loss: target must be 1 or -1, got 0", lambda: F.hinge_embedding_loss(zeros(2), [0, 1])),
    (ValueError, "input1 and target must have one shape", lambda: F.margin_ranking_loss(zeros(2), zeros(2), zeros(3))),
    (ValueError, "margin must be greater than 0, got 0", lambda: F.triplet_margin_loss(*zeros(3, 2, 2), margin=0)),
    (ValueError, "anchor and negative must have one shape", lambda: F.triplet_margin_loss(zeros(2), zeros(2), zeros(3))),
    (ValueError, r"need a target \(N,\).*got inputs \(2, 3\) and target \(3,\)",
     lambda: F.cosine_embedding_loss(zeros(2, 3), zeros(2, 3), np.ones(3))),
    (ValueError, "cosine_embedding_loss: target must be 1 or -1",
     lambda: F.cosine_embedding_loss(zeros(2, 3), zeros(2, 3), [0, 1])),
    (ValueError, "input1 and input2 must have one shape", lambda: F.cosine_embedding_loss(zeros(2, 3), zeros(2, 2), [1, 1])),
    (ValueError, "p must be 1 or 2, got 3", lambda: F.multi_margin_loss(zeros(2, 3), [0, 1], p=3)),
    (ValueError, r"\(N, K\) or \(K,\).*got shape \(2, 3, 4\)", lambda: F.multi_margin_loss(zeros(2, 3, 4), [0, 1])),
    (ValueError, "lie in 0..2", lambda: F.multi_margin_loss(zeros(2, 3), [0, 3])),
    (ValueError, "input and target must have one shape", lambda: F.multilabel_margin_loss(zeros(2, 3), [0, -1, -1])),
    (TypeError, "integers", lambda: F.multilabel_margin_loss(zeros(2, 3), zeros(2, 3))),
    (ValueError, r"last axis, got shapes \(2, 3\) and \(2, 1\)", lambda: F.pairwise_distance(zeros(2, 3), zeros(2, 1))),
    (ValueError, "broadcast to one shape", lambda: F.pairwise_distance(zeros(2, 3), zeros(4, 3))),
    (ValueError, r"x1 and x2 must broadcast to one shape, got \(2, 3\) and \(2, 4\)",
     lambda: F.cosine_similarity(zeros(2, 3), zeros(2, 4))),
    (ValueError, r"dim must name an axis of the shape \(3,\), got 1. Single vectors have dim=0",
     lambda: F.cosine_similarity(zeros(3), zeros(3))),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


LOSSES = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy",
          "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss",
          "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "poisson_nll_loss",
          "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss"]


@pytest.mark.parametrize("name", LOSSES)
def test_signature_is_pytorchs(name):
    """Names, order and defaults; behind PyTorch's deprecated arguments everything is keyword-only."""
    torch = pytest.importorskip("torch")
    theirs = list(inspect.signature(getattr(torch.nn.functional, name)).parameters.values())
    deprecated = [p.name in ("size_average", "reduce") for p in theirs]
    first = deprecated.index(True) if any(deprecated) else len(theirs)
    expected = [(p.name, p.default, i > first) for i, p in enumerate(theirs) if not deprecated[i]]
    ours = inspect.signature(getattr(F, name)).parameters.values()
    assert [(p.name, p.default, p.kind is p.KEYWORD_ONLY) for p in ours] == expected


def test_gradient_of_cross_entropy_is_prediction_minus_truth():
    rng = np.random.default_rng(0)
    x, labels = variable(rng.standard_normal((5, 4))), np.array([0, 3, 1, 1, 2])
    probabilities = np.exp(x.data) / np.exp(x.data).sum(1, keepdims=True)
    expected = probabilities - np.eye(4)[labels]
    np.testing.assert_allclose(slope(F.cross_entropy(x, labels, reduction="sum"), x), expected, atol=1e-15)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 4, 5)], ids=["pictures", "pixels"])
def test_fused_cross_entropy_is_the_composition(shape, dtype, tolerance, order):
    """CrossEntropyOp against log_softmax and gather: values, gradients, gradients of gradients."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    u = rng.standard_normal(labels.shape).astype(dtype)
    v = rng.standard_normal(shape).astype(dtype)

    data = np.asarray(3 * rng.standard_normal(shape), order=order)

    def both_orders(losses_of):
        x, upstream = variable(data, dtype), variable(u, dtype)
        losses = losses_of(x)
        plain = grad(losses, x, u, retain_graph=True)[0]
        (recorded,) = grad(losses, x, upstream, create_graph=True)
        return losses, plain, recorded, *grad((recorded * v).sum(), [x, upstream])

    fused = both_orders(lambda x: CrossEntropyOp(labels)(x))
    composed = both_orders(lambda x: -take_along_axis(F.log_softmax(x, 1), labels[:, None], 1)[:, 0])
    for a, b in zip(fused, composed, strict=True):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        np.testing.assert_allclose(a.data, b.data, rtol=tolerance, atol=tolerance)


def test_one_hot_probabilities_equal_labels():
    x, labels = np.random.default_rng(0).standard_normal((4, 3)), np.array([2, 0, 1, 1])
    np.testing.assert_allclose(F.cross_entropy(x, np.eye(3)[labels]), F.cross_entropy(x, labels), rtol=1e-14)


@pytest.mark.parametrize("labels", [[2, 0], (2, 0), Tensor([2, 0]), np.array([2, 0], np.uint8), np.array([2, 0], np.int32)],
                         ids=["list", "tuple", "Tensor", "uint8", "int32"])
def test_labels_of_every_kind(labels):
    x = np.array([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]])
    np.testing.assert_array_equal(F.cross_entropy(x, labels), F.cross_entropy(x, np.array([2, 0])))


@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits", "dice_loss", "kl_div"])
@pytest.mark.parametrize("target", [[1, 0], [True, False], np.array([1, 0]), np.array([True, False]), Tensor([1, 0])],
                         ids=["list", "bools", "integers", "mask", "Tensor"])
def test_targets_of_every_kind(name, target):
    x = np.array([0.25, 0.75], np.float32)
    y = getattr(F, name)(x, target)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, getattr(F, name)(x, np.array([1, 0], np.float32)))


@pytest.mark.parametrize("weight", [None, [1.0, 2.0]], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mean_over_no_labels_is_nan_and_pulls_at_nothing(weight, smoothing):
    x = variable([[1.0, 2.0], [3.0, 4.0]])
    loss = F.cross_entropy(x, [-100, -100], weight, label_smoothing=smoothing)
    assert np.isnan(loss.item())
    np.testing.assert_array_equal(slope(loss, x), zeros(2, 2))


def test_an_ignored_picture_cannot_spoil_the_loss():
    x = variable([[inf, 1.0], [1.0, 1.0]])
    with np.errstate(invalid="ignore"):
        loss = F.cross_entropy(x, [255, 0], ignore_index=255)
    assert loss.item() == pytest.approx(np.log(2))


def test_infinite_scores():
    x = variable([[0.0, -inf, 0.0]])
    impossible_elsewhere, impossible_label = F.cross_entropy(x, [0]), F.cross_entropy(x, [1])
    assert impossible_elsewhere.item() == pytest.approx(np.log(2)) and impossible_label.item() == inf
    np.testing.assert_allclose(slope(impossible_elsewhere, x), [[-0.5, 0, 0.5]])
    np.testing.assert_allclose(slope(impossible_label, x), [[0.5, -1, 0.5]])
    with np.errstate(invalid="ignore"):
        assert np.isnan(F.cross_entropy(np.array([[0.0, inf]]), [0]))     # inf - inf: as PyTorch


def test_large_scores_are_exact_in_float32():
    x = variable([[1e4, 0.0], [0.0, 1e4]], np.float32)
    np.testing.assert_array_equal(F.cross_entropy(x, [1, 1], reduction="none").data, [1e4, 0])
    z = variable([1e4, -1e4, 1e4, -1e4], np.float32)
    losses = F.binary_cross_entropy_with_logits(z, [0, 0, 1, 1], reduction="none")
    np.testing.assert_array_equal(losses.data, [1e4, 0, 0, 1e4])
    np.testing.assert_array_equal(slope(losses.sum(), z), [1, 0, 0, -1])
    np.testing.assert_array_equal(F.soft_margin_loss(z, [-1, -1, 1, 1], reduction="none").data, [1e4, 0, 0, 1e4])


def test_binary_cross_entropy_is_clamped_as_in_pytorch():
    """log 0 counts as -100, p (1 - p) as at least 1e-12."""
    p = variable([0.0, 1.0, 0.0, 1.0])
    losses = F.binary_cross_entropy(p, [1, 0, 0, 1], reduction="none")
    np.testing.assert_array_equal(losses.data, [100, 100, 0, 0])
    np.testing.assert_allclose(slope(losses.sum(), p), [-1e12, 1e12, 0, 0])
    y = variable([1.0, 0.0])
    np.testing.assert_array_equal(slope(F.binary_cross_entropy(np.array([0.0, 1.0]), y, reduction="sum"), y), [100, -100])


def test_pos_weight_of_one_changes_nothing():
    rng = np.random.default_rng(0)
    x, y = variable(rng.standard_normal((4, 3))), rng.uniform(size=(4, 3))
    plain, weighted = (F.binary_cross_entropy_with_logits(x, y, pos_weight=w) for w in (None, [1, 1, 1]))
    assert weighted.item() == pytest.approx(plain.item(), rel=1e-14)
    np.testing.assert_allclose(slope(weighted, x), slope(plain, x), atol=1e-16)


def test_focal_loss_without_focus_is_binary_cross_entropy():
    rng = np.random.default_rng(0)
    x, y = variable(4 * rng.standard_normal(20)), rng.uniform(size=20)
    focal, plain = F.sigmoid_focal_loss(x, y, alpha=-1, gamma=0), F.binary_cross_entropy_with_logits(x, y, reduction="none")
    np.testing.assert_array_equal(focal.data, plain.data)
    u = rng.standard_normal(20)
    np.testing.assert_array_equal(grad(focal, x, u)[0].data, grad(plain, x, u)[0].data)


def test_focal_loss_stays_finite_where_the_answer_is_certain():
    x = variable([300.0, -300.0, 300.0, -300.0], np.float32)
    losses = F.sigmoid_focal_loss(x, [1, 0, 0, 1])
    np.testing.assert_allclose(losses.data, [0, 0, 225, 75])
    np.testing.assert_allclose(slope(losses.sum(), x), [0, 0, 0.75, -0.25])


def test_dice_derivative_as_printed():
    """Milletari et al. 2016: dD/dp_j = 2 [g_j (sum p^2 + sum g^2) - 2 p_j sum p g] / (sum p^2 + sum g^2)^2."""
    rng = np.random.default_rng(0)
    p, g = variable(rng.uniform(size=(3, 4, 5))), rng.integers(0, 2, (3, 4, 5))
    squares, both = (p.data ** 2).sum() + (g ** 2).sum(), (p.data * g).sum()
    printed = 2 * (g * squares - 2 * p.data * both) / squares ** 2
    np.testing.assert_allclose(slope(1 - F.dice_loss(p, g), p), printed, rtol=1e-13, atol=1e-16)
    plain = p.data.sum() + g.sum()
    np.testing.assert_allclose(slope(1 - F.dice_loss(p, g, squared=False), p), 2 * (g * plain - both) / plain ** 2, rtol=1e-13)


def test_dice_of_masks():
    """Equal masks, disjoint masks, half of a mask, two empty masks; with hard masks the squares make no difference."""
    masks = [([1, 1, 0], [1, 1, 0], 0), ([1, 0, 0], [0, 1, 1], 1), ([1, 0, 0], [1, 1, 0], 1 / 3), ([0, 0, 0], [0, 0, 0], 0)]
    p, g, expected = (np.array(column, float) for column in zip(*masks))
    for squared in (True, False):
        np.testing.assert_allclose(F.dice_loss(p, g, squared=squared, axis=1, reduction="none"), expected)
    x = variable([0.0, 0.0])
    np.testing.assert_array_equal(slope(F.dice_loss(x, [0, 0]), x), [0, 0])
    assert F.dice_loss(p[0] * 0, g[0] * 0, smooth=1.0) == 0


def test_slopes_at_the_kinks():
    x = variable([-0.5, 0.0, 0.5])
    np.testing.assert_array_equal(slope(F.huber_loss(x, zeros(3, dtype=float), "sum", 0.5), x), [-0.5, 0, 0.5])
    np.testing.assert_array_equal(slope(F.smooth_l1_loss(x, zeros(3, dtype=float), beta=0.5, reduction="sum"), x), [-1, 0, 1])
    np.testing.assert_array_equal(slope(F.l1_loss(x, zeros(3, dtype=float), reduction="sum"), x), [-1, 0, 1])
    scores = variable([[1.0, 0.0]])                                       # exactly the margin ahead: satisfied
    np.testing.assert_array_equal(slope(F.multi_margin_loss(scores, [0]), scores), [[0, 0]])


def test_weighted_means():
    """mse_loss divides by the sum of the weights, huber_loss by their number, as PyTorch does."""
    x, t, w = np.array([1.0, 3.0]), np.array([0.0, 0.0]), np.array([1.0, 3.0])
    assert F.mse_loss(x, t, weight=w) == (1 + 3 * 9) / 4
    assert F.l1_loss(x, t, weight=w) == (1 + 3 * 3) / 4
    assert F.huber_loss(x, t, weight=w) == (0.5 + 3 * 2.5) / 2
    assert np.isnan(F.mse_loss(x, t, weight=[0, 0]))


def test_gaussian_variance_can_grow_from_zero():
    """A clamped variance has the slope that it would have at eps."""
    v = variable([0.0, 2.0])
    loss = F.gaussian_nll_loss(np.array([1.0, 1.0]), [0, 0], v, eps=0.5, reduction="sum")
    np.testing.assert_allclose(slope(loss, v), [(1 - 1 / 0.5) / 2 / 0.5, (1 - 1 / 2) / 2 / 2])


def test_other_targets_of_pairs():
    """Neither 1 nor -1: the distance loss counts both of its terms, the cosine loss none."""
    assert F.hinge_embedding_loss(np.array([0.25]), [0.5]) == 0.25 + 0.75
    assert F.cosine_embedding_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5) == 0


def test_targets_that_are_only_compared_may_have_any_dtype():
    x = np.array([[0.6, 0.8]], np.float32)
    assert F.cosine_embedding_loss(x, x, np.array([-1.0])).dtype == np.float32
    assert F.hinge_embedding_loss(x, np.array([[1, -1]], np.int8)).dtype == np.float32


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 0.5, -1.0, inf])
def test_distance_of_a_point_to_itself_pulls_at_nothing(p):
    x = variable([[1.0, 2.0]])
    (g,) = grad(F.pairwise_distance(x, x.data.copy(), p, eps=0), x, np.array([2.0]), create_graph=True)
    np.testing.assert_array_equal(g.data, [[0, 0]])
    if g.requires_grad:
        np.testing.assert_array_equal(grad(g.sum(), x, allow_unused=True)[0].data, [[0, 0]])


def test_cosine_of_the_zero_vector():
    x = variable([[0.0, 0.0]])
    y = F.cosine_similarity(x, np.array([[3.0, 4.0]]), eps=0.1)
    assert y.item() == 0
    np.testing.assert_allclose(slope(y, x), [[6, 8]])                      # x2 / (eps |x2|)


def test_arrays_in_array_out():
    y = F.cross_entropy(zeros(2, 3), [0, 1], reduction="none")
    assert isinstance(y, np.ndarray) and y.dtype == np.float32
    assert not isinstance(F.mse_loss(zeros(2), zeros(2)), Tensor)


@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_labels_filled_anew_do_not_change_the_gradient(loss):
    """A buffer of labels may serve the next batch before backward() runs."""
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    labels = np.array([2, 0, 1, 1])
    expected = grad(getattr(F, loss)(x, labels.copy()), x)[0].numpy()
    y = getattr(F, loss)(x, labels)
    labels[:] = 0
    np.testing.assert_array_equal(grad(y, x)[0].numpy(), expected)
