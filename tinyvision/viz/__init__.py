"""Pictures of what happens; each function returns a matplotlib Figure or an Svg, and leaves showing it to the caller.

    images.py    grids of pictures, boxes and masks over them       layers.py    filters, feature maps, statistics by layer
    scores.py    confusion matrix, ROC, reliability                 curves.py    learning curves, live or afterwards
    graph.py     the graph of a computation, parts of a network     diagram.py   layers as blocks
    costs.py     weights, multiply-adds, memory by layer            style.py     colours and texts
    heat.py      maps over pictures                             parts.py     rows of a summary
    embedding.py   pictures where their vectors lie, and beside their neighbours
    svg.py       boxes and texts as SVG; layout.py places them
"""

from .costs import cost_sheet
from .curves import LiveCurves, learning_curves, lr_curve
from .diagram import layer_diagram
from .embedding import embedding_map, neighbour_grid
from .graph import computation_graph, module_graph
from .heat import heat_maps
from .images import detections, image_grid, segmentation
from .layers import feature_maps, filters, layer_statistics
from .scores import confusion_matrix, precision_recall_curve, reliability_diagram, roc_curve
from .svg import Svg

__all__ = ["LiveCurves", "Svg", "computation_graph", "confusion_matrix", "cost_sheet", "detections", "embedding_map",
           "feature_maps", "filters", "heat_maps", "image_grid", "layer_diagram", "layer_statistics", "learning_curves", "lr_curve",
           "module_graph", "neighbour_grid", "precision_recall_curve", "reliability_diagram", "roc_curve", "segmentation"]
