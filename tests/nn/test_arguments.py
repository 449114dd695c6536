"""Bad arguments are refused with a sentence: in the constructor where possible, else before anything has changed."""

import numpy as np
import pytest

import tinyvision.nn as nn
from tinyvision import Tensor

# layer, arguments, error, message
REFUSED = [
    ("Conv2d", (0, 8, 3), {}, ValueError, "Conv2d: in_channels must be at least 1, got 0"),
    ("Conv2d", (3.0, 8, 3), {}, TypeError, "Conv2d: in_channels must be an integer, got 3.0"),
    ("Conv2d", (3, 8, 3), dict(groups=2), ValueError,
     "Conv2d: in_channels must be divisible by groups, got in_channels=3 and groups=2. in_channels=2 would do"),
    ("Conv2d", (4, 7, 3), dict(groups=4), ValueError, "out_channels must be divisible by groups, got out_channels=7 and groups=4"),
    ("Conv2d", (3, 8, 0), {}, ValueError, "Conv2d: kernel_size must be at least 1, got 0"),
    ("Conv2d", (3, 8, (3, 3, 3)), {}, ValueError, r"kernel_size must be one integer or 2 \(one per spatial axis\)"),
    ("Conv3d", (3, 8, 3), dict(stride=0), ValueError, "Conv3d: stride must be at least 1"),
    ("Conv1d", (3, 8, 3), dict(dilation=0), ValueError, "Conv1d: dilation must be at least 1"),
    ("Conv2d", (3, 8, 3), dict(padding=-1), ValueError, "Conv2d: padding must be at least 0"),
    ("Conv2d", (3, 8, 3), dict(padding="full"), ValueError, "padding must be 'valid', 'same' or integers, got 'full'"),
    ("Conv2d", (3, 8, 3), dict(padding="same", stride=2), ValueError, "keeps the size only with stride 1, got stride"),
    ("Conv2d", (3, 8, 3), dict(padding_mode="mirror"), ValueError, "padding_mode must be one of 'zeros', 'reflect', .* 'mirror'"),
    ("Conv2d", (3, 8, 3), dict(bias=1), TypeError, "Conv2d: bias must be True or False, got 1"),
    ("ConvTranspose2d", (3, 8, 3), dict(padding_mode="reflect"), ValueError, "ConvTranspose2d: padding_mode must be one of 'zeros'"),
    ("ConvTranspose2d", (3, 8, 3), dict(groups=3), ValueError, "out_channels must be divisible by groups"),
    ("ConvTranspose1d", (3, 8, 3), dict(output_padding=-1), ValueError, "output_padding must be at least 0"),
    ("Linear", (0, 3), {}, ValueError, "Linear: in_features must be at least 1, got 0"),
    ("Linear", (3, "4"), {}, TypeError, "Linear: out_features must be an integer, got '4'"),
    ("Bilinear", (3, 0, 1), {}, ValueError, "Bilinear: in2_features must be at least 1"),
    ("Embedding", (0, 3), {}, ValueError, "Embedding: num_embeddings must be at least 1"),
    ("Embedding", (5, 3), dict(padding_idx=5), ValueError, "padding_idx must be below num_embeddings, got padding_idx=5 and"),
    ("Embedding", (5, 3), dict(padding_idx=-6), ValueError, "padding_idx must be at least -5, got -6"),
    ("MaxPool2d", (0,), {}, ValueError, "MaxPool2d: kernel_size must be at least 1"),
    ("MaxPool2d", (2,), dict(padding=2), ValueError, "MaxPool2d: padding must be at most half of kernel_size .* padding=2 and k"),
    ("MaxPool2d", (2,), dict(return_indices=1), TypeError, "return_indices must be True or False"),
    ("AvgPool3d", (2,), dict(divisor_override=0), ValueError, "AvgPool3d: divisor_override must be at least 1"),
    ("AdaptiveAvgPool2d", ((1, 2, 3),), {}, ValueError, "AdaptiveAvgPool2d: output_size must be one integer or 2"),
    ("AdaptiveMaxPool1d", (0,), {}, ValueError, "AdaptiveMaxPool1d: output_size must be at least 1"),
    ("MaxUnpool2d", ((2, 0),), {}, ValueError, "MaxUnpool2d: kernel_size must be at least 1"),
    ("Unfold", (3,), dict(stride=0), ValueError, "Unfold: stride must be at least 1"),
    ("Fold", ((0, 4), 3), {}, ValueError, "Fold: output_size must be at least 1"),
    ("Upsample", (), {}, ValueError, "Upsample: exactly one of size and scale_factor must be given, got size=None and scale_f"),
    ("Upsample", (4, 2.0), {}, ValueError, "exactly one of size and scale_factor"),
    ("Upsample", (4,), dict(mode="cubic"), ValueError, "Upsample: mode must be one of"),
    ("UpsamplingNearest2d", (), dict(scale_factor=-1), ValueError, "scale_factor must be a number above 0"),
    ("UpsamplingBilinear2d", (0,), {}, ValueError, "UpsamplingBilinear2d: size must be at least 1"),
    ("PixelShuffle", (0,), {}, ValueError, "PixelShuffle: upscale_factor must be at least 1"),
    ("PixelUnshuffle", (1.5,), {}, TypeError, "PixelUnshuffle: downscale_factor must be an integer"),
    ("ChannelShuffle", (0,), {}, ValueError, "ChannelShuffle: groups must be at least 1"),
    ("ZeroPad2d", ((1, 2),), {}, ValueError, r"ZeroPad2d: padding must be one integer or 4 \(before and after, last axis first\)"),
    ("ReflectionPad1d", (0.5,), {}, TypeError, "ReflectionPad1d: padding must be an integer, got 0.5"),
    ("PReLU", (0,), {}, ValueError, "PReLU: num_parameters must be at least 1"),
    ("CELU", (0,), {}, ValueError, "CELU: alpha must not be 0"),
    ("GELU", ("erf",), {}, ValueError, "GELU: approximate must be one of 'none', 'tanh', got 'erf'"),
    ("Hardtanh", (1.0, 1.0), {}, ValueError, "Hardtanh: min_val must be below max_val, got 1.0 and 1.0"),
    ("Softplus", (0,), {}, ValueError, "Softplus: beta must be above 0"),
    ("Softshrink", (-1,), {}, ValueError, "Softshrink: lambd must be at least 0"),
    ("Softmax", (1.0,), {}, TypeError, "Softmax: dim must be an integer, got 1.0"),
    ("GLU", (None,), {}, TypeError, "GLU: dim must be an integer"),
    ("Dropout", (1.5,), {}, ValueError, "Dropout: p must be a probability from 0 to 1, got 1.5"),
    ("Dropout2d", (float("nan"),), {}, ValueError, "Dropout2d: p must be a probability"),
    ("Dropout3d", ("a",), {}, TypeError, "Dropout3d: p must be a number, got 'a'"),
    ("Dropout1d", (0.5,), dict(generator="seed"), TypeError, "Dropout1d: needs an integer seed or a numpy.random.Generator, got s"),
    ("BatchNorm2d", (0,), {}, ValueError, "BatchNorm2d: num_features must be at least 1"),
    ("BatchNorm2d", (3,), dict(momentum=1.5), ValueError, "BatchNorm2d: momentum, .* must lie in 0..1, got 1.5"),
    ("BatchNorm1d", (3,), dict(momentum="a"), TypeError, "BatchNorm1d: momentum must be a number"),
    ("BatchNorm3d", (3,), dict(eps=-1), ValueError, "BatchNorm3d: eps must be at least 0"),
    ("InstanceNorm2d", (3,), dict(affine=0), TypeError, "InstanceNorm2d: affine must be True or False"),
    ("LayerNorm", ((3, 0),), {}, ValueError, "LayerNorm: normalized_shape must be at least 1"),
    ("LayerNorm", ((),), {}, ValueError, "LayerNorm: normalized_shape must name at least one axis"),
    ("RMSNorm", (2.5,), {}, TypeError, "RMSNorm: normalized_shape must be an integer"),
    ("GroupNorm", (3, 8), {}, ValueError, "num_channels must be divisible by num_groups, got num_channels=8 and num_groups=3"),
    ("LocalResponseNorm", (0,), {}, ValueError, "LocalResponseNorm: size must be at least 1"),
    ("CrossEntropyLoss", (), dict(reduction="avg"), ValueError, "CrossEntropyLoss: reduction must be one of 'none', 'mean', 'sum'"),
    ("CrossEntropyLoss", (), dict(label_smoothing=1.5), ValueError, "label_smoothing must lie in 0..1, got 1.5"),
    ("CrossEntropyLoss", (), dict(ignore_index=1.0), TypeError, "ignore_index must be an integer"),
    ("MSELoss", (), dict(reduction=None), ValueError, "MSELoss: reduction must be one of"),
    ("SmoothL1Loss", (), dict(beta=-1), ValueError, "SmoothL1Loss: beta must be at least 0"),
    ("HuberLoss", (), dict(delta=0), ValueError, "HuberLoss: delta must be above 0"),
    ("KLDivLoss", (), dict(reduction="batch"), ValueError, "KLDivLoss: reduction must be one of .*'batchmean', got 'batch'"),
    ("GaussianNLLLoss", (), dict(eps=0), ValueError, "GaussianNLLLoss: eps must be above 0"),
    ("TripletMarginLoss", (0,), {}, ValueError, "TripletMarginLoss: margin must be above 0"),
    ("MultiMarginLoss", (3,), {}, ValueError, "MultiMarginLoss: p must be one of 1, 2, got 3"),
    ("CosineSimilarity", (1.0,), {}, TypeError, "CosineSimilarity: dim must be an integer"),
    ("BasicBlock", (3, 0), {}, ValueError, "BasicBlock: planes must be at least 1"),
    ("Bottleneck", (3, 4, 0), {}, ValueError, "Bottleneck: stride must be at least 1"),
    ("PreActivationBlock", (3, True), {}, TypeError, "PreActivationBlock: planes must be an integer, got True"),
]


