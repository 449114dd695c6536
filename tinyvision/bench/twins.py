"""The networks of tinyvision.models written with PyTorch's layers: the same architecture, the same names of weights.

That the two are the same is checked at every run: with the same weights, the losses of the first two steps agree.
PyTorch is loaded when a twin is made, so its classes are made inside functions.
"""


def twin(network):
    """A torch.nn.Module for a workloads.Network."""
    if network.model == "lenet5":
        return lenet5(network.classes, network.x[1])
    if network.model == "resnet20":
        return resnet20(network.classes)
    if network.model == "resnet50":
        return resnet50(network.classes)
    return unet(network.x[1], network.classes, network.base, network.depth)


def lenet5(classes, channels):
    from torch import nn
    from torch.nn import functional as F

    class LeNet5(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(channels, 6, 5), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, classes)

        def forward(self, x):
            x = F.pad(x, (2, 2, 2, 2))                                    # (N, C, 32, 32)
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)                    # (N, 6, 14, 14)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)                    # (N, 16, 5, 5)
            x = F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))          # (N, 84)
            return self.fc3(x)                                            # (N, K)
    return LeNet5()


def resnet20(classes):
    from torch import nn
    from torch.nn import functional as F
    Block = residual_block()

    def stage(before, channels, stride):
        return nn.Sequential(Block(before, channels, stride), Block(channels, channels, 1), Block(channels, channels, 1))

    class ResNet20(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
            self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
            self.linear = nn.Linear(64, classes)

        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)))                           # (N, 16, 32, 32)
            x = self.layer3(self.layer2(self.layer1(x)))                  # (N, 64, 8, 8)
            return self.linear(x.mean(dim=(2, 3)))                        # (N, K)
    return ResNet20()


def residual_block():
    """The class of the blocks; where the size changes, the shortcut skips pixels and adds channels of zeros."""
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self, before, channels, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
            self.stride, self.half = stride, (channels - before) // 2

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.half:
                x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.half, self.half))
            return F.relu(y + x)
    return Block


def resnet50(classes):
    from torch import nn
    from torch.nn import functional as F
    Block = bottleneck()

    def stage(before, width, count, stride):
        return nn.Sequential(*[Block(before if i == 0 else 4 * width, width, stride if i == 0 else 1) for i in range(count)])

    class ResNet50(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
            self.layer1, self.layer2 = stage(64, 64, 3, 1), stage(256, 128, 4, 2)
            self.layer3, self.layer4 = stage(512, 256, 6, 2), stage(1024, 512, 3, 2)
            self.fc = nn.Linear(2048, classes)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)                # (N, 64, H/4, W/4)
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))     # (N, 2048, H/32, W/32)
            return self.fc(x.mean(dim=(2, 3)))                            # (N, K)
    return ResNet50()


def bottleneck():
    """The class of the deeper blocks: 1x1, 3x3 with the stride, 1x1; where the size changes, the shortcut is a 1x1 convolution."""
    from torch import nn
    from torch.nn import functional as F

    class Bottleneck(nn.Module):
        def __init__(self, before, width, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
            self.downsample = None
            if before != 4 * width:
                self.downsample = nn.Sequential(nn.Conv2d(before, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

        def forward(self, x):
            y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
            return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))
    return Bottleneck


def unet(in_channels, classes, base, depth):
    import torch
    from torch import nn
    channels = [base * 2 ** level for level in range(depth + 1)]

    def double(before, after):
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
                             nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())

    class Up(nn.Module):
        def __init__(self, before):
            super().__init__()
            self.up = nn.ConvTranspose2d(before, before // 2, 2, stride=2)

        def forward(self, x):
            return self.up(x)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList([double(b, c) for b, c in zip([in_channels, *channels], channels)])
            self.up = nn.ModuleList([Up(c) for c in channels[:0:-1]])
            self.merge = nn.ModuleList([double(2 * c, c) for c in channels[-2::-1]])
            self.head = nn.Conv2d(base, classes, 1)

        def forward(self, x):
            skips = []
            for level, block in enumerate(self.down):
                x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
                skips.append(x)
            skips.pop()
            for up, merge in zip(self.up, self.merge):
                x = merge(torch.cat([skips.pop(), up(x)], dim=1))
            return self.head(x)
    return UNet()
