"""Average precision by VOC's rules, against a loop written from them."""

import re
from fractions import Fraction

import numpy as np
import pytest

from tests.metrics.scenes import overlap, scenes
from tinyvision import Tensor
from tinyvision.metrics import VOCAveragePrecision


def by_definition(predictions, targets, label, key="boxes", threshold=0.5, points=None):
    """The rules, one detection after the other; exact fractions."""
    detections = [(picture, i) for picture, p in enumerate(predictions)
                  for i in range(len(p["labels"])) if p["labels"][i] == label]
    detections.sort(key=lambda d: -predictions[d[0]]["scores"][d[1]])     # stable
    objects = sum(int(l == label and not hard) for t in targets for l, hard in zip(t["labels"], t["difficult"]))
    if objects == 0:
        return np.nan
    taken, outcomes = set(), []
    for picture, i in detections:
        target = targets[picture]
        candidates = [j for j in range(len(target["labels"])) if target["labels"][j] == label]
        ious = [overlap(predictions[picture][key][i], target[key][j]) for j in candidates]
        if not ious or max(ious) < threshold:
            outcomes.append(False)
        else:
            best = candidates[ious.index(max(ious))]
            if not target["difficult"][best]:
                outcomes.append((picture, best) not in taken)
                taken.add((picture, best))
    curve, right = [], 0
    for i, outcome in enumerate(outcomes, 1):
        right += outcome
        curve.append((Fraction(right, objects), Fraction(right, i)))      # recall, precision

    def at(recall):
        return max((p for r, p in curve if r >= recall), default=Fraction(0))

    if points == 11:
        return float(sum(at(Fraction(i, 10)) for i in range(11)) / 11)
    return float(sum(at(Fraction(i, objects)) for i in range(1, objects + 1)) / objects)


@pytest.mark.parametrize("points", [None, 11])
@pytest.mark.parametrize("kind, key", [("box", "boxes"), ("mask", "masks")])
@pytest.mark.parametrize("seed", range(6))
def test_by_definition(seed, kind, key, points):
    predictions, targets = scenes(seed, 8, flag="difficult")
    metric = VOCAveragePrecision(4, points=points, kind=kind, iou_threshold=0.5 if seed % 2 else 0.3)
    metric.update(predictions, targets)
    expected = [by_definition(predictions, targets, k, key, metric.iou_threshold, points) for k in range(4)]
    np.testing.assert_allclose(metric.per_class, expected, rtol=1e-13, equal_nan=True)
    assert np.isnan(expected[3]) and metric.compute() == pytest.approx(np.nanmean(expected))


def test_batches_give_what_the_whole_gives():
    predictions, targets = scenes(9, 7, flag="difficult")
    one, other = VOCAveragePrecision(3), VOCAveragePrecision(3)
    one.update(predictions, targets)
    for start in (0, 3, 6):
        other.update([{k: Tensor(v) for k, v in p.items()} for p in predictions[start:start + 3]], targets[start:start + 3])
    np.testing.assert_array_equal(one.per_class, other.per_class)
    other.reset()
    with pytest.raises(ValueError, match="VOCAveragePrecision: needs at least 1 picture, got 0"):
        other.compute()


BOX, NONE = [0, 0, 4, 4], np.zeros((0, 4))


def ap(found, true, points=None, **more):
    """AP of one picture with one class; found: (box, score)."""
    metric = VOCAveragePrecision(1, points=points)
    metric.update([{"boxes": [box for box, _ in found], "labels": [0] * len(found), "scores": [s for _, s in found]}],
                  [{"boxes": true, "labels": [0] * len(true), **more}])
    return metric.compute()


