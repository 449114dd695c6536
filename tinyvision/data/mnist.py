"""MNIST: 70,000 handwritten digits, 28x28 pixels, 60,000 to train and 10,000 to test.

The four official files are looked for on disk and else downloaded.  Whatever their origin, their decompressed bytes must
have the official checksum: no other data can pass for MNIST (Fashion-MNIST, for one, uses the same file names), and a damaged
file is refused.  Files are never changed or deleted.

Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition, section III.A.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from .dataset import LabelledImages, check_part
from .download import cache_folder, download_file
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
        found, official = hashlib.md5(data, usedforsecurity=False).hexdigest(), cls.files[file][0]
        if found != official:
            raise ValueError(f"{cls.__name__}: the bytes of {path} must have MD5 {official}, got {found}. The file is "
                             "damaged or of another data set; move it away or delete it, and run again.")
        return parse_idx(data, path)

    @classmethod
    def find(cls, file, root, download):
        """The path of one of the official files: on disk, or downloaded."""
        folders = []
        for folder in cls.folders(root):
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

    @classmethod
    def folders(cls, root):
        """The folders to search, one after the other; the last is the user's cache (which only pooch knows)."""
        if root is not None:
            yield Path(root).expanduser()
        if shared := os.environ.get("TINYVISION_DATA"):
            yield Path(shared).expanduser() / cls.folder
        yield cache_folder(cls.folder)
