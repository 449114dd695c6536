"""What all generated data sets share: random numbers that stay, numbered drawings, bytes.

A generated set is a function of numbers: example i follows from (name of the set, VERSION, seed, part, i) and the size, and
from nothing else.  So a set of 100 examples is the beginning of the set of 1,000, examples may be drawn in any order, and
`train=True` and `train=False` share no random number.

Three things make the pixels the same everywhere.  The random bits are those of PCG64 seeded through SeedSequence, whose
streams NumPy promises to keep; the distributions of numpy.random.Generator may change from one version to the next, so
`Draws` makes its own numbers from the bits.  Pictures are computed in float64.  And they are rounded to bytes last: machines
may differ by a few units of 1e-16, which changes a byte only where a value lies that close to the border between two.
Those borders are kept away from round numbers such as 1/2.

Changing what a set draws means a new VERSION, which draws everything anew.

Sources: NumPy Enhancement Proposal 19 (which streams stay); O'Neill 2014, PCG (the bits).
"""

import abc
import functools
import numbers
import zlib

import numpy as np

from ...backend import is_array
from ..checks import is_integer
from ..dataset import Dataset, LabelledImages, TensorDataset

PART = {True: 0, False: 1}                                # in the key of an example


class Draws:
    """Random numbers of one example, from a key of integers 0..2^32-1; NumPy's version makes no difference.

    >>> Draws(1, 2).uniform() == Draws(1, 2).uniform(), Draws(1, 2).uniform() == Draws(1, 3).uniform()
    (True, False)
    """

    def __init__(self, *key):
        self.raw = np.random.PCG64(np.random.SeedSequence(key)).random_raw

    def uniform(self, low=0.0, high=1.0, size=None):
        """Numbers from [low, high): a float, or an array of this size (a number or a shape)."""
        if size is None:
            return low + (high - low) * ((self.raw() >> 11) * 2.0 ** -53)
        return low + (high - low) * (self.raw(size) >> np.uint64(11)) * 2.0 ** -53

    def normal(self, size):
        """An array of mean 0 and standard deviation 1, nearly normal: the sum of the four 16-bit words of a random number."""
        bits, low = self.raw(size), np.uint64(0x0000FFFF0000FFFF)
        pairs = (bits & low) + (bits >> np.uint64(16) & low)              # two sums of two words, 32 bits apart
        total = (pairs & np.uint64(0xFFFFFFFF)) + (pairs >> np.uint64(32))
        return (total - 2.0 * 65535) / np.sqrt((65536.0 ** 2 - 1) / 3)

    def integer(self, low, high):
        """An integer low..high-1."""
        return low + int(self.uniform() * (high - low))

    def chance(self, probability):
        """True with this probability."""
        return self.uniform() < probability

    def choice(self, items, weights=None):
        """One of the items, all equally likely or in proportion to weights."""
        if weights is None:
            return items[self.integer(0, len(items))]
        steps = np.cumsum(weights)
        return items[int(np.searchsorted(steps, self.uniform() * steps[-1], side="right"))]

    def permutation(self, n):
        """The numbers 0..n-1 in random order, as a list."""
        return np.argsort(self.raw(n), kind="stable").tolist()


def to_bytes(image):
    """Brightness 0..1, clipped, as bytes 0..255; bytes end a little off the middle between two, where no round number is."""
    return np.clip(np.floor(255 * image + 0.49871), 0, 255).astype(np.uint8)


def to_floats(bytes):
    """Bytes 0..255 as float32 brightness 0..1."""
    return bytes.astype(np.float32) / np.float32(255)


