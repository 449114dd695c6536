"""`tinyvision train MODEL --data SET`: the whole of a training, from the data to the saved weights."""

import argparse
import contextlib
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

from ..packages import require
from .arguments import UserError, add_device, as_user_errors, positive_float, whole_number
from .networks import NETWORKS, check_fit, task_of, usual_lr
from .runs import CURVES, HISTORY, SETTINGS, WEIGHTS, choose_folder, folder_for, read_settings, write_settings
from .sets import CLASSES, SETS, load

EXAMPLES = """\
Examples:
  tinyvision train lenet5 --data digits           98 % of handwritten digits in half a minute
  tinyvision train unet --data cells              cells under a microscope, a mask for each picture
  tinyvision train resnet20 --data cifar10        photographs, downloaded once
  tinyvision train localizer --data objects       a class and a box
  tinyvision train hed --data edges               outlines of things
  tinyvision train colorizer --data colours       grey pictures in colour
  tinyvision train autoencoder --data digits      pictures through 32 numbers and back
  tinyvision train captioner --data captions      sentences about scenes
  tinyvision train resnet18 --data folder --root pictures --size 64
                                                  your own pictures, sorted into a folder for each class
  tinyvision train --config runs/lenet5-digits/run.toml
                                                  the same run again, bit for bit on the same number of threads
  tinyvision train --resume runs/unet-cells       a run that was broken off goes on where it was
  mpiexec -n 4 tinyvision train resnet20 --data cifar10
                                                  four processes, each with its share of every batch (package mpi4py)

`tinyvision models` lists the networks and the sets, with the settings each set is trained with if you do not say otherwise."""
CHOICES = ("model", "data", "root", "size", "epochs", "batch_size", "lr", "seed", "augment")


def add(commands):
    train = commands.add_parser("train", help="train a network and save its weights and learning curve",
                                description="Train a network, print what it is worth on held-out pictures, save weights, "
                                            "settings and learning curve in a folder.",
                                epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    train.add_argument("model", nargs="?", choices=tuple(NETWORKS), metavar="MODEL", help=f"the network: {', '.join(NETWORKS)}")
    train.add_argument("--data", choices=tuple(SETS), metavar="SET", help=f"the pictures: {', '.join(SETS)} (digits)")
    train.add_argument("--root", metavar="DIR", help="the folder of the set, where it is yours or lies in another place")
    train.add_argument("--size", type=whole_number(8), metavar="PIXELS", help="side of the pictures, of sets read from folders")
    train.add_argument("--epochs", type=whole_number(1), help="passes over the training data (the set's)")
    train.add_argument("--batch-size", type=whole_number(1), help="pictures per step (the set's)")
    train.add_argument("--lr", type=positive_float, help="largest learning rate per step, for Adam (the set's)")
    train.add_argument("--seed", type=whole_number(0), help="of first weights, order and augmentation: a run repeats exactly (0)")
    train.add_argument("--no-augment", dest="augment", action="store_const", const=False, help="show every picture as it is")
    train.add_argument("--config", metavar="FILE", help="a run.toml with settings; options given beside it count more")
    train.add_argument("--resume", metavar="DIR", help="take up the run in this folder, which was broken off")
    train.add_argument("--out", metavar="DIR", help="folder for the results (a new one under runs/)")
    add_device(train, "train")
    train.set_defaults(run=run)


def run(options):
    require("train", "safetensors", "matplotlib", "tomli_w")              # needed at the end, asked for at the beginning
    given = {name: getattr(options, name) for name in CHOICES if getattr(options, name) is not None}
    if options.resume:
        if given or options.config or options.out:
            raise UserError("--resume goes on with the settings of the run: give no others.")
        with joined() as world:
            return resume(Path(options.resume), world.device(options.device), world)
    settings = completed(given, read_settings(options.config) if options.config else {})
    train_set, test_set = load(settings["data"], settings.get("root"), shape_of(settings))
    settings["classes"] = task_of(settings["model"]).names(train_set)
    with joined() as world:
        out = world.from_first(lambda: choose_folder(options.out, settings["model"], settings["data"]))
        with folder_for(out):
            train(settings, train_set, test_set, out, world.device(options.device), world)


@contextlib.contextmanager
def joined():
    """All processes that mpiexec started, or this one alone; each computes on its part of the cores."""
    from ..train.parallel import Alone, World, started
    world = World() if started() else Alone()
    with world.together(), world.part_of_the_cores():
        yield world


def completed(given, config):
    """All settings of a run: those given, else those of the file, else those of the set."""
    unknown = sorted(set(config) - {*CHOICES, "shape", "classes"})
    if unknown:
        raise UserError(f"--config: unknown settings {', '.join(unknown)}. Known are {', '.join(CHOICES)}.")
    settings = {"data": "digits", "seed": 0, "augment": True} | {k: v for k, v in config.items() if k in CHOICES} | given
    if "model" not in settings:
        raise UserError("which network? tinyvision train MODEL --data SET. See tinyvision train --help.")
    if settings["data"] not in SETS or settings["model"] not in NETWORKS:
        raise UserError(f"--config: unknown model or data, got {settings['model']!r} and {settings['data']!r}.")
    source = SETS[settings["data"]]
    if "size" in settings and not (source.needs_root or settings["data"] in ("breeds", "pets")):
        raise UserError(f"--size: the pictures of {settings['data']} have their size, {source.shape[1]}x{source.shape[2]}.")
    usual = {"epochs": source.epochs, "batch_size": source.batch_size, "lr": usual_lr(settings["model"], settings["data"])}
    settings = usual | settings
    settings["shape"] = list(shape_of(settings))
    check_fit(settings["model"], settings["data"], tuple(settings["shape"]))
    return settings


def shape_of(settings):
    shape = SETS[settings["data"]].shape
    return (shape[0], settings["size"], settings["size"]) if "size" in settings else shape


def resume(out, device, world):
    if not (out / SETTINGS).is_file():
        raise UserError(f"--resume: {out} is no run's folder (there is no {SETTINGS}).")
    if (out / WEIGHTS).exists():
        raise UserError(f"--resume: the run in {out} is finished. To train anew, use --config {out / SETTINGS}.")
    settings = read_settings(out / SETTINGS)
    train_set, test_set = load(settings["data"], settings.get("root"), shape_of(settings))
    train(settings, train_set, test_set, out, device, world, goes_on=True)


def train(settings, train_set, test_set, out, device, world, goes_on=False):
    import numpy as np

    from .. import optim
    from ..train import fit

    task, (model, loader, test_loader) = task_of(settings["model"]), loaders_and_model(settings, train_set, test_set)
    optimizer = optim.Adam(model.parameters(), lr=settings["lr"])
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, settings["lr"], total_steps=settings["epochs"] * len(loader))
    weights = sum(p.size for p in model.parameters())
    print(f"{settings['model']} ({weights:,} weights) on {settings['data']}: {len(train_set):,} pictures to train, "
          f"{len(test_set):,} held out" + (f", on {device}" if device != "cpu" else "")
          + (f", {world.size} processes" if world.size > 1 else ""), flush=True)
    if not goes_on and world.rank == 0:
        write_settings(out / SETTINGS, settings)
    try:
        with np.errstate(over="ignore", invalid="ignore"), as_user_errors(ValueError):       # fit tells of NaN
            history = fit(model, optimizer, loader, test_loader, settings["epochs"], scheduler=scheduler,
                          report=reporter(out, settings), progress=sys.stderr.isatty(),
                          metrics=task.measures(model, settings["classes"]), folder=out, every=200, resume=goes_on,
                          device=device, world=world, criterion=task.loss(model))
    except FloatingPointError:
        for name in (SETTINGS, "last.snapshot", "last.snapshot.previous", "best.safetensors"):
            (out / name).unlink(missing_ok=True)          # nothing to go on with
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; go on with: tinyvision train --resume {out}") from None
    if world.rank == 0:
        save(out, model, history, settings)
    print(f"saved {WEIGHTS}, {SETTINGS}, {HISTORY} and {CURVES} in {out}")
    last = history[-1]
    print("test " + ", ".join(results(last, "")))


