"""Your own pictures in folders: a class for each folder, or a mask for each picture.

A data set on disk needs no list of its files if their places say what a list would say.  For classification the folder is the
answer: cats/17.jpg is a cat, and the classes are numbered in the order of their names.  For segmentation each picture has a
mask of the same name in a second folder.  Files are read when their example is asked for, so a set may be larger than memory; a
damaged one is told by its name then.

`Transformed` is what all sets read from files share: functions that change an example on its way out.  `transform` gets the
picture and `target_transform` the target; `transforms` gets both, for what must change them together, such as a flip of a
picture and its mask.

Source: torchvision.datasets, ImageFolder and VisionDataset (names, order of the classes and files).
"""

import numbers
import os
import re
from pathlib import Path

from .dataset import Dataset
from .images import load_image, load_mask

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class Transformed(Dataset):
    """Base of the sets that are read from files: `load(index)` gives an example (image, target), then the transforms change it.

    Raises TypeError for a transform that cannot be called, ValueError for `transforms` together with one of the others.

    >>> class Numbers(Transformed):
    ...     def __len__(self):
    ...         return 3
    ...     def load(self, index):
    ...         return index, -index
    >>> Numbers(transform=lambda x: 10 * x)[2]
    (20, -2)
    """

    def __init__(self, transforms=None, transform=None, target_transform=None):
        name = type(self).__name__
        given = {"transforms": transforms, "transform": transform, "target_transform": target_transform}
        for option, function in given.items():
            forgotten = isinstance(function, type) and any("__call__" in vars(base) for base in function.__mro__)
            if function is not None and (forgotten or not callable(function)):
                raise TypeError(f"{name}: {option} must be a function, got {function!r}. Of a class with __call__, pass an "
                                "instance.")
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError(f"{name}: transforms changes picture and target together, transform and target_transform each "
                             "alone: give one or the other.")
        self.transforms, self.transform, self.target_transform = transforms, transform, target_transform

    def load(self, index):
        """The example as the files have it."""
        raise NotImplementedError(f"{type(self).__name__}: needs a method load(index).")

    def __getitem__(self, index):
        if isinstance(index, bool) or not isinstance(index, numbers.Integral):
            raise TypeError(f"{type(self).__name__}: the index must be an integer, got {type(index).__name__}. For several "
                            "examples use Subset(dataset, indices).")
        image, target = self.load(index)
        if self.transforms is not None:
            return self.transforms(image, target)
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)


def load_colour(path):
    """The loader of ImageFolder: float32 (3, H, W), whatever the file has, so that all examples have one form."""
    return load_image(path, 3)


class ImageFolder(Transformed):
    """Pictures sorted into a folder for each class (torchvision.datasets.ImageFolder): root/cat/1.jpg, root/dog/deep/2.png.

    Shapes: example (image, class index): float32 (3, H, W), 0 to 1, from `loader`, and an int.
    .classes: names of the folders, sorted; .class_to_idx: their numbers; .samples (also .imgs): pairs of path and class index,
    sorted within each class; .targets: the class indices.
    transform, target_transform: functions of image and class index; loader: function of a path; is_valid_file: function of a
    path that says whether it belongs to the set, instead of the endings IMG_EXTENSIONS; allow_empty: folders without pictures are
    classes too.
    Raises FileNotFoundError without the folder, class folders, or pictures in one of them; see Transformed and load_image.

    >>> import PIL.Image
    >>> for name in "dog/a.png", "cat/b.png":
    ...     Path("pets", name).parent.mkdir(parents=True)
    ...     PIL.Image.new("L", (4, 4)).save(Path("pets", name))
    >>> pets = ImageFolder("pets")
    >>> pets.classes, len(pets), pets[1][0].shape, pets[1][1]
    (['cat', 'dog'], 2, (3, 4, 4), 1)
    """

    def __init__(self, root, transform=None, target_transform=None, loader=load_colour, is_valid_file=None, allow_empty=False):
        super().__init__(None, transform, target_transform)
        self.root, self.loader = Path(root).expanduser(), loader
        folder_of("ImageFolder", self.root)
        self.classes = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
        if not self.classes:
            raise FileNotFoundError(f"ImageFolder: {self.root} must hold a folder for each class, it holds none. Sort the "
                                    "pictures into folders, or name the folder above.")
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self.samples = [(path, index) for name, index in self.class_to_idx.items()
                        for path in pictures_below(self.root / name, is_valid_file)]
        self.targets = [index for _, index in self.samples]
        empty = sorted(set(self.classes) - {self.classes[index] for index in self.targets})
        if empty and not allow_empty:
            wanted = "that is_valid_file accepts" if is_valid_file else f"with the endings {' '.join(IMG_EXTENSIONS)}"
            raise FileNotFoundError(f"ImageFolder: every class needs files {wanted}, found none in {', '.join(empty)} of "
                                    f"{self.root}. Remove the folders, or pass allow_empty=True.")

    @property
    def imgs(self):
        return self.samples

    def __len__(self):
        return len(self.samples)

    def load(self, index):
        path, target = self.samples[index]
        return self.loader(path), target

    def __repr__(self):
        return f"ImageFolder: {len(self)} pictures, {len(self.classes)} classes, {self.root}"


