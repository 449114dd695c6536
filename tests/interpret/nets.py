"""Networks for these tests: small, in double precision, with all weights and statistics at random; PyTorch's twins."""

import numpy as np

from tinyvision import manual_seed, models, nn
from tinyvision.bench.twins import lenet5, resnet20, unet

NETS = {                                                  # ours, the twin, the shape of a picture
    "LeNet5": (models.LeNet5, lambda: lenet5(10, 1), (1, 28, 28)),
    "resnet20": (models.resnet20, lambda: resnet20(10), (3, 16, 16)),
    "UNet": (lambda: models.UNet(2, 3, base_channels=4, depth=2), lambda: unet(2, 3, 4, 2), (2, 12, 16)),
}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def network(name):
    """A network whose units are neither all on nor all off."""
    manual_seed(0)
    net = NETS[name][0]().double()
    for i, (path, x) in enumerate([*net.named_parameters(), *net.named_buffers()]):
        if x.dtype.kind == "f":
            noise = draw(*x.shape, seed=i)
            x.data = np.abs(0.3 * noise) + 0.8 if "running_var" in path else x.data + 0.1 * noise
    return net.eval()


def twins(name):
    """(ours, PyTorch's, pictures (3, C, H, W)) with the same weights."""
    import torch
    net, twin = network(name), NETS[name][1]().double()
    twin.load_state_dict({key: torch.from_numpy(np.array(x.data)) for key, x in net.state_dict().items()})
    return net, twin.eval(), draw(3, *NETS[name][2], seed=99)


def snapshot(model):
    """Everything that looking must leave alone, as comparable values."""
    arrays = [(name, x.data.tobytes()) for name, x in [*model.named_parameters(), *model.named_buffers()]]
    grads = [None if p.grad is None else p.grad.data.tobytes() for p in model.parameters()]
    return arrays, grads, [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]


def stack(*layers, seed=0):
    """A Sequential in double precision with the first weights of this seed."""
    manual_seed(seed)
    return nn.Sequential(*layers).double()
