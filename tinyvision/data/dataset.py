"""Data sets: numbered examples, and ways to take a part of them.

A data set is anything with a length n and examples d[0] ... d[n-1]; a list of pairs is one already.  `Dataset` is the class to
derive from for one's own.  `TensorDataset` keeps a set that fits into memory as columns, one array per quantity, whose rows
are the examples; `LabelledImages` is the pair of columns (pictures, class indices) that Digits and MNIST share.  `Subset` is
a view of some rows, and `random_split` makes disjoint ones, for training and validation; `ConcatDataset` is a view of
several sets, one after the other.
"""

import abc
import bisect
import itertools
import math
import numbers
import operator
import warnings

import numpy as np

from ..backend import is_array
from ..random import as_generator
from ..tensor import Tensor, raw


class Dataset(abc.ABC):
    """Examples by number: a subclass has `__len__()` and `__getitem__(index)`, index 0..len-1 (torch.utils.data.Dataset).

    Raises TypeError when a subclass without the two is instantiated.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 5
    ...     def __getitem__(self, index):
    ...         return index, index ** 2
    >>> Squares()[3]
    (3, 9)
    """

    @abc.abstractmethod
    def __len__(self):
        """The number of examples."""

    @abc.abstractmethod
    def __getitem__(self, index):
        """The example of this number, for instance a pair (image, label)."""

    def __add__(self, other):
        """This data set and then another one, as a ConcatDataset."""
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """The rows of several arrays or Tensors: example i is the tuple of their i-th rows (torch.utils.data.TensorDataset).

    Shapes: any number of columns, each (N, ...).  Arrays give rows that are arrays (or NumPy numbers), Tensors give Tensors;
    nothing is copied.  A DataLoader takes a batch from each column in one step.
    Raises ValueError without a column, for one without a first axis, or where the sizes N differ; TypeError for lists, text.

    >>> pairs = TensorDataset(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([7, 8]))
    >>> len(pairs), pairs[1][1].item()
    (2, 8)
    """

    def __init__(self, *tensors):
        if not tensors:
            raise ValueError("TensorDataset: needs at least one array or Tensor, got none. "
                             "Pass TensorDataset(images, labels).")
        for i, column in enumerate(tensors):
            if not (isinstance(column, Tensor) or is_array(column)):
                raise TypeError(f"TensorDataset: needs arrays or Tensors, got {type(column).__name__} as column {i}. "
                                "Convert it with numpy.asarray.")
            if not raw(column).shape:
                raise ValueError(f"TensorDataset: needs a first axis that counts examples, column {i} has shape (). "
                                 "Pass an array of shape (N, ...).")
            if raw(column).dtype.kind not in "fiub":
                raise TypeError(f"TensorDataset: needs numbers or booleans, column {i} has dtype {raw(column).dtype}. "
                                "Give classes as their indices.")
            if len(raw(column)) != len(raw(tensors[0])):
                raise ValueError(f"TensorDataset: columns must have one length, column 0 has {len(raw(tensors[0]))} rows and "
                                 f"column {i} has {len(raw(column))}. Pass one row per example in each.")
        self.tensors = tensors

    def __len__(self):
        return len(raw(self.tensors[0]))

    def __getitem__(self, index):
        return tuple(column[index] for column in self.tensors)


class LabelledImages(TensorDataset):
    """Pictures with a class each, the form in which every picture set of this package comes.

    Shapes: images (N, C, H, W), float32, brightness from 0 to 1 and not standardised; labels (N,), int64, class index
    0..K-1; classes, the K names.  Example i is (image (C, H, W), label).
    Raises ValueError where shapes or labels do not fit, TypeError for brightness in bytes or labels that are not integers.

    >>> LabelledImages(np.zeros((2, 1, 8, 8), np.float32), np.array([1, 0]), ("cat", "dog"))
    LabelledImages: 2 pictures of 1x8x8, 2 classes
    """

    def __init__(self, images, labels, classes):
        name, images, labels = type(self).__name__, raw(images), raw(labels)
        super().__init__(images, labels)
        if images.ndim != 4 or labels.ndim != 1:
            raise ValueError(f"{name}: needs images (N, C, H, W) and labels (N,), got {images.shape} and {labels.shape}. "
                             "Grey pictures have C = 1.")
        if images.dtype.kind != "f" or labels.dtype.kind not in "iu":
            raise TypeError(f"{name}: needs brightness as floats 0..1 and labels as integers, got {images.dtype} and "
                            f"{labels.dtype}. Bytes become brightness by images.astype('float32') / 255.")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(f"{name}: labels must be class indices 0..{len(classes) - 1}, got {labels.min()} to "
                             f"{labels.max()}. Name every class, and count them from 0.")
        self.classes = tuple(classes)

    @property
    def images(self):
        return self.tensors[0]

    @property
    def labels(self):
        return self.tensors[1]

    def __repr__(self):
        size = "x".join(map(str, self.images.shape[1:]))
        return f"{type(self).__name__}: {len(self)} pictures of {size}, {len(self.classes)} classes"


