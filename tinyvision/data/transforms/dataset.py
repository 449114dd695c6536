"""A data set whose examples are transformed on their way out, with random numbers that depend on nothing but the example.

Where several processes load, each has random numbers of its own, and a picture comes out differently with 2 of them than with
4; in one process it depends on which examples were asked for before.  Here example i in epoch e gets a generator seeded
by (seed, e, i), and neither matters.

Source: Salmon, Moraes, Dror and Shaw 2011, doi:10.1145/2063384.2063405 (random numbers by number).
"""

import numbers

import numpy as np

from ..dataset import Dataset
from .base import Transform
from ..checks import is_integer


class TransformedDataset(Dataset):
    """Another data set, each example transformed: (image, target) by t(image, target), a picture alone by t(image).

    seed: an integer >= 0.  Example i is the same in an epoch however often, in whatever order and in which process it is asked
    for; `set_epoch(e)`, before every epoch, gives other random numbers (as torch.utils.data's DistributedSampler does).  A
    DataLoader of this set calls it with the number of its pass; with one of a Subset of it, that is yours to do.
    `.classes` and `.labels` are those of the set inside, where it has them.
    Raises TypeError for a transform that is none or an index that is no integer; ValueError for a negative seed or epoch;
    IndexError for an example that is not there, ValueError for one of other parts than picture and target.

    >>> from tinyvision.data.transforms import RandomErasing
    >>> data = TransformedDataset([(np.ones((1, 4, 4), np.float32), 7)] * 9, RandomErasing(p=1))
    >>> (data[3][0] == data[3][0]).all(), data[3][1]
    (np.True_, 7)
    """

    def __init__(self, dataset, transform, seed=0):
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(f"TransformedDataset: dataset needs a length and an index, got {type(dataset).__name__}.")
        if not isinstance(transform, Transform):
            raise TypeError(f"TransformedDataset: transform must be a Transform, got {transform!r}. Make an instance, put "
                            "several into Compose([...]), and derive your own from Transform.")
        self.dataset, self.transform = dataset, transform
        self.seed, self.epoch = counted("seed", seed), 0

    def set_epoch(self, epoch):
        """Other random numbers from now on: those of this epoch, an integer >= 0."""
        self.epoch = counted("epoch", epoch)

    @property
    def classes(self):
        return self.dataset.classes

    @property
    def labels(self):
        return self.dataset.labels

    def __len__(self):
        return len(self.dataset)

    def __repr__(self):
        return f"TransformedDataset: {len(self)} examples, seed {self.seed}, epoch {self.epoch}"

    def __getitem__(self, index):
        if not isinstance(index, numbers.Integral) or isinstance(index, bool):
            raise TypeError(f"TransformedDataset: the index must be an integer, got {type(index).__name__}. For several examples "
                            "use Subset(dataset, indices).")
        if not -len(self) <= index < len(self):
            raise IndexError(f"TransformedDataset: index must be the number of an example, there are {len(self)}, got {index}.")
        index = int(index) % len(self)
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(self.epoch, index)))
        example = self.dataset[index]
        if not isinstance(example, (tuple, list)):
            return self.transform(example, rng=rng)
        if len(example) != 2:
            raise ValueError(f"TransformedDataset: an example must be a picture or (picture, target), example {index} has "
                             f"{len(example)} parts. Put the other parts into the target: (picture, (label, box)).")
        return self.transform(*example, rng=rng)


def counted(what, value):
    """An integer of at least 0."""
    if not is_integer(value):
        raise TypeError(f"TransformedDataset: {what} must be an integer, got {value!r}.")
    if value < 0:
        raise ValueError(f"TransformedDataset: {what} must be at least 0, got {value}.")
    return int(value)
