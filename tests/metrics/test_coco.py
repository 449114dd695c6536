"""Average precision by COCO's rules, against a loop written from them, and against pycocotools where it is installed."""

import contextlib
import io
import re

import numpy as np
import pytest

from tests.metrics.scenes import overlap, scenes, size
from tinyvision import Tensor
from tinyvision.metrics import COCOAveragePrecision

RANGES = {"all": (0, 1e10), "small": (0, 1024), "medium": (1024, 9216), "large": (9216, 1e10)}
KEYS = {"box": "boxes", "mask": "masks"}


def match(found, true, crowd, ignored, threshold):
    """One class in one picture: for each detection, surest first, the number of the object it takes, or None."""
    taken, result = set(), []
    for region in found:
        ious = [overlap(region, other, crowd[j]) for j, other in enumerate(true)]
        free = [j for j in range(len(true)) if (j not in taken or crowd[j]) and ious[j] >= min(threshold, 1 - 1e-10)]
        candidates = [j for j in free if not ignored[j]] or free
        best = max(candidates, key=lambda j: (ious[j], j), default=None)
        if best is not None:
            taken.add(best)
        result.append(best)
    return result


def by_definition(predictions, targets, label, threshold, area, limit, key):
    """AP and recall of one class at one threshold for one range of areas; nan without objects."""
    low, high = RANGES[area]
    outcomes, objects = [], 0
    for p, t in zip(predictions, targets):
        rows = [i for i in range(len(p["labels"])) if p["labels"][i] == label]
        rows = sorted(rows, key=lambda i: -p["scores"][i])[:limit]
        columns = [j for j in range(len(t["labels"])) if t["labels"][j] == label]
        crowd = [bool(t["iscrowd"][j]) for j in columns]
        areas = [t["area"][j] if "area" in t else size(t[key][j]) for j in columns]
        ignored = [c or not low <= a <= high for c, a in zip(crowd, areas)]
        objects += ignored.count(False)
        for i, best in zip(rows, match([p[key][i] for i in rows], [t[key][j] for j in columns], crowd, ignored, threshold)):
            counts = low <= size(p[key][i]) <= high if best is None else not ignored[best]
            if counts:
                outcomes.append((p["scores"][i], best is not None))
    if objects == 0:
        return np.nan, np.nan
    outcomes.sort(key=lambda outcome: -outcome[0])
    right, curve = 0, []
    for i, (_, good) in enumerate(outcomes, 1):
        right += good
        curve.append((right / objects, right / i))
    levels = np.linspace(0, 1, 101)
    return np.mean([max((p for r, p in curve if r >= level), default=0) for level in levels]), right / objects


def expected(predictions, targets, classes, kind, limits=(1, 10, 100)):
    thresholds, key = np.linspace(0.5, 0.95, 10), KEYS[kind]

    def mean(column, area, limit, chosen=thresholds):
        values = [by_definition(predictions, targets, k, t, area, limit, key)[column] for k in range(classes) for t in chosen]
        return np.nan if np.isnan(values).all() else np.nanmean(values)

    last = limits[-1]
    return ({"AP": mean(0, "all", last), "AP50": mean(0, "all", last, thresholds[:1])}
            | {"AP75": mean(0, "all", last, thresholds[5:6])}
            | {f"AP_{area}": mean(0, area, last) for area in list(RANGES)[1:]}
            | {f"AR_{limit}": mean(1, "all", limit) for limit in limits}
            | {f"AR_{area}": mean(1, area, last) for area in list(RANGES)[1:]})


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("seed", range(4))
def test_by_definition(seed, kind):
    predictions, targets = scenes(seed, 5, size=60, large=seed % 2 == 0)  # areas on both sides of 32^2
    limits = (1, 2, 3) if seed == 3 else (1, 10, 100)
    metric = COCOAveragePrecision(4, kind, max_detections=limits)
    metric.update(predictions, targets)
    theirs = expected(predictions, targets, 4, kind, limits)
    assert list(metric.compute()) == list(theirs)
    for name, value in metric.compute().items():
        assert value == pytest.approx(theirs[name], rel=1e-12, nan_ok=True), name
    values = [np.mean([by_definition(predictions, targets, k, t, "all", limits[-1], KEYS[kind])[0]
                       for t in np.linspace(0.5, 0.95, 10)]) for k in range(4)]
    np.testing.assert_allclose(metric.per_class, values, rtol=1e-12, equal_nan=True)


