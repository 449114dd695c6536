"""A measure over many batches: what a loop needs of it.

Few measures of a whole set are the mean of what they are on its batches: accuracy is where the batches have one size, precision,
IoU and the area under a curve are not.  So a metric is an object that gathers what determines the answer, and divides once,
at the end:

    metric.reset()                          forget everything
    metric.update(predictions, targets)     one batch more
    metric.compute()                        the measure of all batches since the reset

The result does not depend on how the examples were cut into batches.  What is gathered is small where the measure is a ratio of
counts (`Accuracy`, `ConfusionMatrix`, `Multilabel`), and everything where the measure needs a common order of all examples
(`Collected`: areas under curves, for example).
"""

import abc

import numpy as np

from .check import array, not_empty


class Metric(abc.ABC):
    """A measure that gathers batches: reset, update, compute.

    A subclass has the three; its constructor calls reset().
    Raises TypeError when a subclass without one of them is instantiated.

    >>> class Largest(Metric):
    ...     def __init__(self):
    ...         self.reset()
    ...     def reset(self):
    ...         self.largest = float("-inf")
    ...     def update(self, predictions, targets):
    ...         self.largest = max(self.largest, abs(np.asarray(predictions) - targets).max())
    ...     def compute(self):
    ...         return float(self.largest)
    >>> metric = Largest(); metric.update([1, 5], [1, 3]); metric.update([0], [1]); metric.compute()
    2.0
    """

    @abc.abstractmethod
    def reset(self):
        """Forget all batches."""

    @abc.abstractmethod
    def update(self, predictions, targets):
        """Take one batch into account."""

    @abc.abstractmethod
    def compute(self):
        """The measure of all batches since the last reset."""


class Mean(Metric):
    """The mean of numbers that come in batches, a loss for example.

    update(values, weight=1): numbers of any shape, each counted `weight` times: a loss that is a mean over 32 pictures has
    weight 32.
    Raises ValueError for a negative weight, and in compute where the weights add up to 0.

    >>> loss = Mean(); loss.update(0.5, weight=32); loss.update(1.0, weight=16); round(loss.compute(), 4)
    0.6667
    """

    def __init__(self):
        self.reset()

    def reset(self):
        self.total = self.weight = 0.0

    def update(self, values, weight=1):
        values = array("Mean", "values", values)
        if not weight >= 0:
            raise ValueError(f"Mean: weight must be at least 0, got {weight}. It is the number of examples.")
        self.total += float(values.sum(dtype=np.float64)) * weight
        self.weight += values.size * weight

    def compute(self):
        not_empty("Mean", self.weight, "number")
        return self.total / self.weight


class Collected(Metric):
    """Any function of (predictions, targets) over a whole set: all batches are kept, and joined at the end.

    function: called as function(predictions, targets) with the joined arrays.
    Shapes: batches (B, ...) are joined along the first axis, which counts the examples.
    Raises TypeError where function cannot be called, ValueError for batches of different lengths, and in compute without a batch.

    >>> from tinyvision.metrics import roc_auc
    >>> metric = Collected(roc_auc); metric.update([0.9, 0.2], [1, 0]); metric.update([0.4, 0.6], [1, 0]); metric.compute()
    0.75
    """

    def __init__(self, function):
        if not callable(function):
            raise TypeError(f"Collected: function must be a function of (predictions, targets), got {function!r}. "
                            "Pass roc_auc, for instance.")
        self.function = function
        self.reset()

    def reset(self):
        self.batches = []

    def update(self, predictions, targets):
        # copied: the network may reuse the memory of its output for the next batch
        predictions, targets = (np.array(array("Collected", name, x)) for name, x in
                                (("predictions", predictions), ("targets", targets)))
        if not (predictions.ndim and targets.ndim) or len(predictions) != len(targets):
            raise ValueError(f"Collected: predictions and targets must have one length, got shapes {predictions.shape} and "
                             f"{targets.shape}. The first axis counts the examples.")
        self.batches.append((predictions, targets))

    def compute(self):
        not_empty("Collected", len(self.batches), "batch")
        return self.function(*map(np.concatenate, zip(*self.batches)))
