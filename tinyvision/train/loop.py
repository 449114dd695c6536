"""The training loop: forward, loss, backward, step, for every batch of every epoch; and the evaluation after each.

One step of stochastic gradient descent is four lines, and they are the heart of this file:

    optimizer.zero_grad()                        forget the last batch's gradients
    loss = criterion(model(images), labels)      forward: how wrong is the network on this batch?
    loss.backward()                              backward: how does the loss change with every weight?
    optimizer.step()                             move every weight a little downhill

Around them: what was learned is measured after every epoch on pictures that the network does not learn from, the run is kept
in snapshots (checkpoint.py) so that nothing but the last moments can be lost, and it ends where it no longer helps.

Source: Robbins and Monro 1951 (stochastic approximation); Bottou 2012, Stochastic Gradient Descent Tricks; Prechelt 1998, Early
Stopping - But When?, doi:10.1007/3-540-49430-8_3.
"""

import contextlib
import itertools
import math
import numbers
import time
from dataclasses import dataclass, field

import numpy as np

from .. import functional as F
from ..autograd import no_grad
from ..backend import as_device, current, is_array, on_device
from ..kernels import update as kernels
from ..nn import Module
from ..nn.utils import clip_grad_norm_
from ..ops.device import moved, on_host
from ..optim import Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from ..packages import require
from ..random import default_generator, generators_in
from ..tensor import Tensor, raw, result
from .aside import detached, device_of_model
from .checkpoint import NoSnapshots, Records, Snapshots, put_state, state_of
from .graphed import Graphed
from .origin import origin
from .parallel import Alone
from .settings import settings_of


