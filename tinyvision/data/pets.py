"""The Oxford-IIIT pets: 7,349 photographs of cats and dogs of 37 breeds, each with four answers.

    category         the breed, 0..36: fine differences, between a Ragdoll and a Birman for instance
    binary-category  0 cat, 1 dog
    segmentation     for every pixel 0 pet, 1 background, 2 the border between, which is not decided.  The files count from 1.
    boxes            the head, as a box; only for pictures of the training part

Boxes come in Pascal VOC's form, in which pixels are counted from 1 and the last one belongs to the box.  Here x and y are
distances from the left and upper edge, so pixels 333..425 become x1 = 332, x2 = 425.

Some files have the ending .jpg and are PNG or GIF inside; a picture is told by its content, so they are read as well.

Source: Parkhi, Vedaldi, Zisserman, Jawahar 2012, Cats and Dogs.
"""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from .archive import obtain
from .download import search_folders
from .folders import Transformed
from .images import load_image, load_mask

TARGETS = ("category", "binary-category", "segmentation", "boxes")


class OxfordIIITPet(Transformed):
    """Cats and dogs: breeds, species, masks, heads (torchvision.datasets.OxfordIIITPet).

    Shapes: example (image, target): image float32 (3, H, W), 0 to 1, of any size; target as target_types says, a tuple where that
    is a list: "category" an int, index into .classes; "binary-category" an int, index into .bin_classes; "segmentation" int64
    (H, W), index into .mask_classes; "boxes" a dict of "boxes" float32 (n, 4), x1, y1, x2, y2 in pixels, and "labels" int64 (n,),
    the category.
    split: "trainval" (3,680 pictures) or "test" (3,669).  With "boxes" those pictures whose head was marked: nearly all of
    trainval, none of test.
    transforms: function of image and target; transform, target_transform: of each alone.
    root: the folder with images/ and annotations/, or the one that holds it, oxford-iiit-pet.  Searched in this order: root,
    $TINYVISION_DATA, the user's cache.  Where it is in none, the two archives are downloaded (811 MB) and unpacked into root
    where given, else into the cache; with download=False it is an error.
    Raises FileNotFoundError where the files can be had nowhere; ValueError for other target_types and splits, and damaged lists.

    >>> pets = OxfordIIITPet(target_types=["category", "segmentation"])   # doctest: +SKIP
    >>> image, (breed, mask) = pets[0]                                    # doctest: +SKIP
    >>> pets.classes[breed], mask.shape == image.shape[1:]                # doctest: +SKIP
    ('Abyssinian', True)
    """

    folder = "oxford-iiit-pet"
    mirrors = ("https://thor.robots.ox.ac.uk/pets/", "https://www.robots.ox.ac.uk/~vgg/data/pets/data/")
    archives = {"images": "5c4f3ee8e5d25df40f4fd59a7f44e54c", "annotations": "95a8c909bbe2e81eed6a22bccdf3f68f"}      # MD5
    bin_classes, mask_classes = ("Cat", "Dog"), ("pet", "background", "border")

    def __init__(self, root=None, split="trainval", target_types="category", transforms=None, transform=None,
                 target_transform=None, download=True):
        super().__init__(transforms, transform, target_transform)
        if split not in ("trainval", "test"):
            raise ValueError(f"OxfordIIITPet: split must be 'trainval' or 'test', got {split!r}.")
        self.split, self.alone = split, isinstance(target_types, str)
        self.target_types = [target_types] if self.alone else list(target_types)
        if not self.target_types or not set(self.target_types) <= set(TARGETS):
            raise ValueError(f"OxfordIIITPet: target_types must be one or more of {', '.join(TARGETS)}, got {target_types!r}.")
        self.root = self.find(root, download)
        rows = self.listed(self.root / "annotations" / f"{split}.txt")
        names = {label: name.rpartition("_")[0].replace("_", " ").title() for name, label, _ in rows}
        if sorted(names) != list(range(len(names))):
            raise ValueError(f"OxfordIIITPet: breeds must be numbered without gaps, the list of {split} in {self.root} has "
                             f"{[label + 1 for label in sorted(names)]}. It is damaged; move the folder away and get it again.")
        self.classes = tuple(names[label] for label in sorted(names))
        if "boxes" in self.target_types:
            rows = [row for row in rows if self.marks(row[0]).is_file()]
            if not rows:
                raise ValueError(f"OxfordIIITPet: heads are marked in the pictures of split='trainval' only, {self.root} has "
                                 f"none for {split!r}. Train and evaluate on parts of trainval: data.random_split.")
        self.rows = rows

    @classmethod
    def find(cls, root, download):
        """The folder that holds images/ and annotations/."""
        folders = []
        for folder in search_folders(cls.folder, root, inside=True):
            folders.append(folder)
            if all((folder / part).is_dir() for part in cls.archives):
                return folder
        archives = [(f"{part}.tar.gz", cls.mirrors, f"md5:{digest}", part, part) for part, digest in cls.archives.items()]
        return obtain(cls.__name__, "the folders images and annotations are", folders, root, download, archives,
                      "tinyvision.data.generated.ShapeClassification(5000), SceneSegmentation, SceneDetection")

    @staticmethod
    def listed(path):
        """The rows of a list of pictures: name, breed 0..36, species 0..1."""
        rows = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            row = re.fullmatch(r"(\S+) ([1-9]\d*) ([12]) \d+\s*", line)
            if row is None:
                raise ValueError("OxfordIIITPet: a line must have a name, a breed, a species (1 or 2) and a number, line "
                                 f"{number} of {path} is {line!r}. It is damaged; move the folder away and get it again.")
            rows.append((row[1], int(row[2]) - 1, int(row[3]) - 1))
        return rows

    def marks(self, name):
        """Where the box of the head is written."""
        return self.root / "annotations" / "xmls" / f"{name}.xml"

    def __len__(self):
        return len(self.rows)

    def load(self, index):
        name, breed, species = self.rows[index]
        # Masks and boxes were drawn on the pixels as the file has them, so no turning.
        image = load_image(self.root / "images" / f"{name}.jpg", 3, orient=False)
        read = {"category": lambda: breed, "binary-category": lambda: species, "segmentation": lambda: self.mask(name, image),
                "boxes": lambda: self.boxes(name, breed)}
        targets = tuple(read[kind]() for kind in self.target_types)
        return image, targets[0] if self.alone else targets

    def mask(self, name, image):
        """The mask of a picture, with classes from 0."""
        path = self.root / "annotations" / "trimaps" / f"{name}.png"
        mask = load_mask(path, (1, 2, 3), orient=False)
        if mask.shape != image.shape[1:]:
            raise ValueError(f"OxfordIIITPet: a mask must have the size of its picture, {path} has {mask.shape} and the picture "
                             f"has {image.shape[1:]}. Move the folder away and get it again.")
        return mask

    def boxes(self, name, breed):
        """The head, as a detector's target."""
        boxes = voc_boxes(self.marks(name))
        return {"boxes": boxes, "labels": np.full(len(boxes), breed, np.int64)}

    def __repr__(self):
        return f"OxfordIIITPet: {len(self)} pictures of {self.split}, {', '.join(self.target_types)}, {self.root}"


