"""The checks that train a little: learning a few examples by heart, real labels against shuffled ones, leftover gradients.

What they have in common: the same start (a copy of the model), the same batches, and one thing that differs.  The difference in
the losses then has one cause.

Sources: CS231n, Neural Networks Part 3; Karpathy 2019, A Recipe for Training Neural Networks; Zhang et al. 2017,
arXiv:1611.03530 (networks that learn shuffled labels by heart, and predict nothing).
"""

import math
from itertools import cycle, islice

import numpy as np

from .. import functional as F
from .. import nn
from ..autograd import no_grad
from ..ops.device import moved, on_host
from ..optim import Adam
from ..tensor import Tensor, raw
from .aside import aside, device_of_model, one_step, pairs
from .findings import Check, Finding

NEARLY = 0.1                                              # of the first loss: learned by heart
HELD, BYTES = 8, 1 << 28                                  # batches that are held out; the most that is kept in memory
MARGIN = 0.02                                             # losses that differ by less count as equal
LEAK = 0.7                                                # of the entropy: shuffled labels predicted better are no chance


def check_overfit(model, loader, criterion=F.cross_entropy, *, examples=8, steps=150):
    """A few examples can be learned by heart within some steps of Adam; dropout is off meanwhile.

    A network that cannot do this has a mistake in the loss, the gradient or the labels, or far too little capacity.

    >>> from tinyvision import data, models
    >>> check_overfit(models.MLP(64, (32,)), data.DataLoader(data.Digits(size=8), 32)).result
    'ok'
    """
    first = best = math.nan
    for lr in (1e-3, 1e-2):
        with aside("check_overfit", model, criterion, loaders=[loader]) as (copy, loss_of):
            inputs, targets = next(pairs("check_overfit", loader, copy))
            inputs, targets = inputs[:examples], head(targets, examples)
            without_dropout(copy.train())
            learned = [p for p in copy.parameters() if p.requires_grad]
            if not learned:
                return Check("overfit", "all parameters are frozen", skipped=True)
            losses, right, count = by_heart(copy, Adam(learned, lr=lr), loss_of, inputs, targets, steps)
        first, best = losses[0], np.nanmin([best, *losses])
        if right or best < NEARLY * first:
            return Check("overfit", f"{examples_text(inputs)} learned by heart in {count} steps, loss {first:.3g} to "
                                    f"{losses[-1]:.3g}")
    measured = f"loss of {examples_text(inputs)} from {first:.3g} to {best:.3g} in {steps} steps"
    seen = f"The loss of {examples_text(inputs)} went from {first:.4g} to {best:.4g} only in {steps} steps of Adam."
    if best < first / 2:
        return Check("overfit", measured, (Finding("note", "learned by heart slowly", "", seen, "Give it more steps: "
                     "check_overfit(..., steps=1000)."),))
    return Check("overfit", measured, (Finding("error", "cannot overfit a batch", "", seen, "Check that labels belong to their "
                 "inputs, that the gradient is right (tinyvision.gradcheck), that no layer is dead, and the criterion."),))


def by_heart(model, optimizer, criterion, inputs, targets, steps):
    """The losses, whether all answers are right at the end, and how many steps that took."""
    losses, right = [], False
    with np.errstate(all="ignore"):
        for count in range(1, steps + 1):
            outputs = model(inputs)
            loss = criterion(outputs, targets)
            losses.append(loss.item())
            right = all_right(outputs, targets) and losses[-1] < losses[0] / 2
            if right or losses[-1] < NEARLY * losses[0] or not (loss.requires_grad and math.isfinite(losses[-1])):
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return losses, right, count


def all_right(outputs, targets):
    """Whether outputs are scores of classes and the largest is the target everywhere."""
    return answers_classes(outputs, targets) and bool((raw(outputs).argmax(axis=1) == raw(targets)).all())


def answers_classes(outputs, targets):
    """Whether outputs are scores of classes, one more axis than the targets, which are their numbers."""
    y, t = raw(outputs), raw(targets)
    return getattr(t, "dtype", np.dtype("f")).kind in "iu" and getattr(y, "ndim", 0) == t.ndim + 1 and y.ndim > 1


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)):
            module.eval()


def head(targets, count):
    """The first targets of a batch, whatever it is made of."""
    if isinstance(targets, dict):
        return {key: head(value, count) for key, value in targets.items()}
    return targets[:count]


def examples_text(inputs):
    return f"{len(inputs)} example{'s' * (len(inputs) != 1)}"