def loaders_and_model(settings, train_set, test_set):
    """The network with its first weights, and the batches to train and to test on."""
    from .. import data, manual_seed
    from ..data.transforms import Compose, TransformedDataset
    manual_seed(settings["seed"])
    model = NETWORKS[settings["model"]].build(*settings["shape"], settings["classes"])
    source, task = SETS[settings["data"]], task_of(settings["model"])
    task.prepare(model, task.from_set(source.kind, train_set))
    if settings["augment"] and source.augment:
        train_set = TransformedDataset(train_set, Compose(source.augment(tuple(settings["shape"]))), settings["seed"])
    train_set, test_set = (task.from_set(source.kind, part) for part in (train_set, test_set))
    loader = data.DataLoader(train_set, settings["batch_size"], shuffle=True, generator=settings["seed"])
    return model, loader, data.DataLoader(test_set, max(settings["batch_size"], 256 if source.kind == CLASSES else 1))


def reporter(out, settings):
    """What is done after an epoch: a line is printed, and the picture of the curves is drawn anew."""
    from ..viz import LiveCurves
    live = LiveCurves(out / CURVES, title=title(settings))

    def report(epoch):
        print_epoch(epoch)
        if epoch.number == len(live.history) + 1:         # of a run that was taken up again the whole curves come at the end
            live(epoch)
    return report


def title(settings):
    return f"{settings['model']} on {settings['data']}"


def print_epoch(epoch):
    print(f"epoch {epoch.number:2d}  {epoch.seconds:5.1f} s  train loss {epoch.train_loss:.4f}  "
          f"test loss {epoch.test_loss:.4f}  {'  '.join(results(epoch, 'test '))}", flush=True)


def results(epoch, prefix):
    """What was measured on the held-out pictures beside the loss, in words; boxes have no accuracy."""
    found = [] if math.isnan(epoch.test_accuracy) else [f"{prefix}accuracy {epoch.test_accuracy:.2%}"]
    return found + [f"{prefix}{name.removeprefix('test_').replace('_', ' ')} {value:.4f}" for name, value in epoch.metrics.items()
                    if name.startswith("test_")]


def save(out, model, history, settings):
    """Write the results, each file whole or not at all; the snapshots are no longer needed."""
    from .. import io, viz
    from ..io.atomic import atomic_path
    with atomic_path(out / HISTORY) as path:
        path.write_text(json.dumps({"setting": settings, "epochs": [asdict(row) for row in history]}, indent=1))
    figure = viz.learning_curves(history, title(settings))
    with atomic_path(out / CURVES) as path:
        figure.savefig(path, dpi=120)
    io.save(model.state_dict(), out / WEIGHTS, metadata={"tinyvision": json.dumps(settings)})
    for name in ("last.snapshot", "last.snapshot.previous"):
        (out / name).unlink(missing_ok=True)
