"""The examinations of the training doctor: each reads one symptom off a Visit (doctor.py) and returns a Check, or None.

The limits, with what is usual:

    input std          0.05 .. 5, |mean| below 3              1 and 0 after standardising; 0.3 and 0.3 for brightness 0..1
    update ratio       2e-5 .. 0.5                            1e-3; ten times that in Adam's first steps
    dead units         three quarters of a layer              up to half behind PyTorch's initial weights
    saturated          half of a layer                        below a tenth
    gradient by depth  |g| / |w| falls below a thousandth     within a factor of ten or so
"""

import math

import numpy as np

from ..nn import norm as norms
from ..nn.dropout import DropoutBase
from ..tensor import Tensor, raw
from .findings import Check, Finding
from .sanity import CUT, gradient_check, output_check

WIDE, NARROW, OFF = 5.0, 0.05, 3.0                        # std of the inputs, |mean|
BYTES = 16.0                                              # numbers from 0 to beyond this are taken for bytes
SLOW, FAST = 2e-5, 0.5                                    # update ratios
DEAD, SATURATED = 0.75, 0.5
VANISHED = EXPLODED = 1e-3
HUGE = 1e4                                                # norm of the whole gradient
RISING, SPIKE, FALLING = 1.3, 4.0, 0.97                   # the loss at the end, or in between, over the loss at the start


def mode(visit):
    """Training is for a network in training mode."""
    sensitive = [(name, m) for name, m in visit.model.named_modules()
                 if isinstance(m, (norms.TrackingNorm, DropoutBase)) and not m.training]
    if visit.model.training or not sensitive:
        text = "training mode" if visit.model.training else "evaluation mode, which makes no difference here"
        note = tuple(Finding("note", "layer in evaluation mode", name, f"{type(m).__name__} is in evaluation mode while the "
                                                                       "model "
                             "trains.", "Right for frozen layers, else call model.train().") for name, m in sensitive)
        return Check("mode", text, note)
    name, module = sensitive[0]
    seen = (f"The model is in evaluation mode: {len(sensitive)} layers, the first {name or 'itself'} ({type(module).__name__}), "
            "neither "
            "drop nor gather statistics.")
    return Check("mode", "evaluation mode", (Finding("warning", "model in eval mode", name, seen,
                                                     "Call model.train() before training."),))


def inputs(visit):
    """Inputs should have mean about 0 and std about 1, or brightness from 0 to 1."""
    b = visit.batches
    if b.count == 0:
        return Check("inputs", "no arrays of numbers", skipped=True)
    found = []
    measured = f"mean {b.mean.mean():.3g}, std {b.std.mean():.3g}, from {b.low:.3g} to {b.high:.3g}"
    if not (math.isfinite(b.low) and math.isfinite(b.high)):
        found.append(Finding("error", "inputs not finite", "input", "There are NaN or infinite numbers in the inputs.",
                             "Look for divisions by the std of a constant picture in the transforms."))
    elif b.alike and sum(b.sizes) > 1:
        found.append(Finding("error", "inputs all alike", "input", f"All {sum(b.sizes)} inputs are the same.",
                             "Look at what the transforms and the data set return."))
    elif b.low >= 0 and b.high > BYTES:
        found.append(Finding("warning", "inputs not normalised", "input", f"The inputs reach from {b.low:.3g} to {b.high:.3g}.",
                             "Divide bytes by 255, then subtract the mean and divide by the std of the training set."))
    else:
        k = int(np.argmax(np.maximum(np.abs(b.mean) / OFF, np.maximum(b.std / WIDE, NARROW / np.maximum(b.std, 1e-12)))))
        if abs(b.mean[k]) > OFF or not NARROW <= b.std[k] <= WIDE:
            seen = f"Channel {k} of the inputs has mean {b.mean[k]:.3g} and std {b.std[k]:.3g}."
            found.append(Finding("warning", "inputs not normalised", "input", seen,
                                 "Subtract the mean and divide by the std of the training set, channel by channel."))
    return Check("inputs", measured, tuple(found))


