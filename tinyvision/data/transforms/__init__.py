"""Transforms: the same thing seen otherwise, so that a network learns what does not matter (data augmentation).

A cat is a cat from the left and from the right, near and far, at noon and at dusk.  Thirty pictures, shown turned, bent and
darkened anew in every epoch, say so better than thirty pictures shown unchanged.  Each transform takes a picture, or a picture
with its target, and changes both together:

    augment = Compose([RandomHorizontalFlip(), RandomAffine(10, scale=(0.9, 1.1), interpolation="bilinear"), ColorJitter(0.2)])
    image, target = augment(image, target)                # target: a label, a mask, a dict with boxes, ...
    train = TransformedDataset(data, augment, seed=0)     # example i in epoch e: always the same bits

Which ones to take is a statement about the data: a mirrored 2 is no digit, an upside-down street is no street, but cells have no
up and down.  Validation and test pictures are not augmented.  Names, arguments and defaults are those of
torchvision.transforms.v2; base.py tells what becomes of boxes and masks.
"""

from .affine import RandomAffine, RandomRotation
from .base import Geometric, Photometric, Transform
from .colour import ColorJitter, Grayscale, Normalize, RandomGrayscale
from .compose import Compose, RandomApply, RandomChoice, RandomOrder
from .crop import CenterCrop, Pad, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
from .dataset import TransformedDataset
from .elastic import ElasticTransform, RandomGridElastic
from .mixing import CutMix, MixUp
from .noise import GaussianBlur, GaussianNoise, RandomErasing
from .resize import RandomResizedCrop, Resize

__all__ = ["CenterCrop", "ColorJitter", "Compose", "CutMix", "ElasticTransform", "GaussianBlur", "GaussianNoise", "Geometric",
           "Grayscale", "MixUp", "Normalize", "Pad", "Photometric", "RandomAffine", "RandomApply", "RandomChoice", "RandomCrop",
           "RandomErasing", "RandomGrayscale", "RandomGridElastic", "RandomHorizontalFlip", "RandomOrder", "RandomResizedCrop",
           "RandomRotation", "RandomVerticalFlip", "Resize", "Transform", "TransformedDataset"]
