"""Classes and cells of pixels, against scikit-learn and against loops over pixels and over pairs of them."""

import itertools
import re

import numpy as np
import pytest
import sklearn.metrics as sk

from tinyvision import Tensor
from tinyvision import functional as F
from tinyvision.metrics import (ConfusionMatrix, MeanIoU, RandScore, connected_cells, dice, grown, iou, maximal_rand_score,
                                mean_iou, pixel_error, rand_score)


def draw(seed, K=4):
    random = np.random.default_rng(seed)
    shape = 2, random.integers(1, 6), random.integers(1, 6)
    return random.integers(0, K - 1, shape), random.integers(0, K, shape)                # predicted; true, one class more


@pytest.mark.parametrize("seed", range(8))
def test_overlaps_as_in_sklearn(seed):
    predicted, true = draw(seed)
    flat = true.ravel(), predicted.ravel()
    present = np.union1d(predicted, true)
    jaccard = sk.jaccard_score(*flat, labels=present, average=None, zero_division=0)
    np.testing.assert_allclose(iou(predicted, true, 4)[present], jaccard)
    np.testing.assert_allclose(dice(predicted, true, 4)[present], sk.f1_score(*flat, labels=present, average=None))
    assert np.isnan(iou(predicted, true, 6)[4:]).all()
    assert mean_iou(predicted, true, 6) == pytest.approx(jaccard.mean())
    assert iou(predicted, true, 4, "micro") == pytest.approx(sk.jaccard_score(*flat, labels=range(4), average="micro"))
    assert pixel_error(predicted, true) == pytest.approx(np.mean(predicted != true))


@pytest.mark.parametrize("seed", range(4))
def test_overlaps_by_sets(seed):
    predicted, true = draw(seed)
    for k in range(4):
        P, T = (set(zip(*np.nonzero(x == k))) for x in (predicted, true))
        if P | T:
            assert iou(predicted, true, 4)[k] == pytest.approx(len(P & T) / len(P | T))
            assert dice(predicted, true, 4)[k] == pytest.approx(2 * len(P & T) / (len(P) + len(T)))


def test_dice_is_what_the_loss_is_made_of():
    random = np.random.default_rng(0)
    predicted, true = random.integers(0, 2, (2, 1, 5, 6))
    loss = F.dice_loss(Tensor(predicted.astype(float)), true.astype(float), reduction="none")
    assert 1 - loss.item() == pytest.approx(dice(predicted, true, 2)[1], abs=1e-6)


def test_ignored_pixels_and_batches():
    random = np.random.default_rng(1)
    scores, true = random.standard_normal((5, 3, 4, 4)), random.integers(0, 3, (5, 4, 4))
    true[random.random(true.shape) < 0.3] = 255
    metric = MeanIoU(3, ignore_index=255)
    for start in (0, 2, 4):
        metric.update(Tensor(scores[start:start + 2]), true[start:start + 2])
    kept = true != 255
    expected = sk.jaccard_score(true[kept], scores.argmax(axis=1)[kept], average="macro")
    assert metric.compute() == mean_iou(scores, true, ignore_index=255) == pytest.approx(expected)
    assert metric.accuracy == pytest.approx(np.mean((scores.argmax(axis=1) == true)[kept]))
    assert isinstance(metric, ConfusionMatrix) and metric.dice(None).shape == (3,)
    metric.reset()
    with pytest.raises(ValueError, match="needs at least 1 example"):
        metric.compute()


# --- cells


def pairs_by_loop(predicted, true):
    """sum n_ij^2, sum s_i^2, sum t_j^2 as numbers of pairs of pixels inside true cells, each pixel with itself as well."""
    pixels = [(s, t, i) for i, (s, t) in enumerate(zip(predicted.ravel(), true.ravel())) if t > 0]
    both = ours = theirs = 0
    for (s, t, i), (s2, t2, i2) in itertools.product(pixels, pixels):
        same_found = i == i2 or (s == s2 and s > 0)
        both += same_found and t == t2
        ours += same_found
        theirs += t == t2
    return both, ours, theirs


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_rand_score_by_pairs(seed, alpha):
    random = np.random.default_rng(seed)
    predicted, true = random.integers(0, 4, (5, 6)), random.integers(0, 3, (5, 6))
    both, ours, theirs = pairs_by_loop(predicted, true)
    assert rand_score(Tensor(predicted), true, alpha) == pytest.approx(both / (alpha * ours + (1 - alpha) * theirs))


def test_rand_f_is_the_harmonic_mean_and_numbers_are_only_names():
    random = np.random.default_rng(2)
    predicted, true = random.integers(0, 5, (2, 8, 8))
    split, merge = rand_score(predicted, true, 0), rand_score(predicted, true, 1)
    assert rand_score(predicted, true) == pytest.approx(2 * split * merge / (split + merge))
    names = np.array([0, 40, 7, 1000, 2])
    assert rand_score(names[predicted], names[true]) == pytest.approx(rand_score(predicted, true))
    assert rand_score(true, true) == 1.0


def test_rand_score_of_a_stack_counts_pairs_within_pictures():
    random = np.random.default_rng(3)
    predicted, true = random.integers(0, 3, (2, 4, 5, 5))
    metric = RandScore()
    for pair in zip(predicted, true):
        metric.update(*pair)
    sums = np.sum([pairs_by_loop(*pair) for pair in zip(predicted, true)], axis=0)
    assert metric.compute() == pytest.approx(2 * sums[0] / (sums[1] + sums[2]))
    assert metric.split == pytest.approx(sums[0] / sums[2]) and metric.merge == pytest.approx(sums[0] / sums[1])


