"""Files from the network, once: mirrors in turn, continued where they broke off, checked, and only then under their name.

A download of hundreds of megabytes breaks off now and then.  What came is kept in NAME.part, and the next try asks the server
for the rest alone (HTTP: Range: bytes=N-).  A server that knows ranges answers 206 and says where its bytes begin; one that
does not answers 200 and sends everything, and the part begins anew.  Mirrors hold the same bytes, so one may continue what
another began.  Whether all of it fits together is told by the checksum of the whole; only a file that has it is renamed to its
own name, in one step.  So a file under its own name is always complete and right, and NAME.part is no more than a wait saved.

Source: RFC 9110, HTTP Semantics, section 14 (range requests).
"""

import contextlib
import os
import shutil
from pathlib import Path

from ..packages import require

TIMEOUT = 30                                              # seconds without a byte before the connection is given up
TRIES = 3                                                 # of one mirror, as long as each brings the file further
CHUNK = 1 << 14                                           # bytes; fewer are lost when a server falls silent


def cache_folder(name):
    """Where the files of the data set `name` are kept for this user (~/.cache/tinyvision/name on Linux)."""
    require("cache_folder", "pooch")
    import pooch
    return Path(pooch.os_cache("tinyvision")) / name


def search_folders(name, root, inside=False):
    """Where a data set may lie, one after the other: root, $TINYVISION_DATA/name, the user's cache (which only pooch knows).

    inside: the set comes as a folder of this name, so look for root/name first, and then whether root is that folder.
    """
    if root is not None:
        if inside:
            yield Path(root).expanduser() / name
        yield Path(root).expanduser()
    if shared := os.environ.get("TINYVISION_DATA"):
        yield Path(shared).expanduser() / name
    yield cache_folder(name)


def download_file(name, mirrors, known_hash, folder):
    """Download the file `name` from the first mirror that serves it, and return its path in `folder`.

    mirrors: addresses of folders; known_hash: "md5:..." or "sha256:..." of the file.  Where the file is in the folder already,
    the network is not touched; where NAME.part is, the download is continued.  A progress bar goes to stderr.
    Raises ValueError where a file of that name with another checksum is in the folder (it is left alone); ConnectionError
    where every mirror failed, with the reason for each (what came so far stays in NAME.part, wrong bytes do not); OSError for
    a folder that cannot be written to and for a disk without room for the file, before the first byte where that is known.
    """
    require("download", "pooch", "tqdm")
    target = Path(folder) / name
    if target.exists():
        if (found := file_hash(target, known_hash)) != known_hash:
            raise ValueError(f"download: {target} should have {known_hash}, got {found}. Move it away or delete it, and run "
                             "again.")
        return target
    part = target.with_name(f"{name}.part")
    with disk_errors(target), opened_alone(part) as file:
        if not target.exists():                                   # else another process was quicker
            ask_mirrors(name, mirrors, known_hash, file)
            os.fsync(file.fileno())
            os.replace(part, target)
    return target


def file_hash(path, known_hash):
    """The checksum of a file, in the form of known_hash, "md5:..." for instance: its algorithm, its number of digits, 8 at least."""
    import pooch
    algorithm, _, digits = known_hash.partition(":")
    return f"{algorithm}:{pooch.file_hash(str(path), algorithm)[:max(8, len(digits))]}"