@pytest.mark.parametrize("name, args, kwargs, error, text", REFUSED, ids=[f"{row[0]}-{i}" for i, row in enumerate(REFUSED)])
def test_constructor(name, args, kwargs, error, text):
    with pytest.raises(error, match=text):
        getattr(nn, name)(*args, **kwargs)


CALLS = [
    (lambda: nn.Conv2d(3, 8, 3), (1, 4, 8, 8), "conv2d: weight .* takes 3 channels in .* with 4 channels"),
    (lambda: nn.Linear(3, 8), (1, 4), r"linear: the last axis of input must have the size I of weight"),
    (lambda: nn.BatchNorm2d(3), (2, 3, 4), r"BatchNorm2d: input must be \(N, C, H, W\), got shape \(2, 3, 4\)"),
    (lambda: nn.BatchNorm1d(3), (2, 3, 4, 4), r"BatchNorm1d: input must be \(N, C\) or \(N, C, W\)"),
    (lambda: nn.BatchNorm2d(3), (2, 4, 4, 4), "BatchNorm2d: input must have num_features=3 channels, got 4 in shape"),
    (lambda: nn.InstanceNorm2d(3), (2, 4, 4, 4), "InstanceNorm2d: input must have num_features=3 channels, got 4"),
    (lambda: nn.InstanceNorm2d(3), (4, 4, 4), "InstanceNorm2d: input must have num_features=3 channels, got 4"),
    (lambda: nn.InstanceNorm1d(3), (3,), r"InstanceNorm1d: input must be \(N, C, W\) or \(C, W\)"),
    (lambda: nn.GroupNorm(2, 4), (2, 6, 3), "GroupNorm: input must be .* with num_channels=4"),
    (lambda: nn.LayerNorm((3, 4)), (2, 4, 3), "layer_norm"),
    (lambda: nn.PReLU(3), (2, 4, 3), "prelu"),
    (lambda: nn.ZeroPad2d(1), (3, 4), r"ZeroPad2d: input must have 2 spatial axes after \(N, C\) or \(C\), got shape \(3, 4\)"),
    (lambda: nn.Softmax2d(), (3, 4), r"Softmax2d: input must be \(N, C, H, W\) or \(C, H, W\)"),
    (lambda: nn.PixelShuffle(2), (1, 6, 2, 2), "pixel_shuffle"),
    (lambda: nn.Flatten(3), (2, 3), r"flatten: dim must lie in \[-2, 1\] for input \(2, 3\), got 3"),
]


