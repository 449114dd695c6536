"""The training doctor: trains a copy of the network for some steps, watches, and says what is wrong and what to do about it.

A network that learns badly gives no error message.  Its symptoms can be measured, though: the statistics of the layers (see
statistics.py), the losses, and the batches themselves.  Each examination below reads one symptom and names the illness, the
layer and the remedy.  For a suspicious learning rate the doctor makes an experiment: the same steps again with another one.

What counts as ill is a matter of experience; the limits stand at the head of the examinations, and are wide: a finding should
be worth a look.

Sources: Karpathy 2019, A Recipe for Training Neural Networks; Goodfellow et al. 2016, Deep Learning, section 11.5 (debugging
strategies); Glorot and Bengio 2010 (vanishing gradients); CS231n, Neural Networks Part 3 (update ratios).
"""

import math
from itertools import islice

import numpy as np

from .. import functional as F
from ..autograd import no_grad
from ..ops.device import on_host
from ..optim import Optimizer
from .aside import aside, check_model, detached, pairs
from .examinations import EXAMINATIONS
from .findings import Report
from .origin import finite, origin
from .sanity import criterion_kind
from .sanity_training import check_zero_grad
from .statistics import LayerStatistics


def diagnose(model, optimizer, loader, criterion=F.cross_entropy, *, steps=20, step=None):
    """Train copies for some steps and return a Report of what is wrong, the gravest first; nothing of yours is changed.

    loader: gives (inputs, targets) batches, more than once; criterion: (outputs, targets) -> loss.
    steps: how many; all batches count as seen for dead units, so 10 at least say something.
    step: your own train step, step(model, optimizer, inputs, targets) -> loss, instead of forward, zero_grad, backward, step.
    The model is examined in the mode in which it is: call model.train() first.
    report.findings: what was found; report.passed: whether nothing was; report.numbers: losses, layers, parameters.
    Raises TypeError for arguments of the wrong kind, ValueError for less than 2 steps and a loader without batches.

    >>> from tinyvision import data, manual_seed, models, optim
    >>> _ = manual_seed(0); model = models.MLP(64, (32,))
    >>> loader = data.DataLoader(data.Digits(size=8), 32, shuffle=True, generator=0)
    >>> diagnose(model, optim.Adam(model.parameters()), loader).passed
    True
    >>> print(diagnose(model, optim.SGD(model.parameters(), lr=1e-7), loader).findings[0].name)
    learning rate too low
    """
    check_arguments(model, optimizer, steps)
    visit = Visit(model, optimizer, loader, criterion, steps, step)
    checks = [examine(visit) for examine in EXAMINATIONS]
    if step is not None:
        checks.append(check_zero_grad(model, loader, step, optimizer=optimizer))
    return Report("diagnose", [check for check in checks if check is not None],
                  {"losses": visit.losses, **visit.watch.to_dict()})


def check_arguments(model, optimizer, steps):
    check_model("diagnose", model)
    if not isinstance(optimizer, Optimizer):
        got = f"the class {optimizer.__name__}" if isinstance(optimizer, type) else type(optimizer).__name__
        raise TypeError(f"diagnose: optimizer must be of type Optimizer, got {got}. The order is model, optimizer, loader, "
                        "criterion.")
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise TypeError(f"diagnose: steps must be an integer, got {steps!r}.")
    if steps < 2:
        raise ValueError(f"diagnose: steps must be at least 2, got {steps}. Twenty show most illnesses.")


