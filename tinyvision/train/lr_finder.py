"""The learning-rate range test: raise the rate from much too small to much too large in one short run, and look at the loss.

The rate of step i of n is start * (end / start)^(i / (n - 1)), so every decade takes equally many steps.  While it is too small
the loss stays; then it falls; then the steps overshoot, and it rises beyond bounds: there the test stops.  A single batch's loss
is noisy, so the curve is smoothed by a moving average with weights b^k, divided by their sum so that its start is not
drawn towards 0:

    m_i = b m_{i-1} + (1 - b) L_i,      smoothed_i = m_i / (1 - b^i)

Three points of the curve are named.  `steepest`: where the smoothed loss falls fastest per decade.  `minimum`: where it is
lowest, already too much for a long run; a tenth of it is a common choice.  `valley`: of the longest run of values that fall one
after the other (not necessarily neighbours: noise is skipped), the point two thirds on the way.  The suggestion is the valley,
for it depends on the whole slope and not on one point of a noisy curve, but never more than half of the minimum.

Everything happens on copies; model, optimiser, loader and random numbers stay as they are.

Sources: Smith 2015, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186, section 3.3; the learner of fastai
(the smoothing, the points).
"""

import bisect
import math
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np

from .. import functional as F
from ..optim import Optimizer
from .aside import aside, pairs


@dataclass
class LRCurve:
    """The curve of a range test: rates, losses (raw and smoothed), and the points of it; rates are per step.

    suggestion: the rate to use, None where the loss never fell; reason: why this one, or why none; stopped: why the test ended.
    valley, steepest, minimum: rates, None where the loss never fell.

    >>> print(LRCurve([1e-3, 1e-2], [2.0, 1.0], [2.0, 1.2], 2e-3, "A test.", "", 2e-3, 5e-3, 1e-2).suggestion)
    0.002
    """

    rates: list
    losses: list
    smoothed: list
    suggestion: float | None
    reason: str
    stopped: str
    valley: float | None
    steepest: float | None
    minimum: float | None

    def __str__(self):
        rate = "no suggestion" if self.suggestion is None else f"suggested learning rate {self.suggestion:.2g}"
        return f"{rate}: {self.reason} ({len(self.rates)} steps from {self.rates[0]:.2g} to {self.rates[-1]:.2g}; {self.stopped})"

    def to_dict(self):
        """Everything as a plain dictionary."""
        return asdict(self)


def find_lr(model, optimizer, loader, criterion=F.cross_entropy, *, start=1e-6, end=10.0, steps=100, smoothing=0.9, diverges=4.0):
    """Make a learning-rate range test on copies and return its LRCurve, with a suggestion.

    optimizer: of this model; its other settings are used as they are.  With several groups, `start` and `end` are those of the
    group with the largest rate, and the others keep their proportion to it.
    loader: gives (inputs, targets), gone through as often as needed; steps: of the sweep.
    smoothing: b above, 0 (none) to below 1; diverges: stop when the smoothed loss is so many times its lowest value.
    Raises ValueError unless 0 < start < end, steps >= 10, 0 <= smoothing < 1 and diverges > 1; TypeError for what is no
    Optimizer; FloatingPointError when the very first loss is not finite.

    >>> from tinyvision import data, manual_seed, models, optim
    >>> _ = manual_seed(0); model = models.MLP(64, (32,))
    >>> loader = data.DataLoader(data.Digits(size=8), 32, shuffle=True, generator=0)
    >>> curve = find_lr(model, optim.Adam(model.parameters()), loader)
    >>> 1e-4 < curve.suggestion < 1e-1
    True
    """
    check_options(optimizer, start, end, steps, smoothing, diverges)
    with aside("find_lr", model, optimizer, criterion, loaders=[loader]) as (copy, own, loss_of), np.errstate(all="ignore"):
        copy.train()
        return judged(*sweep(copy, own, loss_of, islice(pairs("find_lr", loader, copy), steps),
                             np.geomspace(start, end, steps), smoothing, diverges))


