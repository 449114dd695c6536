"""Every layer against PyTorch's of the same name: same call, same state dict, same output, same gradients."""

import zlib

import numpy as np
import pytest

import tinyvision.nn as nn
from tinyvision import Tensor

torch = pytest.importorskip("torch")

PICTURES = (2, 4, 7, 6)
SIGNALS = (2, 4, 9)
VOLUMES = (2, 4, 5, 6, 4)

# name, arguments, shapes of the inputs; several rows where arguments interact
LAYERS = [
    ("Conv1d", dict(in_channels=4, out_channels=6, kernel_size=3, stride=2, padding=1, dilation=2, groups=2), SIGNALS),
    ("Conv1d", dict(in_channels=4, out_channels=6, kernel_size=4, padding="same", padding_mode="reflect"), SIGNALS),
    ("Conv1d", dict(in_channels=4, out_channels=2, kernel_size=3, padding=2, padding_mode="circular"), (4, 9)),
    ("Conv2d", dict(in_channels=4, out_channels=6, kernel_size=(3, 2), stride=(2, 1), padding=(1, 2)), PICTURES),
    ("Conv2d", dict(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4, bias=False), PICTURES),
    ("Conv2d", dict(in_channels=4, out_channels=2, kernel_size=3, padding="same", dilation=2), (4, 7, 6)),
    ("Conv2d", dict(in_channels=4, out_channels=2, kernel_size=3, padding="valid", padding_mode="reflect"), PICTURES),
    ("Conv2d", dict(in_channels=4, out_channels=2, kernel_size=3, padding=(2, 1), padding_mode="reflect"), PICTURES),
    ("Conv2d", dict(in_channels=4, out_channels=2, kernel_size=3, padding=(2, 0), padding_mode="replicate"), PICTURES),
    ("Conv2d", dict(in_channels=4, out_channels=2, kernel_size=(4, 3), padding="same", padding_mode="circular"), PICTURES),
    ("Conv3d", dict(in_channels=4, out_channels=2, kernel_size=(1, 3, 2), padding=1, stride=2), VOLUMES),
    ("Conv3d", dict(in_channels=4, out_channels=2, kernel_size=2, padding=1, padding_mode="replicate"), VOLUMES),
    ("ConvTranspose1d", dict(in_channels=4, out_channels=6, kernel_size=3, stride=3, padding=1, output_padding=2, groups=2),
     SIGNALS),
    ("ConvTranspose2d", dict(in_channels=4, out_channels=3, kernel_size=(3, 2), stride=2, padding=(1, 0), dilation=2), PICTURES),
    ("ConvTranspose2d", dict(in_channels=4, out_channels=3, kernel_size=3, bias=False), (4, 7, 6)),
    ("ConvTranspose3d", dict(in_channels=4, out_channels=2, kernel_size=2, stride=2, output_padding=(0, 1, 0)), VOLUMES),
    ("Linear", dict(in_features=6, out_features=5), (3, 6)),
    ("Linear", dict(in_features=6, out_features=5, bias=False), (2, 3, 6)),
    ("Bilinear", dict(in1_features=3, in2_features=4, out_features=5), (2, 3), (2, 4)),
    ("Bilinear", dict(in1_features=3, in2_features=4, out_features=5, bias=False), (2, 6, 3), (2, 6, 4)),
    ("MaxPool1d", dict(kernel_size=3, stride=2, padding=1), SIGNALS),
    ("MaxPool2d", dict(kernel_size=(3, 2)), PICTURES),
    ("MaxPool2d", dict(kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True, return_indices=True), PICTURES),
    ("MaxPool3d", dict(kernel_size=2, stride=(1, 2, 1), return_indices=True), VOLUMES),
    ("AvgPool1d", dict(kernel_size=3, stride=2, padding=1, count_include_pad=False), SIGNALS),
    ("AvgPool2d", dict(kernel_size=(3, 2), stride=(2, 1), padding=1, ceil_mode=True), PICTURES),
    ("AvgPool2d", dict(kernel_size=2, divisor_override=3), (4, 7, 6)),
    ("AvgPool3d", dict(kernel_size=2), VOLUMES),
    ("AdaptiveMaxPool1d", dict(output_size=4), SIGNALS),
    ("AdaptiveMaxPool2d", dict(output_size=(3, None), return_indices=True), PICTURES),
    ("AdaptiveMaxPool3d", dict(output_size=2), VOLUMES),
    ("AdaptiveAvgPool1d", dict(output_size=4), SIGNALS),
    ("AdaptiveAvgPool2d", dict(output_size=(None, 4)), PICTURES),
    ("AdaptiveAvgPool3d", dict(output_size=(1, 4, 3)), VOLUMES),
    ("Unfold", dict(kernel_size=(2, 3), dilation=2, padding=1, stride=(1, 2)), PICTURES),
    ("Fold", dict(output_size=(5, 4), kernel_size=(2, 3), padding=1, stride=2), (2, 12, 6)),
    ("Upsample", dict(scale_factor=2), SIGNALS),
    ("Upsample", dict(size=(5, 9), mode="bilinear"), PICTURES),
    ("Upsample", dict(scale_factor=(1.7, 2.3), mode="bicubic", recompute_scale_factor=True), PICTURES),
    ("Upsample", dict(scale_factor=1.5, mode="trilinear", align_corners=True), VOLUMES),
    ("UpsamplingNearest2d", dict(size=(9, 5)), PICTURES),
    ("UpsamplingBilinear2d", dict(scale_factor=3), PICTURES),
    ("PixelShuffle", dict(upscale_factor=2), PICTURES),
    ("PixelUnshuffle", dict(downscale_factor=2), (2, 3, 6, 4)),
    ("ChannelShuffle", dict(groups=2), PICTURES),
    ("ZeroPad1d", dict(padding=2), SIGNALS),
    ("ZeroPad2d", dict(padding=(1, -1, 2, 0)), PICTURES),
    ("ZeroPad3d", dict(padding=1), VOLUMES),
    ("ConstantPad1d", dict(padding=(1, 2), value=-0.5), SIGNALS),
    ("ConstantPad2d", dict(padding=1, value=3.0), (4, 7, 6)),
    ("ConstantPad3d", dict(padding=(1, 0, 2, 0, 0, 3), value=3), VOLUMES),
    ("ReflectionPad1d", dict(padding=(3, 1)), SIGNALS),
    ("ReflectionPad2d", dict(padding=(1, 2, 3, 4)), PICTURES),
    ("ReflectionPad3d", dict(padding=1), VOLUMES),
    ("ReplicationPad1d", dict(padding=3), SIGNALS),
    ("ReplicationPad2d", dict(padding=(1, 2, 3, 4)), PICTURES),
    ("ReplicationPad3d", dict(padding=(1, 2, 0, 3, 1, 0)), VOLUMES),
    ("CircularPad1d", dict(padding=3), SIGNALS),
    ("CircularPad2d", dict(padding=(1, 2, 3, 4)), PICTURES),
    ("CircularPad3d", dict(padding=1), VOLUMES),
    ("Flatten", dict(), PICTURES),
    ("Flatten", dict(start_dim=-3, end_dim=2), PICTURES),
    ("Unflatten", dict(dim=-2, unflattened_size=(-1, 7)), PICTURES),
    ("Identity", dict(), PICTURES),
    ("ReLU", dict(), PICTURES), ("ReLU6", dict(), PICTURES), ("LeakyReLU", dict(negative_slope=0.3), PICTURES),
    ("PReLU", dict(), PICTURES), ("PReLU", dict(num_parameters=4, init=0.5), PICTURES), ("ELU", dict(alpha=0.7), PICTURES),
    ("SELU", dict(), PICTURES), ("CELU", dict(alpha=0.7), PICTURES), ("GELU", dict(), PICTURES),
    ("GELU", dict(approximate="tanh"), PICTURES), ("SiLU", dict(), PICTURES), ("Mish", dict(), PICTURES),
    ("Hardtanh", dict(min_val=-0.5, max_val=0.7), PICTURES), ("Hardswish", dict(), PICTURES), ("Hardsigmoid", dict(), PICTURES),
    ("Softplus", dict(beta=2.0, threshold=1.0), PICTURES), ("Softsign", dict(), PICTURES), ("LogSigmoid", dict(), PICTURES),
    ("Threshold", dict(threshold=0.3, value=-2.0), PICTURES), ("Softshrink", dict(lambd=0.3), PICTURES),
    ("Hardshrink", dict(lambd=0.3), PICTURES), ("Tanhshrink", dict(), PICTURES), ("Sigmoid", dict(), PICTURES),
    ("Tanh", dict(), PICTURES), ("GLU", dict(dim=1), PICTURES), ("Softmax", dict(dim=1), PICTURES),
    ("Softmin", dict(dim=-1), PICTURES), ("LogSoftmax", dict(dim=2), PICTURES), ("Softmax2d", dict(), (4, 7, 6)),
    ("BatchNorm1d", dict(num_features=4), (5, 4)), ("BatchNorm1d", dict(num_features=4, momentum=None), SIGNALS),
    ("BatchNorm2d", dict(num_features=4, eps=0.01, momentum=0.3), PICTURES),
    ("BatchNorm2d", dict(num_features=4, affine=False), PICTURES),
    ("BatchNorm2d", dict(num_features=4, track_running_stats=False), PICTURES),
    ("BatchNorm3d", dict(num_features=4), VOLUMES),
    ("InstanceNorm1d", dict(num_features=4), (4, 9)), ("InstanceNorm1d", dict(num_features=4, affine=True), SIGNALS),
    ("InstanceNorm2d", dict(num_features=4, affine=True, track_running_stats=True, momentum=0.3), PICTURES),
    ("InstanceNorm2d", dict(num_features=4, track_running_stats=True, momentum=None), (4, 7, 6)),
    ("InstanceNorm3d", dict(num_features=4, eps=0.01), VOLUMES),
    ("LayerNorm", dict(normalized_shape=6), PICTURES), ("LayerNorm", dict(normalized_shape=(7, 6), bias=False), PICTURES),
    ("LayerNorm", dict(normalized_shape=[4, 7, 6], eps=0.01, elementwise_affine=False), PICTURES),
    ("GroupNorm", dict(num_groups=2, num_channels=4), PICTURES),
    ("GroupNorm", dict(num_groups=4, num_channels=4, eps=0.01, affine=False), SIGNALS),
    ("RMSNorm", dict(normalized_shape=(7, 6)), PICTURES),
    ("RMSNorm", dict(normalized_shape=6, eps=0.1, elementwise_affine=False), PICTURES),
    ("LocalResponseNorm", dict(size=3, alpha=0.1, beta=0.5, k=2.0), PICTURES),
    ("CosineSimilarity", dict(dim=1, eps=0.01), PICTURES, PICTURES),
    ("PairwiseDistance", dict(p=3.0, eps=0.01, keepdim=True), (5, 6), (5, 6)),
]