def test_rand_score_by_hand():
    """Two cells of 3 pixels and a membrane between them; the membrane has a gap, or a cell is cut in two."""
    true = np.array([[1, 1, 1, 0, 2, 2, 2]])
    assert rand_score([[1, 1, 1, 1, 1, 1, 1]], true, 0) == 1.0            # merged: nothing is split
    assert rand_score([[1, 1, 1, 1, 1, 1, 1]], true, 1) == 18 / 36
    assert rand_score([[1, 0, 3, 0, 2, 2, 2]], true, 0) == 12 / 18        # 1 + 1 + 1 + 9 of 9 + 9 pairs are left
    assert rand_score([[1, 0, 3, 0, 2, 2, 2]], true, 1) == 1.0
    assert rand_score([[5, 5, 5, 5, 6, 6, 6]], true) == 1.0               # membranes are not looked at


def flood(mask):
    """Connected parts by walking from pixel to pixel."""
    cells, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask)):
        if cells[start] == 0:
            count, todo = count + 1, [start]
            while todo:
                y, x = todo.pop()
                if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and cells[y, x] == 0:
                    cells[y, x] = count
                    todo += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return cells


@pytest.mark.parametrize("seed", range(4))
def test_connected_cells_by_walking(seed):
    mask = np.random.default_rng(seed).random((7, 9)) < 0.6
    ours, theirs = connected_cells(mask), flood(mask)
    assert ours.dtype == np.int64 and ours.max() == theirs.max()
    assert len(set(zip(ours.ravel(), theirs.ravel()))) == ours.max() + 1                  # one to one
    assert ((ours == 0) == (theirs == 0)).all()


def test_grown_goes_to_the_nearest():
    cells = np.zeros((9, 11), int)
    cells[1, 2], cells[7, 8], cells[2, 9] = 1, 2, 3
    seeds = {1: (1, 2), 2: (7, 8), 3: (2, 9)}
    result = grown(cells)
    for y, x in np.ndindex(*cells.shape):
        distance = {k: (y - a) ** 2 + (x - b) ** 2 for k, (a, b) in seeds.items()}
        assert distance[result[y, x]] == min(distance.values())
    assert grown(np.zeros((2, 2), int)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("grow", [False, True])
def test_maximal_rand_score_by_trying(grow):
    random = np.random.default_rng(4)
    p, true = random.random((3, 6, 6)), random.random((3, 6, 6)) < 0.7
    tried = {}
    for threshold in (0.2, 0.5, 0.8):
        metric = RandScore()
        for picture, mask in zip(p, true):
            cells = flood(picture > threshold)
            metric.update(grown(cells) if grow else cells, flood(mask))
        tried[threshold] = metric.compute()
    best, threshold = maximal_rand_score(Tensor(p), true, (0.2, 0.5, 0.8), grow=grow)
    assert best == pytest.approx(max(tried.values())) and tried[threshold] == pytest.approx(best)


def test_inside_is_above_the_threshold():
    assert maximal_rand_score([[[0.5, 0.5, 0.25, 0.5]]], [[[1, 1, 0, 1]]], (0.25,)) == (1.0, 0.25)


def test_growing_makes_wide_membranes_harmless():
    true = np.ones((1, 7, 9), int)
    true[0, :, 4] = 0
    wide = true.copy()
    wide[0, :, 3:6] = 0
    wide[0, [0, -1]] = 0
    assert maximal_rand_score(wide, true)[0] < 0.8 and maximal_rand_score(wide, true, grow=True)[0] == 1.0


@pytest.mark.parametrize("call, error, message", [
    (lambda: iou([[0, 1]], [[0, 1]]), ValueError, "the number of classes must be given for predictions of shape (1, 2)"),
    (lambda: iou([[255]], [[255]], 3, ignore_index=255), ValueError, "needs at least 1 example, got 0"),
    (lambda: pixel_error([[0]], [[0, 1]]), ValueError, "must have one shape, got (1, 1) and (1, 2)"),
    (lambda: rand_score([[1]], [[0]]), ValueError, "needs at least 1 pixel inside a true cell, got 0"),
    (lambda: rand_score([[1]], [[1]], alpha=2), ValueError, "alpha must be from 0 to 1, got 2"),
    (lambda: rand_score([[-1]], [[1]]), ValueError, "predictions must be numbers of cells 0 or more, got -1"),
    (lambda: rand_score([[0.7]], [[1]]), TypeError, "predictions must be numbers of cells, integers, got dtype float64"),
    (lambda: rand_score([[1, 2]], [[1]]), ValueError, "must have one shape, got (1, 2) and (1, 1)"),
    (lambda: connected_cells([0, 1]), ValueError, "mask must be (H, W), got (2,)"),
    (lambda: connected_cells([[0, 255]]), ValueError, "mask must be 0 or 1, got 255"),
    (lambda: grown([1, 0]), ValueError, "cells must be (H, W), got (2,)"),
    (lambda: grown([[0.5]]), TypeError, "cells must be numbers of cells, integers"),
    (lambda: maximal_rand_score([[0.5]], [[1]]), ValueError, "must be (N, H, W), got (1, 1)"),
    (lambda: maximal_rand_score([[[1.5]]], [[[1]]]), ValueError, "must be probabilities from 0 to 1, got 1.5"),
    (lambda: maximal_rand_score([[[0.5]]], [[[1]]], ()), ValueError, "needs at least 1 threshold, got 0"),
    (lambda: maximal_rand_score([[[0.5]]], [[[0]]]), ValueError, "needs at least 1 pixel inside a true cell"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