def check_options(optimizer, start, end, steps, smoothing, diverges):
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"find_lr: optimizer must be of type Optimizer, got {type(optimizer).__name__}. The order is model, "
                        "optimizer, loader, criterion.")
    if not 0 < start < end < math.inf:
        raise ValueError(f"find_lr: start and end must be rates with 0 < start < end, got {start} and {end}. Use 1e-6 and 10.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 10:
        raise ValueError(f"find_lr: steps must be a whole number of at least 10, got {steps!r}. Use 100.")
    if not 0 <= smoothing < 1:
        raise ValueError(f"find_lr: smoothing must be at least 0 and below 1, got {smoothing}. Use 0.9.")
    if not diverges > 1:
        raise ValueError(f"find_lr: diverges must be above 1, got {diverges}. Use 4.")


def sweep(model, optimizer, criterion, batches, rates, smoothing, diverges):
    """Rates, losses and smoothed losses up to the end or the divergence, and why it ended."""
    highest = max(group["lr"] for group in optimizer.param_groups)
    shares = [group["lr"] / highest if highest else 1.0 for group in optimizer.param_groups]
    losses, smoothed, average = [], [], 0.0
    for count, (rate, (inputs, targets)) in enumerate(zip(rates, batches), 1):
        loss = criterion(model(inputs), targets)
        if not math.isfinite(loss.item()):
            if not losses:
                raise FloatingPointError(f"find_lr: the first loss is {loss.item()}, before any step. Look for NaN or huge "
                                         "values "
                                         "in the data and the weights.")
            return rates[:len(losses)], losses, smoothed, f"the loss became {loss.item()}"
        average = smoothing * average + (1 - smoothing) * loss.item()
        losses.append(loss.item())
        smoothed.append(average / (1 - smoothing ** count))
        lowest = min(smoothed)
        if smoothed[-1] > lowest + (diverges - 1) * abs(lowest):
            return rates[:count], losses, smoothed, f"the loss rose to {smoothed[-1] / lowest:.1f} times its lowest value"
        for group, share in zip(optimizer.param_groups, shares):
            group["lr"] = float(rate) * share
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return rates, losses, smoothed, "the end of the range was reached"


def judged(rates, losses, smoothed, stopped):
    """The LRCurve with its points."""
    rates, curve = [float(rate) for rate in rates], np.array(smoothed)
    low = int(curve.argmin())
    fallen = (curve[0] - curve[low]) / max(abs(curve[0]), 1e-12)
    if low < 2 or fallen < 0.02:
        reason = (f"the smoothed loss never falls by more than {100 * max(fallen, 0):.1g}%. Use a wider range or more steps, "
                  "and see "
                  "what check_training and diagnose say")
        return LRCurve(rates, losses, smoothed, None, reason, stopped, None, None, None)
    slopes = np.gradient(curve[:low + 1], np.log10(rates[:low + 1]))
    steepest, minimum = rates[int(slopes.argmin())], rates[low]
    falling = longest_fall(curve[:low + 1])
    valley = rates[falling[0] + 2 * (falling[-1] - falling[0]) // 3]
    suggestion = min(valley, minimum / 2)
    reason = (f"the smoothed loss falls from {curve[falling[0]]:.3g} at {rates[falling[0]]:.1e} to {curve[low]:.3g} at "
              f"{minimum:.1e}; "
              + ("two thirds of the steps on the way down" if suggestion == valley else "half of the rate with the lowest "
                 "loss") + f"; the fall is steepest at {steepest:.1e}")
    return LRCurve(rates, losses, smoothed, suggestion, reason, stopped, valley, steepest, minimum)


def longest_fall(values):
    """Indices of the longest strictly falling subsequence (patience sorting: Fredman 1975).

    >>> longest_fall([5, 6, 4, 4.5, 3, 1])
    [1, 3, 4, 5]
    """
    ends, positions, before = [], [], []
    for i, value in enumerate(values):
        place = bisect.bisect_left(ends, -value)
        before.append(positions[place - 1] if place else -1)
        ends[place:place + 1] = [-value]
        positions[place:place + 1] = [i]
    chain, i = [], positions[-1]
    while i >= 0:
        chain.append(i)
        i = before[i]
    return chain[::-1]
