"""What networks are trained for: one record for each task, and nothing about a task anywhere else.

A record says which sets a task can be learned from, what the network is shown and asked, which loss teaches it, what is measured
meanwhile and in the end, and what `tinyvision predict` makes of an answer (answers.py).  A further task is a record here, and
networks and sets that name it in networks.py and sets.py.
"""

from dataclasses import dataclass

from . import answers, measures
from .arguments import UserError
from .sets import BOX, CAPTION, CLASSES, COLOR, EDGES, MASKS, classes_of

RECONSTRUCTION = "reconstruction"


def cross_entropy(model):
    from ..functional import cross_entropy
    return cross_entropy


def squared_error(model):
    from ..functional import mse_loss
    return mse_loss


def own_loss(model):
    return model.loss


@dataclass(frozen=True)
class Task:
    """One task.

    gives: what its networks answer, in words; loss(model): the criterion of train.fit; unit: of the loss.
    learns_from: kinds of sets whose examples (input, answer) serve as they are; pictures_of: kinds of which only the pictures x
    serve, as (view(x), x); view: what of a picture the network is shown.
    measures(model, names): {name: metric} while it trains, beside loss and accuracy; exam: the same for evaluate, where it
    measures more; report(found, names, accuracy): those as lines.
    answer(seen): what is said of a picture (answers.Seen); writes: whether it writes one, too.
    names(dataset): the names that the network's answers have, if any; typical(): such names before there is a set.
    prepare(model, train_set): tells the network what it has to know of the training set beforehand.
    """

    gives: str
    loss: object
    measures: object
    report: object
    answer: object
    learns_from: tuple = ()
    pictures_of: tuple = ()
    view: object = lambda image: image
    exam: object = None
    unit: str = ""
    writes: bool = False
    names: object = lambda dataset: []
    typical: object = lambda: []
    prepare: object = lambda model, train_set: None

    def from_set(self, kind, dataset):
        """The examples (input, answer) of this task in a set of this kind."""
        return dataset if kind in self.learns_from else Pairs(dataset, self.view)

    def examine(self, model, names):
        """The metrics of `tinyvision evaluate`."""
        return (self.exam or self.measures)(model, names)


class Pairs:
    """The pictures of a set as examples (what is shown, the picture)."""

    def __init__(self, dataset, view):
        self.dataset, self.view = dataset, view

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        image, _ = self.dataset[index]
        return self.view(image), image

    def set_epoch(self, epoch):
        """Passed on to a set that draws by chance."""
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)


# ---- classes and masks

def examine_classes(model, names):
    from ..metrics import Accuracy
    return {"counts": measures.overlap(names)} | ({"best": Accuracy(5)} if len(names) > 5 else {})


def report_classes(found, names, accuracy):
    best = f", among the first five {found['best'].compute():.2%}" if "best" in found else ""
    precision, recall = found["counts"].precision(None), found["counts"].recall(None)
    return [f"accuracy   {accuracy:.2%}{best}",
            *(f"  {label:14s} precision {p:.2%}  recall {r:.2%}" for label, p, r in zip(names, precision, recall))]


def report_masks(found, names, accuracy):
    rows = zip(names, found["iou"].iou(None), found["iou"].dice(None))
    return [f"mean IoU   {found['iou'].compute():.4f}", f"pixel error {1 - accuracy:.2%}",
            *(f"  {label:14s} IoU {overlap:.4f}  Dice {dice:.4f}" for label, overlap, dice in rows)]


def report_boxes(found, names, accuracy):
    return [f"error      {found['error'].compute():.2%}, class wrong or IoU of the box at most 0.5",
            f"mean IoU   {found['iou'].compute():.4f}, of the boxes"]


# ---- picture to picture

def report_edges(found, names, accuracy):
    f, threshold, precision, recall = found["f"].best()
    return [f"F          {f:.4f}, pixel by pixel, at the best threshold, {threshold:.2f}: precision {precision:.2%}, "
            f"recall {recall:.2%}"]


def grey_of(image):
    from ..data.transforms.colour import grey
    return grey(image)


def balance(model, train_set):
    """Rare colours count more: the shares of the colours in up to 1,000 training pictures."""
    import numpy as np
    some = range(0, len(train_set), -(-len(train_set) // 1000))
    model.bins.balance(np.stack([train_set[i][1] for i in some]))


def report_colors(found, names, accuracy):
    error, grey = (found[name].compute() for name in ("colour_error", "grey"))
    return [f"colour error {error:.2f}, distance in the plane of a, b (CIE Lab); a grey picture has {grey:.2f}"]


def report_pictures(found, names, accuracy):
    return [f"PSNR       {found['psnr'].compute():.2f} dB, mean of the pictures",
            f"explained  {found['explained'].compute():.2%} of the variance; the mean picture has 0 %"]


# ---- sentences

def scene_words():
    from ..data.generated import SceneCaptions
    return list(SceneCaptions.words)


def report_sentences(found, names, accuracy):
    said = found["exact"]
    return [f"exact      {said.compute():.2%} of the sentences are the true one, word by word", f"BLEU       {said.bleu():.4f}"]


TASKS = {
    CLASSES: Task(
        gives="a class for a picture", loss=cross_entropy, unit=" nats", learns_from=(CLASSES,), names=classes_of,
        typical=lambda: list("0123456789"), measures=lambda model, names: {}, exam=examine_classes, report=report_classes,
        answer=answers.classes),
    MASKS: Task(
        gives="a class for every pixel", loss=cross_entropy, unit=" nats", learns_from=(MASKS,), names=classes_of,
        typical=lambda: list("01"), measures=lambda model, names: {"iou": measures.overlap(names)}, report=report_masks,
        answer=answers.mask, writes=True),
    BOX: Task(
        gives="a class and a box", loss=own_loss, learns_from=(BOX,), names=classes_of, typical=lambda: list("0123456789"),
        measures=lambda model, names: {"error": measures.wrong_place(), "iou": measures.box_overlap()}, report=report_boxes,
        answer=answers.box, writes=True),
    EDGES: Task(
        gives="outlines", loss=own_loss, learns_from=(EDGES,), measures=lambda model, names: {"f": measures.edge_f()},
        report=report_edges, answer=answers.edges, writes=True),
    COLOR: Task(
        gives="colours for a grey picture", loss=own_loss, unit=" nats", learns_from=(COLOR,), pictures_of=(CLASSES,),
        view=grey_of, prepare=balance, measures=lambda model, names: {"colour_error": measures.color_error(model)},
        exam=lambda model, names: {"colour_error": measures.color_error(model), "grey": measures.color_error()},
        report=report_colors, answer=answers.colors, writes=True),
    RECONSTRUCTION: Task(
        gives="the picture again, from a short code", loss=squared_error, pictures_of=(CLASSES,),
        measures=lambda model, names: {"psnr": measures.psnr()},
        exam=lambda model, names: {"psnr": measures.psnr(), "explained": measures.explained()}, report=report_pictures,
        answer=answers.reconstruction, writes=True),
    CAPTION: Task(
        gives="a sentence", loss=own_loss, unit=" nats per word", learns_from=(CAPTION,), names=classes_of, typical=scene_words,
        measures=lambda model, names: {"exact": measures.sentences(model)}, report=report_sentences, answer=answers.sentence),
}


def check_same_answers(task, name, dataset, classes):
    """Refuse a set whose answers have other names than those that a network learned."""
    found = task.names(dataset)
    if found != classes:
        raise UserError(f"{name} has other classes ({', '.join(found)}) than the run ({', '.join(classes)}).")
