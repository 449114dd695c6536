"""The command line: `tinyvision train MODEL --data SET`, `homework new DIR`, `gradcheck SUBMISSIONS`, `bench`
and `tinyvision info`.

A user's mistake ends in one sentence on stderr and exit code 2 (or 130 for Ctrl-C), never in a traceback; a traceback is a
fault of tinyvision.
"""

import argparse
import contextlib
import importlib.metadata
import json
import math
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from .packages import MissingPackage, require

MODELS = ("lenet5", "mlp")
DEFAULTS = {  # epochs, batch size, largest learning rate: what reaches 98% on the digits and 99% on MNIST with LeNet-5
    "digits": {"epochs": 20, "batch_size": 32, "lr": 0.005},
    "mnist": {"epochs": 5, "batch_size": 64, "lr": 0.003},
}


class UserError(Exception):
    """A mistake that the user can mend; its text says how."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage in front."""

    def error(self, message):
        raise UserError(f"{message}. See {self.prog} --help.")


def main(arguments=None):
    """Run the command line; returns the exit code.

    >>> main(["train", "lenet5", "--epochs", "0"])
    2
    """
    try:
        options = parser().parse_args(arguments)
        options.run(options)
        sys.stdout.flush()                                # here, where a full disk or a closed pipe can be reported
        return 0
    except BrokenPipeError:                               # `tinyvision info | head -1`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, MissingPackage, FloatingPointError, OSError) as error:
        print(f"tinyvision: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinyvision: interrupted; nothing was saved.", file=sys.stderr)
        return 130


