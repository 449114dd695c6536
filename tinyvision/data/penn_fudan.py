"""The Penn-Fudan pedestrians: 170 photographs of streets with 345 people, each person with a mask of its own.

Small enough to begin object detection and instance segmentation with.  A mask file numbers the people of its picture: 0 where
there is none, 1 on the first, 2 on the second and so on.  From it follow the mask of each, a plane of truth values, and its box:
the smallest that holds the mask, from its first row and column to the one behind its last.

The pictures have no division into training and test.  Most people take the last 50 to test: Subset(set, range(120, 170)).

Source: Wang, Shi, Song, Shen 2007, Object Detection Combining Recognition and Segmentation.
"""

import numpy as np

from .archive import obtain
from .download import search_folders
from .folders import Transformed, natural
from .images import load_image, load_mask


class PennFudanPed(Transformed):
    """Pedestrians with boxes and masks.

    Shapes: example (image, target): image float32 (3, H, W), 0 to 1, of any size; target a dict of "boxes" float32 (n, 4),
    x1, y1, x2, y2 in pixels, x2 and y2 exclusive; "labels" int64 (n,), index into .classes, all 0; "masks" bool (n, H, W).
    transforms: function of image and target; transform, target_transform: of each alone.
    root: the folder with PNGImages/ and PedMasks/, or the one that holds it, PennFudanPed.  Searched in this order: root,
    $TINYVISION_DATA, the user's cache.  Where it is in none, the archive is downloaded (54 MB) and unpacked into root where
    given, else into the cache; with download=False it is an error.
    Raises FileNotFoundError where the files can be had nowhere or a picture has no mask, ValueError for damaged files.

    >>> image, target = PennFudanPed()[0]                 # doctest: +SKIP
    >>> target["boxes"].shape, target["masks"].shape[1:] == image.shape[1:]        # doctest: +SKIP
    ((2, 4), True)
    """

    folder, archive = "PennFudanPed", "PennFudanPed.zip"
    mirrors = ("https://www.cis.upenn.edu/~jshi/ped_html/",
               "https://web.archive.org/web/2023id_/https://www.cis.upenn.edu/~jshi/ped_html/")
    md5 = "5aaa3dee905cef73325923716e38fc6d"
    classes = ("person",)

    def __init__(self, root=None, transforms=None, transform=None, target_transform=None, download=True):
        super().__init__(transforms, transform, target_transform)
        self.root = self.find(root, download)
        pictures = sorted((self.root / "PNGImages").glob("*.png"), key=lambda path: natural(path.name))
        self.samples = [(path, self.root / "PedMasks" / f"{path.stem}_mask.png") for path in pictures]
        if not pictures:
            raise FileNotFoundError(f"PennFudanPed: {self.root / 'PNGImages'} must hold pictures, found none. Move the folder "
                                    "away and get it again.")
        if alone := [picture for picture, mask in self.samples if not mask.is_file()]:
            raise FileNotFoundError(f"PennFudanPed: every picture needs a mask, {alone[0]} has none in {self.root / 'PedMasks'} "
                                    f"(of {len(alone)} such pictures). Move the folder away and get it again.")

    @classmethod
    def find(cls, root, download):
        """The folder that holds PNGImages/ and PedMasks/."""
        folders = []
        for folder in search_folders(cls.folder, root, inside=True):
            folders.append(folder)
            if (folder / "PNGImages").is_dir() and (folder / "PedMasks").is_dir():
                return folder
        archives = [(cls.archive, cls.mirrors, f"md5:{cls.md5}", cls.folder, "")]
        return obtain(cls.__name__, "the folders PNGImages and PedMasks are", folders, root, download, archives,
                      "tinyvision.data.generated.SceneDetection(500)")

    def __len__(self):
        return len(self.samples)

    def load(self, index):
        picture, mask = self.samples[index]
        image, people = load_image(picture, 3, orient=False), load_mask(mask, orient=False)
        if people.shape != image.shape[1:]:
            raise ValueError(f"PennFudanPed: a mask must have the size of its picture, {mask} has {people.shape} and {picture} "
                             f"has {image.shape[1:]}. Move the folder away and get it again.")
        return image, instances(people)

    def __repr__(self):
        return f"PennFudanPed: {len(self)} pictures, {self.root}"


def instances(numbers):
    """Boxes, labels (all 0) and masks of the things that are numbered 1, 2, ... in an array of integers, 0 elsewhere.

    Shapes: numbers (H, W); "boxes" float32 (n, 4), "labels" int64 (n,), "masks" bool (n, H, W), in the order of the numbers.

    >>> instances(np.array([[0, 2, 2], [0, 2, 0]]))["boxes"]
    array([[1., 0., 3., 2.]], dtype=float32)
    """
    found = np.unique(numbers)
    masks = numbers == found[found > 0][:, None, None]                    # (n, H, W)
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return {"boxes": boxes, "labels": np.zeros(len(masks), np.int64), "masks": masks}
