"""CIFAR-10 and CIFAR-100: 60,000 colour photographs of 32x32 pixels in 10 or 100 classes, 50,000 of them to train.

The binary version is a row of records without any header, one for each picture:

    label    1 byte (CIFAR-10), or 2: the coarse label, one of 20, then the fine one, one of 100 (CIFAR-100)
    pixels   3072 bytes: 1024 red, 1024 green, 1024 blue, each plane row by row

so a file is an array (n, 1 + 3072) of bytes, and its pictures need no more than a reshape to (n, 3, 32, 32).  The better known
Python version holds the same bytes pickled, and unpickling a file means running what its author wrote into it.

CIFAR-10 trains from five batches, and fewer are enough to begin with: what is there is used, and a warning says what is not.

Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, chapter 3; www.cs.toronto.edu/~kriz/cifar.html.
"""

import warnings

import numpy as np

from .archive import obtain
from .dataset import LabelledImages, check_part
from .download import search_folders
from .mnist import md5

MIRRORS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
SIDE, PIXELS = 32, 3 * 32 * 32


class Records(LabelledImages):
    """Base of the two: where the files are, how a record is read."""

    def __init__(self, root, train, download, column, classes):
        name = type(self).__name__
        check_part(name, train, SIDE)
        folder, files = self.find(self.part(train), root, download)
        records = {file: self.read(folder / file) for file in files}
        if notes := self.unofficial(records, self.part(train)):
            warnings.warn(f"{name}: in {folder}, {'; '.join(notes)}.", stacklevel=3)
        images = np.empty((sum(map(len, records.values())), 3, SIDE, SIDE), np.float32)
        labels, start = [], 0
        for rows in records.values():
            pixels = rows[:, len(self.kinds):].reshape(-1, 3, SIDE, SIDE)
            np.divide(pixels, 255, out=images[start:start + len(rows)], dtype=np.float32)
            labels.append(rows[:, column].astype(np.int64))
            start += len(rows)
        super().__init__(images, np.concatenate(labels), classes)

    @classmethod
    def part(cls, train):
        """The files of the training or the test part, and the number of pictures in each."""
        return {file: count for file, (count, _) in cls.files.items() if file.startswith("test") != train}

    @classmethod
    def find(cls, part, root, download):
        """The folder with the files of a part, and those that are in it; the first with all, else the first with some."""
        folders, some = [], None
        for folder in search_folders(cls.folder, root, inside=True):
            folders.append(folder)
            files = [file for file in part if (folder / file).is_file()]
            if len(files) == len(part):
                return folder, files
            some = some or ((folder, files) if files else None)
        return some or (cls.fetch(folders, root, download), list(part))

    @classmethod
    def fetch(cls, folders, root, download):
        """Download the set; its folder."""
        archives = [(cls.archive, cls.mirrors, f"md5:{cls.md5}", cls.folder, "")]
        return obtain(cls.__name__, f"the files {', '.join(cls.files)} are", folders, root, download, archives,
                      "tinyvision.data.Digits(), or in colour tinyvision.data.generated.ShapeClassification(5000)")

    @classmethod
    def read(cls, path):
        """The records of a file, (n, label bytes + 3072)."""
        data, length, count = np.fromfile(path, np.uint8), len(cls.kinds) + PIXELS, cls.files[path.name][0]
        if len(data) != count * length:
            raise ValueError(f"{cls.__name__}: {path} must have {count} records of {length} bytes, {count * length} in all, got "
                             f"{len(data)}. It was cut off or is another file; move it away and get it again.")
        records = data.reshape(count, length)
        for column, kinds in enumerate(cls.kinds):
            if count and records[:, column].max() >= kinds:
                raise ValueError(f"{cls.__name__}: labels must be 0..{kinds - 1}, {path} has {records[:, column].max()}. It is "
                                 "damaged or another file; move it away and get it again.")
        return records

    @classmethod
    def unofficial(cls, records, part):
        """What distinguishes these files from the official part, in sentences without a point."""
        notes = []
        if missing := [file for file in part if file not in records]:
            notes.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, so these are "
                         f"{sum(part[file] for file in records):,} of {sum(part.values()):,} pictures")
        if other := [file for file, rows in records.items() if md5(rows) != cls.files[file][1]]:
            one = len(other) == 1
            notes.append(f"{', '.join(other)} {'is' if one else 'are'} not byte for byte the official "
                         f"{'file' if one else 'files'}, so results may differ from published ones")
        return notes