def case_id(case):
    return case[0] + "-" + "-".join(f"{k}={v}" for k, v in case[1].items())


def seeded(case):
    return np.random.default_rng(zlib.crc32(repr(case).encode()))


def twins(name, kwargs):
    """Our layer and PyTorch's, in double precision, with PyTorch's first values; the state travels both ways."""
    theirs, ours = getattr(torch.nn, name)(**kwargs).double(), getattr(nn, name)(**kwargs).double()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [k for k, _ in ours.named_parameters()] == [k for k, _ in theirs.named_parameters()]
    assert [k for k, _ in ours.named_buffers()] == [k for k, _ in theirs.named_buffers()]
    rng = np.random.default_rng(1)
    for p in ours.parameters():                           # not the first values: a norm's ones and zeros would hide mistakes
        p.data = rng.normal(size=p.shape)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def compare(ours, theirs, arrays, upstream_rng, **extra):
    """Outputs, gradients of inputs and gradients of parameters."""
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = ours(*xs, **extra), theirs(*ts, **extra)
    if isinstance(t, tuple):
        assert (y[1].data == t[1].numpy()).all()          # indices
        y, t = y[0], t[0]
    assert y.shape == tuple(t.shape)
    np.testing.assert_allclose(y.data, t.detach().numpy(), rtol=1e-9, atol=1e-11)
    g = upstream_rng.normal(size=y.shape)
    y.backward(g)
    t.backward(torch.tensor(g))
    for x, s in zip(xs, ts):
        np.testing.assert_allclose(x.grad.data, s.grad.numpy(), rtol=1e-7, atol=1e-10)      # CELU's alpha is float32 there
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters()):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("case", LAYERS, ids=case_id)
def test_layer(case):
    """In training, in evaluation after it, and the buffers that training left."""
    name, kwargs, *shapes = case
    ours, theirs = twins(name, kwargs)
    rng = seeded(case)
    for _ in range(2):
        compare(ours, theirs, [rng.normal(size=s) for s in shapes], rng)
        ours.zero_grad(), theirs.zero_grad()
    for (key, b), c in zip(ours.named_buffers(), theirs.buffers()):
        np.testing.assert_allclose(b.data, c.numpy(), rtol=1e-12, err_msg=key)
    compare(ours.eval(), theirs.eval(), [rng.normal(size=s) for s in shapes], rng)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.size for p in ours.parameters())


