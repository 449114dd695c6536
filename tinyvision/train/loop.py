"""The training loop: forward, loss, backward, step, for every batch of every epoch; and the evaluation after each.

One step of stochastic gradient descent is four lines, and they are the heart of this file:

    loss = criterion(model(images), labels)      forward: how wrong is the network on this batch?
    optimizer.zero_grad()                        forget the last batch's gradients
    loss.backward()                              backward: how does the loss change with every weight?
    optimizer.step()                             move every weight a little downhill

Around them: what was learned is measured after every epoch on pictures that the network does not learn from, the run is kept
in snapshots (checkpoint.py) so that nothing but the last moments can be lost, and it ends where it no longer helps.

Source: Robbins and Monro 1951 (stochastic approximation); Bottou 2012, Stochastic Gradient Descent Tricks; Prechelt 1998, Early
Stopping - But When?, doi:10.1007/3-540-49430-8_3.
"""

import contextlib
import math
import numbers
import time
from dataclasses import dataclass, field

import numpy as np

from .. import functional as F
from ..autograd import no_grad
from ..nn import Module
from ..nn.utils import clip_grad_norm_
from ..optim import Optimizer
from ..packages import require
from ..tensor import raw
from .checkpoint import Records, Snapshots
from .origin import origin


@dataclass
class Epoch:
    """What one pass over the training data gave: mean losses (nats per picture), shares of right answers (0..1), seconds.

    lr: learning rate at its end; metrics: the measures that fit was given, {"train_iou": ..., "test_iou": ...}.  Accuracies are
    nan where the answers are no classes.
    """

    number: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    lr: float = math.nan
    metrics: dict = field(default_factory=dict)

    def __getitem__(self, name):
        """A quantity by its name, "test_loss" or "test_iou"."""
        return self.metrics[name] if name in self.metrics else getattr(self, name)


def fit(model, optimizer, train_loader, test_loader, epochs, *, criterion=F.cross_entropy, scheduler=None, metrics=None,
        accumulate=1, max_norm=None, patience=None, monitor="test_loss", folder=None, every=None, resume=False, report=None,
        progress=True):
    """Train a network and return its history, one Epoch per pass.

    train_loader, test_loader: iterables of (images, targets), a DataLoader for instance.
    criterion: (outputs, targets) -> loss, a mean over the batch; scheduler: stepped after every step of the optimiser.
    metrics: {name: metric} of objects with reset(), update(outputs, targets) and compute(), as in tinyvision.metrics.
    accumulate: batches whose gradients are averaged for one step; max_norm: gradients are clipped to this common norm.
    patience: epochs without a better `monitor` after which training ends; losses and errors shall fall, all else shall rise.
    folder: where snapshots go: the whole run in last.snapshot, at the end of every epoch and after every `every` steps, and the
    weights of the best epoch in best.safetensors; resume=True takes the run up there, and goes on bit for bit as if it had not been
    broken off.  The first snapshot is written before the first step, so a full disk is noticed then.  Ctrl-C ends the step, writes
    one more and raises KeyboardInterrupt.
    report: called with each Epoch as it ends; progress: show a bar with the loss and the time left.
    Raises FloatingPointError, naming the layer, when the loss stops being a finite number; ValueError for a loader without batches
    or, with `folder`, without state_dict, for an optimizer that holds none of the model's parameters, and for the snapshot of
    another run; TypeError for arguments of the wrong kind.

    >>> from tinyvision import data, models, optim
    >>> model, digits = models.MLP(64, (16,)), data.Digits(size=8)
    >>> loader = data.DataLoader(digits, batch_size=64, shuffle=True, generator=0)
    >>> history = fit(model, optim.Adam(model.parameters(), lr=0.01), loader, loader, epochs=1, progress=False)
    >>> history[0].test_accuracy > 0.5
    True
    """
    check_arguments(model, optimizer, epochs, criterion, metrics, accumulate, patience, every, folder, train_loader)
    history, tally, best = Records(Epoch), Tally(metrics), Best(monitor, patience)
    snapshots = None
    if folder is not None:
        parts = {"optimizer": optimizer, "loader": train_loader, "scheduler": scheduler, "history": history, "tally": tally, "best": best}
        snapshots = Snapshots(folder, model, {k: part for k, part in parts.items() if part is not None}, every)
        snapshots.load() if resume else snapshots.save()
    step = Step(model, optimizer, criterion, scheduler, accumulate, max_norm, snapshots, tally)
    with snapshots.interruptible() if snapshots else contextlib.nullcontext():
        while len(history.rows) < epochs and not best.over:
            start, number = time.perf_counter(), len(history.rows) + 1
            with bar(train_loader, f"epoch {number}/{epochs}", progress) as batches:
                step.epoch(batches)
            row = Epoch(number, *tally.result("fit"), *evaluate(model, test_loader, criterion=criterion, metrics=metrics),
                        time.perf_counter() - start, float(optimizer.param_groups[0]["lr"]), tally.measures("train"))
            row.metrics |= {f"test_{name}": float(metric.compute()) for name, metric in (metrics or {}).items()}
            history.rows.append(row)
            tally.reset()
            better = best.add(row)
            if snapshots:
                if better:
                    snapshots.save_best()
                snapshots.save()
            if report is not None:
                report(row)
    return history.rows


