"""The checks that every lecture tells its students to make by hand before a long run, as functions.

    check_initial_loss     a network that knows nothing gives all C classes the same probability: its loss is log C
    check_output           probabilities given to a criterion that applies softmax itself; a ReLU or sigmoid at the end
    check_parameters       parameters that the loss does not depend on
    check_batch_mixing     output i must depend on input i alone: a wrong reshape or transpose mixes the batch
    check_evaluation       in evaluation the same input gives the same output, and nothing is changed
    check_overfit          a few examples can be learned by heart; if not, something is broken
    check_signal           real labels beat shuffled ones on held-out examples, and pictures beat zeros
    check_zero_grad        a train step of your own leaves no gradient behind for the next one
    check_normalization    training and test inputs have the same mean and spread

`check_training` makes all of them and returns a Report; those that train are in sanity_training.py.  All work on copies and
leave model, optimiser, loader and random numbers as they were.

Sources: CS231n, Neural Networks Part 3, "Sanity checks"; Karpathy 2019, A Recipe for Training Neural Networks.
"""

import math

import numpy as np

from .. import functional as F
from .. import nn
from ..autograd import grad, no_grad
from ..backend import to_device
from ..ops.device import on_host
from ..optim import Adam
from ..tensor import Tensor, raw
from .aside import aside, detached, pairs, tensors_in
from .findings import Check, Finding, Report
from .sanity_training import answers_classes, check_overfit, check_signal, check_zero_grad

LOUD = 3                                                  # times log C: a first loss above this is called too high


def check_training(model, loader, criterion=F.cross_entropy, step=None, *, optimizer=None, evaluate=None, test_loader=None,
                   steps=40):
    """Make all checks of this file and return a Report; report.passed says whether nothing was found.

    loader: gives (inputs, targets), more than once; test_loader: the same for held-out examples, for check_normalization.
    criterion: (outputs, targets) -> loss.
    step: your own train step, step(model, optimizer, inputs, targets) -> loss; evaluate: your own evaluation,
    evaluate(model, loader) -> a number.  Both must work on what they are passed.
    optimizer: of this model; by default Adam with its own settings is made for the copy.
    steps: of training in check_signal, three times over.
    Raises TypeError for arguments of the wrong kind, ValueError for a loader without batches.

    >>> from tinyvision import data, models, manual_seed
    >>> _ = manual_seed(0)
    >>> report = check_training(models.MLP(64, (32,)), data.DataLoader(data.Digits(size=8), 32, shuffle=True, generator=0))
    >>> report.passed, report.checks[0].measured.partition(", ")[2]
    (True, 'log 10 = 2.303 expected')
    """
    checks = [check_initial_loss(model, loader, criterion), check_output(model, loader, criterion),
              check_parameters(model, loader, criterion), check_batch_mixing(model, loader),
              check_evaluation(model, loader, evaluate=evaluate), check_overfit(model, loader, criterion),
              check_signal(model, loader, criterion, step, optimizer=optimizer, steps=steps)]
    if step is not None:
        checks.append(check_zero_grad(model, loader, step, optimizer=optimizer))
    if test_loader is not None:
        checks.append(check_normalization(loader, test_loader))
    return Report("check_training", checks)


# ---- at the start