@dataclass
class Epoch:
    """What one pass over the training data gave: mean losses, shares of right answers (0..1), seconds.

    lr: learning rate at its end; metrics: the measures that fit was given, {"train_iou": ..., "test_iou": ...}.  Accuracies are
    nan where the answers are no classes.

    >>> row = Epoch(1, 0.9, 0.7, 1.0, 0.65, 2.0, metrics={"test_iou": 0.5}); row["test_loss"], row["test_iou"]
    (1.0, 0.5)
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
        progress=True, device=None, graphed=False, world=None):
    """Train a network and return its history, one Epoch per pass.

    train_loader, test_loader: iterables of (inputs, targets), a DataLoader for instance.
    criterion: (outputs, targets) -> loss, a mean over the batch; targets may be masks, boxes, whatever it understands.
    scheduler: stepped after every step of the optimiser, ReduceLROnPlateau after every epoch, with `monitor`.
    metrics: {name: metric} of objects with reset(), update(outputs, targets) and compute(), a number or a dict of numbers, as in
    tinyvision.metrics; by default the accuracy is all, where the answers are classes.
    accumulate: batches whose gradients are averaged for one step; max_norm: gradients are clipped to this common norm.
    patience: epochs without a better `monitor` after which training ends; losses and errors shall fall, all else shall rise.
    folder: where snapshots go: the whole run in last.snapshot, at the end of every epoch and after every `every` steps (an
    integer) or seconds (a float), and the weights of the best epoch in best.safetensors.  resume=True takes up the run that is
    there, if there is one, and goes on bit for bit as if it had not been broken off, on the same number of threads.  Whether
    there is room is looked at before the first step.  Ctrl-C ends the step (or the evaluation), writes a snapshot and raises
    KeyboardInterrupt.
    device: where to train, "cpu", "cuda" or "cuda:1": the network is moved there, and stays; None: where it is.  Every batch is
    moved to it.  A snapshot holds no device: a run that was begun on one goes on on another, but for the last digits.
    graphed: record a step on a GPU once and replay it, which is several times faster for small networks (Graphed says what can be
    recorded); dropout then draws other masks than unrecorded, and others again when the run is taken up.
    world: a parallel.World, for processes that mpiexec started: each learns from its share of every batch, all make the same steps,
    and the first evaluates, reports and writes.  `metrics` of the training batches are those of its share.
    report: called with each Epoch as it ends (viz.LiveCurves draws them); progress: show a bar with the loss and the time left.
    Raises FloatingPointError, naming the layer, when the loss or a gradient stops being a finite number, before the weights are
    touched; ValueError for a loader without batches, for an optimizer that holds none of the model's parameters, and with
    `folder` for a loader without state_dict, for the snapshot of another run, and for a run that is there already without
    resume; OSError where no snapshot can be written; TypeError for arguments of the wrong kind.

    >>> from tinyvision import data, models, optim
    >>> model, digits = models.MLP(64, (16,)), data.Digits(size=8)
    >>> loader = data.DataLoader(digits, batch_size=64, shuffle=True, generator=0)
    >>> history = fit(model, optim.Adam(model.parameters(), lr=0.01), loader, loader, epochs=1, progress=False)
    >>> history[0].test_accuracy > 0.5
    True
    """
    check_numbers(epochs, accumulate, max_norm, patience, every)
    check_arguments(model, optimizer, criterion, metrics, monitor, folder, train_loader)
    if device is not None:
        model.to(as_device(device))
    world, history, tally, best = world or Alone(), Records(Epoch), Tally(metrics), Best(monitor, patience)
    plateau, snapshots = isinstance(scheduler, ReduceLROnPlateau), None
    step = Step(model, optimizer, criterion, None if plateau else scheduler, accumulate, max_norm, tally, world)
    if graphed:
        step.record()
    if folder is not None:
        parts = {"loader": train_loader, "test loader": test_loader, "optimizer": optimizer, "scheduler": scheduler,
                 "history": history, "tally": tally, "best": best}
        parts = {name: part for name, part in parts.items() if hasattr(part, "state_dict")}
        snapshots = Snapshots(
            folder, model, parts, [criterion, metrics, None if "test loader" in parts else test_loader],
            lambda: settings_of(model, optimizer, scheduler, train_loader, criterion, metrics, accumulate=accumulate,
                                max_norm=max_norm, monitor=monitor), every)
    step.snapshots = world.begin(model, snapshots, resume) or step.snapshots
    with current(device_of_model(model)), step.snapshots.interruptible(), world.sharing(train_loader):
        while len(history.rows) < epochs and not best.over:
            step.snapshots.check()
            start, number = time.perf_counter(), len(history.rows) + 1
            if not tally.over:                            # else the run was broken off after the last step of an epoch
                with bar(train_loader, f"epoch {number}/{epochs}", progress and world.rank == 0, tally.batches) as batches:
                    step.epoch(batches)
            world.same_buffers(model)
            row = world.from_first(lambda: step.row(number, test_loader, start))
            history.rows.append(row)
            tally.reset()
            if best.add(row):
                step.snapshots.save_best()
            if plateau:
                scheduler.step(row[monitor])
            step.snapshots.save()
            if report is not None and world.rank == 0:
                report(row)
    return history.rows


def check_arguments(model, optimizer, criterion, metrics, monitor, folder, train_loader):
    """What can be told wrong before any work is done."""
    for name, value, kind in ("model", model, Module), ("optimizer", optimizer, Optimizer):
        if not isinstance(value, kind):
            got = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
            raise TypeError(f"fit: {name} must be of type {kind.__name__}, got {got}. The order is model, optimizer, "
                            "train_loader, test_loader, epochs.")
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
    known = [f"{part}_{name}" for part in ("test", "train") for name in ("loss", "accuracy", *(metrics or ()))]
    if monitor not in known and not any(str(monitor).startswith(f"{name}_") for name in known[2:]):
        raise ValueError(f"fit: monitor must be one of {', '.join(known)}, got {monitor!r}.")
    if folder is not None and not hasattr(train_loader, "state_dict"):
        raise ValueError(f"fit: with folder, train_loader must know where it is, a {type(train_loader).__name__} does not. "
                         "Pass a DataLoader.")


def check_numbers(epochs, accumulate, max_norm, patience, every):
    for name, value in ("epochs", epochs), ("accumulate", accumulate), ("patience", patience), ("every", every):
        if value is None and name in ("patience", "every") or name == "every" and isinstance(value, float) and value > 0:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"fit: {name} must be an integer{', steps, or a float, seconds' * (name == 'every')}, got {value!r}.")
        if value < 1:
            raise ValueError(f"fit: {name} must be at least 1, got {value}.")
    if max_norm is not None and not (isinstance(max_norm, numbers.Real) and max_norm > 0):
        raise ValueError(f"fit: max_norm must be a number above 0, got {max_norm!r}.")


class Step:
    """The steps of an epoch: forward, loss and backward for a group of batches, mostly of one, and then the optimiser's step."""

    def __init__(self, model, optimizer, criterion, scheduler, accumulate, max_norm, tally, world):
        self.model, self.optimizer, self.criterion, self.scheduler = model, optimizer, criterion, scheduler
        self.accumulate, self.max_norm, self.tally, self.snapshots = accumulate, max_norm, tally, NoSnapshots()
        self.generators, self.device = generators_in(default_generator(), model, criterion), device_of_model(model)
        self.graphed, self.world = None, world

    def record(self):
        """From now on replay the forward and backward pass of a batch."""
        if self.accumulate != 1 or self.device.type != "cuda":
            raise ValueError(f"fit: graphed needs a network on a GPU and accumulate=1, got {str(self.device)!r} and "
                             f"accumulate={self.accumulate}. Pass device='cuda', or leave graphed out.")
        if self.world.size > 1:
            raise ValueError(f"fit: graphed is for one process, got {self.world.size}: what they add up cannot be recorded. Leave "
                             "graphed out.")
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.graphed = Graphed(self.loss_and_outputs, parameters)

    def loss_and_outputs(self, inputs, targets):
        outputs = self.model(inputs)
        return self.criterion(outputs, targets), outputs

    def backward(self, inputs, targets, share):
        """The loss of a batch, a number, and its outputs; its gradients, times its share, go to the parameters."""
        if self.graphed is not None:
            loss, outputs = self.graphed(*[x if isinstance(x, Tensor) else result(x) for x in (inputs, targets)])
            return loss.item(), outputs
        loss, outputs = self.loss_and_outputs(inputs, targets)
        value = loss.item()
        if math.isfinite(value):
            (loss if share == 1 else loss * share).backward()
        return value, outputs

    def epoch(self, batches):
        """One pass; the last group may have fewer batches."""
        self.model.train()
        for group in groups((moved(batch, self.device) for batch in batches), self.accumulate):
            self.tally.over = len(group) < self.accumulate                # that was the last one
            self.learn(group)
            self.snapshots.step()
            if hasattr(batches, "set_postfix_str"):
                batches.set_postfix_str(self.tally.text(), refresh=False)

    def learn(self, group):
        """One step along the mean gradient of all examples of the group."""
        before, sums = [g.bit_generator.state for g in self.generators], self.tally.sums()
        present = [batch for batch in group if batch is not None]            # of a short one there may be none for this process
        total = self.world.total(sum(len(inputs) for inputs, _ in present))
        self.optimizer.zero_grad()
        with self.world.apart(self.generators):
            for inputs, targets in present:
                value, outputs = self.backward(inputs, targets, len(inputs) / total)
                if math.isfinite(value):
                    self.tally.add(value, len(inputs), outputs, targets)
                elif self.world.size == 1:
                    raise FloatingPointError(self.where(present, before, f"the loss became {value}"))
                else:
                    self.tally.total = math.nan           # by the sum all processes learn of it
        self.tally.batches += len(group) - len(present)
        self.world.add_up(self.optimizer, self.tally, sums)
        if not math.isfinite(self.tally.total):
            raise FloatingPointError(self.where(present, before, "the loss stopped being a finite number"))
        if not sound(self.optimizer):
            raise FloatingPointError(self.where(present, before, "the gradient stopped being a finite number"))
        if self.max_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()

    def row(self, number, test_loader, start):
        """What an epoch gave, after an evaluation."""
        loss, accuracy, measures = *self.tally.result("fit"), self.tally.measures("train")
        test = evaluate(self.model, test_loader, criterion=self.criterion, metrics=self.tally.metrics)
        return Epoch(number, loss, accuracy, *test, time.perf_counter() - start, float(self.optimizer.param_groups[0]["lr"]),
                     measures | self.tally.measures("test"))

    def where(self, group, before, what):
        """What is said when the loss or a gradient is no number: where it began, found by going over the batches again."""
        found = None
        for generator, state in zip(self.generators, before):             # dropout drops what it dropped
            generator.bit_generator.state = state
        for inputs, targets in group:
            found = found or origin(self.model, self.criterion, inputs, targets, backward=True)
        return (f"fit: {what} after {self.tally.batches} batches. {found[1] + ' ' if found else ''}Lower the learning "
                "rate, or look for NaN or huge values in the data.")


