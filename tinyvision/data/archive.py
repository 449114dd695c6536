"""Archives: unpacking a .tar.gz or .zip so that it can do nothing but fill one folder.

An archive is a list of names with contents, and the names are the author's choice.  "../../.bashrc" leaves the folder, "/etc/x"
never enters it, a link called "a" that points to "/home" turns the harmless name "a/x" into a file elsewhere, and a device or
pipe is no file at all.  Nor is the size of an archive the size of its contents: zeros shrink a thousandfold, so a megabyte can
fill a disk.  Hence the rules: only folders and plain files, only names that stay inside, each name once, limits on the number of
files and on the bytes, which are counted as they come, whatever the headers say.  Names, modes and owners beyond that are
forgotten: files are made as open() makes them.

Everything goes into a temporary folder beside the target, which takes the target's name at the end, in one step: a folder under
its own name is complete.  In it is SHA256SUMS, the checksums of all files as they were unpacked, in the form of the command
`sha256sum -c`, by which damage can be found later, when the archive is gone.
"""

import contextlib
import gzip
import hashlib
import os
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from .download import download_file

SUMS = "SHA256SUMS"
CHUNK = 1 << 20                                           # bytes


def unpack(path, folder, *, top=None, max_files=100_000, max_bytes=4 * 10**9):
    """Unpack the archive `path` (.tar, .tar.gz, .tgz, .zip; told by its content) into the new folder `folder`, and return that.

    top: the one folder in the archive in which all its files lie; its contents become the contents of `folder`.
    max_files: members at most; max_bytes: size at most, unpacked.
    Raises FileExistsError where `folder` is there and not empty; ValueError for a file that is no archive or damaged, for
    members that are not plain files or would lie outside, and beyond the limits.  Then nothing stays behind.

    >>> with zipfile.ZipFile("set.zip", "w") as archive:
    ...     archive.writestr("set/1.txt", "one")
    >>> sorted(p.name for p in unpack("set.zip", "unpacked", top="set").iterdir())
    ['1.txt', 'SHA256SUMS']
    """
    path, folder = Path(path), Path(folder)
    check_new(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        limits = Limits(path, top, max_files, max_bytes)
        with damage(path, folder), members(path, limits) as found:
            sums = write_members(found, temporary, limits)
            lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
            (temporary / SUMS).write_text("".join(lines), encoding="utf-8")
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        try:
            os.replace(temporary, folder)
        except OSError:
            if not (folder / SUMS).exists():                      # else another process was quicker
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def check_new(folder):
    """Raise FileExistsError where there is something of this name, other than an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"unpack: {folder} is there already, and not what is needed. Move it away, or choose another "
                              "folder.")


def obtain(name, missing, folders, root, download, archives, instead):
    """Download the archives of the data set `name` and unpack each into its folder; the folder in which the set then is.

    missing: what was looked for, in words, and folders: where, as search_folders gives them; the set goes into the first where
    the user named a root, else into the last.  archives: a list of (file, mirrors, known_hash, folder in it, folder to make in
    the set: "" for the set itself).  instead: what to take without a network, for the error.
    An archive that was there before stays; one that was downloaded is removed once it is unpacked.
    Raises FileNotFoundError where download is False or no mirror serves an archive, FileExistsError where something else is in
    the way, before anything is downloaded.
    """
    target = folders[-1] if root is None else folders[0]
    missing = f"{name}: {missing} in none of the folders {', '.join(map(str, folders))}"
    hint = (f"Unpack {', '.join(file for file, *_ in archives)} by hand to have {target}, or name that folder with root=... (the "
            f"one above in the environment variable TINYVISION_DATA), or take a set that needs no file: {instead}.")
    if not download:
        raise FileNotFoundError(f"{missing}, and download=False. {hint}")
    todo = [archive for archive in archives if not (archive[-1] and (target / archive[-1] / SUMS).exists())]
    for *_, made in todo:
        check_new(target / made)
    for file, mirrors, known_hash, top, made in todo:
        folder = target / made
        kept = (folder.parent / file).exists()
        try:
            path = download_file(file, mirrors, known_hash, folder.parent)
        except ConnectionError as error:
            raise FileNotFoundError(f"{missing}, and cannot be downloaded ({error}). {hint}") from error
        unpack(path, folder, top=top)
        if not kept:
            path.unlink(missing_ok=True)
    return target


class Limits:
    """What the members of an archive must keep to; counts them."""

    def __init__(self, path, top, max_files, max_bytes):
        self.path, self.top, self.max_files, self.max_bytes = path, top, max_files, max_bytes
        self.seen, self.files, self.bytes = set(), 0, 0

    def place(self, name):
        """The path of a member inside the target folder."""
        parts = PurePosixPath(name).parts
        inside = not name.startswith("/") and ".." not in parts and "\0" not in name
        if not inside or "\\" in name or (parts and ":" in parts[0]):     # the last two are absolute names on Windows
            raise ValueError(f"unpack: names must stay inside the folder, {self.path} has {name!r}. Do not trust this file.")
        if self.top is not None and parts and not is_note(name):
            if parts[0] != self.top:
                raise ValueError(f"unpack: all of {self.path} must lie in {self.top}/, found {name!r}. Is it another archive?")
            parts = parts[1:]
        self.files += 1
        if self.files > self.max_files:
            raise ValueError(f"unpack: {self.path} has more than {self.max_files:,} members, the limit. Raise max_files if you "
                             "trust it.")
        return PurePosixPath(*parts)

    def once(self, place):
        """Refuse a second file of one name, also where only the case differs: some disks see no difference."""
        key = str(place).casefold()
        if key in self.seen or key == SUMS.casefold():
            raise ValueError(f"unpack: each name is used once, {self.path} has a second {place}. Do not trust this file.")
        self.seen.add(key)

    def count(self, size):
        self.bytes += size
        if self.bytes > self.max_bytes:
            raise ValueError(f"unpack: {self.path} holds more than {self.max_bytes:,} bytes, the limit. Raise max_bytes if you "
                             "trust it.")


def write_members(found, folder, limits):
    """Write the files of an archive into the folder; the SHA-256 of each, by name."""
    sums = {}
    for name, kind, open_member in found:
        place = limits.place(name)
        if is_note(name):
            continue
        if kind == "other":
            raise ValueError(f"unpack: only files and folders are unpacked, {limits.path} has {name!r}, a link or device. Do not "
                             "trust this file.")
        try:
            if kind == "folder":
                (folder / place).mkdir(parents=True, exist_ok=True)
                continue
            limits.once(place)
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            with open_member() as source, open(folder / place, "xb") as target:
                sums[str(place)] = copy(source, target, limits)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ValueError(f"unpack: a name is a file or a folder, {limits.path} has {name!r} as both. Do not trust this "
                             "file.") from error
    return sums


def is_note(name):
    """Whether a member is one of macOS's notes about another file, which some published archives carry along."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith("._") for part in parts)


def copy(source, target, limits):
    """Copy a member's bytes, counting them; their SHA-256."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        limits.count(len(chunk))
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def members(path, limits):
    """The members of an archive, one after the other: name, kind (file, folder, other), and a function that opens it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield ((info.filename, zip_kind(info), lambda info=info: archive.open(info)) for info in archive.infolist())
    else:
        with uncompressed(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:    # one pass, no way back
            yield ((info.name, "file" if info.isreg() else "folder" if info.isdir() else "other",
                    lambda info=info: archive.extractfile(info)) for info in archive)
            limits.bytes = 0
            while chunk := stream.read(CHUNK):                    # to the end, where gzip has its checksum
                limits.count(len(chunk))


def uncompressed(path):
    """The file, opened to be read as it is or through gzip, as its first bytes say."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")


def zip_kind(info):
    """file, folder or other, from the Unix mode where the archive has one."""
    mode = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir():
        return "folder"
    return "file" if mode in (0, stat.S_IFREG) else "other"


@contextlib.contextmanager
def damage(path, folder):
    """What the libraries raise for damaged archives, as ValueError that names the archive; what the disk says, with the place."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"unpack: {path} is damaged or no archive ({error}). Move it away and get it again.") from error
    except OSError as error:
        if error.filename == os.fspath(path):                     # it cannot be opened
            raise
        if error.errno is not None:
            raise OSError(f"unpack: cannot write {folder} ({error.strerror}). Make room, or choose another folder.") from error
        raise ValueError(f"unpack: {path} is damaged ({error}). Move it away and get it again.") from error    # gzip's


def check_sums(folder):
    """What SHA256SUMS says of the files in a folder: a dict of name and "ok", "damaged" or "missing"; None without that file.

    >>> _ = Path("set").mkdir(), Path("set/1.txt").write_text("one")
    >>> _ = Path("set/SHA256SUMS").write_text("ff  1.txt\\n" + "00  2.txt\\n")
    >>> check_sums("set")
    {'1.txt': 'damaged', '2.txt': 'missing'}
    """
    sums = Path(folder) / SUMS
    if not sums.exists():
        return None
    states = {}
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        file = Path(folder) / name
        states[name] = "missing" if not file.is_file() else "ok" if sha256(file) == digest else "damaged"
    return states


def sha256(path):
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
