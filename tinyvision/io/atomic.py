"""Writing a file so that at every moment there is a whole one: the old, or the new, never half of either.

Opening a file for writing empties it, and a crash, a full disk or Ctrl-C a moment later leaves neither yesterday's weights nor
today's.  So the new contents go into a temporary file in the same folder, `fsync` waits until they are on the disk, and
`os.replace` moves them over the old name in one step, which the file system promises to do entirely or not at all.
"""

import contextlib
import os
import secrets
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path):
    """A context manager: write to the temporary path it gives, and the file appears under `path` when the block ends.

    The temporary path has the same ending, since many writers choose the format by it.  If the block raises, the
    temporary file is removed and whatever was at `path` is untouched.  Symbolic links and permissions are kept.
    Raises FileNotFoundError without the folder, FileExistsError where `path` is not a file (a folder, a device), and
    PermissionError where it is write-protected, all before the block runs; FileNotFoundError if the block wrote nothing.

    >>> with atomic_path("answer.txt") as temporary:
    ...     _ = temporary.write_text("42")
    >>> Path("answer.txt").read_text()
    '42'
    """
    target = Path(os.path.realpath(path))
    refuse_target(target, path)
    temporary = target.with_name(f".{secrets.token_hex(8)}{target.suffix}")
    try:
        temporary.touch(exist_ok=False)                           # as open() would make it: the user's umask applies
        mode = (target if target.exists() else temporary).stat().st_mode
        temporary.unlink()                                        # so that we see whether the block writes one
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(f"atomic_path: the block did not write {os.fspath(temporary)!r}, so {os.fspath(path)!r} "
                                    "stays as it was. Write to the path that atomic_path gives, with its ending.")
        temporary.chmod(mode)                                     # some writers make files that only their owner may read
        flush(temporary)
        os.replace(temporary, target)
        if os.name == "posix":                                    # elsewhere folders cannot be opened
            flush(target.parent, os.O_RDONLY)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_target(target, path):
    """Raise the error that writing would end in."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"atomic_path: the folder of {os.fspath(path)!r} does not exist. Create it first.")
    if target.exists() and not target.is_file():
        raise FileExistsError(f"atomic_path: {os.fspath(path)!r} is there and not a file. Choose another name.")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"atomic_path: {os.fspath(path)!r} is write-protected. Choose another name.")


def flush(path, flags=os.O_RDWR):
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