@pytest.mark.parametrize("name", ["Embedding"])
@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_embedding(name, padding_idx):
    ours, theirs = twins(name, dict(num_embeddings=6, embedding_dim=3, padding_idx=padding_idx))
    assert ours.padding_idx == theirs.padding_idx
    index = np.array([[0, 2, 5], [5, 5, 1]])
    y, t = ours(Tensor(index)), theirs(torch.tensor(index))
    np.testing.assert_array_equal(y.data, t.detach().numpy())
    g = np.random.default_rng(0).normal(size=y.shape)
    y.backward(g), t.backward(torch.tensor(g))
    np.testing.assert_allclose(ours.weight.grad.data, theirs.weight.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("dims, kwargs, size, output_size", [
    (1, dict(kernel_size=3, stride=2, padding=1), (5,), (10,)),
    (2, dict(kernel_size=3, stride=(2, 3), padding=1), (5, 4), (10, 12)),
    (2, dict(kernel_size=3, stride=2, padding=1), (5, 4), (2, 3, 9, 8)),
    (3, dict(kernel_size=(1, 2, 3), stride=2), (3, 2, 4), [6, 5, 9]),
])
def test_conv_transpose_output_size(dims, kwargs, size, output_size):
    ours, theirs = twins(f"ConvTranspose{dims}d", dict(in_channels=4, out_channels=3, **kwargs))
    rng = np.random.default_rng(dims)
    compare(ours, theirs, [rng.normal(size=(2, 4, *size))], rng, output_size=output_size)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_unpool(dims):
    x = np.random.default_rng(dims).normal(size=(2, 3, 7, 5, 6)[:dims + 2])
    size = x.shape[2:]
    y, i = getattr(nn, f"MaxPool{dims}d")(2, return_indices=True)(Tensor(x))
    t, j = getattr(torch.nn, f"MaxPool{dims}d")(2, return_indices=True)(torch.tensor(x))
    ours, theirs = getattr(nn, f"MaxUnpool{dims}d")(2), getattr(torch.nn, f"MaxUnpool{dims}d")(2)
    np.testing.assert_array_equal(ours(y, i, output_size=size).data, theirs(t, j, output_size=size).numpy())
    even = x[tuple(slice(n - n % 2) if a > 1 else slice(n) for a, n in enumerate(x.shape))]      # no window hangs over the end
    y, i = getattr(nn, f"MaxPool{dims}d")(2, return_indices=True)(Tensor(even))
    t, j = getattr(torch.nn, f"MaxPool{dims}d")(2, return_indices=True)(torch.tensor(even))
    np.testing.assert_array_equal(ours(y, i).data, theirs(t, j).numpy())


def probabilities(rng, *shape):
    x = rng.uniform(0.1, 1, size=shape)
    return x / x.sum(axis=1, keepdims=True)


def labels(rng, n, *shape):
    return rng.integers(0, n, size=shape)


def signs(rng, *shape):
    return rng.choice([-1.0, 1.0], size=shape)


# name, arguments, the inputs with a gradient, the targets
LOSSES = [
    ("CrossEntropyLoss", {}, lambda r: [r.normal(size=(6, 5))], lambda r: [labels(r, 5, 6)]),
    ("CrossEntropyLoss", dict(label_smoothing=0.2, ignore_index=1), lambda r: [r.normal(size=(6, 5, 3))],
     lambda r: [labels(r, 5, 6, 3)]),
    ("CrossEntropyLoss", dict(weight=np.array([1.0, 2.0, 0.5, 3.0, 1.0])), lambda r: [r.normal(size=(6, 5))],
     lambda r: [labels(r, 5, 6)]),
    ("CrossEntropyLoss", {}, lambda r: [r.normal(size=(6, 5))], lambda r: [probabilities(r, 6, 5)]),
    ("NLLLoss", dict(ignore_index=2, weight=np.array([1.0, 2.0, 0.5, 3.0, 1.0])), lambda r: [r.normal(size=(6, 5))],
     lambda r: [labels(r, 5, 6)]),
    ("BCELoss", dict(weight=np.array([1.0, 0.5, 2.0])), lambda r: [probabilities(r, 4, 3)], lambda r: [r.uniform(size=(4, 3))]),
    ("BCEWithLogitsLoss", dict(weight=np.array([[2.0]]), pos_weight=np.array([1.0, 0.5, 2.0])), lambda r: [r.normal(size=(4, 3))],
     lambda r: [r.uniform(size=(4, 3))]),
    ("MultiLabelSoftMarginLoss", dict(weight=np.array([1.0, 0.5, 2.0])), lambda r: [r.normal(size=(4, 3))],
     lambda r: [1.0 * labels(r, 2, 4, 3)]),
    ("MultiLabelMarginLoss", {}, lambda r: [r.normal(size=(3, 4))],
     lambda r: [np.array([[0, 2, -1, 1], [3, -1, 0, 0], [1, 2, 3, 0]])]),
    ("MSELoss", {}, lambda r: [r.normal(size=(4, 3))], lambda r: [r.normal(size=(4, 3))]),
    ("L1Loss", {}, lambda r: [r.normal(size=(4, 3))], lambda r: [r.normal(size=(4, 3))]),
    ("SmoothL1Loss", dict(beta=0.5), lambda r: [r.normal(size=(4, 3))], lambda r: [r.normal(size=(4, 3))]),
    ("HuberLoss", dict(delta=0.5), lambda r: [r.normal(size=(4, 3))], lambda r: [r.normal(size=(4, 3))]),
    ("KLDivLoss", {}, lambda r: [r.normal(size=(4, 3))], lambda r: [probabilities(r, 4, 3)]),
    ("KLDivLoss", dict(log_target=True), lambda r: [r.normal(size=(4, 3))], lambda r: [r.normal(size=(4, 3))]),
    ("GaussianNLLLoss", dict(full=True, eps=0.3), lambda r: [r.normal(size=(4, 3))],
     lambda r: [r.normal(size=(4, 3)), r.uniform(0.1, 2, size=(4, 3))]),
    ("PoissonNLLLoss", dict(full=True), lambda r: [r.normal(size=(4, 3))], lambda r: [1.0 * labels(r, 5, 4, 3)]),
    ("PoissonNLLLoss", dict(log_input=False, eps=0.01), lambda r: [r.uniform(0.1, 2, size=(4, 3))],
     lambda r: [1.0 * labels(r, 5, 4, 3)]),
    ("HingeEmbeddingLoss", dict(margin=0.7), lambda r: [r.uniform(size=(4, 3))], lambda r: [signs(r, 4, 3)]),
    ("SoftMarginLoss", {}, lambda r: [r.normal(size=(4, 3))], lambda r: [signs(r, 4, 3)]),
    ("MarginRankingLoss", dict(margin=0.3), lambda r: [r.normal(size=5), r.normal(size=5)], lambda r: [signs(r, 5)]),
    ("TripletMarginLoss", dict(margin=1.5, p=3.0, eps=0.01, swap=True), lambda r: [r.normal(size=(4, 3)) for _ in range(3)],
     lambda r: []),
    ("CosineEmbeddingLoss", dict(margin=0.2), lambda r: [r.normal(size=(5, 3)), r.normal(size=(5, 3))], lambda r: [signs(r, 5)]),
    ("MultiMarginLoss", dict(p=2, margin=0.7, weight=np.array([1.0, 2.0, 0.5])), lambda r: [r.normal(size=(4, 3))],
     lambda r: [labels(r, 3, 4)]),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")               # PyTorch, about KLDivLoss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", LOSSES, ids=case_id)
def test_loss(case, reduction):
    name, kwargs, inputs, targets = case
    rng = np.random.default_rng(zlib.crc32(f"{name}{reduction}".encode()))
    ours = getattr(nn, name)(**kwargs, reduction=reduction)
    theirs = getattr(torch.nn, name)(**{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()},
                                     reduction=reduction)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    xs, ts = inputs(rng), targets(rng)
    mine, other = [Tensor(x, requires_grad=True) for x in xs], [torch.tensor(x, requires_grad=True) for x in xs]
    y, t = ours(*mine, *map(Tensor, ts)), theirs(*other, *map(torch.tensor, ts))
    assert y.shape == tuple(t.shape)
    np.testing.assert_allclose(y.data, t.detach().numpy(), rtol=1e-9, atol=1e-12)
    g = rng.normal(size=y.shape)
    y.backward(g), t.backward(torch.tensor(g))
    for a, b in zip(mine, other):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-8, atol=1e-11)


