"""PyTorch's own operator samples: forward, gradients and gradients of gradients of every function equal PyTorch's.

PyTorch tests each of its operators on samples that its developers collected over the years: odd shapes, empty batches, every
option.  They come with the package (torch.testing._internal), so whoever has PyTorch can put them to tinyvision.functional.
PyTorch's developers may move them at any time; then these tests are skipped, and say so.
"""

import importlib.util
import inspect
import math
import sys
import types
import unittest
import warnings

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad

EXACT = 1e-9                                              # relative error in float64
MOST = 100                                                # samples per test; of more, every k-th is taken

INTERPOLATE = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")

# Every function that PyTorch has samples of, with the names of its groups of samples where there are several.
SAMPLED = dict.fromkeys("""
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d unfold
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    upsample_nearest upsample_bilinear grid_sample pixel_shuffle pixel_unshuffle channel_shuffle
    linear bilinear embedding
    relu relu6 leaky_relu prelu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid softplus softsign logsigmoid
    threshold glu sigmoid tanh hardshrink softshrink tanhshrink
    dropout dropout2d dropout3d alpha_dropout
    batch_norm instance_norm layer_norm group_norm rms_norm local_response_norm normalize
    cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss huber_loss
    kl_div hinge_embedding_loss margin_ranking_loss triplet_margin_loss cosine_embedding_loss cosine_similarity
    pairwise_distance soft_margin_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss
    gaussian_nll_loss poisson_nll_loss
""".split(), ("",)) | {
    "max_unpool1d": ("", "grad"), "max_unpool2d": ("", "grad"), "max_unpool3d": ("", "grad"),
    "softmax": ("", "with_dtype"), "softmin": ("", "with_dtype"), "log_softmax": ("", "with_dtype"),
    "pad": ("constant", "reflect", "replicate", "replicate_negative", "circular"), "interpolate": INTERPOLATE,
}

# Functions of which it has none (of one_hot, none in floating point): the table of cases tests them.
UNSAMPLED = set("affine_grid fold dropout1d one_hot roi_pool roi_align sigmoid_focal_loss dice_loss".split())


def draws(call):
    """Whether a function of random masks draws one."""
    return call.kwargs.get("training", True) and 0 < call.kwargs.get("p", 0.5) < 1


# Where we differ on purpose: (function, condition on a sample, reason).
DEVIATIONS = [
    *[(name, draws, "the random numbers are others") for name in ("dropout", "dropout2d", "dropout3d", "alpha_dropout")],
]

# Where PyTorch computes less exactly than float64 allows: (function, its error).
COARSE = {"hardsigmoid": 1e-7}                            # its slope is 1/6 in float32


@pytest.fixture(scope="module")
def operators():
    """PyTorch's table of operators: (name, group) -> OpInfo."""
    pytest.importorskip("torch")
    if "expecttest" not in sys.modules and importlib.util.find_spec("expecttest") is None:
        stand_in = types.ModuleType("expecttest")         # their test class derives from it; the samples have no use for it
        stand_in.TestCase = unittest.TestCase
        sys.modules["expecttest"] = stand_in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pytest.importorskip("torch.testing._internal.common_methods_invocations", exc_type=ImportError).op_db
    bare = {"softmax", "log_softmax", "sigmoid", "tanh"}  # torch.softmax and torch.nn.functional.softmax are one operator
    return {(info.name.removeprefix("nn.functional."), info.variant_test_name): info for info in table
            if info.name.startswith("nn.functional.") or info.name in bare}


