"""Which data sets a network can be trained on from the command line, and how: sizes, augmentation, length of the training.

A set has pictures of one shape and a kind of answer, "classes" (one for a picture), "masks" (one for every pixel), "box" (a class
and where it is), "edges", "colour" or "caption", which decides the tasks that it serves (tasks.py) and the networks that fit it.
Numbers of epochs, batch sizes and learning rates are what gives good results in minutes on two cores, or, of the large sets, a
first impression; the options of `tinyvision train` change them.
"""

from dataclasses import dataclass
from pathlib import Path

from .arguments import UserError

CLASSES, MASKS, BOX, EDGES, COLOR, CAPTION = "classes", "masks", "box", "edges", "colour", "caption"


@dataclass(frozen=True)
class Source:
    """A data set: its title, kind of answer, and (C, H, W); load(root, shape) gives the training and the held-out set.

    needs_root: whether it is the user's own folder; augment: a function of the shape that gives the list of transforms.
    """

    title: str
    kind: str
    shape: tuple
    load: object
    epochs: int
    batch_size: int
    lr: float
    augment: object = None
    needs_root: bool = False


def both(make):
    """A loader of sets whose parts are called train=True and train=False."""
    def load(root, shape):
        return make(root, shape, True), make(root, shape, False)
    return load


def official(name):
    """A loader of a set of tinyvision.data that is read from root or downloaded."""
    def make(root, shape, train):
        from .. import data
        return getattr(data, name)(root, train=train)
    return both(make)


def digits(root, shape):
    from .. import data
    return data.Digits(train=True), data.Digits(train=False)


def drawn(name, n, held_out):
    """A loader of a generated set, in memory."""
    def make(root, shape, train):
        from ..data import generated
        dataset = getattr(generated, name)(n if train else held_out, shape[1:], train=train)
        columns = dataset.in_memory()
        columns.classes = dataset.classes
        return columns
    return both(make)


def captioned(n, held_out):
    """Generated scenes and what is said of them, as numbers of words; the classes are the words."""
    def make(root, shape, train):
        from ..data import SceneCaptions, TensorDataset
        from ..models import Vocabulary
        scenes = SceneCaptions(n if train else held_out, shape[1:], train=train)
        columns = TensorDataset(scenes.images, Vocabulary(scenes.words).encode(scenes.captions))
        columns.classes = scenes.words
        return columns
    return both(make)


class Kept(list):
    """The examples of a set, drawn once."""

    def __init__(self, dataset):
        super().__init__(dataset)
        self.classes = dataset.classes


def located(root, shape):
    from ..data import ShapeLocalization
    return Kept(ShapeLocalization(4000, shape[1:])), Kept(ShapeLocalization(600, shape[1:], train=False))


def classes_of(dataset):
    """The names of a set's classes."""
    return list(map(str, dataset.classes))


def split(dataset, held_out):
    """The last `held_out` examples of a set apart from the others."""
    from ..data import Subset
    cut = len(dataset) - held_out
    if cut < 1:
        raise UserError(f"{dataset!r}: too few to hold {held_out} out.")
    parts = Subset(dataset, range(cut)), Subset(dataset, range(cut, len(dataset)))
    for part in parts:
        part.classes = dataset.classes
    return parts


def membranes(root, shape):
    """The thirty pictures of ISBI 2012: 24 to learn from, 6 held out."""
    from ..data import SegmentationFolder, catalogue
    where = root or catalogue.whereabouts(catalogue.entry_of("isbi-2012"), None)[0]
    if where is None:
        raise UserError("isbi-2012 is not on this machine: put its pictures into image/ and its masks into label/ of a folder, "
                        "and name it by --root, or train on the generated cells, --data cells.")
    return split(SegmentationFolder(where, values=(0, 255), classes=("membrane", "cell"), channels=1), 6)


def pets(root, shape):
    """Pet, background and border of the Oxford pets, at one size."""
    from ..data import OxfordIIITPet
    parts = [OxfordIIITPet(root, name, "segmentation", transforms=resized(shape)) for name in ("trainval", "test")]
    for part in parts:
        part.classes = part.mask_classes
    return parts


def breeds(root, shape):
    from ..data import OxfordIIITPet
    return [OxfordIIITPet(root, name, transforms=resized(shape)) for name in ("trainval", "test")]


def own_classes(root, shape):
    """A folder with a folder for each class; train/ and test/ (or val/) where there are such, else a tenth is held out."""
    from ..data import ImageFolder
    root = Path(root)
    held_out = next((root / name for name in ("test", "val", "valid", "validation") if (root / name).is_dir()), None)
    if (root / "train").is_dir() and held_out is not None:
        parts = [Resized(ImageFolder(folder), shape) for folder in (root / "train", held_out)]
        if parts[0].classes != parts[1].classes:
            raise UserError(f"{root / 'train'} and {held_out} must have the same classes, got {parts[0].classes} and "
                            f"{parts[1].classes}.")
        return parts
    return tenth(Resized(ImageFolder(root), shape))