def labels(visit):
    """Labels should differ, within batches too, and no class should drown the others."""
    b = visit.batches
    total = sum(b.labels.values())
    y = visit.output
    if not total or y is not None and (not isinstance(y, Tensor) or y.ndim == len(b.shape) and y.shape[1:] != b.shape[1:]):
        return Check("labels", "no class indices", skipped=True)
    top, number = max(b.labels.items(), key=lambda item: item[1])
    scores = visit.output.shape[1] if visit.output is not None and visit.output.ndim > 1 else len(b.labels)
    classes, share, found = max(scores, len(b.labels)), number / total, []
    if len(b.labels) == 1 and total > 1:
        found.append(Finding("error", "labels constant", "labels", f"All {total} labels are {top}.", "Look at the labels as the "
                             "loader gives them; a data set sorted by class needs shuffle=True."))
    elif b.single > len(b.sizes) / 2 and min(b.sizes) > 3 and not b.dense:
        found.append(Finding("error", "batches of one class", "labels", f"{b.single} of {len(b.sizes)} batches hold one class "
                                                                        "only.",
                             "The data are sorted by class: pass shuffle=True to the loader."))
    elif total >= 30 and share > (0.98 if b.dense else min(0.9, max(0.2, 4 / classes))):
        found.append(Finding("warning", "class imbalance", "labels", f"Class {top} has {100 * share:.0f}% of the labels, of "
                                                                     f"{classes} "
                             "classes.", "Weight the classes in the criterion, draw the rare ones more often, and measure the "
                             "mean over classes besides the accuracy."))
    return Check("labels", f"{len(b.labels)} of {classes} classes seen, the largest has {100 * share:.0f}%", tuple(found))


def batch_size(visit):
    """Batch norm takes its statistics from the batch."""
    one = bool(visit.batches.sizes) and min(visit.batches.sizes) == 1
    layers = [name or type(m).__name__ for name, m in visit.model.named_modules()
              if isinstance(m, norms.BatchNorm) and m.training]
    if not layers:
        return None
    found = (Finding("warning", "batch norm with batch 1", layers[0], "A batch holds one example, and batch norm subtracts its "
                                                                      "own "
                     "mean from it.", "Use larger batches and drop_last=True, or GroupNorm."),) if one else ()
    return Check("batch size", f"{min(visit.batches.sizes, default=0)} at least, {len(layers)} layers of batch norm", found)


def optimizer(visit):
    """The optimiser holds what is to be learned, and moves it."""
    found, groups = [], visit.optimizer.param_groups
    if not visit.holds_any:
        found.append(Finding("error", "optimiser of another model", "", "The optimiser holds none of the model's parameters.",
                             "Make it from this model: Adam(model.parameters())."))
    else:
        for name in visit.forgotten:
            found.append(Finding("warning", "parameter not in the optimiser", name, "It requires a gradient and is never "
                                                                                    "changed.",
                                 "Pass it to the optimiser, or set requires_grad = False."))
    rates = [group["lr"] for group in groups]
    if not any(rates):
        found.append(Finding("error", "learning rate is 0", "", "No step changes anything.", "Set lr, and look at the schedule."))
    decay = max(group["lr"] * group.get("weight_decay", 0) for group in groups)
    if decay > 0.01:
        found.append(Finding("warning", "weight decay too strong", "", f"lr * weight_decay = {decay:.3g}: in 100 steps the "
                                                                       "weights shrink "
                             f"to {max(0.0, 1 - decay) ** 100:.2g} of themselves.", "Use a weight_decay of 1e-4 (SGD) to 1e-2 "
                                                                                    "(AdamW)."))
    return Check("optimiser", f"{type(visit.optimizer).__name__}, lr {', '.join(f'{lr:.3g}' for lr in rates)}", tuple(found))


