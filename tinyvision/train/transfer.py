"""Transfer: what a network learned on many pictures, used where there are few.

A trained network is a body, which turns pictures into vectors, and a head, its last dense layer, which turns vectors into
answers.  The answers are of no use for other classes, the vectors are.  So the head is cut off, and then there are three ways,
from few examples to many:

    extract     vectors of all pictures, once; any classifier learns from them, a random forest for instance
    freeze      a new head learns by gradient, the body stays as it is
    fine-tune   everything learns, the body with a smaller learning rate, so that what it knows is not torn down at first

    name, head = cut_head(model)                                           ->  extract_features(model, loader)
    attach_head(model, nn.Linear(64, 3));  freeze(model, "*");  unfreeze(model, name)
    optim.SGD(parameter_groups(model, {name: 0.1, "*": 0.01}), lr=0.01)

What is frozen has no gradient, and computes as in evaluation even while the rest trains: a batch norm that went on averaging
would change the vectors without any gradient.

Sources: Donahue et al. 2013, DeCAF, arXiv:1310.1531, and Razavian et al. 2014, arXiv:1403.6382 (features off the shelf); Yosinski
et al. 2014, How transferable are features in deep neural networks?, arXiv:1411.1792 (which layers, and fine-tuning).
"""

import types
from collections.abc import Mapping
from fnmatch import fnmatchcase

import numpy as np

from ..autograd import no_grad
from ..backend import CPU
from ..interpret.record import check_model, evaluating, run
from ..nn import Identity, Linear, Module
from ..ops.device import moved, on_host
from ..packages import require
from ..tensor import Tensor


def head_name(model):
    """The path of the last Linear layer, "fc" or "linear" for instance.

    Raises ValueError for a network without a Linear layer, TypeError for what is no Module.

    >>> from tinyvision import models
    >>> head_name(models.resnet20()), head_name(models.LeNet5())
    ('linear', 'fc3')
    """
    check_model("head_name", model)
    names = [path for path, module in model.named_modules() if isinstance(module, Linear)]
    if not names or names[-1] == "":
        raise ValueError(f"head_name: {type(model).__name__} has no Linear layer inside. Name the head: name=... .")
    return names[-1]


def place_of(who, model, name):
    """The module that holds the one at this path, and its name there."""
    check_model(who, model)
    modules = dict(model.named_modules(remove_duplicate=False))
    if not name or name not in modules:
        known = [path for path in modules if path]
        raise ValueError(f"{who}: {type(model).__name__} has no layer {name!r}. There is: {', '.join(known[-12:]) or 'none'}.")
    parent, _, last = name.rpartition(".")
    return modules[parent], last


def cut_head(model, name=None):
    """Take the head off a network, in place: from then on it gives the vectors that the head was fed with.

    name: the path of the head, None for the last Linear layer; an Identity stands there afterwards.
    Returns (name, head).
    Raises ValueError for a path that the network does not have.

    >>> from tinyvision import models
    >>> model = models.resnet20()
    >>> name, head = cut_head(model)
    >>> name, head, model(Tensor(np.zeros((1, 3, 32, 32), "float32"))).shape
    ('linear', Linear(in_features=64, out_features=10, bias=True), (1, 64))
    """
    name = head_name(model) if name is None else name
    holder, last = place_of("cut_head", model, name)
    head = getattr(holder, last)
    setattr(holder, last, Identity())
    return name, head


def attach_head(model, head, name=None):
    """Put a new head onto a network, in place, where the old one is or was; returns the old one.

    head: a Module, or a number of classes: then a new Linear layer with as many inputs as the old one had.
    name: the path, None for the last Linear layer.
    Raises ValueError for a path that the network does not have, and for a number where no Linear layer was; TypeError for a head
    of another kind.

    >>> from tinyvision import models
    >>> model = models.resnet20()
    >>> attach_head(model, 3), model.linear
    (Linear(in_features=64, out_features=10, bias=True), Linear(in_features=64, out_features=3, bias=True))
    """
    if isinstance(head, bool) or not isinstance(head, (int, Module)):
        raise TypeError(f"attach_head: head must be a Module or a number of classes, got {type(head).__name__}. A classifier of "
                        "scikit-learn works on vectors: SklearnHead.")
    name = head_name(model) if name is None else name
    holder, last = place_of("attach_head", model, name)
    old = getattr(holder, last)
    if isinstance(head, int):
        if not isinstance(old, Linear):
            raise ValueError(f"attach_head: at {name!r} is {type(old).__name__}, no Linear layer, so the number of inputs is not "
                             "known. Pass the new layer.")
        head = Linear(old.in_features, head, bias=old.bias is not None)
        head.to(old.weight.device, old.weight.dtype)
    setattr(holder, last, head)
    return old


