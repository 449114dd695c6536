"""`tinyvision train MODEL --data SET`."""

import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from ..packages import require
from .arguments import UserError, positive_float, whole_number

MODELS = ("lenet5", "mlp")
DEFAULTS = {  # epochs, batch size, largest learning rate: what reaches 98% on the digits and 99% on MNIST with LeNet-5
    "digits": {"epochs": 20, "batch_size": 32, "lr": 0.005},
    "mnist": {"epochs": 5, "batch_size": 64, "lr": 0.003},
}


def add(commands):
    train = commands.add_parser("train", help="train a network and save its weights and learning curve",
                                description="Train a network, print its test accuracy, save weights and learning curve.",
                                epilog="Example: tinyvision train lenet5 --data digits")
    train.add_argument("model", choices=MODELS, metavar="MODEL", help=f"the network: {', '.join(MODELS)}")
    train.add_argument("--data", choices=tuple(DEFAULTS), metavar="SET", default="digits",
                       help="digits (1,797 embedded pictures, the default) or mnist (70,000, downloaded once)")
    train.add_argument("--epochs", type=whole_number(1), help=f"passes over the training data ({defaults('epochs')})")
    train.add_argument("--batch-size", type=whole_number(1), help=f"pictures per step ({defaults('batch_size')})")
    train.add_argument("--lr", type=positive_float, help=f"largest learning rate per step, for Adam ({defaults('lr')})")
    train.add_argument("--seed", type=whole_number(0), default=0, help="of first weights and order: a run repeats exactly (0)")
    train.add_argument("--out", metavar="DIR", help="folder for the results (a new one under runs/)")
    train.set_defaults(run=run)


def defaults(name):
    """What an option is where it is not given, for its help text."""
    return ", ".join(f"{data}: {values[name]}" for data, values in DEFAULTS.items())


def run(options):
    require("train", "safetensors", "matplotlib")         # needed at the end, asked for at the beginning
    for name, value in DEFAULTS[options.data].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    out = choose_folder(options)
    existed = out.exists()
    make_folder(out)
    try:
        train_and_save(options, out)
    except BaseException:
        if not existed:                                   # a run that came to nothing leaves no empty folder behind
            with contextlib.suppress(OSError):
                out.rmdir()
        raise


def train_and_save(options, out):
    import numpy as np

    from .. import data, manual_seed, optim
    from ..train import fit

    train_set, test_set = load_data(options.data)
    manual_seed(options.seed)
    model = make_model(options.model, train_set)
    train_loader = data.DataLoader(train_set, options.batch_size, shuffle=True, generator=options.seed)
    test_loader = data.DataLoader(test_set, 256)
    optimizer = optim.Adam(model.parameters(), lr=options.lr)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.epochs * len(train_loader))
    weights = sum(p.size for p in model.parameters())
    print(f"{options.model} ({weights:,} weights) on {options.data}: {len(train_set):,} pictures to train, "
          f"{len(test_set):,} held out", flush=True)
    with np.errstate(over="ignore", invalid="ignore"):    # fit says so in one sentence when the loss is no longer a number
        history = fit(model, optimizer, train_loader, test_loader, options.epochs, scheduler=scheduler, report=print_epoch,
                      progress=sys.stderr.isatty())
    save(out, model, history, options)
    print(f"saved weights.safetensors, history.json and curves.png in {out}")
    print(f"test accuracy {history[-1].test_accuracy:.2%}")


def print_epoch(epoch):
    print(f"epoch {epoch.number:2d}  {epoch.seconds:5.1f} s  train loss {epoch.train_loss:.4f}  "
          f"test loss {epoch.test_loss:.4f}  test accuracy {epoch.test_accuracy:.2%}", flush=True)


def choose_folder(options):
    """The folder for the results: one that holds a run is never written over."""
    if options.out:
        out = Path(os.path.expanduser(options.out))
        if os.path.exists(out / "weights.safetensors"):
            raise UserError(f"{out} already holds the weights of a run; name another folder with --out, or move them away.")
        return out
    name, number = Path("runs") / f"{options.model}-{options.data}", 1
    out = name
    while out.exists():
        number += 1
        out = name.with_name(f"{name.name}-{number}")
    return out


def make_folder(out):
    """Make the folder, and see that it can be written to, before any work is done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write to {out} ({error.strerror}); name another folder with --out.") from error


def load_data(name):
    """The training and the held-out set."""
    from .. import data
    try:
        if name == "digits":
            return data.Digits(train=True), data.Digits(train=False)
        return data.MNIST(train=True), data.MNIST(train=False)
    except ValueError as error:                           # a damaged file on disk
        raise UserError(error) from error


def make_model(name, train_set):
    from .. import models
    _, channels, height, width = train_set.images.shape
    classes = len(train_set.classes)
    if name == "lenet5":
        return models.LeNet5(classes, channels)
    return models.MLP(channels * height * width, num_classes=classes)


def save(out, model, history, options):
    """Write the results, each file whole or not at all."""
    from .. import io, viz
    from ..io.atomic import atomic_path
    setting = {name: value for name, value in vars(options).items() if name != "run"}
    io.save(model.state_dict(), out / "weights.safetensors", metadata={"tinyvision": json.dumps(setting)})
    with atomic_path(out / "history.json") as path:
        path.write_text(json.dumps({"setting": setting, "epochs": [asdict(row) for row in history]}, indent=1))
    figure = viz.learning_curves(history, f"{options.model} on {options.data}")
    with atomic_path(out / "curves.png") as path:
        figure.savefig(path, dpi=120)