def check_arguments(model, optimizer, epochs, criterion, metrics, accumulate, patience, every, folder, train_loader):
    """What can be told wrong before any work is done."""
    for name, value, kind in ("model", model, Module), ("optimizer", optimizer, Optimizer):
        if not isinstance(value, kind):
            got = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
            raise TypeError(f"fit: {name} must be of type {kind.__name__}, got {got}. The order is model, optimizer, "
                            "train_loader, test_loader, epochs.")
    for name, value in ("epochs", epochs), ("accumulate", accumulate), ("patience", patience), ("every", every):
        if value is None and name in ("patience", "every"):
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"fit: {name} must be an integer, got {value!r}.")
        if value < 1:
            raise ValueError(f"fit: {name} must be at least 1, got {value}.")
    if isinstance(criterion, type) or not callable(criterion):
        raise TypeError(f"fit: criterion must be a function of (logits, labels), got {criterion!r}. Pass "
                        "functional.cross_entropy, or an instance: nn.CrossEntropyLoss().")
    learned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not learned & {id(p) for p in model.parameters()}:
        raise ValueError("fit: the optimizer holds none of the model's parameters, so nothing would be learned. Make it from "
                         "this model: optim.Adam(model.parameters()).")
    for name, metric in (metrics or {}).items():
        if isinstance(metric, type) or not all(hasattr(metric, method) for method in ("reset", "update", "compute")):
            raise TypeError(f"fit: metric {name!r} must be an object with reset, update and compute, got {metric!r}.")
    if folder is not None and not hasattr(train_loader, "state_dict"):
        raise ValueError(f"fit: with folder, train_loader must know where it is, a {type(train_loader).__name__} does not. Pass a DataLoader.")


class Step:
    """The steps of an epoch: forward, loss, backward, and, after every `accumulate` batches, the optimiser's step."""

    def __init__(self, model, optimizer, criterion, scheduler, accumulate, max_norm, snapshots, tally):
        self.model, self.optimizer, self.criterion, self.scheduler = model, optimizer, criterion, scheduler
        self.accumulate, self.max_norm, self.snapshots, self.tally = accumulate, max_norm, snapshots, tally

    def epoch(self, batches):
        """One pass; the gradients of the last batches count, though they may be fewer."""
        self.model.train()
        waiting = 0
        for images, targets in batches:
            outputs = self.model(images)
            loss = self.criterion(outputs, targets)
            if not math.isfinite(loss.item()):
                raise FloatingPointError(self.where(images, targets, loss.item()))
            if waiting == 0:
                self.optimizer.zero_grad()
            (loss if self.accumulate == 1 else loss / self.accumulate).backward()
            self.tally.add(loss, outputs, targets)
            waiting = (waiting + 1) % self.accumulate
            if waiting == 0:
                self.move()
            if hasattr(batches, "set_postfix_str"):
                batches.set_postfix_str(self.tally.text(), refresh=False)
        if waiting:
            self.move()

    def move(self):
        if self.max_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.snapshots is not None:
            self.snapshots.step()

    def where(self, images, targets, value):
        """What is said when the loss is no longer a number: where it began, found by going over the batch again."""
        found = origin(self.model, self.criterion, images, targets)
        return (f"fit: the loss became {value} after {self.tally.batches} batches. {found[1] + ' ' if found else ''}Lower the learning "
                "rate, or look for NaN or huge values in the data.")


