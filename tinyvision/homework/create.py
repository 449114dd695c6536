"""Writing the exercises for a student: all files, or none."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from ..io.atomic import atomic_path
from .errors import HomeworkError
from .spec import DEFAULT


def kit():
    """The files of the kit in the order in which they are worked on: README, exercises, specification."""
    from .spec import read_spec
    folder = DEFAULT.parent
    return [folder / "README.md", *(folder / exercise.file for exercise in read_spec().exercises), DEFAULT]


def new_homework(folder):
    """Write the kit's files into a folder, which is made where it is not there; returns their paths.

    Raises HomeworkError, changing nothing, where one of them is there already or the folder cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise HomeworkError(f"{folder} is there and not a folder. Name another.")
    there = [path.name for path in kit() if os.path.lexists(folder / path.name)]
    if there:
        raise HomeworkError(f"{folder} already holds {', '.join(there)}; nothing was written. Name another folder, or move "
                            f"{'it' if len(there) == 1 else 'them'} away.")
    try:
        if folder.exists():
            fill(folder)
        else:
            make(folder)
    except OSError as error:
        raise HomeworkError(f"cannot write to {folder} ({error.strerror}); name another folder.") from error
    return [folder / path.name for path in kit()]


def make(folder):
    """A new folder, filled under another name and then moved into its place."""
    folder = Path(os.path.abspath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        for path in kit():
            shutil.copyfile(path, temporary / path.name)
        os.rename(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def fill(folder):
    """Files into a folder that is there; if one cannot be written, those before it are removed again."""
    written = []
    try:
        for path in kit():
            with atomic_path(folder / path.name) as temporary:
                shutil.copyfile(path, temporary)
            written.append(folder / path.name)
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise
