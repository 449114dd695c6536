"""The localisation error, against the formula as nested loops."""

import re

import numpy as np
import pytest

from tests.metrics.scenes import overlap
from tinyvision import Tensor
from tinyvision.metrics import LocalizationError, localization_error


def draw(seed, pictures=12):
    random = np.random.default_rng(seed)
    predictions, targets = [], []
    for _ in range(pictures):
        n = random.integers(1, 5)
        corner = random.integers(0, 10, (n, 2))
        true = np.concatenate([corner, corner + random.integers(1, 10, (n, 2))], axis=1)
        labels = random.integers(0, 3, n)
        near = true[random.integers(0, n, random.integers(0, 6))] + np.array([0, 0, 1, 1]) * random.integers(0, 4)
        predictions.append({"boxes": near, "labels": random.integers(0, 3, len(near))})
        targets.append({"boxes": true, "labels": labels})
    return predictions, targets


def by_definition(predicted, true):
    """e of one picture: sum over classes, minimum over guesses, minimum over objects, maximum of the two errors."""
    total, classes = 0, sorted(set(true["labels"].tolist()))
    for g in classes:
        errors = [max(int(label != g), int(not overlap(box, z) > 0.5))
                  for label, box in zip(predicted["labels"], predicted["boxes"])
                  for z in true["boxes"][true["labels"] == g]]
        total += min(errors, default=1)
    return total / len(classes)


@pytest.mark.parametrize("seed", range(5))
def test_by_definition(seed):
    predictions, targets = draw(seed)
    expected = np.mean([by_definition(*pair) for pair in zip(predictions, targets)])
    assert 0.1 < expected < 0.95                                          # else the drawing is at fault
    assert localization_error(predictions, targets) == pytest.approx(expected)
    metric = LocalizationError(3)
    for start in range(0, 12, 5):
        metric.update([{k: Tensor(v) for k, v in p.items()} for p in predictions[start:start + 5]], targets[start:start + 5])
    assert metric.compute() == pytest.approx(expected)
    metric.reset()
    with pytest.raises(ValueError, match="LocalizationError: needs at least 1 picture, got 0"):
        metric.compute()


def test_exactly_half_does_not_exceed_half():
    true = [{"boxes": [[0, 0, 10, 10]], "labels": [1]}]
    assert localization_error([{"boxes": [[0, 0, 10, 5]], "labels": [1]}], true) == 1.0
    assert localization_error([{"boxes": [[0, 0, 10, 5.1]], "labels": [1]}], true) == 0.0


def test_the_surest_five_count():
    box, true = [0, 0, 10, 10], [{"boxes": [[0, 0, 10, 10]], "labels": [1]}]
    guesses = {"boxes": [box] * 6, "labels": [1, 0, 0, 0, 0, 0], "scores": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    assert localization_error([guesses], true) == 1.0
    assert localization_error([guesses], true, guesses=6) == 0.0
    assert localization_error([guesses | {"scores": [1, 0, 0, 0, 0, 0]}], true, guesses=1) == 0.0
    with pytest.raises(ValueError, match="at most 5 predictions count, got 6. Pass the best of them, or 'scores'"):
        localization_error([{"boxes": [box] * 6, "labels": [1] * 6}], true)


GOOD, TRUE = {"boxes": [[0, 0, 1, 1]], "labels": [0]}, {"boxes": [[0, 0, 1, 1]], "labels": [0]}


@pytest.mark.parametrize("call, error, message", [
    (lambda: localization_error([], []), ValueError, "needs at least 1 picture, got 0"),
    (lambda: localization_error([GOOD], [{"boxes": [], "labels": []}]), ValueError, "at least 1 object in each picture, got 0"),
    (lambda: localization_error([GOOD], []), ValueError, "must be of the same pictures, got 1 and 0"),
    (lambda: localization_error(GOOD, TRUE), TypeError, "predictions must be a list with a dict for each picture, got dict"),
    (lambda: localization_error([GOOD | {"scores": [np.nan]}], [TRUE]), ValueError, "scores must be finite, got nan"),
    (lambda: localization_error([GOOD | {"scores": [1, 2]}], [TRUE]), ValueError, "scores must have one entry for each"),
    (lambda: LocalizationError(3).update([GOOD | {"labels": [3]}], [TRUE]), ValueError, "must be class indices 0..2, got 3"),
    (lambda: LocalizationError(guesses=0), ValueError, "guesses must be at least 1, got 0"),
    (lambda: LocalizationError(iou_threshold=50), ValueError, "iou_threshold must be at least 0 and below 1, got 50"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