def check_initial_loss(model, loader, criterion=F.cross_entropy):
    """The loss before any learning is that of a network that gives all classes the same: log C for C classes.

    Much above it the first layers' or the last layer's weights are too large, and the first steps go into shrinking them.

    >>> from tinyvision import data, models
    >>> check_initial_loss(models.MLP(64, (16,)), data.DataLoader(data.Digits(size=8), 64)).result
    'ok'
    """
    with aside("check_initial_loss", model, criterion, loaders=[loader]) as (model, criterion), no_grad():
        inputs, targets = next(pairs("check_initial_loss", loader, model))
        outputs = model.train()(inputs)
        loss, kind = criterion(outputs, targets).item(), criterion_kind(criterion, outputs, targets)
        if kind is None:
            return Check("first loss", f"loss {loss:.4g}; what to expect is known for classification only", skipped=True)
        know_nothing = np.full(outputs.shape, {"log": -math.log(max(2, outputs.shape[1] if outputs.ndim > 1 else 2)),
                                               "probability": 0.5}.get(kind, 0.0), outputs.dtype)
        expected = criterion(Tensor(know_nothing, device=outputs.device), targets).item()
        classes = outputs.shape[1] if kind in ("softmax", "log") and outputs.ndim > 1 else 2
    plain = math.isclose(expected, math.log(classes), rel_tol=1e-4)
    measured = f"loss {loss:.3f} at the start, {f'log {classes} = ' if plain else ''}{expected:.3f} expected"
    if not math.isfinite(loss) or loss > LOUD * expected + 0.3:
        seen = f"The first loss is {loss:.4g}; a network that knows nothing has {expected:.4g}."
        return Check("first loss", measured, (Finding("warning", "first loss too high", "", seen, "Make the initial weights of "
                                                                                                  "the "
                     "last layer smaller, normalise the inputs, and look whether softmax or the scale of the loss is right."),))
    if loss < expected / 1.5:
        seen = f"The first loss is {loss:.4g}, below the {expected:.4g} of a network that knows nothing."
        return Check("first loss", measured, (Finding("note", "knows something already", "", seen, "Expected of a network that "
                     "was trained before; otherwise the inputs give the labels away."),))
    return Check("first loss", measured)


def criterion_kind(criterion, outputs, targets):
    """What a criterion takes: "softmax" (scores of classes), "log" (log-probabilities), "sigmoid" (scores of yes and no),
    "probability" (of yes and no); None for another."""
    kinds = {F.cross_entropy: "softmax", F.nll_loss: "log", F.binary_cross_entropy_with_logits: "sigmoid",
             F.binary_cross_entropy: "probability", nn.CrossEntropyLoss: "softmax", nn.NLLLoss: "log",
             nn.BCEWithLogitsLoss: "sigmoid", nn.BCELoss: "probability"}
    known = kinds.get(type(criterion) if isinstance(criterion, nn.Module) else criterion)
    if known is not None:
        return known
    # A wrapped cross entropy is known by what it does: the same for all classes may be added to the scores.
    if not isinstance(outputs, Tensor) or not answers_classes(outputs, targets):
        return None
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(outputs.shape).astype(outputs.dtype)
    shifts = scores, scores + outputs.dtype.type(3), scores * 10
    a, b, confident = (criterion(Tensor(x, device=outputs.device), targets).item() for x in shifts)
    return "softmax" if math.isclose(a, b, rel_tol=1e-3) and not math.isclose(a, confident, rel_tol=1e-3) else None


def check_output(model, loader, criterion=F.cross_entropy):
    """The network's last operation suits the criterion: scores for one that applies softmax or sigmoid itself.

    >>> from tinyvision import data
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))
    >>> check_output(net, data.DataLoader(data.Digits(size=8), 32)).result
    'error'
    """
    with aside("check_output", model, criterion, loaders=[loader]) as (model, criterion):
        inputs, targets = next(pairs("check_output", loader, model))
        outputs = model.train()(inputs)
        with no_grad():
            kind = criterion_kind(criterion, detached(outputs), targets)
    return output_check(outputs, kind)