@no_grad()
def evaluate(model, loader, *, criterion=F.cross_entropy, metrics=None):
    """Mean loss and accuracy (share of right answers, 0..1) of a network over a loader; the model's mode is restored.

    metrics: {name: metric}, reset and updated on the way; the accuracy is nan where the answers are no classes.
    Raises ValueError for a loader without batches.

    >>> from tinyvision import data, models
    >>> loss, accuracy = evaluate(models.MLP(64, (16,)), data.DataLoader(data.Digits(train=False, size=8), batch_size=100))
    >>> 0 <= accuracy <= 1
    True
    """
    tally, modes = Tally(metrics), [(module, module.training) for module in model.modules()]         # some may be frozen in eval()
    model.eval()
    try:
        for images, targets in loader:
            outputs = model(images)
            tally.add(criterion(outputs, targets), outputs, targets)
    finally:
        for module, training in modes:
            module.training = training
    return tally.result("evaluate")


class Tally:
    """Running mean of the loss, share of right answers, and the metrics, over the batches of an epoch."""

    def __init__(self, metrics=None):
        self.metrics = metrics or {}
        self.reset()

    def reset(self):
        self.batches = self.pictures = self.answers = self.right = 0
        self.total = 0.0
        for metric in self.metrics.values():
            metric.reset()

    def add(self, loss, outputs, targets):
        self.batches += 1
        self.pictures += len(outputs)
        self.total += loss.item() * len(outputs)
        scores, answers = raw(outputs), raw(targets)
        if getattr(answers, "dtype", np.dtype(float)).kind in "iu" and answers.shape == scores.shape[:1] + scores.shape[2:]:
            self.right += int((scores.argmax(axis=1) == answers).sum())
            self.answers += answers.size
        for metric in self.metrics.values():
            metric.update(outputs, targets)

    def text(self):
        share = f", accuracy {self.right / self.answers:.1%}" if self.answers else ""
        return f"loss {self.total / self.pictures:.4f}{share}"

    def result(self, name):
        if self.pictures == 0:
            raise ValueError(f"{name}: the loader gave no batches. Check the data set, batch_size and drop_last.")
        return self.total / self.pictures, self.right / self.answers if self.answers else math.nan

    def measures(self, part):
        return {f"{part}_{name}": float(metric.compute()) for name, metric in self.metrics.items()}

    def state_dict(self):
        own = {name: value for name, value in vars(self).items() if name != "metrics"}
        return {"own": own, "metrics": {name: dict(vars(metric)) for name, metric in self.metrics.items()}}

    def load_state_dict(self, state):
        vars(self).update(state["own"])
        for name, values in state["metrics"].items():
            vars(self.metrics[name]).update(values)


class Best:
    """The best epoch so far by one quantity, and whether training has gone on for too long without a better one."""

    def __init__(self, monitor, patience):
        self.monitor, self.patience, self.value, self.worse = monitor, patience, None, 0

    def add(self, row):
        """Whether this epoch is the best."""
        try:
            value = row[self.monitor]
        except AttributeError:
            raise ValueError(f"fit: monitor must be one of test_loss, test_accuracy, {', '.join(row.metrics) or 'or a metric'}, got "
                             f"{self.monitor!r}.") from None
        falls = any(word in self.monitor for word in ("loss", "error"))
        better = self.value is None or (value < self.value if falls else value > self.value)
        self.value, self.worse = (value, 0) if better else (self.value, self.worse + 1)
        return better

    @property
    def over(self):
        return self.patience is not None and self.worse >= self.patience

    def state_dict(self):
        return {"value": self.value, "worse": self.worse}

    def load_state_dict(self, state):
        self.value, self.worse = state["value"], state["worse"]


def bar(loader, title, shown):
    """The loader with a progress bar, on a terminal as in a notebook; as it is where none is wanted."""
    if not shown:
        return contextlib.nullcontext(loader)
    require("fit with a progress bar", "tqdm")
    from tqdm.auto import tqdm
    return tqdm(loader, desc=title, unit="batch", leave=False, dynamic_ncols=True)
