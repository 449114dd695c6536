"""Same name, same arguments: every function and class that PyTorch has too takes PyTorch's arguments, in its order, with its
defaults.  Where an argument of PyTorch's is missing, those behind it are taken by name only, so that no call can change its
meaning when it moves from one library to the other."""

import ast
import inspect

import pytest

import tinyvision.data as data
import tinyvision.functional as F
import tinyvision.nn as nn
import tinyvision.optim as optim

KEYWORD, POSITIONAL = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD

# PyTorch's arguments that have no meaning here.
MEMORY = {"inplace", "out"}                               # nothing in a graph is changed in place
DEPRECATED = {"size_average", "reduce", "_stacklevel", "min_value", "max_value"}
PLACE = {"device", "dtype"}                               # a module is moved and converted as a whole
SPEED = {"foreach", "fused", "capturable", "differentiable"}

# Further arguments of PyTorch's that are not supported.
SPARSE = {"max_norm", "norm_type", "scale_grad_by_freq", "sparse"}
NOT_HERE = {
    "embedding": SPARSE, "Embedding": SPARSE | {"_weight", "_freeze"},
    "SequentialLR": {"last_epoch"},                       # a schedule is resumed from its state_dict
    "Module": {"args", "kwargs"},
    "DataLoader": {"sampler", "batch_sampler", "timeout", "worker_init_fn",
                   "multiprocessing_context", "persistent_workers", "pin_memory_device", "in_order"},
} | dict.fromkeys(["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
                   "GroupNorm"], {"bias"})

# Arguments that PyTorch does not have, all by name only.
OURS = dict.fromkeys(["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
                      "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"], {"generator"})

# Defaults that PyTorch writes otherwise: None for False, and its own generator for ours.
OTHER_DEFAULT = {("DataLoader", "shuffle"), ("random_split", "generator")}

# Names that PyTorch does not have.
OWN = {
    "functional": {"dice_loss", "roi_align", "roi_pool", "sigmoid_focal_loss"},           # the last three: torchvision.ops
    "nn": {"BasicBlock", "Bottleneck", "PreActivationBlock"},
    "init": {"bilinear_"},
    "data": {"Digits", "Prefetch", "LabelledImages", "read_idx", "k_fold", "stratified_k_fold", "SegmentationFolder", "load_image", "load_mask",
             # of torchvision.datasets
             "CIFAR10", "CIFAR100", "FashionMNIST", "ImageFolder", "MNIST", "OxfordIIITPet", "PennFudanPed"},
}


def public(module, kind):
    return sorted(name for name, value in vars(module).items() if not name.startswith("_") and kind(value))


def parameters(function):
    """What inspect.signature says; for functions of C, what the first line of their documentation says."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except ValueError:
        line = function.__doc__.strip().partition(" ->")[0]
        args = ast.parse(f"def {line}: pass").body[0].args
        needed = [inspect.Parameter.empty] * (len(args.args) - len(args.defaults))
        defaults = needed + [ast.literal_eval(d) for d in args.defaults]
        found = [inspect.Parameter(a.arg, POSITIONAL, default=d) for a, d in zip(args.args, defaults, strict=True)]
    return found


def expected(theirs, removed):
    """PyTorch's parameters without the removed ones; those behind a removed one by name only."""
    rows, by_name = [], False
    for p in theirs:
        if p.name in removed:
            by_name = by_name or p.kind == POSITIONAL
        else:
            rows.append((p.name, p.default, KEYWORD if by_name and p.kind == POSITIONAL else p.kind))
    return rows


def ordered(rows):
    """As they are, those by name only at the end and by name, for among them the order has no meaning."""
    rows = list(rows)
    by_name = sorted((row for row in rows if row[2] == KEYWORD), key=lambda row: row[0])
    return [row for row in rows if row[2] != KEYWORD] + by_name


def compare(name, ours, theirs, removed):
    ours = [(p.name, p.default, p.kind) for p in ours]
    own = [row for row in ours if row[0] in OURS.get(name, ())]
    assert all(kind == KEYWORD for _, _, kind in own) and len(own) == len(OURS.get(name, ()))
    missing = NOT_HERE.get(name, set())
    assert missing <= {p.name for p in theirs} - {row[0] for row in ours}
    found, wanted = ordered(row for row in ours if row not in own), ordered(expected(theirs, removed | missing))
    for i, (a, b) in enumerate(zip(found, wanted)):
        if (name, a[0]) in OTHER_DEFAULT:
            assert a[1] != b[1]                           # else the exception is to be struck off
            found[i] = a[0], b[1], a[2]
    assert found == wanted