def output_check(outputs, kind):
    """The Check of outputs for a criterion of a kind."""
    if kind is None or outputs.ndim < 2:
        return Check("output", "the criterion is not known", skipped=True)
    y, last = on_host(outputs), outputs.op.name if outputs.op is not None else ""
    sums = y.sum(axis=1)
    distribution = bool((y >= 0).all() and np.allclose(sums, 1, atol=1e-3))
    logs = bool((y <= 1e-6).all() and np.allclose(np.exp(y.astype(np.float64)).sum(axis=1), 1, atol=1e-3))
    name, seen, remedy = None, "", ""
    if kind == "softmax" and distribution and y.shape[1] > 1:
        name = "softmax twice"
        seen = "The outputs are probabilities that add up to 1, and the criterion applies softmax to them again."
        remedy = "Give it the scores (logits): take the softmax out of the network."
    elif kind == "softmax" and last == "Sigmoid" or kind == "sigmoid" and (last == "Sigmoid" or distribution and y.shape[1] > 1):
        name, seen = "squashed scores", "The outputs lie between 0 and 1, and the criterion squashes them again."
        remedy = "Give it the scores (logits): take the sigmoid or softmax out of the network."
    elif kind == "log" and not logs:
        name = "no log-probabilities"
        seen = f"NLLLoss takes log-probabilities, the outputs reach from {y.min():.3g} to {y.max():.3g}."
        remedy = "End the network in LogSoftmax(1), or use CrossEntropyLoss on the scores."
    elif kind in ("softmax", "sigmoid") and last == "Relu":
        name, seen = "ReLU at the end", "The scores cannot be negative, and where they are 0 no gradient passes."
        remedy = "Leave the last layer linear."
    measured = f"scores from {y.min():.3g} to {y.max():.3g}, made by {last or 'no recorded operation'}"
    return Check("output", measured, (Finding("error", name, "", seen, remedy),) if name else ())


def check_parameters(model, loader, criterion=F.cross_entropy, *, batches=3):
    """Every parameter receives a gradient; the findings name those that do not.

    >>> from tinyvision import data, models
    >>> net = models.MLP(64, (16,)); net.forgotten = nn.Linear(3, 3)
    >>> sorted(f.where for f in check_parameters(net, data.DataLoader(data.Digits(size=8), 32)).findings)
    ['forgotten.bias', 'forgotten.weight']
    """
    with aside("check_parameters", model, criterion, loaders=[loader]) as (model, criterion):
        named, learned = list(model.train().named_parameters()), [p for p in model.parameters() if p.requires_grad]
        stream, optimizer = pairs("check_parameters", loader, model), Adam(learned) if learned else None
        reached, nonzero = [False] * len(named), [False] * len(named)
        for _ in range(batches):
            inputs, targets = next(stream)
            model.zero_grad()
            loss = criterion(model(inputs), targets)
            if not loss.requires_grad:
                finding = Finding("error", "loss without gradient", "", "The loss does not depend on any parameter.", CUT)
                return Check("parameters", "no gradient at all", (finding,))
            loss.backward()
            reached = [a or p.grad is not None for a, (_, p) in zip(reached, named)]
            nonzero = [a or p.grad is not None and bool(raw(p.grad).any()) for a, (_, p) in zip(nonzero, named)]
            optimizer.step()                              # behind a last layer that starts with zeros there is a gradient now
    return gradient_check(named, reached, nonzero)


CUT = ("Look for .data, .numpy(), detach() or no_grad() on the way from the parameters to the loss: they cut the graph.")


def gradient_check(named, reached, nonzero):
    """The Check that all parameters that learn were reached by a gradient, and one that is not 0."""
    learned = [(name, a, b) for (name, p), a, b in zip(named, reached, nonzero) if p.requires_grad]
    findings = []
    for name, a, b in learned:
        if not a:
            findings.append(Finding("error", "parameter without gradient", name, "The loss does not depend on it.", "Use it in "
                            f"forward, or take it out. {CUT}"))
        elif not b:
            findings.append(Finding("warning", "gradient is zero", name, "Every element of its gradient is exactly 0.",
                                    "Look for dead units, or a weight of zeros, between it and the loss."))
    frozen = len(named) - len(learned)
    text = f"{sum(b for _, _, b in learned)} of {len(learned)} receive a gradient" + (f", {frozen} are frozen" if frozen else "")
    return Check("parameters", text, tuple(findings))


