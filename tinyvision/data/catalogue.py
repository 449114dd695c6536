"""The catalogue of data sets: what there is, where it lies on this machine, and whether its bytes are still the right ones.

Disks forget.  A bit that changed in a picture changes nothing that one would notice, and a file cut off in the middle is found
out on the third day of a training.  `verify` compares checksums: with the published ones where the files themselves have them
(MNIST, CIFAR), with those written down when the archive was unpacked (SHA256SUMS in the folder) where it holds thousands of
pictures.  A set that somebody else unpacked has no such list; then all that can be done is to open every picture, which finds
what was cut off, but not a changed byte of a JPEG.

Behind the command `tinyvision data`: `listing` is its table, `download` and `verify` its verbs.
"""

import inspect
from dataclasses import dataclass
from pathlib import Path

from ..packages import require
from . import generated
from .archive import SUMS, check_sums
from .cifar import CIFAR10, CIFAR100, Records
from .digits import Digits
from .download import search_folders
from .folders import SegmentationFolder, pictures_below
from .idx import uncompressed
from .images import opened
from .mnist import MNIST, FashionMNIST, md5
from .penn_fudan import PennFudanPed
from .pets import OxfordIIITPet


@dataclass(frozen=True)
class Entry:
    """A data set: its name for the command, what it shows, the task, examples to train and to test, megabytes to download."""

    name: str
    title: str
    task: str
    examples: str
    megabytes: float
    reader: type
    folders: tuple = ()                                   # that hold its pictures, where it comes as such

    @property
    def files(self):
        """The files or folders that make the set whole, relative to its folder."""
        return tuple(getattr(self.reader, "files", ())) or self.folders


CLASSES, MASKS, BOXES = "classification", "segmentation", "detection"
ENTRIES = (
    Entry("digits", "handwritten digits, 8x8, grey", CLASSES, "1,437 + 360", 0, Digits),
    Entry("mnist", "handwritten digits, 28x28, grey", CLASSES, "60,000 + 10,000", 11.6, MNIST),
    Entry("fashion-mnist", "articles of clothing, 28x28, grey", CLASSES, "60,000 + 10,000", 30.9, FashionMNIST),
    Entry("cifar10", "photographs of 10 kinds of things, 32x32", CLASSES, "50,000 + 10,000", 170.1, CIFAR10),
    Entry("cifar100", "photographs of 100 kinds of things, 32x32", CLASSES, "50,000 + 10,000", 168.5, CIFAR100),
    Entry("pets", "cats and dogs of 37 breeds", f"{CLASSES}, {MASKS}, {BOXES}", "3,680 + 3,669", 811.1, OxfordIIITPet,
          ("images", "annotations")),
    Entry("penn-fudan", "pedestrians, each with a mask", f"{BOXES}, {MASKS}", "170", 53.7, PennFudanPed,
          ("PNGImages", "PedMasks")),
    Entry("isbi-2012", "membranes of cells under an electron microscope, 512x512, grey", MASKS, "30", 0, SegmentationFolder,
          ("image", "label")),
)


@dataclass(frozen=True)
class Checked:
    """A file that was verified; state: ok, differs (another checksum), damaged (cannot be read) or missing; note: details."""

    path: Path
    state: str
    note: str = ""


def entry_of(name):
    """The entry of this name.

    Raises ValueError for a name that is not in the catalogue, with those that are.
    """
    for entry in ENTRIES:
        if entry.name == name:
            return entry
    raise ValueError(f"data: there is no set called {name!r}. Choose from {', '.join(entry.name for entry in ENTRIES)}.")


def listing(root=None):
    """Every data set as a dict: name, title, task, examples, megabytes (to download), reader (class), found, state.

    found: the folder it lies in, or None; state: "whole", "in part", "absent", or "built in" for sets that need no files.
    root: a folder to search first.  Generated sets come last, under the names of their classes.

    >>> {row["name"]: row["state"] for row in listing()}["digits"]
    'built in'
    """
    rows = []
    for entry in ENTRIES:
        found, state = (None, "built in") if entry.reader is Digits else whereabouts(entry, root)
        rows.append({"name": entry.name, "title": entry.title, "task": entry.task, "examples": entry.examples,
                     "megabytes": entry.megabytes, "reader": entry.reader, "found": found, "state": state})
    for name in generated.__all__:
        reader = getattr(generated, name)
        if inspect.isclass(reader):
            title = reader.__doc__.partition("\n")[0].partition(". ")[0].rstrip(".")
            rows.append({"name": name, "title": title, "task": "generated", "examples": "as many as wanted", "megabytes": 0,
                         "reader": reader, "found": None, "state": "built in"})
    return rows