class Visit:
    """What was seen during some steps on copies: losses, statistics, batches, and where the first broken number arose.

    losses: as far as they are finite; broken: (layer, sentence) or None; model, optimizer: the copies, after the steps;
    at_start: the parameters' values before; batches: a Batches; watch: the LayerStatistics, those of the units from the later
    half of the steps.
    """

    def __init__(self, model, optimizer, loader, criterion, steps, step=None, factor=1.0, watched=True):
        self.given = model, optimizer, loader, criterion, steps, step
        self.losses, self.broken, self.batches, self.kind, self.output = [], None, Batches(), None, None
        self.unconnected, self.criterion = False, criterion
        self.names = {p: name for name, p in model.named_parameters()}
        held = {p for group in optimizer.param_groups for p in group["params"]}
        self.forgotten = [name for p, name in self.names.items() if p.requires_grad and p not in held]
        self.holds_any = any(p in held for p in self.names)
        with aside("diagnose", model, optimizer, criterion, loaders=[loader], step=step) as copies, np.errstate(all="ignore"):
            self.model, self.optimizer, self.loss_of = copies
            for group in self.optimizer.param_groups:
                group["lr"] = group["lr"] * factor
            self.at_start = {name: on_host(p).copy() for name, p in self.model.named_parameters()}
            self.watch = LayerStatistics(self.model)
            stream = islice(pairs("diagnose", loader, self.model), steps)
            if watched:
                with self.watch:
                    self.run(stream, steps, step)
            else:
                self.run(stream, steps, step)

    def run(self, stream, steps, step):
        for number, (inputs, targets) in enumerate(stream):
            self.batches.add(inputs, targets)
            if number == steps // 2:
                self.watch.reset()                        # dead is who stays at 0 from here on
            if number == 0:
                self.look_at_output(inputs, targets)
                if self.unconnected:
                    return
            loss = self.one(inputs, targets, step)
            if loss is None or not math.isfinite(loss):
                self.broken = origin(self.model, self.loss_of, inputs, targets) or ("the criterion", "The loss is not finite.")
                return
            self.losses.append(loss)
            if self.watch.handles:
                self.watch.step()
            if self.weights_broken():
                return

    def one(self, inputs, targets, step):
        """One step; its loss, or None where it is not finite, and then nothing was stepped."""
        if step is None:
            loss = self.loss_of(self.model(inputs), targets)
            if not math.isfinite(loss.item()):
                return None
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return loss.item()
        before = [p.data.copy() for p in self.model.parameters()]
        loss = step(self.model, self.optimizer, inputs, targets)
        if loss is None:
            raise TypeError("diagnose: step must return the loss, got None. End it with `return loss`.")
        if not math.isfinite(float(loss)):
            for p, value in zip(self.model.parameters(), before):
                p.data[...] = value
                p.touch()
            return None
        return float(loss)

    def look_at_output(self, inputs, targets):
        """The kind of criterion and the outputs of the first batch, without a trace in the statistics or buffers."""
        with aside("diagnose", self.model, self.loss_of) as (model, loss_of):
            self.output = model(inputs)
            self.unconnected = not loss_of(self.output, targets).requires_grad
            with no_grad():
                self.kind = criterion_kind(loss_of, detached(self.output), targets)

    def weights_broken(self):
        """Whether a step left weights that are no numbers; then the gradient or the step is at fault."""
        named = list(self.model.named_parameters())
        wrong = [name for name, p in named if p.grad is not None and not finite(p.grad)]
        if wrong:
            self.broken = wrong[-1], (f"In step {len(self.losses)} the loss was {self.losses[-1]:.4g} and the gradient of "
                                      f"{wrong[-1]} "
                                      "was not finite: backward divides by 0 or overflows, behind this layer or in it.")
        elif broken := [name for name, p in named if not finite(p)]:
            self.broken = broken[0], (f"Step {len(self.losses)} moved {broken[0]} beyond the largest number, with a gradient "
                                      "that "
                                      "was finite.")
        return self.broken is not None

    def again(self, factor):
        """The losses of the same steps with another learning rate, and infinity for those that are missing."""
        other = Visit(*self.given, factor=factor, watched=False)
        return other.losses + [math.inf] * (self.given[4] - len(other.losses))


class Batches:
    """What the batches were like: inputs per channel, labels, sizes."""

    def __init__(self):
        self.sizes, self.labels, self.single, self.alike = [], {}, 0, True
        self.count, self.total, self.squares, self.low, self.high = 0, 0.0, 0.0, math.inf, -math.inf
        self.first = None
        self.dense, self.shape = False, ()

    def add(self, inputs, targets):
        x, t = on_host(inputs), on_host(targets)
        if getattr(x, "dtype", None) is not None and x.dtype.kind in "fiub":
            self.sizes.append(len(x))
            self.add_inputs(x)
        if getattr(t, "dtype", None) is not None and t.dtype.kind in "iu" and t.size:
            self.shape = t.shape
            values, counts = np.unique(t, return_counts=True)
            self.single += len(values) == 1
            self.dense = self.dense or t.ndim > 1
            for value, n in zip(values.tolist(), counts.tolist()):
                self.labels[value] = self.labels.get(value, 0) + n

    def add_inputs(self, x):
        self.first = x[:1] if self.first is None else self.first
        self.alike = self.alike and x.shape[1:] == self.first.shape[1:] and bool((x == self.first).all())
        x = x.astype(np.float64)
        rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1) if x.ndim > 2 else x.reshape(1, -1)
        self.count += rows.shape[1]
        self.total, self.squares = self.total + rows.sum(axis=1), self.squares + np.square(rows).sum(axis=1)
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))

    @property
    def mean(self):
        return self.total / self.count

    @property
    def std(self):
        return np.sqrt(np.maximum(self.squares / self.count - self.mean ** 2, 0))