def check_batch_mixing(model, loader, *, examples=4):
    """In evaluation mode, output i depends on input i alone: the gradient with respect to any other input is exactly 0.

    >>> from tinyvision import data
    >>> loader = data.DataLoader(data.Digits(size=8), 32)
    >>> check_batch_mixing(nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (64, -1))), loader).findings[0].name
    'batch axis lost'
    """
    with aside("check_batch_mixing", model, loaders=[loader]) as (model,):
        inputs, _ = next(pairs("check_batch_mixing", loader, model))
        if not hasattr(raw(inputs), "dtype") or raw(inputs).dtype.kind != "f" or len(inputs) < 2:
            return Check("batch mixing", "needs batches of at least 2 inputs of floating-point numbers", skipped=True)
        x = Tensor(raw(inputs)[:examples], requires_grad=True)
        rng, share = np.random.default_rng(0), np.zeros((len(x), len(x)))
        for p in model.parameters():
            if p.ndim > 1 and not raw(p).any():           # through a last layer that starts with zeros nothing passes yet
                p.data[...] = to_device(0.1 * rng.standard_normal(p.shape), p.device)
        parts = tensors_in(model.eval()(x))
        lost = [part.shape for part in parts if part.shape[:1] != x.shape[:1]]
        if lost:
            seen = f"{len(x)} inputs give outputs of shape {lost[0]}."
            return Check("batch mixing", seen, (Finding("error", "batch axis lost", "", seen, MIXING),))
        weights = [Tensor(rng.standard_normal(part.shape[1:]).astype(part.dtype), device=x.device) for part in parts]
        for i in range(len(x)):
            total = sum((part[i] * w).sum() for part, w in zip(parts, weights))
            (g,) = grad(total, [x], retain_graph=True, allow_unused=True)
            if g is not None:
                share[i] = np.abs(on_host(g)).reshape(len(x), -1).max(axis=1)
    return mixing_check(share)


MIXING = ("Look for a reshape or transpose that moves the batch axis, softmax or a mean over axis 0, and use "
          "x.reshape((len(x), -1)) or flatten(1).")


def mixing_check(share):
    """The Check of how strongly each output (row) depends on each input (column)."""
    others = share - np.diag(np.diag(share))
    findings = []
    if others.any():
        i, j = np.unravel_index(others.argmax(), others.shape)
        findings.append(Finding("error", "batch mixing", "", f"Output {i} depends on input {j}: the gradient is up to "
                                f"{others[i, j]:.2g}.", MIXING))
    elif not np.diag(share).any():
        findings.append(Finding("error", "input ignored", "", "In evaluation mode the outputs do not depend on the inputs at "
                                                              "all.",
                                f"{CUT} Dead units do the same."))
    return Check("batch mixing", f"gradients across examples are {'not ' if others.any() else ''}0", tuple(findings))


def check_evaluation(model, loader, *, evaluate=None):
    """In evaluation mode the same input gives the same output, and buffers stay as they are.

    evaluate: your own function evaluate(model, loader) -> a number; its result must not depend on the mode in which it finds
    the model, and must not change weights or buffers.

    >>> from tinyvision import data
    >>> forgetful = lambda model, loader: float(model.train()(next(iter(loader))[0]).sum())
    >>> loader = data.DataLoader(data.Digits(size=8), 32)
    >>> check_evaluation(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), loader, evaluate=forgetful).result
    'ok'
    """
    findings = []
    with aside("check_evaluation", model, loaders=[loader], step=evaluate) as (model,):
        inputs, _ = next(pairs("check_evaluation", loader, model))
        model.eval()
        before = arrays(model)
        with no_grad():
            first, second = ([on_host(part) for part in tensors_in(model(inputs))] for _ in range(2))
        differing = [(a, b) for a, b in zip(first, second) if not np.array_equal(a, b, equal_nan=True)]
        if differing:
            most = max(np.abs(a - b).max() for a, b in differing)
            seen = f"Two evaluations of the same inputs differ by up to {most:.2g}."
            findings.append(Finding("error", "evaluation is random", "", seen, "Call F.dropout with training=self.training, or "
                                                                               "use "
                                    "nn.Dropout: eval() turns only that off."))
        findings += changed(model, before, "the model in evaluation mode")
    if evaluate is not None:
        findings += own_evaluation(model, loader, evaluate)
    return Check("evaluation", "the same input gives " + ("different outputs" if findings else "the same output, nothing is "
                                                                                               "changed"),
                 tuple(findings))


