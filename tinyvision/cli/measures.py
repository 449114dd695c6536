"""Measures that need to know what a network's outputs mean: metrics of train.fit, functions of the outputs and the answers."""


def overlap(classes):
    """IoU of the classes with the largest scores."""
    from ..metrics import MeanIoU

    class IoU(MeanIoU):
        def update(self, outputs, targets):
            super().update(outputs.data.argmax(axis=1), targets)
    return IoU(len(classes))


def wrong_place():
    """The share of pictures whose class is wrong, or whose box overlaps the object's by half or less."""
    from ..metrics import LocalizationError
    from ..models import Localizer

    class Error(LocalizationError):
        def update(self, outputs, targets):
            super().update(Localizer.predictions(on_host(outputs), top=1), each(targets))
    return Error(guesses=1)


def box_overlap():
    """The mean IoU of the box and the object's."""
    from ..metrics import Mean, box_iou

    class Overlap(Mean):
        def update(self, outputs, targets):
            for box, target in zip(on_host(outputs)[1].data, each(targets)):
                super().update(box_iou(box[None], target["boxes"][:1]).item())
    return Overlap()


def edge_f():
    """F of the mixed outlines' pixels, all pictures with the one threshold of 0.01 .. 0.99 that is best for them.

    Counts for each threshold are kept, not the pixels.  `best()` gives F, the threshold, precision and recall there.
    Source: Martin, Fowlkes and Malik 2004, doi:10.1109/TPAMI.2004.1273918 (F at the "optimal data set scale", ODS).
    """
    import numpy as np

    from .. import functional as F
    from ..metrics import Metric
    from ..tensor import raw

    class EdgeF(Metric):
        def __init__(self):
            self.reset()

        def reset(self):
            self.counts = np.zeros((2, 100), np.int64)    # of pixels: no edge and edge, by hundredths of the probability

        def update(self, outputs, targets):
            p, edges = raw(F.sigmoid(on_host(outputs)[-1])), raw(on_host(targets)) > 0.5
            level = np.minimum((100 * p).astype(np.int64), 99)
            self.counts += np.bincount((100 * edges + level).ravel(), minlength=200).reshape(2, 100)

        def best(self):
            wrong, found = self.counts[:, :0:-1].cumsum(axis=1)           # at thresholds 0.99 .. 0.01
            edges = self.counts[1].sum()
            f = 2 * found / np.maximum(found + wrong + edges, 1)
            k = int(f.argmax())
            precision, recall = found[k] / max(found[k] + wrong[k], 1), found[k] / max(edges, 1)
            return float(f[k]), 0.99 - k / 100, float(precision), float(recall)

        def compute(self):
            return self.best()[0]
    return EdgeF()


def color_error(model=None):
    """The mean distance of the predicted colours from the true ones in the plane of a, b (CIE Lab).

    model: the colouriser; None for the error of a grey picture, which is the distance of the true colours from grey.
    """
    import numpy as np

    from ..metrics import Mean
    from ..models import rgb_to_lab

    class ColorError(Mean):
        def update(self, outputs, targets):
            ab = rgb_to_lab(on_host(targets))[:, 1:]
            super().update(np.sqrt(np.square(ab - (0 if model is None else model.colors(on_host(outputs)))).sum(axis=1)))
    return ColorError()


def psnr():
    """The mean over pictures of the peak signal-to-noise ratio, 10 log10(1 / mean squared error), in dB; 100 at most."""
    import numpy as np

    from ..metrics import Mean
    from ..tensor import raw

    class PSNR(Mean):
        def update(self, outputs, targets):
            square = np.square(raw(on_host(outputs)) - raw(on_host(targets)), dtype=np.float64).mean(axis=(1, 2, 3))
            super().update(-10 * np.log10(np.maximum(square, 1e-10)))
    return PSNR()


def explained():
    """The share of the pictures' variance that the reconstructions have: 1 is all of it, the mean picture has 0."""
    import numpy as np

    from ..metrics import Metric
    from ..tensor import raw

    class Explained(Metric):
        def __init__(self):
            self.reset()

        def reset(self):
            self.count, self.error, self.sums, self.squares = 0, 0.0, 0.0, 0.0

        def update(self, outputs, targets):
            x = raw(on_host(targets)).astype(np.float64)
            self.count += len(x)
            self.error += float(np.square(raw(on_host(outputs)) - x).sum())
            self.sums, self.squares = self.sums + x.sum(axis=0), self.squares + np.square(x).sum(axis=0)

        def compute(self):
            whole = float((self.squares - self.sums ** 2 / self.count).sum())
            return 1 - self.error / whole if whole > 0 else float("nan")
    return Explained()


def sentences(model):
    """The share of pictures whose greedy sentence is the true one, word by word; `bleu()` is the BLEU of all sentences."""
    from ..metrics import Metric, bleu

    class Sentences(Metric):
        def __init__(self):
            self.reset()

        def reset(self):
            self.said, self.true = [], []

        def update(self, outputs, targets):
            self.said += model.vocabulary.decode(model.speak(outputs))
            self.true += model.vocabulary.decode(targets)

        def compute(self):
            return sum(said == true for said, true in zip(self.said, self.true)) / max(len(self.true), 1)

        def bleu(self):
            return bleu([said.split() for said in self.said], [[true.split()] for true in self.true])
    return Sentences()


def on_host(outputs):
    from ..ops.device import moved
    return moved(outputs, "cpu")


def each(targets):
    """The answers of a batch as one dict for each picture."""
    from ..tensor import raw
    boxes, labels = (raw(on_host(targets[name])) for name in ("boxes", "labels"))
    return [{"boxes": b.reshape(-1, 4), "labels": n.reshape(-1)} for b, n in zip(boxes, labels)]
