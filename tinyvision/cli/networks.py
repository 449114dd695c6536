"""Which networks can be trained from the command line, and on which sets they fit."""

from dataclasses import dataclass

from .arguments import UserError
from .sets import BOX, CLASSES, MASKS, SETS

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True)
class Network:
    """A network: title, task, build(C, H, W, classes), and the pictures it takes: a test of (H, W), and that in words."""

    title: str
    task: str
    build: object
    takes: object = lambda H, W: True
    sizes: str = "pictures of any size"


def mlp(C, H, W, classes):
    from ..models import MLP
    return MLP(C * H * W, num_classes=classes)


def lenet5(C, H, W, classes):
    from ..models import LeNet5
    return LeNet5(classes, C)


def unet(C, H, W, classes):
    from ..models import UNet
    return UNet(C, classes, 16, 3)


def fcn(C, H, W, classes):
    from ..models import FCN
    return FCN(classes, 8, C)


def segnet(C, H, W, classes):
    from ..models import SegNet
    return SegNet(C, classes, 16, 3)


def localizer(C, H, W, classes):
    from ..models import Localizer
    return Localizer(classes, (H, W), C)


def small_resnet(depth):
    def build(C, H, W, classes):
        from ..models import CifarResNet
        return CifarResNet((depth - 2) // 6, classes, C)
    return Network(f"He et al. 2016, section 4.2, {depth} layers, for small pictures", CLASSES, build)


def large_resnet(depth):
    def build(C, H, W, classes):
        from ..models import ResNet
        from ..nn import BasicBlock, Bottleneck
        return ResNet(BasicBlock if depth < 50 else Bottleneck, DEPTHS[depth], classes, C)
    return Network(f"He et al. 2016, table 1, {depth} layers, for photographs", CLASSES, build, lambda H, W: min(H, W) >= 32,
                   "pictures from 32x32 on")


NETWORKS = {
    "mlp": Network("fully connected, two hidden layers", CLASSES, mlp, sizes="pictures of one size"),
    "lenet5": Network("LeCun et al. 1998, five layers", CLASSES, lenet5, lambda H, W: (H, W) in ((28, 28), (32, 32)),
                      "pictures of 28x28 or 32x32"),
    **{f"resnet{depth}": small_resnet(depth) for depth in (20, 32, 44, 56, 110)},
    **{f"resnet{depth}": large_resnet(depth) for depth in DEPTHS},
    "unet": Network("Ronneberger et al. 2015, 16 channels, three levels", MASKS, unet, lambda H, W: H % 8 == W % 8 == 0,
                    "pictures whose sides are multiples of 8"),
    "segnet": Network("Badrinarayanan et al. 2015, 16 channels, three levels", MASKS, segnet, lambda H, W: H % 8 == W % 8 == 0,
                      "pictures whose sides are multiples of 8"),
    "fcn8": Network("Long et al. 2015, answers of three stages, 16 channels", MASKS, fcn, lambda H, W: H % 32 == W % 32 == 0,
                    "pictures whose sides are multiples of 32"),
    "localizer": Network("two heads, class and box", BOX, localizer, lambda H, W: H % 16 == W % 16 == 0,
                         "pictures whose sides are multiples of 16"),
}
ANSWERS = {CLASSES: "one answer for a picture", MASKS: "an answer for every pixel", BOX: "a class and a box"}


def fits(network, shape, task):
    """Why a network cannot be trained on pictures of this shape (C, H, W) with this task, or None."""
    net = NETWORKS[network]
    if net.task != task:
        return f"{network} gives {ANSWERS[net.task]}"
    return None if net.takes(*shape[1:]) else f"{network} takes {net.sizes}, these have {shape[1]}x{shape[2]}"


def check_fit(network, data, shape):
    """Raise UserError, with what would fit, where a network does not fit a set."""
    reason = fits(network, shape, SETS[data].task)
    if reason:
        others = [name for name in NETWORKS if fits(name, shape, SETS[data].task) is None]
        raise UserError(f"{network} does not fit {data}: {reason}. Networks that do: {', '.join(others)}.")