def dispatched(torch, name):
    """max_pool2d and its like choose between two functions by an argument; the private one has the signature."""
    return getattr(torch.nn.functional, f"_{name}", None) or getattr(torch.nn.functional, name)


def is_module(value):
    return inspect.isclass(value) and issubclass(value, nn.Module)


@pytest.mark.parametrize("name", public(F, inspect.isfunction))
def test_functional(name):
    torch = pytest.importorskip("torch")
    if name in OWN["functional"]:
        assert not hasattr(torch.nn.functional, name)
    else:
        theirs = dispatched(torch, name) if "pool" in name else getattr(torch.nn.functional, name)
        compare(name, parameters(getattr(F, name)), parameters(theirs), MEMORY | DEPRECATED)


@pytest.mark.parametrize("name", public(nn, is_module))
def test_nn(name):
    torch = pytest.importorskip("torch")
    if name in OWN["nn"]:
        assert not hasattr(torch.nn, name)
        return
    theirs = getattr(torch.nn, name)
    inherited = theirs is not torch.nn.Module and theirs.__init__ is torch.nn.Module.__init__     # takes anything, uses nothing
    compare(name, parameters(getattr(nn, name)), [] if inherited else parameters(theirs), MEMORY | DEPRECATED | PLACE)


@pytest.mark.parametrize("name", sorted(name for name in vars(nn.init) if name.endswith("_") and name[0] != "_"))
def test_init(name):
    """PyTorch's generators are not ours: here the argument is taken by name only."""
    torch = pytest.importorskip("torch")
    if name in OWN["init"]:
        assert not hasattr(torch.nn.init, name)
    else:
        ours, theirs = (parameters(getattr(library.init, name)) for library in (nn, torch.nn))
        assert {p.kind for p in ours if p.name == "generator"} <= {KEYWORD}
        compare(name, [p for p in ours if p.name != "generator"], theirs, {"generator"})


@pytest.mark.parametrize("name", sorted(set(data.__all__) - {"transforms"}))
def test_data(name):
    torch = pytest.importorskip("torch")
    if name in OWN["data"]:
        assert not hasattr(torch.utils.data, name)
    else:
        compare(name, parameters(getattr(data, name)), parameters(getattr(torch.utils.data, name)), set())


def test_parameter():
    """Parameter(data, requires_grad): the data must be given, and behind PyTorch's arguments stands the dtype."""
    torch = pytest.importorskip("torch")
    ours, theirs = ([p.name for p in parameters(library.Parameter)] for library in (nn, torch.nn))
    assert ours == [*theirs, "dtype"] == ["data", "requires_grad", "dtype"]


@pytest.mark.parametrize("name", public(optim, inspect.isclass))
def test_optim(name):
    torch = pytest.importorskip("torch")
    compare(name, parameters(getattr(optim, name)), parameters(getattr(torch.optim, name)), SPEED)


@pytest.mark.parametrize("name", public(optim.lr_scheduler, inspect.isclass))
def test_lr_scheduler(name):
    torch = pytest.importorskip("torch")
    compare(name, parameters(getattr(optim.lr_scheduler, name)), parameters(getattr(torch.optim.lr_scheduler, name)), set())


def test_the_tables_hold_nothing_else():
    names = {*public(F, inspect.isfunction), *public(nn, is_module),
             *public(optim.lr_scheduler, inspect.isclass), *vars(nn.init), *data.__all__}
    assert {*NOT_HERE, *OURS, *(name for name, _ in OTHER_DEFAULT), *(name for room in OWN.values() for name in room)} <= names


def test_what_is_compared():
    """The rule itself, on an example: an argument left out in the middle makes the later ones keywords."""
    def theirs(input, weight=None, size_average=None, reduction="mean"): ...
    def right(input, weight=None, *, reduction="mean"): ...
    def by_place(input, weight=None, reduction="mean"): ...
    def renamed(x, weight=None, *, reduction="mean"): ...
    def other(input, weight=None, *, reduction="sum"): ...
    compare("example", parameters(right), parameters(theirs), DEPRECATED)
    for wrong in (by_place, renamed, other):
        with pytest.raises(AssertionError):
            compare("example", parameters(wrong), parameters(theirs), DEPRECATED)