def folder_of(name, path):
    """Raise FileNotFoundError where the folder is none."""
    if not path.is_dir():
        raise FileNotFoundError(f"{name}: {path} must be a folder, it {'is a file' if path.exists() else 'does not exist'}. "
                                "Check the path.")


def pictures_below(folder, is_valid_file=None):
    """The paths, as text, of the pictures in a folder and the folders in it, in torchvision's order; links are followed."""
    is_valid_file = is_valid_file or (lambda path: path.lower().endswith(IMG_EXTENSIONS))
    return [path for place, _, names in sorted(os.walk(folder, followlinks=True)) for name in sorted(names)
            if is_valid_file(path := os.path.join(place, name))]


def natural(name):
    """A key by which names are sorted as people count: 2.png before 10.png.

    >>> sorted(["10.png", "2.png", "a2b10", "a2b9"], key=natural)
    ['2.png', '10.png', 'a2b9', 'a2b10']
    """
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", str(name))]


class SegmentationFolder(Transformed):
    """Pictures in one folder and their masks in another, paired by name: root/image/7.png and root/label/7.png.

    Shapes: example (image, mask): float32 (C, H, W), 0 to 1, and int64 (H, W), class indices.
    images, masks: names of the two folders in root; the endings of two paired files may differ.  Examples are in the order of
    the numbers in their names.  channels: 1, 3 or None, as in load_image.
    values: the numbers that the files of masks use, in the order of the classes, (0, 255) for instance; threshold: class 1 is
    where the number is greater; neither: the numbers are class indices already.  classes: names, for .classes.
    transforms: function of image and mask; transform, target_transform: of each alone.
    Raises FileNotFoundError without a folder, pictures, or the partner of a file, naming it; ValueError where a picture and its
    mask differ in size or a mask has another number than it may; see also Transformed, load_image, load_mask.

    >>> import PIL.Image
    >>> for name, gray in ("image", 51), ("label", 255):
    ...     Path("cells", name).mkdir(parents=True)
    ...     PIL.Image.new("L", (4, 4), gray).save(Path("cells", name, "1.png"))
    >>> image, mask = SegmentationFolder("cells", values=(0, 255), classes=("membrane", "cell"))[0]
    >>> image.shape, mask.shape, mask.max()
    ((1, 4, 4), (4, 4), np.int64(1))
    """

    def __init__(self, root, images="image", masks="label", *, values=None, threshold=None, classes=None, channels=None,
                 transforms=None, transform=None, target_transform=None):
        super().__init__(transforms, transform, target_transform)
        if values is not None and threshold is not None:
            raise ValueError(f"SegmentationFolder: values or threshold, not both, got {values!r} and {threshold!r}.")
        if classes is not None and values is not None and len(classes) != len(values):
            raise ValueError(f"SegmentationFolder: classes and values must be as many, got {len(classes)} names for "
                             f"{len(values)} numbers. Name the class of each number.")
        self.root, self.values, self.threshold, self.channels = Path(root).expanduser(), values, threshold, channels
        self.classes = None if classes is None else tuple(classes)
        pictures, answers = (by_stem(self.root / folder) for folder in (images, masks))
        for found, others, folder in (pictures, answers, masks), (answers, pictures, images):
            if alone := sorted(set(found) - set(others), key=natural):
                raise FileNotFoundError(f"SegmentationFolder: every picture needs a mask of its name and every mask a picture, "
                                        f"{found[alone[0]]} has none in {self.root / folder} (of {len(alone)} such files). "
                                        "Move it away, or add its partner.")
        self.samples = [(pictures[stem], answers[stem]) for stem in sorted(pictures, key=natural)]

    def __len__(self):
        return len(self.samples)

    def load(self, index):
        picture, answer = self.samples[index]
        image = load_image(picture, self.channels)
        mask = load_mask(answer, self.values, threshold=self.threshold)
        if image.shape[1:] != mask.shape:
            raise ValueError(f"SegmentationFolder: a picture and its mask must have one size, {picture} has {image.shape[1:]} "
                             f"and {answer} has {mask.shape}. Is it the mask of another picture?")
        if self.classes is not None and not 0 <= mask.min(initial=0) <= mask.max(initial=0) < len(self.classes):
            raise ValueError(f"SegmentationFolder: masks must hold class indices 0..{len(self.classes) - 1}, {answer} has "
                             f"{mask.min()} to {mask.max()}. Map its numbers with values=(...), or pass a threshold.")
        return image, mask

    def __repr__(self):
        return f"SegmentationFolder: {len(self)} pictures with masks, {self.root}"


def by_stem(folder):
    """The pictures of a folder by their names without endings."""
    folder_of("SegmentationFolder", folder)
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.lower().endswith(IMG_EXTENSIONS):
            continue
        if path.stem in found:
            raise ValueError(f"SegmentationFolder: names must differ in more than their endings, got {found[path.stem]} and "
                             f"{path}. Move one of them away.")
        found[path.stem] = path
    if not found:
        raise FileNotFoundError(f"SegmentationFolder: {folder} must hold pictures ({' '.join(IMG_EXTENSIONS)}), found none.")
    return found