def freeze(model, *patterns):
    """Stop learning in the parts of a network whose paths match, in place; returns the names of the parameters.

    patterns: paths of modules or parameters, with * and ? as in file names: "layer1", "layer?.0", "*.bias", "*"; a module brings
    everything below it.  Modules so frozen stay in evaluation mode, whatever train() says, until they are unfrozen.
    Raises ValueError for no pattern, and for one that matches nothing.

    >>> from tinyvision import models
    >>> model = models.LeNet5()
    >>> freeze(model, "conv*", "fc1.bias")
    ['conv1.weight', 'conv1.bias', 'conv2.weight', 'conv2.bias', 'fc1.bias']
    """
    modules, parameters = matching("freeze", model, patterns)
    for p in parameters.values():
        p.requires_grad, p.grad = False, None
    for module in modules:
        module.train = types.MethodType(stay, module)
        module.train()
    return list(parameters)


def unfreeze(model, *patterns):
    """Let parts of a network learn again that were frozen, as `freeze` names them; they take the mode of the network.

    >>> from tinyvision import models
    >>> model = models.LeNet5()
    >>> len(freeze(model, "*")), unfreeze(model, "fc3"), [name for name, p in model.named_parameters() if p.requires_grad]
    (10, ['fc3.weight', 'fc3.bias'], ['fc3.weight', 'fc3.bias'])
    """
    modules, parameters = matching("unfreeze", model, patterns)
    for p in parameters.values():
        p.requires_grad = True
    for module in model.modules():                        # what holds them must pass the mode on; frozen neighbours stay
        if any(below in modules for below in module.modules()):
            vars(module).pop("train", None)
    for module in modules:
        module.training = model.training
    return list(parameters)


def stay(self, mode=True):
    """Module.train of a frozen module: evaluation mode here and below."""
    return Module.train(self, False)


def matching(who, model, patterns):
    """The modules that match, all below them included, and the parameters, by path."""
    check_model(who, model)
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError(f"{who}: needs at least one path or pattern, as text, got {patterns!r}. '*' stands for everything.")
    paths = [path for path, _ in model.named_modules() if path]
    parameters, chosen, kept = dict(model.named_parameters()), {}, {}
    for pattern in patterns:
        roots = [path for path in paths if fnmatchcase(path, pattern)]
        inside = [path for path in paths if any(path == root or path.startswith(f"{root}.") for root in roots)]
        found = [name for name in parameters if fnmatchcase(name, pattern) or any(name.startswith(f"{root}.") for root in roots)]
        if not roots and not found:
            known = ", ".join([name for name, _ in model.named_children()][:12])
            raise ValueError(f"{who}: nothing in {type(model).__name__} matches {pattern!r}. There is: {known or 'nothing'}.")
        chosen.update(dict.fromkeys(inside))
        kept.update(dict.fromkeys(found))
    return [model.get_submodule(path) for path in paths if path in chosen], {n: p for n, p in parameters.items() if n in kept}


def parameter_groups(model, options):
    """Groups for an optimiser: parts of a network with a learning rate, or other options, of their own.

    options: {pattern: learning rate, or a dict of options}; patterns as in `freeze`, the first that matches a parameter counts.
    Parameters that are frozen are left out, and so are groups without any.
    Raises ValueError where a parameter that learns matches no pattern, and for a pattern that matches nothing; TypeError for
    options that are no mapping.

    >>> from tinyvision import models
    >>> [(group["lr"], len(group["params"])) for group in parameter_groups(models.LeNet5(), {"fc3": 0.1, "*": 0.01})]
    [(0.1, 2), (0.01, 8)]
    """
    if not isinstance(options, Mapping):
        raise TypeError("parameter_groups: options must be a mapping from patterns to learning rates, got "
                        f"{type(options).__name__}.")
    left = {name: p for name, p in model.named_parameters() if p.requires_grad}
    groups = []
    for pattern, own in options.items():
        _, found = matching("parameter_groups", model, (pattern,))
        params = [left.pop(name) for name in found if name in left]
        if params:
            groups.append({"params": params, **(own if isinstance(own, Mapping) else {"lr": own})})
    if left:
        raise ValueError(f"parameter_groups: no pattern matches {', '.join(list(left)[:4])}{', ...' * (len(left) > 4)}. Add '*' "
                         "with the learning rate of the rest, or freeze them.")
    return groups


