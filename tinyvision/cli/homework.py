"""`tinyvision homework new DIR` and `tinyvision gradcheck PATH`."""

import argparse

from .arguments import as_user_errors, positive_float, whole_number


def add(commands):
    add_homework(commands)
    add_gradcheck(commands)


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
    check.add_argument("--timeout", type=positive_float, default=60.0, metavar="S", help="seconds for one exercise (60)")
    check.add_argument("--memory", type=whole_number(256), default=2048, metavar="MB", help="memory for a process (2048)")
    check.add_argument("--jobs", type=whole_number(1), metavar="N", help="processes at a time (as many as processors)")
    check.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="of all inputs: marks repeat exactly (0)")
    check.set_defaults(run=run_gradcheck)


def run_homework_new(options):
    from ..homework import HomeworkError
    from ..homework.command import run_new
    with as_user_errors(HomeworkError):
        run_new(options.folder)


def run_gradcheck(options):
    from ..homework import HomeworkError
    from ..homework.command import run_gradcheck
    with as_user_errors(HomeworkError):
        run_gradcheck(**{name: value for name, value in vars(options).items() if name != "run"})