def groups(batches, size):
    """Lists of `size` batches, the last perhaps shorter."""
    batches = iter(batches)
    while group := list(itertools.islice(batches, size)):
        yield group


def sound(optimizer):
    """Whether all gradients are finite; a sum tells in one quick pass, unless it is too large itself."""
    with np.errstate(all="ignore"):
        gradients = [raw(p.grad) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if gradients and on_device(gradients[0]):         # one number comes back, not one for each
            return math.isfinite(float(kernels.square_sum(gradients[0], gradients)))
        return all(math.isfinite(float(g.sum())) or bool(np.isfinite(g).all()) for g in gradients)


@no_grad()
def evaluate(model, loader, *, criterion=F.cross_entropy, metrics=None):
    """Mean loss and accuracy (share of right answers, 0..1) of a network over a loader; the model's mode is restored.

    metrics: {name: metric}, reset and updated on the way; the accuracy is nan where the answers are no classes.  Every batch is
    moved to the device of the network.
    Raises ValueError for a loader without batches.

    >>> from tinyvision import data, models
    >>> loss, accuracy = evaluate(models.MLP(64, (16,)), data.DataLoader(data.Digits(train=False, size=8), batch_size=100))
    >>> 0 <= accuracy <= 1
    True
    """
    tally, modes = Tally(metrics), [(module, module.training) for module in model.modules()]        # some may be frozen in eval()
    device = device_of_model(model)
    model.eval()
    try:
        with current(device):
            for batch in loader:
                inputs, targets = moved(batch, device)
                outputs = model(inputs)
                tally.add(criterion(outputs, targets).item(), len(inputs), outputs, targets)
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
        self.total, self.over = 0.0, False
        for metric in self.metrics.values():
            metric.reset()

    @no_grad()
    def add(self, loss, pictures, outputs, targets):
        self.batches += 1
        self.pictures += pictures
        self.total += loss * pictures
        scores, answers = raw(outputs), raw(targets)
        if is_classes(scores, answers):
            self.right = self.right + (scores.argmax(axis=1) == answers).sum()             # of a GPU: is read when asked for
            self.answers += answers.size
        for metric in self.metrics.values():
            metric.update(detached(outputs), targets)

    def sums(self):
        """What is added up over the batches: loss times pictures, pictures, answers, right ones."""
        return self.total, self.pictures, self.answers, self.right

    def set_sums(self, sums):
        self.total, self.pictures, self.answers, self.right = sums

    def text(self):
        share = f", accuracy {int(self.right) / self.answers:.1%}" if self.answers else ""
        return f"loss {self.total / self.pictures:.4f}{share}"

    def result(self, name):
        if self.pictures == 0:
            raise ValueError(f"{name}: the loader gave no batches. Check the data set, batch_size and drop_last.")
        return self.total / self.pictures, int(self.right) / self.answers if self.answers else math.nan

    def measures(self, part):
        """What the metrics say now, as floats: {"train_iou": ...}; those that give a dict have a name for each entry."""
        found = {}
        for name, metric in self.metrics.items():
            value = metric.compute()
            for key, number in value.items() if isinstance(value, dict) else [(None, value)]:
                number = np.asarray(on_host(number))
                if number.size != 1 or number.dtype.kind not in "fiub":
                    raise TypeError(f"fit: metric {name!r} must compute a number or a dict of numbers, got an array of shape "
                                    f"{number.shape}. Pass one that gives a mean, or derive one whose compute() returns a dict.")
                found[f"{part}_{name}" if key is None else f"{part}_{name}_{key}"] = number.item() * 1.0
        return found

    def state_dict(self):
        own = {name: value for name, value in vars(self).items() if name != "metrics"} | {"right": int(self.right)}
        return {"own": own, "metrics": {name: state_of(metric) for name, metric in self.metrics.items()}}

    def load_state_dict(self, state):
        vars(self).update(state["own"])
        for name, values in state["metrics"].items():
            put_state(self.metrics[name], values)


def is_classes(scores, answers):
    """Whether answers (N, ...) are class indices for scores (N, K, ...)."""
    if not (is_array(scores) and is_array(answers)):
        return False
    return answers.dtype.kind in "iu" and scores.ndim > 1 and answers.shape == scores.shape[:1] + scores.shape[2:]


class Best:
    """The best epoch so far by one quantity, and whether training has gone on for too long without a better one."""

    def __init__(self, monitor, patience):
        self.monitor, self.patience, self.value, self.worse = monitor, patience, None, 0

    def add(self, row):
        """Whether this epoch is the best."""
        if self.monitor not in row.metrics and not hasattr(row, self.monitor):
            raise ValueError(f"fit: monitor must be one of {', '.join(row.metrics)}, got {self.monitor!r}.")
        value = row[self.monitor]
        falls = any(word in self.monitor for word in ("loss", "error"))
        better = not math.isnan(value) and (self.value is None or (value < self.value if falls else value > self.value))
        self.value, self.worse = (value, 0) if better else (self.value, self.worse + 1)
        return better

    @property
    def over(self):
        return self.patience is not None and self.worse >= self.patience

    def state_dict(self):
        return {"value": self.value, "worse": self.worse}

    def load_state_dict(self, state):
        self.value, self.worse = state["value"], state["worse"]


def bar(loader, title, shown, done=0):
    """The loader with a progress bar, on a terminal as in a notebook; as it is where none is wanted.  done: batches behind it."""
    if not shown:
        return contextlib.nullcontext(loader)
    require("fit with a progress bar", "tqdm")
    from tqdm.auto import tqdm
    return tqdm(loader, desc=title, unit="batch", leave=False, dynamic_ncols=True, initial=done)
