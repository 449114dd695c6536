"""The command line: one file for each command, with add(commands), its arguments, and run(options), its work.

    train.py                            tinyvision train MODEL --data SET, on sets.py and networks.py; runs.py: its folder
    tasks.py                            what a network is trained for, one record each, on measures.py and answers.py
    doctor.py, evaluate.py              tinyvision doctor MODEL, evaluate RUN, predict RUN PICTURE...
    models.py, data.py                  tinyvision models, data list
    lectures.py                         tinyvision lectures [NAME...], on notebooks.py
    homework.py                         tinyvision homework new DIR, tinyvision gradcheck SUBMISSIONS
    bench.py, info.py                   tinyvision bench, tinyvision info
    arguments.py                        numbers on the command line; mistakes

A user's mistake ends in one sentence on stderr and exit code 2 (or 130 for Ctrl-C), never in a traceback; a traceback is a
fault of tinyvision.
"""

import os
import sys

from ..backend import CPU, Device, current
from ..packages import MissingPackage
from . import bench, data, doctor, evaluate, homework, info, lectures, models, train
from .arguments import Parser, UserError


def main(arguments=None):
    """Run the command line; returns the exit code.

    >>> main(["train", "lenet5", "--epochs", "0"])
    2
    """
    try:
        options = parser().parse_args(arguments)
        place = getattr(options, "device", CPU)           # of `bench` it is a text, which it looks at itself
        with current(place if isinstance(place, Device) else CPU):
            options.run(options)
        sys.stdout.flush()                                # here, where a full disk or a closed pipe can be reported
        return 0
    except BrokenPipeError:                               # `tinyvision info | head -1`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, MissingPackage, FloatingPointError, OSError) as error:
        print(f"tinyvision: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"tinyvision: {str(stop) or 'interrupted; nothing was saved.'}", file=sys.stderr)
        return 130


def parser():
    top = Parser(prog="tinyvision", description="Train small networks for computer vision, give and mark homework, measure.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in (train, doctor, evaluate, models, data, lectures, homework, bench, info):
        command.add(commands)
    return top