@contextlib.contextmanager
def disk_errors(target):
    """What the system says of the folder and the disk, as one sentence that says what to do."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno is None:                                   # one of ours
            raise
        raise OSError(f"download: cannot write {target} ({error.strerror}). Make room or get permission, or choose another "
                      "folder with root=...") from error


@contextlib.contextmanager
def opened_alone(part):
    """NAME.part, opened to be read and added to by this process alone; an empty one is removed at the end.

    Two processes that want the same file take turns: the second waits for the first, and finds the work done.  Where the
    system has no such locks (Windows) the checksum still tells when they wrote over each other.
    """
    while True:
        with open(part, "a+b", buffering=0) as file:
            with contextlib.suppress(ImportError):
                import fcntl
                fcntl.flock(file, fcntl.LOCK_EX)
            if not is_at(file, part) and not part.with_suffix("").exists():
                continue                                          # the one we waited for has removed it
            try:
                yield file
            finally:
                if is_at(file, part) and size_of(file) == 0:
                    part.unlink()
            return


def is_at(file, path):
    """Whether the open file is the one that has this path now."""
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))


def size_of(file):
    return os.fstat(file.fileno()).st_size


def ask_mirrors(name, mirrors, known_hash, file):
    """Fill the file from the first mirror that can."""
    reasons = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{name}"
        reason = fetch(address, file, known_hash)
        if reason is None:
            return
        reasons.append(f"{address} ({reason})")
    came = f". {size_of(file):,} bytes of it came; run again to continue" if size_of(file) else ""
    raise ConnectionError(f"download: no mirror served {name}, tried {', '.join(reasons)}{came}")


def fetch(address, file, known_hash):
    """Bring the file to the whole content of the address: None where that went well, else the reason, in a few words."""
    from requests import RequestException
    from urllib3.exceptions import HTTPError
    for attempt in range(TRIES):
        before = size_of(file)
        try:
            start = receive(address, file, before)
        except (RequestException, HTTPError) as error:
            if size_of(file) == before or attempt + 1 == TRIES:
                return reason_of(error)
            continue                                              # it broke off, but it brought something
        if file_hash(file.name, known_hash) == known_hash:
            return None
        file.truncate(0)
        if start == 0:
            break                                                 # else the bytes from before may be to blame: all anew
    return "wrong checksum"


def receive(address, file, start):
    """Add to the file what it lacks behind its first `start` bytes, and return from which byte on the server sent."""
    import requests
    # identity here and raw below: some servers call .gz an encoding of the content, and it would arrive unpacked
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if start and answer.status_code == 416:                   # there is nothing behind that byte
            return start
        answer.raise_for_status()
        if answer.status_code != 206:
            file.truncate(0)
            start = 0
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise requests.exceptions.InvalidHeader(f"asked for the bytes from {start}")
        length = int(answer.headers.get("Content-Length", 0))
        check_room(file, length)
        came = copy(answer.raw, file, address, start, length)
    if came < length:
        raise requests.exceptions.ChunkedEncodingError(f"{length} bytes announced, {came} came")
    return start


def check_room(file, needed):
    """Raise OSError where the disk cannot hold so many more bytes."""
    free = shutil.disk_usage(Path(file.name).parent).free
    if needed > free:
        raise OSError(f"download: {file.name} needs {needed / 1e6:,.1f} MB more, the disk has {free / 1e6:,.1f} MB free. Make "
                      "room, or choose a folder on another disk with root=...")


def copy(stream, file, address, start, length):
    """Write the stream to the end of the file, with a progress bar; the number of bytes that came."""
    from tqdm.auto import tqdm
    came = 0
    with tqdm(desc=address.rpartition("/")[2], total=start + length if length else None, initial=start, unit="B",
              unit_scale=True, leave=False, dynamic_ncols=True) as bar:
        for chunk in stream.stream(CHUNK, decode_content=False):
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest):]
            came += len(chunk)
            bar.update(len(chunk))
    return came


def reason_of(error):
    """Why a mirror failed, in a few words."""
    from requests import exceptions
    from urllib3 import exceptions as lower
    if isinstance(error, exceptions.HTTPError):
        return f"{error.response.status_code} {error.response.reason}"
    kinds = {exceptions.Timeout: f"no answer in {TIMEOUT} s", lower.TimeoutError: f"no answer in {TIMEOUT} s",
             exceptions.SSLError: "certificate refused", exceptions.ConnectionError: "no connection",
             exceptions.ChunkedEncodingError: "connection broke off", lower.ProtocolError: "connection broke off",
             exceptions.InvalidHeader: "answers another question"}
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)
