"""`tinyvision doctor MODEL --data SET`: is this going to train? The checks before a long run, and a look at its first steps."""

from .arguments import UserError, add_device, positive_float, whole_number
from .networks import NETWORKS, task_of, usual_lr
from .sets import CLASSES, SETS, load
from .train import completed, loaders_and_model, shape_of


def add(commands):
    doctor = commands.add_parser("doctor", help="check a network and a set before training",
                                 description="Check on copies whether a network will learn from a set: the loss at the start, "
                                             "whether one batch can be learned by heart and shuffled labels cannot, unused "
                                             "parameters, dead layers, gradients, learning rate; each finding with its remedy. "
                                             "The exit code is 2 where something is wrong.",
                                 epilog="Example: tinyvision doctor lenet5 --data digits --lr 10")
    doctor.add_argument("model", choices=tuple(NETWORKS), metavar="MODEL", help=f"the network: {', '.join(NETWORKS)}")
    doctor.add_argument("--data", choices=tuple(SETS), metavar="SET", help="the pictures, as in tinyvision train (digits)")
    doctor.add_argument("--root", metavar="DIR", help="the folder of the set, where it is yours or lies in another place")
    doctor.add_argument("--size", type=whole_number(8), metavar="PIXELS", help="side of the pictures, of sets read from folders")
    doctor.add_argument("--batch-size", type=whole_number(1), help="pictures per step (the set's)")
    doctor.add_argument("--lr", type=positive_float, help="learning rate per step, for Adam (the set's)")
    doctor.add_argument("--steps", type=whole_number(2), default=20, help="steps to look at (20)")
    add_device(doctor, "compute")
    doctor.set_defaults(run=run)


def run(options):
    import numpy as np

    from .. import optim
    from ..train import check_training, diagnose
    names = ("model", "data", "root", "size", "batch_size", "lr")
    settings = completed({name: getattr(options, name) for name in names if getattr(options, name) is not None}, {})
    train_set, test_set = load(settings["data"], settings.get("root"), shape_of(settings))
    task = task_of(settings["model"])
    settings["classes"] = task.names(train_set)
    model, loader, test_loader = loaders_and_model(settings, train_set, test_set)
    criterion = task.loss(model.to(options.device))
    source = SETS[settings["data"]]
    # the first report is about network and set, the second about --lr
    usual = optim.Adam(model.parameters(), lr=usual_lr(settings["model"], settings["data"]))
    with np.errstate(over="ignore", invalid="ignore"):    # the reports say where a number is none
        first = check_training(model, loader, criterion, optimizer=usual, steps=max(40, 2 * options.steps),
                               test_loader=test_loader if source.kind == CLASSES else None)
        print(first, end="\n\n", flush=True)
        second = diagnose(model, optim.Adam(model.parameters(), lr=settings["lr"]), loader, criterion, steps=options.steps)
    print(second)
    if not (first.passed and second.passed):
        raise UserError("something is wrong, see above.")