def extract_features(model, loader, layer=None, *, pool=True):
    """The vectors that a network makes of all pictures of a loader, and their targets.

    loader: an iterable of batches (inputs, targets), a DataLoader for instance, in a fixed order; what comes besides is left out.
    layer: the path of a layer, whose output counts; None for the input of the head, the last Linear layer.
    pool: mean over all pixels of maps (N, C, *S) -> (N, C); False leaves them as they are.
    Returns arrays: features (N, D), targets (N, ...), the latter None where a batch is inputs alone.
    The network computes in evaluation mode and without a graph, and its modes are as before afterwards.
    Raises ValueError for a loader without batches and layers that do not exist.

    >>> from tinyvision import data, models
    >>> loader = data.DataLoader(data.Digits(train=False), batch_size=100)
    >>> features, labels = extract_features(models.LeNet5(), loader)
    >>> features.shape, labels.shape
    ((360, 84), (360,))
    """
    who = "extract_features"
    check_model(who, model)
    features, targets, device = [], [], next((p.device for p in model.parameters()), CPU)
    with evaluating(model), no_grad():
        for batch in loader:
            inputs = batch[0] if isinstance(batch, (tuple, list)) else batch
            x = moved(inputs if isinstance(inputs, Tensor) else Tensor(inputs), device)
            y = before_head(who, model, x) if layer is None else run(who, model, x, [layer])[1][layer]
            y = on_host(y)
            features.append(y.mean(axis=tuple(range(2, y.ndim))) if pool and y.ndim > 2 else y.copy())
            if isinstance(batch, (tuple, list)) and len(batch) > 1:
                targets.append(np.asarray(on_host(batch[1])))
    if not features:
        raise ValueError(f"{who}: the loader gave no batches. Check the data set, batch_size and drop_last.")
    return np.concatenate(features), np.concatenate(targets) if targets else None


def before_head(who, model, x):
    """What the last Linear layer is fed with; where the head was cut off, what the network gives."""
    names = [path for path, module in model.named_modules() if isinstance(module, (Linear, Identity))]
    if not names:
        raise ValueError(f"{who}: {type(model).__name__} has no Linear layer whose input could be taken. Name a layer.")
    seen = []
    with model.get_submodule(names[-1]).register_forward_pre_hook(lambda module, args: seen.append(args[0])):
        output = model(x)
    return seen[-1] if seen else output


class SklearnHead:
    """A classifier of scikit-learn on the vectors of a network: a random forest, a support vector machine, neighbours.

    model: the network; estimator: anything with fit and predict; layer, pool: as in extract_features.
    fit(loader), predict(loader), score(loader) take loaders; the network itself is not changed.
    Raises TypeError for an estimator without fit or predict.

    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from tinyvision import data, models
    >>> head = SklearnHead(models.LeNet5(), RandomForestClassifier(50, random_state=0))
    >>> loader = data.DataLoader(data.Digits(), batch_size=100)
    >>> head.fit(loader).score(data.DataLoader(data.Digits(train=False), batch_size=100)) > 0.8           # random weights
    True
    """

    def __init__(self, model, estimator, layer=None, *, pool=True):
        require("SklearnHead", "sklearn")
        check_model("SklearnHead", model)
        if isinstance(estimator, type) or not all(callable(getattr(estimator, name, None)) for name in ("fit", "predict")):
            raise TypeError(f"SklearnHead: estimator must have fit and predict, got {estimator!r}. Write the parentheses: "
                            "RandomForestClassifier().")
        self.model, self.estimator, self.layer, self.pool = model, estimator, layer, pool

    def vectors(self, loader):
        """The features, flattened to (N, D), and the targets."""
        x, targets = extract_features(self.model, loader, self.layer, pool=self.pool)
        return x.reshape(len(x), -1), targets

    def fit(self, loader):
        """Extract the vectors of a loader of (inputs, targets) and let the estimator learn from them; returns this."""
        x, targets = self.vectors(loader)
        if targets is None:
            raise ValueError("SklearnHead: fit needs a loader of (inputs, targets), got inputs alone.")
        self.estimator.fit(x, targets)
        return self

    def predict(self, loader):
        """What the estimator says of the pictures of a loader, in its order."""
        return self.estimator.predict(self.vectors(loader)[0])

    def score(self, loader):
        """The share of right answers, 0..1, or what else the estimator's score is."""
        return float(self.estimator.score(*self.vectors(loader)))