@pytest.mark.parametrize("make, shape, text", CALLS, ids=[row[2][:24] for row in CALLS])
def test_call(make, shape, text):
    layer = make()
    before = {name: t.data.copy() for name, t in layer.state_dict().items()}
    with pytest.raises(ValueError, match=text):
        layer(Tensor(np.ones(shape, "float32")))
    assert all((t.data == before[name]).all() for name, t in layer.state_dict().items())


def test_output_size_of_a_transposed_convolution():
    up, x = nn.ConvTranspose2d(1, 1, 3, stride=2), Tensor(np.zeros((1, 1, 4, 4), "float32"))
    for size in (8, 9), (9, 11), (1, 1, 9, 11):
        with pytest.raises(ValueError, match=r"ConvTranspose2d: output_size must lie between \(9, 9\) and \(10, 10\) for input"):
            up(x, output_size=size)
    with pytest.raises(ValueError, match="output_size must be one integer or 2"):
        up(x, output_size=(9, 9, 9))
    with pytest.raises(ValueError, match=r"ConvTranspose2d: input must have 3 or 4 axes, got shape \(4, 4\)"):
        up(x[0, 0], output_size=(9, 9))


def test_deprecated_places_are_by_name_only():
    for make in (lambda: nn.CrossEntropyLoss(None, -100), lambda: nn.MSELoss("sum"), lambda: nn.HingeEmbeddingLoss(1.0, "sum"),
                 lambda: nn.ReLU(True), lambda: nn.Dropout(0.5, True)):
        with pytest.raises(TypeError, match="positional argument|takes no arguments"):
            make()
