"""Same or different: pairs and triplets from any labelled pictures, for networks that learn a distance.

A pair is two pictures and whether they show the same class; a triplet is an anchor, a positive of the same class and a negative
of another.  Drawn by number from the labels, like all examples here: pair i follows from (seed, i) and the labels, whatever
the number of pairs.

Sources: Chopra, Hadsell and LeCun 2005, doi:10.1109/CVPR.2005.202 (pairs); Schroff, Kalenichenko and Philbin 2015,
arXiv:1503.03832 (triplets).
"""

import zlib

import numpy as np

from ..dataset import Dataset
from .base import Draws, check_integer


class Matches(Dataset):
    """Base of pairs and triplets: `indices`, the numbers of the pictures of each example, one row per example."""

    def __init__(self, dataset, n, seed=0):
        name = type(self).__name__
        self.n, self.seed = check_integer(name, "n", n, 1), check_integer(name, "seed", seed, 0)
        if not hasattr(dataset, "labels"):
            raise TypeError(f"{name}: dataset needs .labels, an array of class indices, {type(dataset).__name__} has none. Pass "
                            "FaceIdentities, or LabelledImages(images, labels, classes).")
        labels = np.asarray(dataset.labels)
        if labels.ndim != 1 or len(labels) != len(dataset) or labels.dtype.kind not in "iu":
            raise ValueError(f"{name}: dataset.labels must be {len(dataset)} integers, one per picture, got shape "
                             f"{labels.shape} of {labels.dtype}.")
        self.dataset, order = dataset, np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order[0]] - 1)) if len(labels) else []
        self.members = [group.tolist() for group in np.split(order, starts)[1:]]
        self.twice = [k for k, group in enumerate(self.members) if len(group) > 1]
        if len(self.members) < 2 or not self.twice:
            raise ValueError(f"{name}: needs two classes or more, one of them with two pictures or more, got "
                             f"{len(self.members)} classes of at most {max(map(len, self.members), default=0)}.")
        self.indices = np.array([self.draw(Draws(zlib.crc32(name.encode()), self.seed, i), i) for i in range(self.n)])

    def __len__(self):
        return self.n

    def two_of_one(self, draws):
        """A class, and two different pictures of it."""
        k = draws.choice(self.twice)
        group = self.members[k]
        first = draws.integer(0, len(group))
        return k, group[first], group[(first + draws.integer(1, len(group))) % len(group)]

    def one_of_another(self, draws, k):
        """A picture of any class but k."""
        return draws.choice(self.members[(k + draws.integer(1, len(self.members))) % len(self.members)])


class ImagePairs(Matches):
    """Pairs of pictures, half of them of the same class.

    dataset: has `.labels` (N,) and examples (image, label): FaceIdentities, LabelledImages.  n: the number of pairs.
    Shapes: example (image, image, same): images (C, H, W); same 1.0 or 0.0, whether the classes agree.
    `.indices` (n, 2), int64, the numbers of the pictures; `.same` (n,), float32.  Of pairs 2k and 2k + 1 one is the same.
    Raises ValueError where no class has two pictures or there is one class only, TypeError for a dataset without labels.

    >>> from tinyvision.data.generated import FaceIdentities
    >>> pairs = ImagePairs(FaceIdentities(3, views=4), 6)
    >>> [len(pairs[0]), pairs[0][2], pairs.same.sum().item()]
    [3, 1.0, 3.0]
    """

    def __init__(self, dataset, n, seed=0):
        super().__init__(dataset, n, seed)
        labels = np.asarray(dataset.labels)
        self.same = (labels[self.indices[:, 0]] == labels[self.indices[:, 1]]).astype(np.float32)

    def draw(self, draws, i):
        first_same = Draws(zlib.crc32(b"order"), self.seed, i // 2).chance(0.5)
        k, one, other = self.two_of_one(draws)
        return [one, other if first_same == (i % 2 == 0) else self.one_of_another(draws, k)]

    def __getitem__(self, index):
        one, other = self.indices[index].tolist()
        return self.dataset[one][0], self.dataset[other][0], self.same[index].item()


class ImageTriplets(Matches):
    """Triplets of pictures: an anchor, another picture of its class, and a picture of another class.

    dataset: has `.labels` (N,) and examples (image, label): FaceIdentities, LabelledImages.  n: the number of triplets.
    Shapes: example (anchor, positive, negative), each (C, H, W).  `.indices` (n, 3), int64, the numbers of the pictures.
    Raises ValueError where no class has two pictures or there is one class only, TypeError for a dataset without labels.

    >>> from tinyvision.data.generated import FaceIdentities
    >>> faces = FaceIdentities(3, views=4)
    >>> anchor, positive, negative = faces.labels[ImageTriplets(faces, 100).indices].T
    >>> (anchor == positive).all().item(), (anchor == negative).any().item()
    (True, False)
    """

    def draw(self, draws, i):
        k, anchor, positive = self.two_of_one(draws)
        return [anchor, positive, self.one_of_another(draws, k)]

    def __getitem__(self, index):
        return tuple(self.dataset[k][0] for k in self.indices[index].tolist())
