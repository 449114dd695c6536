"""What is measured for each task, as metrics of train.fit: functions of a network's outputs and the batch's answers."""

from .sets import BOX, CLASSES


def measures(task, classes):
    """{name: metric} of a task beside loss and accuracy; None where these say it all."""
    if task == CLASSES:
        return None
    return {"error": wrong_place(), "iou": box_overlap()} if task == BOX else {"iou": overlap(classes)}


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


def on_host(outputs):
    from ..ops.device import moved
    return moved(outputs, "cpu")


def each(targets):
    """The answers of a batch as one dict for each picture."""
    from ..tensor import raw
    boxes, labels = (raw(on_host(targets[name])) for name in ("boxes", "labels"))
    return [{"boxes": b.reshape(-1, 4), "labels": n.reshape(-1)} for b, n in zip(boxes, labels)]