class CIFAR10(Records):
    """Photographs of ten kinds of things (torchvision.datasets.CIFAR10), as LabelledImages.

    Shapes: images (N, 3, 32, 32), float32, 0 to 1 (byte / 255); labels (N,), int64, indices into .classes.
    N = 50,000 with train=True, else 10,000; less, with a warning, where only some of the files data_batch_1.bin ...
    data_batch_5.bin are found.  In memory the training pictures take 614 MB.
    root: the folder with the official files (binary version), or the one that holds it, cifar-10-batches-bin.  Searched in this
    order: root, $TINYVISION_DATA, the user's cache.  Where nothing is found, the archive is downloaded (170 MB) and unpacked into
    root where given, else into the cache; with download=False it is an error.
    Raises FileNotFoundError where the files can be had nowhere, ValueError for a file of another length or with other labels.
    Warns where files are missing, or are not the official ones byte for byte.

    >>> CIFAR10(train=False).images.shape                 # doctest: +SKIP
    (10000, 3, 32, 32)
    """

    folder, archive, mirrors = "cifar-10-batches-bin", "cifar-10-binary.tar.gz", MIRRORS
    md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    # file: number of pictures, MD5
    files = {"data_batch_1.bin": (10_000, "5dd7e06a14cb22eb9f671a540d1b7c25"),
             "data_batch_2.bin": (10_000, "5ea93a67294ea407fff1d09f752e9692"),
             "data_batch_3.bin": (10_000, "942cd6a4bcdd0dd3c604fbe906cb4421"),
             "data_batch_4.bin": (10_000, "ae636b3ba5c66a11e91e8cb52e771fcb"),
             "data_batch_5.bin": (10_000, "53f37980c15c3d472c316c40844f3f0d"),
             "test_batch.bin": (10_000, "803d5f7f4d78ea53de84dbe85f74fb6d")}
    kinds = (10,)                                         # of labels, one number for each label byte
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self, root=None, train=True, download=True):
        super().__init__(root, train, download, 0, type(self).classes)


class CIFAR100(Records):
    """Photographs of a hundred kinds of things (torchvision.datasets.CIFAR100), as LabelledImages.

    Shapes, arguments, search, errors and warnings are those of CIFAR10, with the files train.bin and test.bin in the folder
    cifar-100-binary.  coarse: the labels are those of the 20 superclasses, five classes in each.

    >>> CIFAR100(train=False, coarse=True).classes[0]     # doctest: +SKIP
    'aquatic_mammals'
    """

    folder, archive, mirrors = "cifar-100-binary", "cifar-100-binary.tar.gz", MIRRORS
    md5 = "03b5dce01913d631647c71ecec9e9cb8"
    files = {"train.bin": (50_000, "6172c7755cfe09b2fe270c85cebc1b15"), "test.bin": (10_000, "4499cfba6c016c1be1438163640a0898")}
    kinds = (20, 100)
    classes = tuple("""
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
        caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
        forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
        mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
        possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
        sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
        willow_tree wolf woman worm""".split())
    superclasses = tuple("""
        aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
        insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
        medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2""".split())

    def __init__(self, root=None, train=True, download=True, *, coarse=False):
        if not isinstance(coarse, bool):
            raise TypeError(f"CIFAR100: coarse must be True or False, got {coarse!r}.")
        column, classes = (0, self.superclasses) if coarse else (1, type(self).classes)
        super().__init__(root, train, download, column, classes)
