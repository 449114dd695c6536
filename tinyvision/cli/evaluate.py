"""`tinyvision evaluate RUN` and `tinyvision predict RUN PICTURE...`: what a trained network is worth, and what it says."""

import os
from pathlib import Path

from ..packages import require
from .arguments import UserError, add_device, whole_number
from .measures import measures, on_host
from .runs import trained
from .sets import BOX, CLASSES, MASKS, SETS, load


def add(commands):
    evaluate = commands.add_parser("evaluate", help="measure a trained network on held-out pictures",
                                   description="Measure a trained network on held-out pictures of its set or of another.",
                                   epilog="Example: tinyvision evaluate runs/lenet5-digits")
    evaluate.add_argument("folder", metavar="RUN", help="the folder of the run")
    evaluate.add_argument("--data", choices=tuple(SETS), metavar="SET", help="another set of the same classes (the run's)")
    evaluate.add_argument("--root", metavar="DIR", help="where the set lies (as in the run)")
    add_device(evaluate, "compute")
    evaluate.set_defaults(run=run_evaluate)
    predict = commands.add_parser("predict", help="show what a trained network sees in pictures",
                                  description="Classes with their probabilities, a mask, or a box, for pictures of your own.",
                                  epilog="Example: tinyvision predict runs/lenet5-digits photo.png --top 3")
    predict.add_argument("folder", metavar="RUN", help="the folder of the run")
    predict.add_argument("pictures", nargs="+", metavar="PICTURE", help="files: png, jpg, ...")
    predict.add_argument("--top", type=whole_number(1), default=3, metavar="K", help="classes to name for each picture (3)")
    predict.add_argument("--out", metavar="DIR", default=".", help="folder for masks and pictures with boxes (this one)")
    add_device(predict, "compute")
    predict.set_defaults(run=run_predict)


def run_evaluate(options):
    from .. import functional as F
    from .. import metrics, no_grad
    from ..data import DataLoader
    from ..ops.device import moved
    settings, model = trained(options.folder, options.device)
    name = options.data or settings["data"]
    _, test_set = load(name, options.root or settings.get("root"), tuple(settings["shape"]))
    classes = settings["classes"]
    if list(test_set.classes) != classes:
        raise UserError(f"{name} has other classes ({', '.join(test_set.classes)}) than the run ({', '.join(classes)}).")
    if SETS[name].task == BOX:
        return evaluate_boxes(model, test_set, settings, options)
    loss, counts = metrics.Mean(), metrics.MeanIoU(len(classes))
    best = metrics.Accuracy(5) if SETS[name].task == CLASSES and len(classes) > 5 else None
    with no_grad():
        for batch in DataLoader(test_set, settings["batch_size"]):
            images, targets = moved(batch, options.device)
            scores = model(images)
            loss.update(F.cross_entropy(scores, targets).item(), weight=len(targets))
            counts.update(scores.argmax(axis=1), targets)
            if best:
                best.update(scores, targets)
    print(f"{settings['model']} of {options.folder} on {len(test_set):,} held-out pictures of {name}")
    print(f"loss       {loss.compute():.4f} nats")
    if SETS[name].task == CLASSES:
        print(f"accuracy   {counts.accuracy:.2%}" + (f", among the first five {best.compute():.2%}" if best else ""))
        report_classes(counts, classes)
    else:
        print(f"mean IoU   {counts.compute():.4f}\npixel error {1 - counts.accuracy:.2%}")
        for label, overlap, dice in zip(classes, counts.iou(None), counts.dice(None)):
            print(f"  {label:14s} IoU {overlap:.4f}  Dice {dice:.4f}")


def evaluate_boxes(model, test_set, settings, options):
    from ..data import DataLoader
    from ..train import evaluate
    found = measures(BOX, settings["classes"])
    loss, _ = evaluate(model, DataLoader(test_set, settings["batch_size"]), criterion=model.loss, metrics=found)
    print(f"{settings['model']} of {options.folder} on {len(test_set):,} held-out pictures")
    print(f"loss       {loss:.4f}\nerror      {found['error'].compute():.2%}, class wrong or IoU of the box at most 0.5")
    print(f"mean IoU   {found['iou'].compute():.4f}, of the boxes")


def report_classes(counts, classes):
    precision, recall = counts.precision(None), counts.recall(None)
    for k, label in enumerate(classes):
        print(f"  {label:14s} precision {precision[k]:.2%}  recall {recall[k]:.2%}")


def run_predict(options):
    require("predict", "PIL")
    settings, model = trained(options.folder, options.device)
    task, out = SETS[settings["data"]].task, Path(os.path.expanduser(options.out))
    if task == BOX:
        require("predict of boxes", "matplotlib")
    if task != CLASSES and not out.is_dir():
        raise UserError(f"the folder {out} does not exist. Create it first.")
    answer = {CLASSES: show_classes, MASKS: show_mask, BOX: show_box}[task]
    failed = 0
    for picture in options.pictures:
        try:
            image, outputs = seen(picture, settings, model, options.device)
            print(f"{picture}: {answer(picture, image, outputs, settings['classes'], options.top, out)}")
        except (ValueError, OSError) as error:            # the next picture may be in order
            print(f"{picture}: {error}")
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(options.pictures)} pictures could not be read.")


def seen(picture, settings, model, device):
    """The picture at the network's size, (C, H, W), and what the network makes of it."""
    import numpy as np

    from .. import Tensor, no_grad
    from ..data import load_image
    from .sets import resized
    C, H, W = settings["shape"]
    image = np.ascontiguousarray(resized((C, H, W))(load_image(picture, C)))
    with no_grad():
        return image, on_host(model(Tensor(image[None], device=device)))


def show_classes(picture, image, logits, classes, top, out):
    return likeliest(probabilities(logits), classes, top)


def likeliest(p, classes, top):
    return ", ".join(f"{classes[k]} {p[k]:.1%}" for k in (-p).argsort()[:top])


def probabilities(logits):
    from .. import functional as F
    return F.softmax(logits, dim=1).data[0]


def show_mask(picture, image, logits, classes, top, out):
    mask = probabilities(logits).argmax(axis=0)
    path = free_path(out, Path(picture).stem, "mask")
    save_mask(path, mask, len(classes))
    return f"{path}, " + ", ".join(f"{label} {(mask == k).mean():.1%}" for k, label in enumerate(classes))


def show_box(picture, image, outputs, classes, top, out):
    """The picture with its box is saved at the network's size; corners are in pixels of it."""
    from .. import viz
    from ..io.atomic import atomic_path
    logits, boxes = outputs
    p, box = probabilities(logits), boxes.data[0]
    path = free_path(out, Path(picture).stem, "box")
    target = {"boxes": box[None], "labels": p.argmax()[None], "scores": p.max()[None]}
    with atomic_path(path) as temporary:
        viz.detections(image, target, classes).savefig(temporary, dpi=100)
    x1, y1, x2, y2 = box
    return f"{path}, {likeliest(p, classes, top)}, box ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f}) of {image.shape[2]}x{image.shape[1]}"


def free_path(folder, stem, kind):
    """A name for the picture that nothing has yet."""
    number, path = 1, folder / f"{stem}-{kind}.png"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{kind}-{number}.png"
    return path


def save_mask(path, mask, classes):
    """Black to white for classes 0 to the last."""
    import numpy as np
    from PIL import Image

    from ..io.atomic import atomic_path
    levels = np.round(np.linspace(0, 255, classes)).astype(np.uint8)
    with atomic_path(path) as temporary:
        Image.fromarray(levels[mask]).save(temporary)