def pycocotools(predictions, targets, classes, kind, limits):
    """What COCO's own program says, -1 as nan."""
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    rle = pytest.importorskip("pycocotools.mask")

    def rows(objects, picture):
        for i, (a, b, c, d) in enumerate(objects["boxes"].astype(float)):
            row = {"image_id": picture, "category_id": int(objects["labels"][i]) + 1, "bbox": [a, b, c - a, d - b]}
            if kind == "mask":
                row["segmentation"] = rle.encode(np.asfortranarray(objects["masks"][i].astype(np.uint8)))
                row["area"] = float(rle.area(row["segmentation"]))
            yield row

    annotations, results = [], []
    for picture, (p, t) in enumerate(zip(predictions, targets), 1):
        for i, row in enumerate(rows(t, picture)):
            row.setdefault("area", row["bbox"][2] * row["bbox"][3])
            if "area" in t:
                row["area"] = float(t["area"][i])
            annotations.append(row | {"id": len(annotations) + 1, "iscrowd": int(t["iscrowd"][i])})
        results += [row | {"score": float(p["scores"][i])} for i, row in enumerate(rows(p, picture))]
        if kind == "mask":                                                # else the area of the box is taken
            results = [{k: v for k, v in row.items() if k != "bbox"} for row in results]
    height, width = targets[0]["masks"].shape[1:] if len(targets[0]["masks"]) else (60, 60)
    truth = coco.COCO()
    truth.dataset = {"info": {}, "images": [{"id": i + 1, "height": height, "width": width} for i in range(len(targets))],
                     "categories": [{"id": k + 1} for k in range(classes)], "annotations": annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = evaluation.COCOeval(truth, truth.loadRes(results), {"box": "bbox", "mask": "segm"}[kind])
        run.params.maxDets = list(limits)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [np.nan if value == -1 else value for value in run.stats]


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("seed", range(10, 18))
def test_as_in_pycocotools(seed, kind):
    predictions, targets = scenes(seed, 12, size=60, large=seed % 2 == 0)
    if seed % 3 == 0:
        for target in targets:
            target["area"] = np.random.default_rng(seed).integers(100, 3000, len(target["labels"])).astype(float)
    metric = COCOAveragePrecision(4, kind, max_detections=(1, 3, 100))
    metric.update(predictions, targets)
    np.testing.assert_allclose(list(metric.compute().values()), pycocotools(predictions, targets, 4, kind, (1, 3, 100)),
                               rtol=1e-12, equal_nan=True)


def test_batches_give_what_the_whole_gives():
    predictions, targets = scenes(5, 7)
    one, other = COCOAveragePrecision(3), COCOAveragePrecision(3)
    one.update(predictions, targets)
    for start in (0, 3, 6):
        other.update([{k: Tensor(v) for k, v in p.items()} for p in predictions[start:start + 3]], targets[start:start + 3])
    assert one.compute() == pytest.approx(other.compute(), nan_ok=True, abs=0)
    other.reset()
    with pytest.raises(ValueError, match="COCOAveragePrecision: needs at least 1 picture, got 0"):
        other.compute()


def coco(found, true, **more):
    metric = COCOAveragePrecision(1)
    metric.update([{"boxes": [box for box, _ in found], "labels": [0] * len(found), "scores": [s for _, s in found]}],
                  [{"boxes": true, "labels": [0] * len(true), **more}])
    return metric.compute()


BOX = [0, 0, 10, 10]


def test_by_hand():
    perfect = coco([(BOX, 0.9)], [BOX])
    assert perfect["AP"] == perfect["AR_1"] == perfect["AP_small"] == 1.0 and np.isnan(perfect["AP_large"])
    assert coco([], [BOX])["AP"] == 0.0 and np.isnan(coco([(BOX, 0.9)], [])["AP"])
    assert coco([([0, 0, 10, 8], 0.9)], [BOX])["AP"] == pytest.approx(0.7)             # IoU 0.8: seven of ten thresholds
    assert coco([([0, 0, 10, 5], 0.9)], [BOX])["AP50"] == 1.0                          # 0.5 suffices
    assert coco([([50, 50, 60, 60], 0.9), (BOX, 0.8)], [BOX])["AP50"] == 0.5
    small_in_crowd = coco([([1, 1, 3, 3], 0.9), ([5, 5, 7, 7], 0.9), ([50, 50, 60, 60], 0.8)], [BOX, [50, 50, 60, 60]],
                          iscrowd=[True, False])
    assert small_in_crowd["AP"] == 1.0                                                 # both detections inside are not counted
    assert coco([(BOX, 0.9)], [BOX], area=[5000.0])["AP_medium"] == 1.0                # the annotation's area decides
    edge = coco([([0, 0, 32, 32], 0.9)], [[0, 0, 32, 32]])
    assert edge["AP_small"] == edge["AP_medium"] == 1.0 and np.isnan(edge["AP_large"])  # 32^2 belongs to both ranges
    half = coco([(BOX, 0.9)], [BOX, [50, 50, 60, 60]])
    assert half["AR_100"] == 0.5 and half["AP"] == pytest.approx(51 / 101)             # recalls 0 to 0.5


def test_of_equal_overlaps_the_last_is_taken():
    """A detection between two objects takes the second, and leaves nothing to the one that fits the second only."""
    two = [BOX, [4, 0, 14, 10]]
    assert coco([([2, 0, 12, 10], 0.9), (two[1], 0.8)], two)["AP50"] == pytest.approx(51 / 101)
    assert coco([([2, 0, 12, 10], 0.9), (two[0], 0.8)], two)["AP50"] == 1.0


@pytest.mark.parametrize("call, error, message", [
    (lambda: COCOAveragePrecision(2, "segm"), ValueError, "kind must be one of 'box', 'mask', got 'segm'"),
    (lambda: COCOAveragePrecision(2, max_detections=(10, 1)), ValueError, "max_detections must be rising numbers, got (10, 1)"),
    (lambda: COCOAveragePrecision(2, max_detections=()), ValueError, "max_detections must be rising numbers, got ()"),
    (lambda: COCOAveragePrecision(2).update([{"labels": [], "scores": []}], [{"boxes": [], "labels": []}]), ValueError,
     "COCOAveragePrecision: each picture's prediction must have 'boxes', got 'labels', 'scores'"),
    (lambda: COCOAveragePrecision(2).update([{"boxes": [BOX], "labels": [0], "scores": [1]}],
                                            [{"boxes": [BOX], "labels": [0], "area": [1, 2]}]), ValueError,
     "area must have one entry for each of 1 boxes, got shape (2,)"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
