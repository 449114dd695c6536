"""`tinyvision evaluate RUN` and `tinyvision predict RUN PICTURE...`: what a trained network is worth, and what it says."""

import os
from pathlib import Path

from ..packages import require
from .arguments import UserError, add_device, whole_number
from .runs import trained
from .sets import CLASSES, SETS, load


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
                                  description="Classes with their probabilities, or a mask, for pictures of your own.",
                                  epilog="Example: tinyvision predict runs/lenet5-digits photo.png --top 3")
    predict.add_argument("folder", metavar="RUN", help="the folder of the run")
    predict.add_argument("pictures", nargs="+", metavar="PICTURE", help="files: png, jpg, ...")
    predict.add_argument("--top", type=whole_number(1), default=3, metavar="K", help="classes to name for each picture (3)")
    predict.add_argument("--out", metavar="DIR", default=".", help="folder for the masks (this one)")
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


def report_classes(counts, classes):
    precision, recall = counts.precision(None), counts.recall(None)
    for k, label in enumerate(classes):
        print(f"  {label:14s} precision {precision[k]:.2%}  recall {recall[k]:.2%}")


def run_predict(options):
    require("predict", "PIL")
    settings, model = trained(options.folder, options.device)
    masks, out = SETS[settings["data"]].task != CLASSES, Path(os.path.expanduser(options.out))
    if masks and not out.is_dir():
        raise UserError(f"the folder {out} does not exist. Create it first.")
    failed = 0
    for picture in options.pictures:
        try:
            show(picture, settings, model, options.device, options.top, out if masks else None)
        except (ValueError, OSError) as error:            # the next picture may be in order
            print(f"{picture}: {error}")
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(options.pictures)} pictures could not be read.")


def show(picture, settings, model, device, top, out):
    import numpy as np

    from .. import Tensor, no_grad
    from .. import functional as F
    from ..data import load_image
    from .sets import resized
    C, H, W = settings["shape"]
    image = np.ascontiguousarray(resized((C, H, W))(load_image(picture, C)))
    with no_grad():
        p = F.softmax(model(Tensor(image[None], device=device)), dim=1).cpu().data[0]
    classes = settings["classes"]
    if out is None:
        order = np.argsort(-p)[:top]
        print(f"{picture}: " + ", ".join(f"{classes[k]} {p[k]:.1%}" for k in order))
        return
    mask = np.argmax(p, axis=0)
    path = free_path(out, Path(picture).stem)
    save_mask(path, mask, len(classes))
    print(f"{picture}: {path}, " + ", ".join(f"{label} {(mask == k).mean():.1%}" for k, label in enumerate(classes)))


def free_path(folder, stem):
    """A name for the mask that nothing has yet."""
    number, path = 1, folder / f"{stem}-mask.png"
    while path.exists():
        number += 1
        path = folder / f"{stem}-mask-{number}.png"
    return path


def save_mask(path, mask, classes):
    """Black to white for classes 0 to the last."""
    import numpy as np
    from PIL import Image

    from ..io.atomic import atomic_path
    levels = np.round(np.linspace(0, 255, classes)).astype(np.uint8)
    with atomic_path(path) as temporary:
        Image.fromarray(levels[mask]).save(temporary)