class Subset(Dataset):
    """Some examples of another data set, in the order of `indices` (torch.utils.data.Subset).

    indices: a sequence of example numbers; repeats are allowed, and as in a list -1 is the last example.
    Raises ValueError for a number outside the data set, TypeError for what is not integers (a mask, for instance).

    >>> odd = Subset(["a", "b", "c", "d"], [1, 3])
    >>> len(odd), odd[1]
    (2, 'd')
    """

    def __init__(self, dataset, indices):
        indices, size = raw(indices), len(dataset)
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise TypeError(f"Subset: indices must be a sequence of integers, got shape {chosen.shape} of {chosen.dtype}. "
                            "A mask becomes indices with numpy.flatnonzero(mask).")
        outside = chosen[(chosen < -size) | (chosen >= size)]
        if outside.size:
            raise ValueError(f"Subset: indices must be numbers of examples, the data set has {size} of them, got "
                             f"{outside[0]}. Check which data set the indices were made for.")
        self.dataset, self.indices = dataset, indices

    def __repr__(self):
        return f"Subset: {len(self)} of {len(self.dataset)} examples"

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]


class ConcatDataset(Dataset):
    """Several data sets, one after the other, as one (torch.utils.data.ConcatDataset); `a + b` is ConcatDataset([a, b]).

    datasets: any number of them, at least one; `.datasets` lists them, `.cumulative_sizes` says where each ends.
    Nothing is copied.  -1 is the last example.
    Raises ValueError without a data set, TypeError for what has no length and index; IndexError, when asked, for an
    example that is not there.

    >>> both = ConcatDataset([["a", "b"], ["c"]])
    >>> len(both), both[2], both[-3], both.cumulative_sizes
    (3, 'c', 'a', [2, 3])
    """

    def __init__(self, datasets):
        if isinstance(datasets, Dataset):
            raise TypeError(f"ConcatDataset: needs a list of data sets, got one {type(datasets).__name__}. Pass [first, second].")
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: needs at least 1 data set, got 0. Pass [first, second].")
        for i, part in enumerate(self.datasets):
            if isinstance(part, type) or not (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
                raise TypeError(f"ConcatDataset: needs data sets with a length and an index, got {type(part).__name__} as number "
                                f"{i}. Derive it from Dataset, or pass a list.")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __repr__(self):
        return f"ConcatDataset: {len(self)} examples of {len(self.datasets)} data sets"

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, index):
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"ConcatDataset: index must be the number of an example, there are {len(self)}, got {number}.")
        number %= len(self)
        part = bisect.bisect_right(self.cumulative_sizes, number)
        return self.datasets[part][number - self.cumulative_sizes[part] + len(self.datasets[part])]


def random_split(dataset, lengths, generator=None):
    """Cut a data set at random into disjoint subsets of the given lengths (torch.utils.data.random_split).

    lengths: numbers of examples that add up to len(dataset), or fractions that add up to 1: then each part has
    floor(fraction * len(dataset)) examples, and those left over go one each to the first parts.
    generator: a numpy.random.Generator, or an int seed for a new one; None uses the engine's (see tinyvision.manual_seed).
    Returns a list of Subsets.  Warns when a fraction leaves a part empty.
    Raises ValueError where the lengths do not add up or one is negative, TypeError where they are not numbers.

    >>> train, held_out = random_split(range(10), [0.75, 0.25], generator=0)
    >>> len(train), len(held_out), sorted([*train, *held_out]) == list(range(10))
    (8, 2, True)
    """
    if isinstance(lengths, numbers.Real):
        raise TypeError(f"random_split: lengths must be a list, one for each part, got {lengths}. Pass [0.8, 0.2].")
    lengths = part_lengths(len(dataset), list(lengths))
    order = as_generator("random_split", generator).permutation(len(dataset)).tolist()
    return [Subset(dataset, order[stop - length:stop]) for length, stop in zip(lengths, itertools.accumulate(lengths))]


def part_lengths(size, lengths):
    """Lengths or fractions as whole numbers that add up to size."""
    if not all(isinstance(length, numbers.Real) for length in lengths):
        raise TypeError(f"random_split: lengths must be numbers, got {lengths}. Pass counts or fractions.")
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must not be negative, got {lengths}. Pass counts or fractions.")
    if math.isclose(sum(lengths), 1):
        lengths = [math.floor(size * fraction) for fraction in lengths]
        left = size - sum(lengths)
        lengths = [length + left // len(lengths) + (i < left % len(lengths)) for i, length in enumerate(lengths)]
        if 0 in lengths:
            warnings.warn(f"random_split: part {lengths.index(0)} of {size} examples is empty.", stacklevel=3)
    if sum(lengths) != size or not all(isinstance(length, numbers.Integral) for length in lengths):
        raise ValueError(f"random_split: lengths must be whole numbers that add up to {size}, the size of the data set, or "
                         f"fractions that add up to 1; got {lengths} with sum {sum(lengths)}.")
    return lengths


def check_part(name, train, size):
    """Which part of a data set, True or False, and how large its pictures."""
    if not isinstance(train, bool):
        raise TypeError(f"{name}: train must be True or False, got {train!r}. The test pictures are train=False.")
    if isinstance(size, bool) or not isinstance(size, numbers.Integral):
        raise TypeError(f"{name}: size must be an integer, in pixels, got {size!r}.")