class Generated(Dataset):
    """Base of the generated sets: n numbered drawings, made when first asked for and then kept as bytes.

    A subclass has `family`, the name in the key of its examples, `VERSION`, `least`, the smallest size, and two methods:
    `draw(draws, index)` gives a drawing, a dict of small arrays, and `example(drawing)` makes an example of it.
    n: the number of examples; size: height and width in pixels, one number or a pair (H, W); seed: 0..2^32-1; train: the
    training or the test part; cache: keep drawings in memory (a byte per value), else draw them anew each time.
    Raises ValueError for sizes out of range and TypeError for wrong types, naming the set; IndexError beyond the end.
    """

    family, VERSION, least, default = "generated", 1, 16, 64

    def __init__(self, n, size=None, seed=0, *, train=True, cache=True):
        self.name = type(self).__name__
        self.n = check_integer(self.name, "n", n, 1)
        self.seed = check_integer(self.name, "seed", seed, 0)
        self.size = self.check_size(self.default if size is None else size)
        for option, value in ("train", train), ("cache", cache):
            if not isinstance(value, bool):
                raise TypeError(f"{self.name}: {option} must be True or False, got {value!r}. "
                                f"Arguments behind the seed go by name: {option}=False.")
        self.train, self.cache, self.kept = train, cache, {}

    def check_size(self, size):
        """The size as a pair (height, width)."""
        pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        if len(pair) != 2:
            raise ValueError(f"{self.name}: size must be one number or (height, width), got {size!r}.")
        return tuple(check_integer(self.name, "size", side, self.least) for side in pair)

    def __repr__(self):
        size = "x".join(map(str, self.size))
        return f"{self.name}: {self.n} {'training' if self.train else 'test'} examples of {size}, seed {self.seed}"

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.example(self.drawing(index))

    def drawing(self, index):
        """The drawing of this number, 0..n-1, or negative from the end; what __getitem__ makes its example of."""
        if isinstance(index, bool) or not isinstance(index, numbers.Integral):
            raise TypeError(f"{self.name}: the index must be an integer, got {type(index).__name__}. For several examples use "
                            "Subset(dataset, indices), or dataset.in_memory()[indices].")
        if not -self.n <= index < self.n:
            raise IndexError(f"{self.name}: index {index} is outside the {self.n} examples.")
        index = int(index) % self.n
        if index not in self.kept:
            drawing = self.draw(self.draws(index), index)
            if not self.cache:
                return drawing
            self.kept[index] = drawing
        return self.kept[index]

    def draws(self, *key):
        """Random numbers for this key within the set and its part."""
        return Draws(zlib.crc32(self.family.encode()), self.VERSION, self.seed, PART[self.train], *key)

    def balanced(self, index, count):
        """A label 0..count-1 for example `index`, such that each run of `count` examples has every label once."""
        block, place = divmod(index, count)
        return self.draws(block, count).permutation(count)[place]

    @abc.abstractmethod
    def draw(self, draws, index):
        """The drawing of this number: a dict with "image" in bytes and whatever `example` needs."""

    @abc.abstractmethod
    def example(self, drawing):
        """The example that a user gets, made of the drawing."""

    def column(self, key):
        """One entry of all drawings, stacked: (N, ...)."""
        return np.stack([self.drawing(i)[key] for i in range(self.n)])

    @functools.cached_property
    def images(self):
        """All pictures, (N, C, H, W), float32; drawn at the first call, then kept."""
        return to_floats(self.column("image"))

    def in_memory(self):
        """All examples at once: a TensorDataset of columns, LabelledImages for pictures with a class each.

        Batches of it are one indexing operation per column, where this set is asked for each example by itself.
        Raises TypeError for sets whose targets are dicts or text, which have no columns.
        """
        columns = list(zip(*self))
        if not all(is_array(column[0]) or isinstance(column[0], numbers.Number) for column in columns):
            raise TypeError(f"{self.name}: in_memory needs examples of arrays and numbers, here are "
                            f"{', '.join(type(column[0]).__name__ for column in columns)}. Index the set itself.")
        columns = [np.stack(column) for column in columns]
        if len(columns) == 2 and columns[0].ndim == 4 and columns[1].ndim == 1 and hasattr(self, "classes"):
            return LabelledImages(*columns, self.classes)
        return TensorDataset(*columns)


class GeneratedImages(Generated):
    """Base of the sets of pictures with one class each: the example is (image (C, H, W), label)."""

    def example(self, drawing):
        return to_floats(drawing["image"]), drawing["label"]

    @functools.cached_property
    def labels(self):
        """All class indices, (N,), int64; without drawing any picture."""
        return np.array([self.label(i) for i in range(self.n)], np.int64)

    def label(self, index):
        """The class of example `index`."""
        return self.balanced(index, len(self.classes))


def check_integer(name, what, value, least, most=2 ** 32 - 1):
    """An integer within bounds, as int."""
    if not is_integer(value):
        raise TypeError(f"{name}: {what} must be an integer, got {value!r}.")
    if not least <= value <= most:
        raise ValueError(f"{name}: {what} must be from {least} to {most}, got {value}.")
    return int(value)
