"""Localisation with two heads: one vector of a picture says what is there, and where.

    layer              output (N, ...)                  what it does
    stage1..depth      B 2^(l-1), H/2^l, W/2^l          2 of 3x3 convolution, batch norm, ReLU; 2x2 max pool
    vector             D                                dense, ReLU: all places at once, so the vector knows where
    classes            K                                dense: logits
    box                4                                dense, sigmoid: middle x, y, width, height, as shares of the picture

    loss = cross entropy of the class + box_weight * smooth L1 of the corners, in shares of the picture's sides

A mean over all places, as classifiers have before their last layer, would forget where things are; the map is flattened here.
A single box answers for a single object: pictures with several need a detector.

Source: Sermanet et al. 2013, OverFeat, arXiv:1312.6229, section 4; Simonyan and Zisserman 2014, arXiv:1409.1556, appendix A;
Girshick 2015, arXiv:1504.08083 (smooth L1).
"""

import numpy as np

from .. import functional as F
from .. import nn, stack
from ..backend import array_module
from ..nn.checks import positive, sizes, whole
from ..tensor import Tensor, raw
from .stages import check_pictures, conv_stage


class Localizer(nn.Module):
    """A class and a box for the object of each picture.

    Shapes: input (N, in_channels, *size) -> (logits (N, num_classes), boxes (N, 4), x1, y1, x2, y2 in pixels).
    size: height and width, one number or a pair, multiples of 2^depth; base_channels: B; hidden: D; convs: convolutions of each
    stage; box_weight: of the box in `loss`.  `loss` is the criterion for train.fit; `predictions` gives what
    metrics.LocalizationError takes.
    Raises ValueError for pictures of another size.

    >>> from tinyvision.data import ShapeLocalization
    >>> net, (image, target) = Localizer(10, 64), ShapeLocalization(10)[0]
    >>> logits, boxes = net(Tensor(image[None]))
    >>> logits.shape, boxes.shape
    ((1, 10), (1, 4))
    """

    def __init__(self, num_classes, size, in_channels=3, base_channels=16, hidden=128, depth=4, *, convs=2,
                 box_weight=10.0):
        whole("Localizer", num_classes=num_classes, in_channels=in_channels, base_channels=base_channels, hidden=hidden,
              depth=depth, convs=convs)
        positive("Localizer", box_weight=box_weight)
        (self.size,) = sizes("Localizer", 2, size=size)
        if any(side % 2 ** depth for side in self.size):
            raise ValueError(f"Localizer: size must be multiples of 2^depth = {2 ** depth}, got {self.size}.")
        self.in_channels, self.box_weight = in_channels, box_weight
        channels = [base_channels * 2 ** level for level in range(depth)]
        self.stages = nn.ModuleList([conv_stage(before, c, convs) for before, c in zip([in_channels, *channels], channels)])
        flat = channels[-1] * self.size[0] * self.size[1] // 4 ** depth
        self.vector = nn.Linear(flat, hidden)
        self.classes = nn.Linear(hidden, num_classes)
        self.box = nn.Linear(hidden, 4)

    def forward(self, x):
        check_pictures(self, x, self.in_channels)
        if x.shape[2:] != self.size:
            raise ValueError(f"Localizer: pictures must be of size {self.size}, got {x.shape[2:]}.")
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)
        v = F.relu(self.vector(x.flatten(1)))                             # (N, D)
        cx, cy, w, h = (F.sigmoid(self.box(v))[:, k] for k in range(4))
        height, width = self.size
        corners = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
        return self.classes(v), stack(corners, axis=1)

    def loss(self, outputs, targets):
        """Cross entropy of the class, and box_weight times smooth L1 of the box in shares of the sides; a mean over pictures.

        Shapes: outputs as forward gives them; targets: a dict of "labels" (N,) or (N, 1) and "boxes" (N, 4) or (N, 1, 4), pixels.
        Raises ValueError where a picture has not one object.
        """
        logits, boxes = outputs
        n = len(logits)
        xp = array_module(raw(boxes))
        labels, true = (xp.asarray(raw(targets[name])) for name in ("labels", "boxes"))
        if labels.size != n or true.size != 4 * n:
            raise ValueError(f"Localizer.loss: every picture must have one label and one box, got labels {labels.shape} and "
                             f"boxes {true.shape} for {n} pictures. Several objects need a detector.")
        height, width = self.size
        share = xp.array([1 / width, 1 / height, 1 / width, 1 / height], raw(boxes).dtype)
        far = F.smooth_l1_loss(boxes * share, Tensor((true.reshape(n, 4) * share).astype(share.dtype)), beta=0.1)
        return F.cross_entropy(logits, labels.reshape(n)) + self.box_weight * far

    @staticmethod
    def predictions(outputs, top=5):
        """For each picture a dict of "boxes" (top, 4), "labels" and "scores" (top,): its likeliest classes, all in one box."""
        whole("predictions", top=top)
        logits, boxes = (np.asarray(raw(x)) for x in outputs)
        scores = np.asarray(raw(F.softmax(Tensor(logits), 1)))
        order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        return [{"boxes": np.repeat(box[None], len(row), axis=0), "labels": row, "scores": score[row]}
                for box, row, score in zip(boxes, order, scores)]