def voc_boxes(path):
    """The boxes in an annotation in Pascal VOC's form, float32 (n, 4), x1, y1, x2, y2 in pixels.

    Raises ValueError for a file in another form, or a box without pixels.

    >>> with open("head.xml", "w") as file:
    ...     _ = file.write("<a><bndbox><xmin>333</xmin><ymin>72</ymin><xmax>425</xmax><ymax>158</ymax></bndbox></a>")
    >>> voc_boxes("head.xml")
    array([[332.,  71., 425., 158.]], dtype=float32)
    """
    try:
        found = [[float(box.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax")]
                 for box in ElementTree.parse(path).getroot().iter("bndbox")]
    except (ElementTree.ParseError, TypeError, ValueError) as error:
        raise ValueError(f"voc_boxes: {path} is no annotation in Pascal VOC's form ({error}). Move it away and get it "
                         "again.") from error
    boxes = np.array(found, np.float32).reshape(-1, 4)
    boxes[:, :2] = np.maximum(boxes[:, :2] - 1, 0)                        # the first pixel is 1 there, and the last is inside
    if not (boxes[:, :2] < boxes[:, 2:]).all():
        raise ValueError(f"voc_boxes: a box must have xmin <= xmax and ymin <= ymax, {path} has {found}. It is damaged.")
    return boxes