def test_kl_div_batchmean():
    rng = np.random.default_rng(0)
    x, q = rng.normal(size=(4, 3)), probabilities(rng, 4, 3)
    expected = torch.nn.KLDivLoss(reduction="batchmean")(torch.tensor(x), torch.tensor(q)).item()
    assert nn.KLDivLoss(reduction="batchmean")(Tensor(x), Tensor(q)).item() == pytest.approx(expected, rel=1e-12)


def test_every_layer_is_compared():
    """No exported layer is forgotten: those that hold others, and those that draw, have tests of their own."""
    elsewhere = {"Module", "Parameter", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "BasicBlock", "Bottleneck",
                 "PreActivationBlock", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "Embedding",
                 "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "RNNCell", "GRUCell", "LSTMCell"}
    exported = {name for name, value in vars(nn).items() if isinstance(value, type)}
    assert exported - elsewhere == {case[0] for case in LAYERS + LOSSES}


SHOWN = [
    ("Conv2d", (3, 8, 3), dict(stride=2, padding=1, groups=1, bias=False)), ("Conv2d", (4, 8, 3), dict(padding="same", dilation=2)),
    ("ConvTranspose2d", (3, 8, 3), dict(stride=2, output_padding=1)), ("Linear", (3, 4), {}), ("Bilinear", (2, 3, 4), {}),
    ("RNNCell", (2, 3), dict(nonlinearity="relu")), ("GRUCell", (2, 3), dict(bias=False)), ("LSTMCell", (2, 3), {}),
    ("Embedding", (5, 3), dict(padding_idx=0)), ("MaxPool2d", (2,), {}), ("AvgPool2d", (2,), {}),
    ("AdaptiveAvgPool2d", ((1, 1),), {}), ("ReLU", (), {}), ("LeakyReLU", (0.2,), {}), ("ELU", (), {}), ("PReLU", (3,), {}),
    ("GELU", (), {}), ("Hardtanh", (), {}), ("Softplus", (), {}), ("Softmax", (), dict(dim=1)), ("Threshold", (1.0, 2.0), {}),
    ("GLU", (), {}), ("LogSoftmax", (1,), {}), ("Flatten", (), {}), ("Identity", (), {}), ("PixelShuffle", (2,), {}),
    ("ChannelShuffle", (2,), {}), ("ZeroPad2d", (1,), {}), ("ConstantPad1d", (1, 2.0), {}), ("ReflectionPad2d", (1,), {}),
    ("Upsample", (), dict(scale_factor=2.0, mode="bilinear")), ("LocalResponseNorm", (2,), {}), ("MSELoss", (), {}),
    ("Unfold", (3,), {}), ("Fold", ((4, 5), 3), {}), ("MaxUnpool2d", (2,), {}),
]


@pytest.mark.parametrize("name, args, kwargs", SHOWN, ids=[row[0] for row in SHOWN])
def test_repr(name, args, kwargs):
    expected = repr(getattr(torch.nn, name)(*args, **kwargs)).replace(", inplace=False", "")
    assert repr(getattr(nn, name)(*args, **kwargs)) == expected


def test_repr_of_a_tree():
    def tree(nn):
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.ReLU(), nn.ModuleDict({"a": nn.Linear(1, 2)})), nn.ModuleList())
    assert repr(tree(nn)) == repr(tree(torch.nn))