def places(entry, root):
    """The folders to search for a set."""
    if issubclass(entry.reader, MNIST):
        return list(search_folders(entry.reader.folder, root))
    return list(search_folders(getattr(entry.reader, "folder", entry.name), root, inside=True))


def present(entry, folder):
    """Those files or folders of a set that are in this folder."""
    ways = ("", ".gz") if issubclass(entry.reader, MNIST) else ("",)
    return [path for file in entry.files if (path := next((p for way in ways if (p := folder / f"{file}{way}").exists()), None))]


def whereabouts(entry, root):
    """The folder of a set, and "whole", "in part" or "absent"; a whole one before one in part, wherever it is."""
    counts = [(len(present(entry, folder)), folder) for folder in places(entry, root)]
    for count, folder in counts:
        if count == len(entry.files):
            return folder, "whole"
    return next(((folder, "in part") for count, folder in counts if count), (None, "absent"))


def download(name, root=None):
    """Have the whole of a data set on this machine, and return its folder; what is there is not downloaded again.

    root: where to look first and to put it; else the user's cache.  Progress bars go to stderr.
    Raises ValueError for a set that needs no files or has none to download, FileNotFoundError where no mirror serves it; see
    tinyvision.data.download.download_file for more.
    """
    entry = entry_of(name)
    if entry.reader is Digits:
        raise ValueError("data: digits come with the installation and need no download: tinyvision.data.Digits().")
    if entry.reader is SegmentationFolder:
        raise ValueError(f"data: {name} cannot be downloaded by a program, its site wants a registration. Put the pictures into "
                         f"the folders image/ and label/ of $TINYVISION_DATA/{name} (1.png, 2.png, ...), and read them with "
                         "SegmentationFolder(..., values=(0, 255)).")
    if issubclass(entry.reader, MNIST):
        return [entry.reader.find(file, root, True) for file in entry.files][0].parent
    if issubclass(entry.reader, Records):
        folder, state = whereabouts(entry, root)
        return folder if state == "whole" else entry.reader.fetch(places(entry, root), root, True)
    return entry.reader.find(root, True)


def verify(name, root=None):
    """Check every file of a data set where it lies: a list of Checked.

    root: a folder to search first.  Sets of pictures that come with checksums take seconds, others are opened one by one, with a
    progress bar on stderr.
    Raises FileNotFoundError where nothing of the set is on this machine, ValueError for the set that needs no files.
    """
    entry = entry_of(name)
    if entry.reader is Digits:
        raise ValueError("data: digits come with the installation and have no files of their own.")
    folder, state = whereabouts(entry, root)
    if state == "absent":
        raise FileNotFoundError(f"data: {name} is in none of the folders {', '.join(map(str, places(entry, root)))}. Get it "
                                f"with: tinyvision data download {name}")
    if not entry.folders:
        return [check_file(entry, folder, file) for file in entry.files]
    if not (folder / SUMS).exists():
        return [checked for part in entry.folders for checked in check_pictures(folder / part, name)]
    return compared(folder)


def compared(folder):
    """The files of a folder that has SHA256SUMS."""
    return [Checked(folder / file, "differs", "its checksum was another when it was unpacked") if state == "damaged"
            else Checked(folder / file, state) for file, state in check_sums(folder).items()]


def check_pictures(folder, name):
    """The pictures of one folder of a set: compared with their checksums, or else opened."""
    if not folder.is_dir():
        return [Checked(folder, "missing")]
    if (folder / SUMS).exists():
        return compared(folder)
    paths = [path for path in map(Path, pictures_below(folder)) if not path.name.startswith(".")]
    return opened_one_by_one(paths, f"{name}/{folder.name}")


def check_file(entry, folder, file):
    """Compare a file that has a published checksum with it."""
    path = next((path for path in present(entry, folder) if path.name.removesuffix(".gz") == file), None)
    if path is None:
        return Checked(folder / file, "missing")
    first, second = entry.reader.files[file]                      # MNIST: of the bytes, of the .gz; CIFAR: pictures, of the bytes
    official = first if issubclass(entry.reader, MNIST) else second
    try:
        found = md5(uncompressed(path))
    except ValueError as error:
        return Checked(path, "damaged", str(error))
    return Checked(path, "ok") if found == official else Checked(path, "differs", f"MD5 {found}, official {official}")


def opened_one_by_one(paths, name):
    """Read every picture, for want of checksums."""
    require("verify", "tqdm")
    from tqdm.auto import tqdm
    checked = []
    for path in tqdm(paths, desc=name, unit="file", leave=False, dynamic_ncols=True):
        try:
            with opened("verify", path, orient=False):
                checked.append(Checked(path, "ok", "opened; its checksum is not known"))
        except ValueError as error:
            checked.append(Checked(path, "damaged", str(error)))
    return checked