def start(visit):
    """Weights that are all alike: units that start the same stay the same."""
    found, moved = [], {name for name, p in visit.model.named_parameters() if raw(p).any()}
    for name, w in visit.at_start.items():
        if w.ndim < 2 or w.size < 2:
            continue
        if not w.any() and name in moved:
            found.append(Finding("note", "layer of zeros", name, f"All {w.size} weights are 0 at the start, and have moved since.",
                                 "Right for last layers that shall begin with an answer of 0; before the first step no gradient "
                                 "passes through it."))
        elif not w.any():
            found.append(Finding("warning", "layer of zeros", name, f"All {w.size} weights are 0, and stay so.",
                                 "Initialise them at random (nn.init): no gradient passes through a layer of zeros."))
        elif len(w) > 1 and (w == w[:1]).all():
            found.append(Finding("warning", "units all alike", name, f"Its {len(w)} units start with the same weights, and so "
                                                                     "learn "
                                 "the same.", "Initialise them at random (nn.init)."))
    return Check("initial weights", f"{sum(w.ndim > 1 for w in visit.at_start.values())} arrays", tuple(found))


def output(visit):
    """The last operation suits the criterion (see check_output)."""
    return None if visit.output is None else output_check(visit.output, visit.kind)


def numbers(visit):
    """The loss is a finite number at every step."""
    if visit.unconnected:
        return Check("loss", "has no gradient", (Finding("error", "loss without gradient", "", "The loss does not depend on any "
                                                         "parameter.", CUT),))
    if visit.broken is None:
        return Check("loss", f"finite in {len(visit.losses)} steps, {visit.losses[0]:.4g} to {visit.losses[-1]:.4g}")
    place, sentence = visit.broken
    step = len(visit.losses) + 1
    way = f" after losses of {', '.join(f'{loss:.3g}' for loss in visit.losses[-3:])}" if visit.losses else ""
    return Check("loss", f"not finite in step {step}", (Finding(
        "error", "loss not finite", place, f"In step {step}{way}: {sentence}", "Keep arguments of log, sqrt and division away "
                                                                               "from 0 "
        "(log_softmax, eps), lower the learning rate, clip gradients, and look for NaN in the data."),))


def gradients(visit):
    """Every parameter receives a gradient."""
    rows = visit.watch.parameters
    if visit.unconnected or not rows or not rows[0].gradients:
        return None
    if all(g is None for row in rows for g in row.gradients):
        return Check("gradients", "cleared by the step before they could be seen", skipped=True)
    check = gradient_check(list(visit.model.named_parameters()), [any(g is not None for g in row.gradients) for row in rows],
                           [any(row.gradients) for row in rows])
    return Check("gradients", check.measured, check.findings)


def depth(visit):
    """Gradients relative to the weights, along the depth."""
    by_name = {row.name: row for row in visit.watch.parameters}
    rows = [by_name[f"{layer.name}.weight"] for layer in visit.watch.layers if f"{layer.name}.weight" in by_name]
    rows = [row for row in rows if len(row.shape) > 1 and row.norm and row.gradient > 0]
    if len(rows) < 2 or visit.unconnected:
        return None
    sizes = [row.gradient / row.norm for row in rows]
    whole = math.sqrt(sum(row.gradient ** 2 for row in visit.watch.parameters if row.gradient > 0))
    measured = f"|gradient| / |w| from {sizes[0]:.2g} (first layer) to {sizes[-1]:.2g} (last)"
    found, last = [], sizes[-1]
    if not math.isfinite(whole) or whole > HUGE or sizes[0] * EXPLODED > last:
        worst = rows[int(np.nanargmax(sizes))]
        found.append(Finding("warning", "exploding gradients", worst.name, f"The gradient's norm is {whole:.3g}, that of "
                             f"{worst.name} {worst.gradient:.3g}.", "Use smaller initial weights (nn.init.kaiming_normal_), "
                                                                    "batch norm, "
                             "clip_grad_norm_, and normalised inputs."))
    elif sizes[0] < VANISHED * last:
        first = next(row for row, size in reversed(list(zip(rows, sizes))) if size < VANISHED * last)
        found.append(Finding("warning", "vanishing gradients", first.name, f"Relative to its weights its gradient is "
                             f"{first.gradient / first.norm / last:.1g} times that of the last layer; at the first layer it is "
                             f"{sizes[0] / last:.1g}.", "Use ReLU instead of sigmoid or tanh, Kaiming's initial weights, batch "
                                                        "norm, or "
                             "residual connections."))
    return Check("depth", measured, tuple(found))


