"""Which networks can be trained from the command line, and on which sets they fit."""

from dataclasses import dataclass

from .arguments import UserError
from .sets import BOX, CAPTION, CLASSES, COLOR, EDGES, MASKS, SETS
from .tasks import RECONSTRUCTION, TASKS

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True)
class Network:
    """A network: title, task (tasks.py), build(C, H, W, names), with the names of its answers; the pictures it takes: a test
    of (C, H, W), and that in words; pace: what a set's learning rate is multiplied by, less than 1 without normalisation."""

    title: str
    task: str
    build: object
    takes: object = lambda C, H, W: True
    sizes: str = "pictures of any size"
    pace: float = 1


def mlp(C, H, W, names):
    from ..models import MLP
    return MLP(C * H * W, num_classes=len(names))


def lenet5(C, H, W, names):
    from ..models import LeNet5
    return LeNet5(len(names), C)


def plain(C, H, W, names):
    from ..models import PlainNet
    return PlainNet(len(names), C, 16, kernel_size=H // 32)


def squeezenet(C, H, W, names):
    from ..models import SqueezeNet
    return SqueezeNet(len(names), C)


def unet(C, H, W, names):
    from ..models import UNet
    return UNet(C, len(names), 16, 3)


def fcn(C, H, W, names):
    from ..models import FCN
    return FCN(len(names), 8, C)


def segnet(C, H, W, names):
    from ..models import SegNet
    return SegNet(C, len(names), 16, 3)


def localizer(C, H, W, names):
    from ..models import Localizer
    return Localizer(len(names), (H, W), C)


def hed(C, H, W, names):
    from ..models import HED
    return HED(C, 8)


def colorizer(C, H, W, names):
    from ..models import Colorizer
    return Colorizer(base_channels=8)


def autoencoder(C, H, W, names):
    from ..models import ConvAutoencoder
    return ConvAutoencoder(C, (H, W))


def captioner(C, H, W, names):
    from ..models import Captioner, Vocabulary
    return Captioner(Vocabulary(names), (H, W), C)


def multiples_of(step):
    """A test of (C, H, W), and what it says in words."""
    return lambda C, H, W: H % step == W % step == 0, f"pictures whose sides are multiples of {step}"


def small_resnet(depth):
    def build(C, H, W, names):
        from ..models import CifarResNet
        return CifarResNet((depth - 2) // 6, len(names), C)
    return Network(f"He et al. 2016, section 4.2, {depth} layers, for small pictures", CLASSES, build)


def large_resnet(depth):
    def build(C, H, W, names):
        from ..models import ResNet
        from ..nn import BasicBlock, Bottleneck
        return ResNet(BasicBlock if depth < 50 else Bottleneck, DEPTHS[depth], len(names), C)
    return Network(f"He et al. 2016, table 1, {depth} layers, for photographs", CLASSES, build, lambda C, H, W: min(H, W) >= 32,
                   "pictures from 32x32 on")


NETWORKS = {
    "mlp": Network("fully connected, two hidden layers", CLASSES, mlp, sizes="pictures of one size"),
    "lenet5": Network("LeCun et al. 1998, five layers", CLASSES, lenet5, lambda C, H, W: (H, W) in ((28, 28), (32, 32)),
                      "pictures of 28x28 or 32x32"),
    **{f"resnet{depth}": small_resnet(depth) for depth in (20, 32, 44, 56, 110)},
    **{f"resnet{depth}": large_resnet(depth) for depth in DEPTHS},
    "plainnet": Network("Simonyan and Zisserman 2014, 16 layers, 16 channels", CLASSES, plain,
                        lambda C, H, W: H == W and H % 32 == 0, "square pictures whose sides are multiples of 32"),
    "squeezenet": Network("Iandola et al. 2016, version 1.1", CLASSES, squeezenet, lambda C, H, W: min(H, W) >= 17,
                          "pictures from 17x17 on", 0.1),
    "unet": Network("Ronneberger et al. 2015, 16 channels, three levels", MASKS, unet, *multiples_of(8)),
    "segnet": Network("Badrinarayanan et al. 2015, 16 channels, three levels", MASKS, segnet, *multiples_of(8)),
    "fcn8": Network("Long et al. 2015, answers of three stages, 16 channels", MASKS, fcn, *multiples_of(32)),
    "localizer": Network("two heads, class and box", BOX, localizer, *multiples_of(16)),
    "hed": Network("Xie and Tu 2015, outlines of five stages, 8 channels", EDGES, hed, lambda C, H, W: min(H, W) >= 16,
                   "pictures from 16x16 on"),
    "colorizer": Network("Zhang et al. 2016, a grey picture in colour, 8 channels", COLOR, colorizer,
                         lambda C, H, W: C == 3 and H % 8 == W % 8 == 0, "colour pictures whose sides are multiples of 8"),
    "autoencoder": Network("Masci et al. 2011, convolutional, a code of 32 numbers", RECONSTRUCTION, autoencoder,
                           *multiples_of(4)),
    "captioner": Network("Vinyals et al. 2014, convolutions look, an LSTM speaks", CAPTION, captioner, *multiples_of(16)),
}


def task_of(network):
    """The Task of the network of this name."""
    return TASKS[NETWORKS[network].task]


def usual_lr(network, data):
    """The learning rate of a network on a set where none is given."""
    return SETS[data].lr * NETWORKS[network].pace


def fits(network, data, shape=None):
    """Why a network cannot be trained on this set, with pictures of this shape (C, H, W), or None."""
    net, source, task = NETWORKS[network], SETS[data], task_of(network)
    if source.kind not in (*task.learns_from, *task.pictures_of):
        return f"{network} gives {task.gives}, {data} has answers of another kind, {source.kind}"
    C, H, W = shape or source.shape
    return None if net.takes(C, H, W) else f"{network} takes {net.sizes}, these are {C}x{H}x{W}"


def check_fit(network, data, shape=None):
    """Raise UserError, with what would fit, where a network does not fit a set."""
    reason = fits(network, data, shape)
    if reason:
        networks = [name for name in NETWORKS if fits(name, data, shape) is None]
        sets = [name for name in SETS if fits(network, name) is None]
        raise UserError(f"{network} does not fit {data}: {reason}. Networks that do: {', '.join(networks)}. Sets that "
                        f"{network} fits: {', '.join(sets)}.")
