"""Measures of how good predictions are: functions of (predictions, targets), and metrics that gather batches.

    metric.py           what a loop needs: reset, update, compute; Mean, Collected
    classification.py   accuracy, top-k, the confusion matrix; read it next
    counts.py           precision, recall, F, and their averages over classes
    multilabel.py       several labels per example
    curves.py           ROC and precision-recall curves, the areas under them
    calibration.py      whether probabilities mean what they say
    segmentation.py     IoU and Dice of pixels, the Rand score of cells
    boxes.py            overlap of boxes and of masks
    voc.py, coco.py     average precision of detectors (regions.py reads their dicts)
    localization.py     ImageNet's localisation error
    retrieval.py        neighbours of embeddings
    captions.py         BLEU
    bootstrap.py        confidence intervals of all of them

Arrays, Tensors and lists go in, floats and NumPy arrays come out; nothing here is differentiated.
"""

from .bootstrap import Difference, Interval, bootstrap_difference, bootstrap_interval
from .boxes import box_area, box_iou, generalized_box_iou, mask_iou
from .calibration import Calibration, Reliability, brier_score, calibration_error, reliability_curve
from .captions import bleu
from .classification import (Accuracy, ConfusionMatrix, FBeta, accuracy, confusion_matrix, error_rate, f1, fbeta, precision,
                             recall, top_k_accuracy, top_k_error)
from .coco import COCOAveragePrecision
from .curves import average_precision, maximal_fbeta, precision_recall_curve, roc_auc, roc_curve
from .localization import LocalizationError, localization_error
from .metric import Collected, Mean, Metric
from .multilabel import Multilabel, hamming_loss, label_ranking_average_precision, subset_accuracy
from .retrieval import mean_average_precision, recall_at_k
from .segmentation import (MeanIoU, RandScore, connected_cells, dice, grown, iou, maximal_rand_score, mean_iou, pixel_error,
                           rand_score)
from .voc import VOCAveragePrecision

__all__ = ["Accuracy", "COCOAveragePrecision", "Calibration", "Collected", "ConfusionMatrix", "Difference", "FBeta", "Interval",
           "LocalizationError", "Mean", "MeanIoU", "Metric", "Multilabel", "RandScore", "Reliability", "VOCAveragePrecision",
           "accuracy", "average_precision", "bleu", "bootstrap_difference", "bootstrap_interval", "box_area", "box_iou",
           "brier_score", "calibration_error", "confusion_matrix", "connected_cells", "dice", "error_rate", "f1", "fbeta",
           "generalized_box_iou", "grown", "hamming_loss", "iou", "label_ranking_average_precision", "localization_error",
           "mask_iou", "maximal_fbeta", "maximal_rand_score", "mean_average_precision", "mean_iou", "pixel_error", "precision",
           "precision_recall_curve", "rand_score", "recall", "recall_at_k", "reliability_curve", "roc_auc", "roc_curve",
           "subset_accuracy", "top_k_accuracy", "top_k_error"]