def parser():
    top = Parser(prog="tinyvision", description="Train small networks for computer vision, give and mark homework, measure.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
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
    train.set_defaults(run=run_train)
    add_homework(commands)
    add_gradcheck(commands)
    add_bench(commands)
    info = commands.add_parser("info", help="show versions and what this machine offers")
    info.set_defaults(run=run_info)
    return top


def add_homework(commands):
    homework = commands.add_parser("homework", help="write exercises: forward passes given, backward passes to be written",
                                   description="Exercises in plain NumPy: forward passes given, backward passes to be written.")
    new = homework.add_subparsers(required=True, metavar="ACTION").add_parser(
        "new", help="write the exercises into a folder",
        description="Write nine exercises, a README.md for the student and the specification homework.toml into a folder. "
                    "Nothing that is there already is written over.",
        epilog="Example: tinyvision homework new backprop")
    new.add_argument("folder", metavar="DIR", help="the folder, made where it is not there")
    new.set_defaults(run=run_homework_new)


GRADCHECK = """\
Mark hand-written backward passes against numeric derivatives, with the mistake named for every lost point.

PATH is a .py file (the exercises found in it are marked), a folder with the files of the exercises (one submission), or a
folder of submissions, one folder or .py file for each student. Each exercise of each submission runs in its own process
with limits of time and memory: a crash, a loop without end or a flood of output costs that check its points, nothing else."""
GRADCHECK_EXAMPLES = """\
Examples:
  tinyvision homework new backprop        write the exercises, then work in backprop/
  tinyvision gradcheck backprop/conv.py   one exercise
  tinyvision gradcheck backprop           all of them, as one submission
  tinyvision gradcheck hand-ins --spec course.toml --seed 2718 --csv marks.csv --json results
                                          everybody's, with inputs nobody knows beforehand; results/NAME.json for Gradescope

The format of specifications is explained at the top of homework.toml. Submissions run with your rights and may use the
network: mark those of people whom you do not trust in a container, not as root, and read files that get a remark."""


def add_gradcheck(commands):
    check = commands.add_parser("gradcheck", help="mark submissions of homework, each in a process of its own",
                                description=GRADCHECK, epilog=GRADCHECK_EXAMPLES,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    check.add_argument("path", metavar="PATH", help="a submission (file or folder), or a folder of submissions")
    check.add_argument("--spec", metavar="FILE", help="what is marked on which inputs, .toml or .py (that of `homework new`)")
    check.add_argument("--json", metavar="OUT", help="write Gradescope's results.json; for several submissions a folder of them")
    check.add_argument("--csv", metavar="OUT", help="write a row for each exercise of each submission")
    check.add_argument("--timeout", type=positive_float, default=60.0, metavar="S", help="seconds for a process, which runs one exercise (60)")
    check.add_argument("--memory", type=whole_number(256), default=2048, metavar="MB", help="memory for a process (2048)")
    check.add_argument("--jobs", type=whole_number(1), metavar="N", help="processes at a time (as many as processors)")
    check.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="of all inputs: marks repeat exactly (0)")
    check.set_defaults(run=run_gradcheck)


BENCH = """\
Measure tinyvision on this machine, beside PyTorch where it is installed, beside NumPy (im2col and matrix products), and beside
DeZero and HIPS autograd where they are. Times are taken in turns in one run, after every result was checked against the
reference; what counts is the ratio. Without options: training steps and a short table of layers, in about four minutes."""
BENCH_EXAMPLES = """\
Examples:
  tinyvision bench --quick                          all sizes small: see whether it works
  tinyvision bench --layers --plot roofline.png     every layer and pass, and how close each comes to the machine's limits
  tinyvision bench --steps --torch --json out.json  torch.compile as well, every figure to a file

Close other programs first: a machine that does something else tells nothing."""


def add_bench(commands):
    bench = commands.add_parser("bench", help="measure speed and memory beside other engines", description=BENCH,
                                epilog=BENCH_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in (("layers", "every layer and pass"), ("steps", "training steps of whole networks"),
                       ("scaling", "time per operation while batch, channels, pixels grow"),
                       ("memory", "peak memory, each contender in a process of its own"),
                       ("startup", "first step of a fresh process, with empty and with warm caches")):
        bench.add_argument(f"--{name}", action="store_true", help=f"table: {text}")
    bench.add_argument("--torch", action="store_true", help="PyTorch in all its modes: torch.compile too, which is slow to start")
    bench.add_argument("--json", metavar="FILE", help="write every figure, with units")
    bench.add_argument("--plot", metavar="FILE", help="draw the layers' roofline (.png, .pdf, .svg)")
    bench.add_argument("--quick", action="store_true", help="small sizes and few rounds: less than a minute, and says little")
    bench.add_argument("--threads", type=whole_number(1), metavar="N", help="threads of every contender (as many as processors)")
    bench.set_defaults(run=run_bench)


def defaults(name):
    """What an option is where it is not given, for its help text."""
    return ", ".join(f"{data}: {values[name]}" for data, values in DEFAULTS.items())


def whole_number(least):
    """A parser of whole numbers from `least` on."""
    def parse(text):
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)
    return parse


def positive_float(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


# --- train


def run_train(options):
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

    from . import data, manual_seed, optim
    from .train import fit

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
    from . import data
    try:
        if name == "digits":
            return data.Digits(train=True), data.Digits(train=False)
        return data.MNIST(train=True), data.MNIST(train=False)
    except ValueError as error:                           # a damaged file on disk
        raise UserError(error) from error


def make_model(name, train_set):
    from . import models
    _, channels, height, width = train_set.images.shape
    classes = len(train_set.classes)
    if name == "lenet5":
        return models.LeNet5(classes, channels)
    return models.MLP(channels * height * width, num_classes=classes)


def save(out, model, history, options):
    """Write the results, each file whole or not at all."""
    from . import io, viz
    from .io.atomic import atomic_path
    setting = {name: value for name, value in vars(options).items() if name != "run"}
    io.save(model.state_dict(), out / "weights.safetensors", metadata={"tinyvision": json.dumps(setting)})
    with atomic_path(out / "history.json") as path:
        path.write_text(json.dumps({"setting": setting, "epochs": [asdict(row) for row in history]}, indent=1))
    figure = viz.learning_curves(history, f"{options.model} on {options.data}")
    with atomic_path(out / "curves.png") as path:
        figure.savefig(path, dpi=120)


# --- homework


def run_homework_new(options):
    from .homework.command import run_new
    with homework_errors():
        run_new(options.folder)


def run_gradcheck(options):
    from .homework.command import run_gradcheck
    with homework_errors():
        run_gradcheck(**{name: value for name, value in vars(options).items() if name != "run"})


@contextlib.contextmanager
def homework_errors():
    from .homework import HomeworkError
    try:
        yield
    except HomeworkError as error:
        raise UserError(error) from error


# --- bench


def run_bench(options):
    from .bench import BenchError
    from .bench.command import run_bench
    try:
        run_bench(**{name: value for name, value in vars(options).items() if name != "run"})
    except BenchError as error:
        raise UserError(error) from error


# --- info


def run_info(options):
    import numpy as np

    from . import __version__
    from .kernels.registry import report
    rows = {"tinyvision": __version__, "python": f"{platform.python_version()} on {platform.platform()}",
            "processors": str(os.cpu_count()), "numpy": f"{np.__version__}, BLAS {blas(np)}"}
    for package in ("numba", "scipy", "scikit-learn", "matplotlib", "safetensors", "pooch", "tqdm", "cupy-cuda12x",
                    "cupy-cuda13x"):
        rows[package] = version(package)
    rows.update(report())
    data = os.environ.get("TINYVISION_DATA")
    rows["TINYVISION_DATA"] = data if data else "not set (data sets are downloaded into the cache folder)"
    for name, value in rows.items():
        print(f"{name:16s} {value}")


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def blas(np):
    """The linear-algebra library that NumPy multiplies matrices with."""
    library = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{library.get('name', 'unknown')} {library.get('version', '')}".strip()