def test_by_hand():
    assert ap([(BOX, 0.9)], [BOX]) == 1.0
    assert ap([], [BOX]) == 0.0
    assert np.isnan(ap([(BOX, 0.9)], NONE))
    assert np.isnan(ap([], []))
    assert ap([(BOX, 0.9), (BOX, 0.8)], [BOX]) == 1.0                     # found twice: the second is wrong, too late to matter
    assert ap([([0, 0, 4, 2], 0.9), (BOX, 0.8)], [BOX]) == 1.0            # IoU of exactly 1/2 suffices, and takes the object
    assert ap([([9, 9, 12, 12], 0.9), (BOX, 0.8)], [BOX]) == 0.5
    assert ap([([9, 9, 12, 12], 0.8), (BOX, 0.8)], [BOX]) == 0.5          # equal scores stay in order
    assert ap([(BOX, 0.9)], [BOX, [9, 9, 12, 12]]) == 0.5
    assert ap([(BOX, 0.9)], [BOX, [9, 9, 12, 12]], points=11) == pytest.approx(6 / 11)       # recalls 0 to 0.5
    assert ap([([9, 9, 12, 12], 0.9), (BOX, 0.8)], [BOX, [9, 9, 12, 12]], difficult=[False, True]) == 1.0
    assert ap([([9, 9, 12, 12], 0.9)] * 2 + [(BOX, 0.8)], [BOX, [9, 9, 12, 12]], difficult=[False, True]) == 1.0


def test_recall_of_three_tenths():
    """3 of 10 found: the fourth of the eleven recalls is reached, though 3 / 10 < 3 * 0.1 in floats."""
    true = [[5 * i, 0, 5 * i + 4, 4] for i in range(10)]
    assert ap([(box, 1.0) for box in true[:3]], true, points=11) == pytest.approx(4 / 11)


GOOD = {"boxes": [BOX], "labels": [0], "scores": [0.5]}
TRUE = {"boxes": [BOX], "labels": [0]}


@pytest.mark.parametrize("predictions, targets, error, message", [
    (GOOD, TRUE, TypeError, "predictions must be a list with a dict for each picture, got dict. For a single picture"),
    ([GOOD], TRUE, TypeError, "targets must be a list with a dict for each picture, got dict"),
    ([[BOX]], [TRUE], TypeError, "each picture's prediction must be a dict, got list"),
    ([GOOD], [], ValueError, "must be of the same pictures, got 1 and 0"),
    ([{"boxes": [BOX], "labels": [0]}], [TRUE], ValueError, "prediction must have 'scores', got 'boxes', 'labels'"),
    ([GOOD], [{"boxes": [BOX]}], ValueError, "each picture's target must have 'labels', got 'boxes'"),
    ([GOOD | {"labels": [2]}], [TRUE], ValueError, "labels must be class indices 0..1, got 2"),
    ([GOOD | {"labels": [0, 1]}], [TRUE], ValueError, "labels must have one entry for each of 1 boxes, got shape (2,)"),
    ([GOOD | {"scores": [np.nan]}], [TRUE], ValueError, "scores must be finite, got nan"),
    ([GOOD | {"scores": [[0.5]]}], [TRUE], ValueError, "scores must have one entry for each of 1 boxes, got shape (1, 1)"),
    ([GOOD | {"boxes": [[0, 0, 4]]}], [TRUE], ValueError, "boxes must be (N, 4), got (1, 3)"),
    ([GOOD], [TRUE | {"boxes": [[4, 0, 2, 2]]}], ValueError, "boxes must have x1 <= x2 and y1 <= y2"),
    ([GOOD], [TRUE | {"difficult": [2]}], ValueError, "difficult must be 0 or 1, got 2"),
])
def test_a_refused_batch_changes_nothing(predictions, targets, error, message):
    metric = VOCAveragePrecision(2)
    metric.update([GOOD], [TRUE])
    with pytest.raises(error, match=re.escape(message)):
        metric.update(predictions, targets)
    assert metric.pictures == 1 and metric.compute() == 1.0


@pytest.mark.parametrize("call, message", [
    (lambda: VOCAveragePrecision(0), "classes must be at least 1, got 0"),
    (lambda: VOCAveragePrecision(2, 0), "iou_threshold must be above 0 and at most 1, got 0"),
    (lambda: VOCAveragePrecision(2, 50), "iou_threshold must be above 0 and at most 1, got 50"),
    (lambda: VOCAveragePrecision(2, points=101), "points must be one of None, 11, got 101"),
    (lambda: VOCAveragePrecision(2, kind="boxes"), "kind must be one of 'box', 'mask', got 'boxes'"),
    (lambda: VOCAveragePrecision(2, kind="mask").update(
        [{"masks": np.ones((1, 2, 2), bool), "labels": [0], "scores": [1]}],
        [{"masks": np.ones((1, 2, 3), bool), "labels": [0]}]),
     "masks of a picture must be of one size, got (2, 2) predicted and (2, 3) true"),
])
def test_errors(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
