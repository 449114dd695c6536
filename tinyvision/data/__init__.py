"""Data: examples by number (`Dataset`), batches of them (`DataLoader`), and the picture sets to start with.

`Digits` needs no network.  `MNIST` is looked for on disk and else downloaded.  Both are `LabelledImages`: `.images` float32
(N, 1, H, W) from 0 to 1, `.labels` int64 (N,), `.classes`; example i is (image, label).  So are `FashionMNIST`, `CIFAR10` and
`CIFAR100`; `OxfordIIITPet` and `PennFudanPed` have masks and boxes as well.  `ImageFolder` and `SegmentationFolder` read your own
pictures, `load_image` and `load_mask` a single one.  `tinyvision.data.catalogue` knows which sets are where on this machine.

`tinyvision.data.generated` draws a set for every other task from a seed, offline: shapes, scenes with boxes, masks, outlines,
colours and captions, cells, faces, waveforms, volumes, videos.

`tinyvision.data.transforms` turns, crops, bends and recolours pictures together with their masks and boxes.
"""

from . import transforms
from .cifar import CIFAR10, CIFAR100
from .dataset import ConcatDataset, Dataset, LabelledImages, Subset, TensorDataset, random_split
from .digits import Digits
from .folders import ImageFolder, SegmentationFolder
from .generated import (CellSegmentation, FaceIdentities, ImagePairs, ImageTriplets, MotionClassification, SceneCaptions,
                        SceneColorization, SceneDetection, SceneEdges, SceneSegmentation, ShapeClassification,
                        ShapeLocalization, ShapeMultiLabel, VolumeSegmentation, WaveformClassification, separation_weights,
                        spectrogram)
from .idx import read_idx
from .images import load_image, load_mask
from .loader import DataLoader, default_collate
from .mnist import MNIST, FashionMNIST
from .penn_fudan import PennFudanPed
from .pets import OxfordIIITPet
from .splits import k_fold, stratified_k_fold
from .workers import Prefetch

__all__ = ["CIFAR10", "CIFAR100", "ConcatDataset", "DataLoader", "Dataset", "Digits", "FashionMNIST", "ImageFolder",
           "LabelledImages", "MNIST", "OxfordIIITPet", "PennFudanPed", "Prefetch", "SegmentationFolder", "Subset",
           "TensorDataset", "default_collate", "k_fold", "load_image", "load_mask", "random_split", "read_idx",
           "stratified_k_fold", "transforms"]