def quietly(function, *args, **kwargs):
    """PyTorch warns about its own deprecations; here that is none of our business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def samples(info, dtype):
    """The samples of an operator, the same ones in every run; of many, every k-th, k being prime to their number."""
    import torch
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = quietly(lambda: list(info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=True)))
    k = len(found) // MOST + 1
    while k > 1 and math.gcd(k, len(found)) > 1:          # else an option with k values would never change
        k += 1
    return found[::k]


class Call:
    """One sample as two calls, PyTorch's and ours, with the pairs of tensors that are differentiated."""

    def __init__(self, name, sample):
        args = [sample.input, *sample.args]
        self.name = name
        self.args = args[1::-1] + args[2:] if name == "embedding" else args     # PyTorch's sample puts the table first
        self.kwargs = sample.kwargs
        self.pairs = []                                   # (theirs, ours)

    def __str__(self):
        def text(x):
            return f"{tuple(x.shape)} {x.dtype}" if hasattr(x, "dtype") and hasattr(x, "shape") else repr(x)
        return f"{self.name}({', '.join([*map(text, self.args), *(f'{k}={text(v)}' for k, v in self.kwargs.items())])})"

    def theirs(self):
        import torch
        return quietly(getattr(torch.nn.functional, self.name), *self.args, **self.kwargs)

    def ours(self):
        self.pairs = []
        args = [self.converted(x) for x in self.args]
        kwargs = {key: self.converted(x) for key, x in self.kwargs.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # advice on the call; NumPy's RuntimeWarnings stay errors
            return getattr(F, self.name)(*args, **kwargs)

    def converted(self, x):
        """Floating-point tensors as Tensors, integers and booleans as arrays, dtypes as NumPy's."""
        import torch
        if isinstance(x, torch.dtype):
            return np.dtype(str(x).removeprefix("torch."))
        if isinstance(x, (list, tuple)):
            return type(x)(map(self.converted, x)) if type(x) in (list, tuple) else tuple(x)
        if not isinstance(x, torch.Tensor):
            return x
        if not x.dtype.is_floating_point:
            return x.numpy()
        y = Tensor(x.detach().numpy(), requires_grad=x.requires_grad)
        if x.requires_grad:
            self.pairs.append((x, y))
        return y


def as_list(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def same(ours, theirs, tolerance, what):
    """Equal shape and dtype, and equal values up to rounding, which grows with the largest value."""
    theirs = theirs.detach().numpy(force=True)
    ours = np.asarray(ours.data if isinstance(ours, Tensor) else ours)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, PyTorch's {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{what}: dtype {ours.dtype}, PyTorch's {theirs.dtype}"
    finite = np.abs(theirs[np.isfinite(theirs)]) if theirs.dtype.kind == "f" else np.abs(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * max(1.0, finite.max(initial=0)), err_msg=what)


def zeros_for_none(gradients, tensors, zeros):
    return [zeros(x) if g is None else g for g, x in zip(gradients, tensors)]


def check(call, tolerance, twice):
    """Forward, gradients under a random upstream, and the gradients of the sum of their squares."""
    import torch
    theirs, ours = as_list(call.theirs()), as_list(call.ours())
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs)):
        same(a, b, tolerance, f"output {i}")
    outputs = [i for i, b in enumerate(theirs) if b.requires_grad]
    if not call.pairs or not outputs:
        return
    ours, theirs = [ours[i] for i in outputs], [theirs[i] for i in outputs]
    rng = np.random.default_rng(1)
    upstream = [rng.standard_normal(y.shape).astype(y.dtype) for y in ours]
    txs, xs = zip(*call.pairs)
    gs = grad(ours, xs, upstream, create_graph=twice, allow_unused=True)
    tgs = torch.autograd.grad(theirs, txs, [torch.tensor(u) for u in upstream], create_graph=twice, allow_unused=True)
    gs = zeros_for_none(gs, xs, lambda x: Tensor(np.zeros(x.shape, x.dtype)))
    tgs = zeros_for_none(tgs, txs, torch.zeros_like)
    for i, (a, b) in enumerate(zip(gs, tgs)):
        same(a, b, tolerance, f"gradient {i}")
    if not twice or not any(b.requires_grad for b in tgs):
        return
    tggs = torch.autograd.grad(sum((b * b).sum() for b in tgs), txs, allow_unused=True)
    loss = sum([(a * a).sum() for a in gs], Tensor(np.zeros((), gs[0].dtype)))
    ggs = grad(loss, xs, allow_unused=True) if loss.requires_grad else [None] * len(xs)
    ggs = zeros_for_none(ggs, xs, lambda x: Tensor(np.zeros(x.shape, x.dtype)))
    for i, (a, b) in enumerate(zip(ggs, zeros_for_none(tggs, txs, torch.zeros_like))):
        same(a, b, tolerance, f"gradient {i} of the sum of the gradients' squares")


def tolerance(name, dtype):
    return COARSE.get(name, EXACT) if dtype == "float64" else 2e-4


def rejected(call):
    """Whether PyTorch itself refuses the sample."""
    try:
        call.theirs()
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return True
    return False


def deviation(call):
    return next((why for name, holds, why in DEVIATIONS if name == call.name and holds(call)), None)


GROUPS = [(name, group) for name, groups in SAMPLED.items() for group in groups]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name, group", GROUPS, ids=["-".join(filter(None, pair)) for pair in GROUPS])
def test_samples(name, group, dtype, operators):
    info = operators[name, group]
    twice = dtype == "float64" and info.supports_gradgrad
    checked = 0
    for sample in samples(info, dtype):
        call = Call(name, sample)
        if deviation(call) or rejected(call):
            continue
        try:
            check(call, tolerance(name, dtype), twice)
        except Exception as error:
            raise AssertionError(f"{call}: {error}") from error
        checked += 1
    assert checked


@pytest.mark.parametrize("name", sorted(SAMPLED))
def test_errors(name, operators):
    """What PyTorch refuses is refused here."""
    wrong = []
    for group in SAMPLED[name]:
        info = operators[name, group]
        for error_input in (info.error_inputs("cpu") if info.error_inputs_func else ()):
            call = Call(name, error_input.sample_input)
            if deviation(call):
                continue
            with pytest.raises((RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)):
                call.theirs()
            try:
                call.ours()
                wrong.append(str(call))
            except (ValueError, TypeError):
                pass
    assert not wrong


def disagree(calls):
    """How many of these calls do not give what PyTorch gives."""
    failed = 0
    for call in calls:
        try:
            check(call, EXACT, False)
        except Exception:
            failed += 1
    return failed


@pytest.mark.parametrize("name, holds, why", DEVIATIONS, ids=[name for name, *_ in DEVIATIONS])
def test_deviations_are_still_necessary(name, holds, why, operators):
    """Some sample under every deviation does differ: otherwise the deviation is to be struck off."""
    calls = [Call(name, sample) for group in SAMPLED[name] for sample in samples(operators[name, group], "float64")]
    assert disagree(filter(holds, calls))


@pytest.mark.parametrize("name", COARSE)
def test_coarse_is_still_necessary(name, operators):
    assert disagree(Call(name, sample) for sample in samples(operators[name, ""], "float64"))


def test_the_table_is_complete(operators):
    """Every function of the list exists, and whatever PyTorch has samples for is tested against them."""
    assert not [name for name in [*SAMPLED, *UNSAMPLED] if not hasattr(F, name)]
    assert {name for name, value in vars(F).items() if inspect.isfunction(value)} == {*SAMPLED, *UNSAMPLED}
    import torch
    assert set(GROUPS) == {(name, group) for (name, group), info in operators.items()
                           if hasattr(F, name) and torch.float64 in info.dtypes}
