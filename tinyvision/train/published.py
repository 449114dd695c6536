"""Published weights: networks that others trained for days, from their official addresses, checked and loaded without PyTorch.

    name                 trained on     right, as published    inputs: (x - mean) / std of brightness 0..1
    resnet18 .. 152      ImageNet       69.8 .. 78.3%          mean 0.485 0.456 0.406, std 0.229 0.224 0.225
    vgg16                ImageNet       71.6%                  the same
    squeezenet1_0, 1_1   ImageNet       58.1, 58.2%            the same
    cifar_resnet20..110  CIFAR-10       91.7 .. 93.7%          the same

The files' names end in the first eight digits of their SHA-256, which is what a download is compared with: enough to find any
damage, and no proof against forgery, for which load_torch needs none: it executes nothing.  Each file is looked for as
$TINYVISION_DATA/weights/FILE and in the user's cache before the network is asked.

The ImageNet files are torchvision's (IMAGENET1K_V1); those for CIFAR-10 Idelbayev's, github.com/akamaster/pytorch_resnet_cifar10,
trained as in He et al. 2015, section 4.2.  VGG-16 becomes a PlainNet, whose names of the weights are its own.
"""

from dataclasses import dataclass

from .. import models
from ..data.download import download_file, file_hash, search_folders
from ..io import load_torch
from ..packages import require
from ..tensor import raw

TORCHVISION = "https://download.pytorch.org/models"
IDELBAYEV = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Published:
    """A file of weights: its name, the folder's address, the network it fits, megabytes, accuracy (share) as published."""

    file: str
    address: str
    build: object
    megabytes: float
    accuracy: float
    trained_on: str = "ImageNet"

    @property
    def known_hash(self):
        """The first digits of the SHA-256, from the file's name."""
        return "sha256:" + self.file.rpartition(".")[0].rpartition("-")[2]


def vgg16():
    return models.PlainNet(1000, base_channels=64, kernel_size=7, norm=False)


PUBLISHED = {
    "resnet18": Published("resnet18-f37072fd.pth", TORCHVISION, models.resnet18, 44.7, 0.69758),
    "resnet34": Published("resnet34-b627a593.pth", TORCHVISION, models.resnet34, 83.3, 0.73314),
    "resnet50": Published("resnet50-0676ba61.pth", TORCHVISION, models.resnet50, 97.8, 0.76130),
    "resnet101": Published("resnet101-63fe2227.pth", TORCHVISION, models.resnet101, 170.5, 0.77374),
    "resnet152": Published("resnet152-394f9c45.pth", TORCHVISION, models.resnet152, 230.4, 0.78312),
    "vgg16": Published("vgg16-397923af.pth", TORCHVISION, vgg16, 527.8, 0.71592),
    "squeezenet1_0": Published("squeezenet1_0-b66bff10.pth", TORCHVISION, models.squeezenet1_0, 4.8, 0.58092),
    "squeezenet1_1": Published("squeezenet1_1-b8a52dc0.pth", TORCHVISION, models.squeezenet1_1, 4.7, 0.58178),
    "cifar_resnet20": Published("resnet20-12fca82f.th", IDELBAYEV, models.resnet20, 1.1, 0.9173, "CIFAR-10"),
    "cifar_resnet32": Published("resnet32-d509ac18.th", IDELBAYEV, models.resnet32, 1.9, 0.9263, "CIFAR-10"),
    "cifar_resnet44": Published("resnet44-014dd654.th", IDELBAYEV, models.resnet44, 2.7, 0.9310, "CIFAR-10"),
    "cifar_resnet56": Published("resnet56-4bfd9763.th", IDELBAYEV, models.resnet56, 3.5, 0.9339, "CIFAR-10"),
    "cifar_resnet110": Published("resnet110-1d1ed7c2.th", IDELBAYEV, models.resnet110, 7.0, 0.9368, "CIFAR-10"),
}


def load_published(name, *, root=None, download=True):
    """A network with published weights, in evaluation mode.

    name: one of PUBLISHED, "resnet18" or "cifar_resnet20" for instance.  Its inputs are (x - mean) / std of colour pictures with
    brightness 0..1, with mean (0.485, 0.456, 0.406) and std (0.229, 0.224, 0.225).
    root: a folder where the file is looked for first, and put; else the user's cache.  download: whether the network may be
    asked for a file that is not there; a progress bar goes to stderr.
    Raises ValueError for another name and for a file that does not have its checksum or its network's weights; FileNotFoundError
    where the file is not there and cannot be downloaded, with what to do instead.

    >>> load_published("resnet18", root="nowhere", download=False)          # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: load_published: resnet18-f37072fd.pth (44.7 MB) is in none of ...
    """
    if name not in PUBLISHED:
        raise ValueError(f"load_published: name must be one of {', '.join(PUBLISHED)}, got {name!r}.")
    entry = PUBLISHED[name]
    state = load_torch(find(entry, root, download))
    state = {key.removeprefix("module."): raw(value) for key, value in state.get("state_dict", state).items()}
    model = entry.build()
    if name == "vgg16":
        state = in_order(state, model)
    try:
        model.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"load_published: {entry.file} does not hold the weights of {name}: {error}") from error
    return model.eval()


def find(entry, root, download):
    """The path of a file of weights, downloaded where it must be."""
    require("load_published", "pooch")
    folders = list(search_folders("weights", root))
    for folder in folders:
        path = folder / entry.file
        if path.exists():
            if (found := file_hash(path, entry.known_hash)) != entry.known_hash:
                raise ValueError(f"load_published: the checksum of {path} must begin with {entry.known_hash}, got {found}. Move "
                                 "it away or delete it, and run again.")
            return path
    where = (f"{entry.file} ({entry.megabytes} MB) is in none of {', '.join(map(str, folders))}. Put it there from "
             f"{entry.address}/{entry.file}; or do without: a small network trains in minutes, tinyvision train resnet20 --data "
             "cifar10, and one with random weights already gives features (models.resnet20()).")
    if not download:
        raise FileNotFoundError(f"load_published: {where}")
    try:
        return download_file(entry.file, [entry.address], entry.known_hash, folders[0] if root is not None else folders[-1])
    except ConnectionError as error:
        raise FileNotFoundError(f"load_published: {where} ({error})") from error


def in_order(state, model):
    """torchvision's VGG, features.0.weight and so on, under the names that a PlainNet has: the same layers in the same order."""
    names = list(model.state_dict())
    if len(names) != len(state):
        return state
    return dict(zip(names, state.values()))