def check_signal(model, loader, criterion=F.cross_entropy, step=None, *, optimizer=None, steps=40, seed=0):
    """Three short trainings from the same start: with the real labels, with shuffled ones, and with zeros as inputs.

    On batches that were held out the real labels must do better than the shuffled ones, or labels and inputs do not belong
    together.  Shuffled labels must not be predictable there.  Inputs must do better than zeros, or the network ignores them.
    step: your own, step(model, optimizer, inputs, targets) -> loss; optimizer: of this model, by default Adam with its own
    settings; seed: of the shuffling.

    >>> from tinyvision import data, manual_seed, models
    >>> _ = manual_seed(0); loader = data.DataLoader(data.Digits(size=8), 32, shuffle=True, generator=0)
    >>> check_signal(models.MLP(64, (32,)), loader).result
    'ok'
    """
    with aside("check_signal", model, loaders=[loader]):
        batches = collected(loader, steps)
    if len(batches) < 3 or not all(is_array(raw(inputs)) and arrays(targets) for inputs, targets in batches):
        return Check("signal", "needs at least 3 batches of arrays", skipped=True)
    held = max(1, min(HELD, len(batches) // 3))
    losses, floor = {}, math.nan
    for how in ("real", "shuffled", "zeros"):
        changed = rearranged(batches, how, np.random.default_rng(seed))
        losses[how], classes = short_run(model, criterion, step, optimizer, changed[held:], changed[:held], steps, loader)
        if how == "shuffled" and classes:
            floor = entropy([targets for _, targets in changed[:held]])
    return signal_check(losses, floor, steps)


def is_array(x):
    return isinstance(x, np.ndarray)


def arrays(targets):
    """Whether targets are an array, or a dict of them."""
    return all(is_array(raw(x)) for x in (targets.values() if isinstance(targets, dict) else [targets]))


def collected(loader, steps):
    """Batches of one pass, enough for so many steps and for holding some out, as long as they fit in memory."""
    batches, size = [], 0
    for batch in islice(pairs("check_signal", loader), min(steps + HELD, batches_in(loader))):
        batches.append(batch)
        size += getattr(raw(batch[0]), "nbytes", 0)
        if size > BYTES:
            break
    return batches


def batches_in(loader):
    return len(loader) if hasattr(loader, "__len__") else sum(1 for _ in loader)


def rearranged(batches, how, rng):
    """The batches as they are, with the targets shuffled among all examples, or with zeros as inputs."""
    if how == "zeros":
        return [(Tensor(np.zeros_like(raw(inputs))), targets) for inputs, targets in batches]
    if how == "real":
        return batches
    order, starts = rng.permutation(sum(len(inputs) for inputs, _ in batches)), np.cumsum([len(inputs) for inputs, _ in batches])

    def shuffled(columns):
        return [Tensor(x) for x in np.split(np.concatenate(list(map(raw, columns)))[order], starts[:-1])]
    answers = [targets for _, targets in batches]
    if isinstance(answers[0], dict):
        columns = {key: shuffled([targets[key] for targets in answers]) for key in answers[0]}
        mixed = [{key: column[k] for key, column in columns.items()} for k in range(len(batches))]
    else:
        mixed = shuffled(answers)
    return [(inputs, targets) for (inputs, _), targets in zip(batches, mixed)]


def short_run(model, criterion, step, optimizer, batches, held, steps, loader):
    """The losses of the held-out batches after some steps on the others, and whether answers are numbers of classes."""
    others = (criterion,) if optimizer is None else (criterion, optimizer)
    with aside("check_signal", model, *others, loaders=[loader], step=step) as copies, np.errstate(all="ignore"):
        copy, loss_of = copies[:2]
        own = copies[2] if optimizer is not None else Adam([p for p in copy.parameters() if p.requires_grad])
        copy.train()
        device = device_of_model(copy)
        for batch in islice(cycle(batches), steps):
            inputs, targets = moved(batch, device)
            if step is None:
                one_step(copy, own, loss_of, inputs, targets)
            else:
                step(copy, own, inputs, targets)
        without_dropout(copy.train())                     # not eval(): after so few steps running statistics lag behind
        with no_grad():
            pairs_held = [(copy(inputs), targets) for inputs, targets in moved(held, device)]
            return np.array([loss_of(*pair).item() for pair in pairs_held]), answers_classes(*pairs_held[0])


def entropy(batches):
    """The loss of the best constant answer: the entropy of the classes, at each position of a mask by itself, in nats."""
    targets = np.concatenate([raw(targets) for targets in batches])
    if targets.dtype.kind not in "iu":
        return math.nan
    shares = [(targets == k).mean(axis=0) for k in np.unique(targets)]
    return float(np.mean(-sum(p * np.log(np.maximum(p, 1e-300)) for p in shares)))


def better(losses, others):
    """Whether the losses are lower than the others by more than chance: paired, batch by batch."""
    gain = others - losses
    noise = 2 * gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 2 else 0.0
    return bool(gain.mean() > max(MARGIN * abs(others.mean()), noise))


def signal_check(losses, floor, steps):
    """The Check of the three trainings' held-out losses."""
    mean = {how: float(values.mean()) for how, values in losses.items()}
    measured = (f"held-out loss {mean['real']:.3f}, with shuffled labels {mean['shuffled']:.3f}, with zeros as inputs "
                f"{mean['zeros']:.3f}")
    findings, after = [], f"After {steps} steps the held-out loss is {mean['real']:.4g},"
    if mean["shuffled"] < LEAK * floor:
        findings.append(Finding("error", "shuffled labels are predicted", "", f"With shuffled labels the held-out loss is "
                                f"{mean['shuffled']:.4g}, where a guess has {floor:.4g}.", "The criterion, the network or the "
                                                                                           "step "
                                "sees the labels: look for a criterion that uses the outputs as targets, and for labels in the "
                                "inputs."))
    used = better(losses["real"], losses["shuffled"])     # a network that ignores its inputs learns as much from either
    if not findings and not used:
        findings.append(Finding("warning", "labels do not belong to the inputs", "", f"{after} with shuffled labels "
                                f"{mean['shuffled']:.4g}.", "Look at pictures with their labels as the loader gives them. If "
                                                            "they "
                                "belong together, train longer (steps=200) or with another learning rate."))
    if not better(losses["real"], losses["zeros"]) and used:
        findings.append(Finding("note", "inputs do not help yet", "", f"{after} with zeros as inputs {mean['zeros']:.4g}.",
                                "Usual where the answers are learned before the inputs, words of sentences for instance: take "
                                "more steps (steps=200) to see them help."))
    elif not better(losses["real"], losses["zeros"]):
        findings.append(Finding("warning", "inputs are not used", "", f"{after} with zeros as inputs {mean['zeros']:.4g}.",
                                "Look for inputs that are all alike after the transforms, dead layers, and a forward that drops "
                                "its input; else train longer."))
    return Check("signal", measured, tuple(findings))


def check_zero_grad(model, loader, step, *, optimizer=None):
    """A train step forgets the gradients of the one before: two steps end where they end with the gradients cleared between.

    step: step(model, optimizer, inputs, targets) -> loss.  A step that adds up gradients on purpose is found as well.

    >>> from tinyvision import data, manual_seed, models
    >>> _ = manual_seed(0); loader = data.DataLoader(data.Digits(size=8), 32, shuffle=True, generator=0)
    >>> def forgets(model, optimizer, images, labels):
    ...     loss = F.cross_entropy(model(images), labels)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> check_zero_grad(models.MLP(64, (32,)), loader, forgets).findings[0].name
    'zero_grad forgotten'
    """
    ends, norms = [], []
    for clear in (False, True):
        others = () if optimizer is None else (optimizer,)
        with aside("check_zero_grad", model, *others, loaders=[loader], step=step) as copies, np.errstate(all="ignore"):
            copy = copies[0].train()
            own = copies[1] if others else Adam([p for p in copy.parameters() if p.requires_grad])
            stream = pairs("check_zero_grad", loader, copy)
            step(copy, own, *next(stream))
            if clear:
                copy.zero_grad()
            step(copy, own, *next(stream))
            ends.append([on_host(p).copy() for p in copy.parameters()])
            norms.append(math.sqrt(sum(float(np.square(on_host(p.grad), dtype=np.float64).sum()) for p in copy.parameters()
                                       if p.grad is not None)))
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*ends))
    if same:
        return Check("zero_grad", "two steps end where they end with gradients cleared between")
    seen = (f"Gradients of one step are still there in the next: the gradient's norm after two steps is {norms[0]:.3g}, and "
            f"{norms[1]:.3g} when they are cleared between.")
    return Check("zero_grad", "gradients add up from step to step", (Finding(
        "error", "zero_grad forgotten", "", seen, "Call optimizer.zero_grad() before loss.backward() in every step."),))