def own_masks(root, shape):
    """A folder with image/ and label/ (or images/ and masks/), numbers of classes in the masks, or black and white."""
    import numpy as np

    from ..data import SegmentationFolder, load_mask
    root = Path(root)
    names = next((pair for pair in (("image", "label"), ("images", "masks"), ("images", "labels"))
                  if all((root / name).is_dir() for name in pair)), None)
    if names is None:
        raise UserError(f"{root} must hold the folders image and label, or images and masks.")
    answers = [answer for _, answer in SegmentationFolder(root, *names).samples]
    numbers = sorted({number for answer in answers for number in np.unique(load_mask(answer)).tolist()})
    return tenth(Resized(SegmentationFolder(root, *names, channels=shape[0], values=tuple(numbers),
                                            classes=tuple(map(str, numbers))), shape))


def tenth(dataset):
    """A random tenth held out, always the same one."""
    from ..data import random_split
    held_out = max(1, len(dataset) // 10)
    parts = random_split(dataset, [len(dataset) - held_out, held_out], generator=0)
    for part in parts:
        part.classes = dataset.classes
    return parts


def resized(shape):
    from ..data import transforms as T
    return T.Compose([T.Resize(min(shape[1:])), T.CenterCrop(shape[1:])])


class Resized:
    """A set whose pictures, and masks, are brought to one size."""

    def __init__(self, dataset, shape):
        self.dataset, self.classes, self.shape, self.change = dataset, dataset.classes, shape, resized(shape)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        image, target = self.change(*self.dataset[index])
        return (image if len(image) == self.shape[0] else image.mean(axis=0, keepdims=True)), target


def moved(shape):
    """Photographs: a few pixels to the side, left and right exchanged."""
    from ..data import transforms as T
    return [T.RandomCrop(shape[1:], padding=max(2, shape[1] // 8)), T.RandomHorizontalFlip()]


def flipped(shape):
    """Shapes that are lying or looking the other way are the same shapes."""
    from ..data import transforms as T
    return [T.RandomHorizontalFlip(), T.RandomVerticalFlip()]


def bent(shape):
    """Tissue has no top and no left, and is soft (Ronneberger et al. 2015)."""
    from ..data import transforms as T
    return [T.RandomHorizontalFlip(), T.RandomVerticalFlip(), T.RandomApply([T.RandomGridElastic()], p=0.7)]


SETS = {
    "digits": Source("1,797 handwritten digits, embedded", CLASSES, (1, 32, 32), digits, 20, 32, 0.005),
    "mnist": Source("70,000 handwritten digits", CLASSES, (1, 28, 28), official("MNIST"), 5, 64, 0.003),
    "fashion-mnist": Source("70,000 articles of clothing", CLASSES, (1, 28, 28), official("FashionMNIST"), 5, 64, 0.003),
    "cifar10": Source("60,000 photographs, 10 classes", CLASSES, (3, 32, 32), official("CIFAR10"), 20, 128, 0.01, moved),
    "cifar100": Source("60,000 photographs, 100 classes", CLASSES, (3, 32, 32), official("CIFAR100"), 30, 128, 0.01, moved),
    "shapes": Source("generated pictures of 10 shapes", CLASSES, (3, 32, 32), drawn("ShapeClassification", 4000, 1000), 10, 64,
                     0.005),
    "cells": Source("generated cells under a microscope", MASKS, (1, 128, 128), drawn("CellSegmentation", 200, 40), 8, 4, 0.003),
    "scenes": Source("generated scenes, sky to things", MASKS, (3, 64, 64), drawn("SceneSegmentation", 600, 100), 10, 8, 0.003),
    "objects": Source("generated pictures of one shape, somewhere", BOX, (3, 64, 64), located, 15, 32, 0.003, flipped),
    "edges": Source("generated scenes and their outlines", EDGES, (3, 64, 64), drawn("SceneEdges", 600, 100), 10, 8, 0.006),
    "colours": Source("generated scenes, grey and in colour", COLOR, (3, 64, 64), drawn("SceneColorization", 600, 100), 12, 8,
                      0.004),
    "captions": Source("generated scenes, a sentence on each", CAPTION, (3, 64, 64), captioned(4000, 400), 12, 32, 0.004),
    "isbi-2012": Source("30 pictures of membranes, electron microscope", MASKS, (1, 512, 512), membranes, 20, 1, 0.002, bent),
    "breeds": Source("7,349 cats and dogs, 37 breeds", CLASSES, (3, 64, 64), breeds, 15, 64, 0.005, moved),
    "pets": Source("7,349 cats and dogs: pet, background, border", MASKS, (3, 128, 128), pets, 5, 8, 0.003, moved),
    "folder": Source("your pictures, a folder for each class (--root)", CLASSES, (3, 64, 64), own_classes, 15, 32, 0.003, moved,
                     needs_root=True),
    "masks": Source("your pictures in image/, masks in label/ (--root)", MASKS, (3, 128, 128), own_masks, 20, 4, 0.003, moved,
                    needs_root=True),
}


def load(name, root=None, shape=None):
    """The training and the held-out set of this name, at (C, H, W); mistakes in files are the user's to mend."""
    source = SETS[name]
    if source.needs_root and not root:
        raise UserError(f"--data {name} needs the folder: --root DIR.")
    try:
        return source.load(root, shape or source.shape)
    except (ValueError, TypeError) as error:              # a damaged file, a folder in another order
        raise UserError(error) from error
