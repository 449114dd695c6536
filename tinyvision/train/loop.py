"""The training loop: forward, loss, backward, step, for every batch of every epoch; and the evaluation after each.

One step of stochastic gradient descent is four lines, and they are the heart of this file:

    loss = criterion(model(images), labels)      forward: how wrong is the network on this batch?
    optimizer.zero_grad()                        forget the last batch's gradients
    loss.backward()                              backward: how does the loss change with every weight?
    optimizer.step()                             move every weight a little downhill

Source: Robbins and Monro 1951 (stochastic approximation); Bottou 2012, Stochastic Gradient Descent Tricks.
"""

import contextlib
import math
import numbers
import time
from dataclasses import dataclass

from .. import functional as F
from ..autograd import no_grad
from ..nn import Module
from ..optim import Optimizer
from ..packages import require


@dataclass
class Epoch:
    """What one pass over the training data gave: mean losses (nats per picture) and shares of right answers (0..1)."""

    number: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float


def fit(model, optimizer, train_loader, test_loader, epochs, *, criterion=F.cross_entropy, scheduler=None, report=None,
        progress=True):
    """Train a classifier and return its history, one Epoch per pass.

    train_loader, test_loader: iterables of (images, labels), a DataLoader for instance.
    criterion: (logits, labels) -> loss, a mean over the batch; scheduler: stepped after every batch.
    report: called with each Epoch as it ends; progress: show a bar with the loss and the time left.
    Raises FloatingPointError when the loss stops being a finite number, ValueError for a loader without batches and for an
    optimizer that holds none of the model's parameters, TypeError for arguments of the wrong kind.

    >>> from tinyvision import data, models, optim
    >>> model, digits = models.MLP(64, (16,)), data.Digits(size=8)
    >>> loader = data.DataLoader(digits, batch_size=64, shuffle=True, generator=0)
    >>> history = fit(model, optim.Adam(model.parameters(), lr=0.01), loader, loader, epochs=1, progress=False)
    >>> history[0].test_accuracy > 0.5
    True
    """
    check_arguments(model, optimizer, epochs, criterion)
    history = []
    for number in range(1, epochs + 1):
        start = time.perf_counter()
        with bar(train_loader, f"epoch {number}/{epochs}", progress) as batches:
            train_loss, train_accuracy = train_epoch(model, optimizer, batches, criterion, scheduler)
        test_loss, test_accuracy = evaluate(model, test_loader, criterion=criterion)
        history.append(Epoch(number, train_loss, train_accuracy, test_loss, test_accuracy, time.perf_counter() - start))
        if report is not None:
            report(history[-1])
    return history


def check_arguments(model, optimizer, epochs, criterion):
    """What can be told wrong before any work is done."""
    for name, value, kind in ("model", model, Module), ("optimizer", optimizer, Optimizer):
        if not isinstance(value, kind):
            got = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
            raise TypeError(f"fit: {name} must be of type {kind.__name__}, got {got}. The order is model, optimizer, "
                            "train_loader, test_loader, epochs.")
    if isinstance(epochs, bool) or not isinstance(epochs, numbers.Integral):
        raise TypeError(f"fit: epochs must be an integer, got {epochs!r}.")
    if epochs < 1:
        raise ValueError(f"fit: epochs must be at least 1, got {epochs}.")
    if isinstance(criterion, type) or not callable(criterion):
        raise TypeError(f"fit: criterion must be a function of (logits, labels), got {criterion!r}. Pass "
                        "functional.cross_entropy, or an instance: nn.CrossEntropyLoss().")
    learned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not learned & {id(p) for p in model.parameters()}:
        raise ValueError("fit: the optimizer holds none of the model's parameters, so nothing would be learned. Make it from "
                         "this model: optim.Adam(model.parameters()).")


def train_epoch(model, optimizer, batches, criterion, scheduler):
    """One pass with a step per batch; the mean loss and accuracy on the way."""
    model.train()
    mean = Mean()
    for images, labels in batches:
        logits = model(images)
        loss = criterion(logits, labels)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"fit: the loss became {loss.item()} after {mean.batches} batches. Lower the learning "
                                     "rate, or look for NaN or huge values in the data.")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        mean.add(loss, logits, labels)
        if hasattr(batches, "set_postfix_str"):
            batches.set_postfix_str(f"loss {mean.loss:.4f}", refresh=False)
    return mean.result("fit")


@no_grad()
def evaluate(model, loader, *, criterion=F.cross_entropy):
    """Mean loss and accuracy (share of right answers, 0..1) of a classifier over a loader; the model's mode is restored.

    Raises ValueError for a loader without batches.

    >>> from tinyvision import data, models
    >>> loss, accuracy = evaluate(models.MLP(64, (16,)), data.DataLoader(data.Digits(train=False, size=8), batch_size=100))
    >>> 0 <= accuracy <= 1
    True
    """
    mean, modes = Mean(), [(module, module.training) for module in model.modules()]          # some may be frozen in eval()
    model.eval()
    try:
        for images, labels in loader:
            logits = model(images)
            mean.add(criterion(logits, labels), logits, labels)
    finally:
        for module, training in modes:
            module.training = training
    return mean.result("evaluate")


class Mean:
    """Running mean of the loss and the accuracy, weighted by the batches' sizes."""

    def __init__(self):
        self.batches = self.pictures = self.right = 0
        self.total = 0.0

    def add(self, loss, logits, labels):
        self.batches += 1
        self.pictures += len(labels)
        self.total += loss.item() * len(labels)
        self.right += int((logits.argmax(axis=1) == labels).sum())

    @property
    def loss(self):
        return self.total / self.pictures

    def result(self, name):
        if self.pictures == 0:
            raise ValueError(f"{name}: the loader gave no batches. Check the data set, batch_size and drop_last.")
        return self.loss, self.right / self.pictures


def bar(loader, title, shown):
    """The loader with a progress bar, on a terminal as in a notebook; as it is where none is wanted."""
    if not shown:
        return contextlib.nullcontext(loader)
    require("fit with a progress bar", "tqdm")
    from tqdm.auto import tqdm
    return tqdm(loader, desc=title, unit="batch", leave=False, dynamic_ncols=True)