def own_evaluation(model, loader, evaluate):
    """Findings on a user's evaluation: run on a model in training mode, and on one in evaluation mode."""
    results, findings = [], []
    for mode in (False, True):
        with aside("check_evaluation", model, loaders=[loader], step=evaluate) as (copy,):
            copy.train(mode)
            before = arrays(copy)
            results.append(float(evaluate(copy, loader)))
            if mode:
                findings = changed(copy, before, "evaluate")
    if not math.isclose(*results, rel_tol=1e-6, abs_tol=1e-9):
        seen = f"evaluate gives {results[0]:.5g} for the model in evaluation mode and {results[1]:.5g} in training mode."
        findings.insert(0, Finding("error", "eval mode forgotten", "", seen, "Call model.eval() at its beginning, and "
                                                                             "model.train() "
                                   "afterwards."))
    return findings


def arrays(model):
    return {name: on_host(x).copy() for name, x in [*model.named_parameters(), *model.named_buffers()]}


def changed(model, before, who):
    now = arrays(model)
    names = [name for name, x in before.items() if not np.array_equal(x, now[name], equal_nan=True)]
    return [Finding("error", "evaluation changes the model", names[0], f"{who[0].upper()}{who[1:]} changed {len(names)} arrays.",
                    "Call model.eval() first: running statistics then stay. No optimiser may step.")] if names else []


def check_normalization(train_loader, test_loader, *, batches=20):
    """Training and test inputs have the same mean and spread in every channel (axis 1): one normalisation for both.

    batches: how many of each loader are looked at.

    >>> from tinyvision import data
    >>> digits = data.Digits(size=8)
    >>> loader, other = data.DataLoader(digits, 32), data.DataLoader([(255 * x, y) for x, y in digits], 32)
    >>> check_normalization(loader, loader).result, check_normalization(loader, other).result != "ok"
    ('ok', True)
    """
    found = []
    for loader in (train_loader, test_loader):
        with aside("check_normalization", nn.Identity(), loaders=[loader]):
            found.append(moments(loader, batches))
    (mean, std, low, high), (other_mean, other_std, other_low, other_high) = found
    measured = f"training inputs {spread(mean, std)}, test inputs {spread(other_mean, other_std)} (mean, std of the channels)"
    if mean.shape != other_mean.shape:
        seen = f"Training inputs have {len(mean)} channels, test inputs {len(other_mean)}."
        return Check("normalisation", measured, (Finding("error", "channels differ", "", seen, "Use the same transforms."),))
    scale = np.maximum(std, 1e-12)
    apart, wider = np.abs(other_mean - mean) / scale, np.maximum(other_std, 1e-12) / scale
    if apart.max() > APART or not 1 / WIDER < wider.min() <= wider.max() < WIDER:
        k = int(np.argmax(np.maximum(apart / APART, np.abs(np.log(wider)) / math.log(WIDER))))
        seen = (f"In channel {k} the training inputs have mean {mean[k]:.3g} and std {std[k]:.3g}, the test inputs "
                f"{other_mean[k]:.3g} and {other_std[k]:.3g} (from {low:.3g} to {high:.3g}, and {other_low:.3g} to "
                f"{other_high:.3g}).")
        return Check("normalisation", measured, (Finding("error", "normalised differently", "channel "
                                                                                            f"{k}", seen, "Normalise both "
                     "with the mean and std of the training set, and scale both to the same range."),))
    return Check("normalisation", measured)


APART, WIDER = 0.5, 1.6                                   # means this many std apart, spreads this much wider, are no chance


def moments(loader, batches):
    """Mean and std of every channel over some batches, and the smallest and the largest number."""
    count, total, squares, low, high = 0, 0.0, 0.0, math.inf, -math.inf
    size = len(loader) if hasattr(loader, "__len__") else batches
    for (inputs, _), _ in zip(pairs("check_normalization", loader), range(min(size, batches) or 1)):
        x = np.asarray(raw(inputs), np.float64)
        x = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1) if x.ndim > 2 else x.reshape(1, -1)
        count, total, squares = count + x.shape[1], total + x.sum(axis=1), squares + np.square(x).sum(axis=1)
        low, high = min(low, x.min()), max(high, x.max())
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean ** 2, 0)), low, high


def spread(mean, std):
    return ", ".join(f"{m:.3g} +- {s:.3g}" for m, s in list(zip(mean, std))[:3]) + (", ..." if len(mean) > 3 else "")
