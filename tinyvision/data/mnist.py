"""MNIST and Fashion-MNIST: 70,000 handwritten digits, 70,000 articles of clothing, 28x28 pixels, 60,000 of each to train.

MNIST is easy today: a linear classifier gets 92 % right, LeNet-5 99 %.  Fashion-MNIST was made to take its place without a
changed line: same sizes, same split, even the same file names, but shirts look like coats, and LeNet-5 stays near 90 %.

Each comes as four official files, which are looked for on disk and else downloaded.  Whatever their origin, their decompressed
bytes must have the official checksum: neither set can pass for the other, and a damaged file is refused.  Files are never
changed or deleted.

Sources: LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition, section III.A; Xiao,
Rasul, Vollgraf 2017, Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms.
"""

import hashlib

import numpy as np

from .dataset import LabelledImages, check_part
from .download import download_file, search_folders
from .idx import parse_idx, uncompressed


class MNIST(LabelledImages):
    """The MNIST digits (torchvision.datasets.MNIST), as LabelledImages.

    Shapes: images (N, 1, size, size), float32, 0 background to 1 ink (byte / 255); labels (N,), int64, the digit.
    N = 60,000 with train=True, else 10,000.  size: 28, or larger by an even number: then with a border of background, as
    LeNet-5 wants 32.
    root: a folder with the official files, compressed or not (what torchvision downloads lies in root/MNIST/raw).
    Searched in this order: root, $TINYVISION_DATA/mnist, the user's cache folder.  What is in none of them is downloaded into
    root where given, else into the cache folder; with download=False it is an error.
    Raises FileNotFoundError where the files can be had nowhere, ValueError for a file that is not the official one.

    >>> MNIST(train=False).images.shape                   # doctest: +SKIP
    (10000, 1, 28, 28)
    """

    folder = "mnist"
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/",
               "https://storage.googleapis.com/cvdf-datasets/mnist/",
               "http://yann.lecun.com/exdb/mnist/")
    # file: MD5 of the bytes, MD5 of the official .gz (files on disk may have been compressed anew)
    files = {"train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
             "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", "d53e105ee54ea40749a09fcbcd1e9432"),
             "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", "9fb629c4189551a2d022fa330f9573f3"),
             "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", "ec29112dd5afa0611ce80d1b7f02629c")}
    classes = tuple("0123456789")

    def __init__(self, root=None, train=True, download=True, *, size=28):
        check_part(type(self).__name__, train, size)
        if size < 28 or size % 2:
            raise ValueError(f"{type(self).__name__}: size must be even and at least 28, got {size}. LeNet-5 takes 32.")
        part = "train" if train else "t10k"
        pixels = self.read(f"{part}-images-idx3-ubyte", root, download)
        labels = self.read(f"{part}-labels-idx1-ubyte", root, download)
        border = (size - pixels.shape[1]) // 2
        images = np.zeros((len(pixels), 1, size, size), np.float32)
        inner = slice(border, size - border)
        np.divide(pixels, 255, out=images[:, 0, inner, inner], dtype=np.float32)
        super().__init__(images, labels.astype(np.int64), self.classes)

    @classmethod
    def read(cls, file, root, download):
        """The array in one of the official files, wherever it is."""
        path = cls.find(file, root, download)
        data = uncompressed(path)
        found, official = md5(data), cls.files[file][0]
        if found != official:
            raise ValueError(f"{cls.__name__}: the bytes of {path} must have MD5 {official}, got {found}. The file is "
                             "damaged or of another data set; move it away or delete it, and run again.")
        return parse_idx(data, path)

    @classmethod
    def find(cls, file, root, download):
        """The path of one of the official files: on disk, or downloaded."""
        folders = []
        for folder in search_folders(cls.folder, root):
            folders.append(folder)
            for path in folder / file, folder / f"{file}.gz":
                if path.exists():
                    return path
        target = folders[-1] if root is None else folders[0]
        missing = f"{cls.__name__}: {file}.gz is in none of the folders {', '.join(map(str, folders))}"
        hint = (f"Put the official files into {target} by hand, or name their folder with root=... (its parent in the "
                "environment variable TINYVISION_DATA), or take the embedded "
                "digits, which need no file: --data digits, tinyvision.data.Digits().")
        if not download:
            raise FileNotFoundError(f"{missing}, and download=False. {hint}")
        try:
            return download_file(f"{file}.gz", cls.mirrors, f"md5:{cls.files[file][1]}", target)
        except ConnectionError as error:
            raise FileNotFoundError(f"{missing}, and cannot be downloaded ({error}). {hint}") from error


def md5(data):
    """The MD5 sum of bytes, in hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class FashionMNIST(MNIST):
    """Articles of clothing (torchvision.datasets.FashionMNIST), as LabelledImages.

    Shapes, arguments, the order of the search and the errors are MNIST's, with the folder fashion-mnist in its place: images
    (N, 1, size, size), float32, 0 background to 1; labels (N,), int64, indices into .classes.

    >>> FashionMNIST(train=False).classes[9]              # doctest: +SKIP
    'Ankle boot'
    """

    folder = "fashion-mnist"
    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
               "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/")
    files = {"train-images-idx3-ubyte": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
             "train-labels-idx1-ubyte": ("9018921c3c673c538a1fc5bad174d6f9", "25c81989df183df01b3e8a0aad5dffbe"),
             "t10k-images-idx3-ubyte": ("8181f5470baa50b63fa0f6fddb340f0a", "bef4ecab320f06d8554ea6380940ec79"),
             "t10k-labels-idx1-ubyte": ("15d484375f8d13e6eb1aabb0c3f46965", "bb300cfdad3c16e7a12a480ee83cd310")}
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
