"""`tinyvision evaluate RUN` and `tinyvision predict RUN PICTURE...`: what a trained network is worth, and what it says."""

import os
from pathlib import Path

from ..packages import require
from .answers import Seen
from .arguments import UserError, add_device, whole_number
from .networks import check_fit, task_of
from .runs import trained
from .sets import SETS, load, resized
from .tasks import check_same_answers


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
                                  description="What the network of a run answers to pictures of your own: classes with their "
                                              "probabilities, a sentence, or a picture that is written as NAME-KIND.png: "
                                              "a mask, a box, edges, colours, a reconstruction. Pictures are brought to the "
                                              "network's size.",
                                  epilog="Example: tinyvision predict runs/lenet5-digits photo.png --top 3")
    predict.add_argument("folder", metavar="RUN", help="the folder of the run")
    predict.add_argument("pictures", nargs="+", metavar="PICTURE", help="files: png, jpg, ...")
    predict.add_argument("--top", type=whole_number(1), default=3, metavar="K", help="classes to name for each picture (3)")
    predict.add_argument("--out", metavar="DIR", default=".", help="folder for the pictures that are written (this one)")
    add_device(predict, "compute")
    predict.set_defaults(run=run_predict)


def run_evaluate(options):
    from ..data import DataLoader
    from ..train import evaluate
    settings, model = trained(options.folder, options.device)
    name, classes, task = options.data or settings["data"], settings["classes"], task_of(settings["model"])
    check_fit(settings["model"], name, tuple(settings["shape"]))
    train_set, test_set = load(name, options.root or settings.get("root"), tuple(settings["shape"]))
    check_same_answers(task, name, test_set, classes)
    task.prepare(model, task.from_set(SETS[name].kind, train_set))
    loader, found = DataLoader(task.from_set(SETS[name].kind, test_set), settings["batch_size"]), task.examine(model, classes)
    loss, accuracy = evaluate(model, loader, criterion=task.loss(model), metrics=found)
    print(f"{settings['model']} of {options.folder} on {len(test_set):,} held-out pictures of {name}")
    print(f"loss       {loss:.4f}{task.unit}", *task.report(found, classes, accuracy), sep="\n")


def run_predict(options):
    require("predict", "PIL")
    settings, model = trained(options.folder, options.device)
    task, out = task_of(settings["model"]), Path(os.path.expanduser(options.out))
    if task.writes and not out.is_dir():
        raise UserError(f"the folder {out} does not exist. Create it first.")
    failed = 0
    for picture in options.pictures:
        try:
            image, outputs = looked_at(picture, settings["shape"], task, model, options.device)
            seen = Seen(picture, image, model, outputs, settings["classes"], options.top, out)
            print(f"{picture}: {task.answer(seen)}")
        except (ValueError, OSError) as error:            # the next picture may be in order
            print(f"{picture}: {error}")
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(options.pictures)} pictures could not be read.")


def looked_at(picture, shape, task, model, device):
    """The picture at the network's size, (C, H, W), and what the network makes of it."""
    import numpy as np

    from .. import Tensor, no_grad
    from ..data import load_image
    C, H, W = shape
    image = np.ascontiguousarray(resized((C, H, W))(load_image(picture, C)))
    with no_grad():
        return image, model(Tensor(task.view(image)[None], device=device))