def units(visit):
    """Dead and saturated units, layer by layer."""
    layers, found = visit.watch.layers, []
    if not layers:
        return None
    for row in layers:
        if row.dead is not None and row.dead > DEAD:
            whole = row.dead == 1
            found.append(Finding("error" if whole else "warning", "dead layer" if whole else "dead units", row.place,
                                 f"{'All' if whole else f'{100 * row.dead:.0f}% of'} its {len(row.live)} units are 0 for every "
                                 "example "
                                 "seen, so no gradient passes.", "Lower the learning rate, start from smaller weights and "
                                                                 "biases of 0 "
                                 "(nn.init.kaiming_normal_), or use LeakyReLU."))
        if row.saturated is not None and row.saturated > SATURATED and row is not layers[-1]:
            found.append(Finding("warning", "saturated units", row.place, f"{100 * row.saturated:.0f}% of its outputs lie on "
                                                                          "the flat parts "
                                 "of the curve, where hardly any gradient passes.", "Use smaller initial weights "
                                 "(nn.init.xavier_uniform_), normalise the inputs, or use ReLU."))
        if row.count and row.zeros == 1 and row.dead is None:
            found.append(Finding("warning", "output all zeros", row.place, "Every output is exactly 0.", "Look for weights of "
                                                                                                         "zeros, dead "
                                 "units before it, and a mask or dropout that drops all."))
    dead = max((row.dead for row in layers if row.dead is not None), default=None)
    flat = max((row.saturated for row in layers if row.saturated is not None), default=None)
    parts = [f"at most {100 * x:.0f}% {name} in a layer" for name, x in (("dead", dead), ("saturated", flat)) if x is not None]
    return Check("units", ", ".join(parts) or "neither ReLU nor sigmoid", tuple(found))


def pace(visit):
    """The learning rate: update ratios, and whether the loss falls; a suspicion is tested with another rate."""
    losses, rows = visit.losses, [row for row in visit.watch.parameters if len(row.shape) > 1 and row.ratios]
    if visit.unconnected or not rows or not losses or not any(group["lr"] for group in visit.optimizer.param_groups):
        return None
    ratio = float(np.median([row.ratio for row in rows]))
    edge = max(1, len(losses) // 4)
    before, after = np.mean(losses[:edge]), np.mean(losses[-edge:])
    measured = f"update ratio {ratio:.2g}, loss {before:.4g} to {after:.4g}"
    fastest = float(np.max(np.median([row.ratios for row in rows], axis=0)))
    bad = visit.broken is not None or after > RISING * max(before, losses[0]) or max(losses) > SPIKE * losses[0]
    if fastest > FAST or bad:
        for factor, words in (0.1, "a tenth"), (0.01, "a hundredth"):
            other = np.mean(visit.again(factor)[-edge:])
            if other < after or visit.broken is not None and math.isfinite(other):
                way = f" over {max(losses):.4g}" if max(losses) > max(losses[0], losses[-1]) else ""
                end = "no number" if visit.broken else f"{after:.4g}"
                seen = (f"In one step the weights move by {fastest:.2g} of themselves, and the loss goes from "
                        f"{losses[0]:.4g}{way} to "
                        f"{end}; with {words} of the rate it goes to {other:.4g}.")
                return Check("learning rate", measured, (Finding("error" if bad else "warning", "learning rate too "
                                                                                                "high", "", seen,
                                                                 f"Use {words} of lr, and look at find_lr."),))
    elif ratio < SLOW and after > FALLING * before:
        tenfold = np.mean(visit.again(100)[-edge:])
        seen = (f"The update ratio is {ratio:.2g}, 1e-3 is usual, and the loss goes from {losses[0]:.4g} to {after:.4g}; with "
                "100 times the "
                f"rate it goes to {tenfold:.4g}.")
        return Check("learning rate", measured, (Finding("warning", "learning rate too low", "", seen,
                                                         "Multiply lr by 10 to 100, and look at find_lr."),))
    return Check("learning rate", measured)


EXAMINATIONS = (mode, inputs, labels, batch_size, optimizer, start, output, numbers, gradients, depth, units, pace)
