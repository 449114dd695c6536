"""The work of the commands `tinyvision homework` and `tinyvision gradcheck`."""

import os
from pathlib import Path

from .create import new_homework
from .marking import mark
from .output import TextTable, refuse_outputs, summary, write_csv, write_json
from .sandbox import Limits
from .spec import read_spec
from .submissions import find_submissions


def run_new(folder):
    """Write the exercises and say what comes next."""
    paths = new_homework(os.path.expanduser(folder))
    print(f"wrote {len(paths)} files to {folder}; start with {Path(folder) / 'README.md'}")
    print(f"check what you have done: tinyvision gradcheck {folder}")


def run_gradcheck(path, spec=None, json=None, csv=None, timeout=60.0, memory=2048, jobs=None, seed=0):
    """Mark, print the table as it grows, write the files."""
    spec = read_spec(spec)
    submissions, batch, _ = find_submissions(path, spec)
    refuse_outputs(path, batch, json, csv)
    table = TextTable(spec, [submission.name for submission in submissions])
    marking = mark(path, spec, seed, jobs or os.cpu_count() or 1, Limits(timeout, memory),
                   on_start=lambda _: print(table.head(), flush=True),
                   on_mark=lambda done: print(table.block(done), flush=True))
    lines = summary(marking, table.width)
    if lines:
        print("\n" + "\n".join(lines))
    if json:
        write_json(json, marking)
    if csv:
        write_csv(csv, marking)
    written = [str(name) for name in (json, csv) if name]
    if written:
        print(f"saved {' and '.join(written)}")
