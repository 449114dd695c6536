"""Data: examples by number (`Dataset`), batches of them (`DataLoader`), and the picture sets to start with.

`Digits` needs no network.  `MNIST` is looked for on disk and else downloaded.  Both are `LabelledImages`: `.images` float32
(N, 1, H, W) from 0 to 1, `.labels` int64 (N,), `.classes`; example i is (image, label).
"""

from .dataset import ConcatDataset, Dataset, LabelledImages, Subset, TensorDataset, random_split
from .digits import Digits
from .idx import read_idx
from .loader import DataLoader, default_collate
from .mnist import MNIST, FashionMNIST
from .splits import k_fold, stratified_k_fold

__all__ = ["ConcatDataset", "DataLoader", "Dataset", "Digits", "LabelledImages", "MNIST", "Subset", "TensorDataset",
           "default_collate", "random_split", "read_idx"]
