"""Transforms of transforms: one after the other, some of them, one of them.

Random numbers: given to the call (`rng`) or to the container (`generator`), they serve all transforms in it, one
after the other; else each transform inside draws from its own.
"""

from ...random import as_generator
from .base import ALONE, Transform
from ..checks import check_probability, numbers_of


class Container(Transform):
    """Base of the transforms that apply others; `order(rng)` says which, and one after the other in what order."""

    def __init__(self, transforms, *, generator=None):
        name = type(self).__name__
        if isinstance(transforms, Transform) or not hasattr(transforms, "__iter__"):
            raise TypeError(f"{name}: transforms must be a list of transforms, got {type(transforms).__name__}. Write [ ] around "
                            "it.")
        self.transforms = list(transforms)
        for i, transform in enumerate(self.transforms):
            if not isinstance(transform, Transform):
                raise TypeError(f"{name}: needs transforms, got {transform!r} as number {i}. Make instances, and derive your own "
                                "from Transform.")
        self.shared = generator is not None
        super().__init__(generator)

    def order(self, rng):
        return range(len(self.transforms))

    def __call__(self, image, target=ALONE, *, rng=None):
        if rng is None:
            order, rng = self.order(self.generator), self.generator if self.shared else None
        else:
            rng = as_generator(type(self).__name__, rng)
            order = self.order(rng)
        for i in order:
            if target is ALONE:
                image = self.transforms[i](image, rng=rng)
            else:
                image, target = self.transforms[i](image, target, rng=rng)
        return image if target is ALONE else (image, target)

    def __repr__(self):
        inside = "".join(f"    {line}\n" for t in self.transforms for line in f"{t!r},".splitlines())
        chances = f", p={self.p}" if hasattr(self, "p") else ""
        return f"{type(self).__name__}([\n{inside}]{chances})" if inside else f"{type(self).__name__}([]{chances})"


class Compose(Container):
    """Apply transforms one after the other (torchvision.transforms.v2.Compose).

    transforms: a list; none leaves the picture as it is.  generator, rng: for all of them, else each has its own.
    Every rotation, affine map and elastic deformation reads between the pixels, which blurs a little; flips, crops and pads are
    exact.  RandomAffine turns, scales and shears in one reading.
    Raises TypeError for what is not a transform.

    >>> import numpy as np
    >>> from tinyvision.data.transforms import CenterCrop, RandomHorizontalFlip
    >>> t = Compose([RandomHorizontalFlip(p=1), CenterCrop((1, 2))])
    >>> t(np.arange(4.0).reshape(1, 1, 4), 9)
    (array([[[2., 1.]]]), 9)
    """


class RandomApply(Container):
    """Apply a list of transforms, one after the other, with probability p, else none of them (torchvision.transforms.v2).

    Raises ValueError for p outside 0..1, TypeError for what is not a transform.

    >>> import numpy as np
    >>> from tinyvision.data.transforms import RandomHorizontalFlip
    >>> t = RandomApply([RandomHorizontalFlip(p=1)], p=0.25, generator=0)
    >>> sum(t(np.arange(2.0).reshape(1, 1, 2))[0, 0, 0] for _ in range(100))
    np.float64(24.0)
    """

    def __init__(self, transforms, p=0.5, *, generator=None):
        super().__init__(transforms, generator=generator)
        self.p = check_probability("RandomApply", p)

    def order(self, rng):
        return range(len(self.transforms)) if rng.random() < self.p else ()


class RandomChoice(Container):
    """Apply one transform of a list, chosen at random (torchvision.transforms.v2.RandomChoice).

    p: how likely each is, in proportion: [3, 1] chooses the first three times out of four; None: all alike.
    Raises ValueError for an empty list and for p of another length, negative or all 0; TypeError for what is no transform.

    >>> import numpy as np
    >>> from tinyvision.data.transforms import Pad, RandomHorizontalFlip
    >>> t = RandomChoice([RandomHorizontalFlip(p=1), Pad(1)], p=[1, 0])
    >>> t(np.arange(3.0).reshape(1, 1, 3))
    array([[[2., 1., 0.]]])
    """

    def __init__(self, transforms, p=None, *, generator=None):
        super().__init__(transforms, generator=generator)
        if not self.transforms:
            raise ValueError("RandomChoice: needs a transform to choose, got an empty list.")
        weights = numbers_of("RandomChoice", "p", [1] * len(self.transforms) if p is None else p, (len(self.transforms),), 0)
        if not sum(weights):
            raise ValueError(f"RandomChoice: p must be greater than 0 for one transform at least, got {p!r}.")
        self.p = tuple(weight / sum(weights) for weight in weights)

    def order(self, rng):
        return [int(rng.choice(len(self.transforms), p=self.p))]


class RandomOrder(Container):
    """Apply all transforms of a list, in random order (torchvision.transforms.v2.RandomOrder).

    >>> import numpy as np
    >>> from tinyvision.data.transforms import Normalize
    >>> t = RandomOrder([Normalize([1], [1]), Normalize([0], [2])], generator=0)
    >>> sorted({t(np.full((1, 1, 1), 4.0)).item() for _ in range(9)})
    [1.0, 1.5]
    """

    def order(self, rng):
        return rng.permutation(len(self.transforms)).tolist()
