"""Pictures of what happens; each function returns a matplotlib Figure and leaves showing or saving it to the caller.

    images.py    grids of pictures, boxes and masks over them       layers.py    filters, feature maps, statistics by layer
    scores.py    confusion matrix, ROC, reliability                 curves.py    learning curves, live or afterwards
    style.py     colours and texts
"""

from .curves import LiveCurves, learning_curves, lr_curve
from .images import detections, image_grid, segmentation
from .layers import feature_maps, filters, layer_statistics
from .scores import confusion_matrix, precision_recall_curve, reliability_diagram, roc_curve

__all__ = ["LiveCurves", "confusion_matrix", "detections", "feature_maps", "filters", "image_grid", "layer_statistics",
           "learning_curves", "lr_curve", "precision_recall_curve", "reliability_diagram", "roc_curve", "segmentation"]
