"""Every layer against PyTorch's of the same name: same call, same state dict, same output, same gradients."""

import zlib

import numpy as np
import pytest

import tinyvision.nn as nn
from tests.nn.table import LAYERS, case_id, seeded
from tinyvision import Tensor

torch = pytest.importorskip("torch")


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
