"""What `tinyvision predict` says of a picture, and writes: a function for each task."""

from dataclasses import dataclass
from pathlib import Path

from .measures import on_host


@dataclass(frozen=True)
class Seen:
    """A picture as the network saw it: its file, the picture (C, H, W), the network, what it gave, and the user's wishes."""

    file: str
    image: object
    model: object
    outputs: object
    classes: list
    top: int
    out: Path


def classes(seen):
    return likeliest(probabilities(seen.outputs), seen.classes, seen.top)


def likeliest(p, classes, top):
    return ", ".join(f"{classes[k]} {p[k]:.1%}" for k in (-p).argsort()[:top])


def probabilities(logits):
    from .. import functional as F
    return F.softmax(on_host(logits), dim=1).data[0]


def mask(seen):
    """Black to white for classes 0 to the last."""
    import numpy as np
    found, count = probabilities(seen.outputs).argmax(axis=0), len(seen.classes)
    path = saved(seen, "mask", np.linspace(0, 1, count)[found][None])
    return f"{path}, " + ", ".join(f"{label} {(found == k).mean():.1%}" for k, label in enumerate(seen.classes))


def box(seen):
    """The picture with its box is saved at the network's size; corners are in pixels of it."""
    from .. import viz
    from ..io.atomic import atomic_path
    from ..packages import require
    require("predict of boxes", "matplotlib")
    logits, boxes = on_host(seen.outputs)
    p, corners = probabilities(logits), boxes.data[0]
    path = free_path(seen.out, Path(seen.file).stem, "box")
    target = {"boxes": corners[None], "labels": p.argmax()[None], "scores": p.max()[None]}
    with atomic_path(path) as temporary:
        viz.detections(seen.image, target, seen.classes).savefig(temporary, dpi=100)
    x1, y1, x2, y2 = corners
    return (f"{path}, {likeliest(p, seen.classes, seen.top)}, box ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f}) of "
            f"{seen.image.shape[2]}x{seen.image.shape[1]}")


def edges(seen):
    """White where the mixed outlines are sure, black where they are sure that there is none."""
    from .. import functional as F
    p = F.sigmoid(on_host(seen.outputs)[-1]).data[0]
    return f"{saved(seen, 'edges', p)}, {(p > 0.5).mean():.1%} of the pixels are more likely edges than not"


def colors(seen):
    """The lightness is the picture's, the colours are the network's."""
    import numpy as np

    from ..data.transforms.colour import grey
    painted = seen.model.colorize(grey(seen.image)[None])[0]
    spread = float(np.square(seen.model.colors(on_host(seen.outputs))).sum(axis=1).mean() ** 0.5)
    return f"{saved(seen, 'colour', painted)}, colours {spread:.0f} from grey (CIE Lab)"


def reconstruction(seen):
    from .measures import psnr
    outputs, measure = on_host(seen.outputs), psnr()
    measure.update(outputs, seen.image[None])
    return f"{saved(seen, 'reconstruction', outputs.data[0])}, PSNR {measure.compute():.1f} dB from {seen.model.code} numbers"


def sentence(seen):
    return seen.model.vocabulary.decode(seen.model.speak(seen.outputs))[0]


def free_path(folder, stem, kind):
    """A name for the picture that nothing has yet."""
    number, path = 1, folder / f"{stem}-{kind}.png"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{kind}-{number}.png"
    return path


def saved(seen, kind, picture):
    """Write brightness 0..1, (1, H, W) or (3, H, W), as a file beside the other answers; its path."""
    import numpy as np
    from PIL import Image

    from ..io.atomic import atomic_path
    path = free_path(seen.out, Path(seen.file).stem, kind)
    values = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    with atomic_path(path) as temporary:
        Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0)).save(temporary)
    return path
