"""One workload given to all contenders: built, checked against the reference, timed in turns."""

from time import perf_counter

import numpy as np

from ..kernels.cuda.tf32 import is_tf32_allowed
from .contenders import Unsupported, first_line
from .measure import in_turns, rest

TOLERANCE = 1e-4                                          # of the largest number of a result: float32, thousands of terms
KINKED = 3e-3                                             # of the sum of squares: a few elements of a million
LOSSES, FALL, ROUNDING = 1e-4, 1e-2, 2e-6                 # relative: of a loss, of its fall in a step, of float32 in a loss
COARSE = 20                                               # times as much with TensorFloat-32: 2e-3 of the largest number


def slack():
    """By what the bounds above are multiplied."""
    return COARSE if is_tf32_allowed() else 1


def attempt(contender, refused, make):
    """make(), or None and the reason why not."""
    try:
        return make()
    except Unsupported as reason:
        refused[contender.key] = str(reason)
    except Exception as error:                            # another engine's failure is a result, not our end
        refused[contender.key] = f"fails: {first_line(error)}"
    return None


def difference(found, wanted, kinked=False):
    """How far results are from those wanted, relative to the largest number; infinite for other shapes and NaN.

    kinked: relative in the sum of squares instead.  Rounding decides on which side of its kink a ReLU is where its input is
    nearly 0, and there a gradient is all or nothing.
    """
    if [np.shape(a) for a in found] != [np.shape(b) for b in wanted]:
        return np.inf
    size = (lambda a: np.sqrt(np.sum(np.square(a, dtype=float)))) if kinked else lambda a: np.abs(a).max(initial=0)
    with np.errstate(invalid="ignore"):                   # inf - inf: not a number, and so infinitely far
        gaps = [size(np.subtract(a, b)) / max(size(b), 1e-30) for a, b in zip(found, wanted)]
    return float(max(np.nan_to_num(gaps, nan=np.inf, posinf=np.inf)))


def checked(contender, call, wanted, refused, kinked=False):
    """The call, if it returns what the reference returns."""
    found = attempt(contender, refused, lambda: contender.arrays(call()))
    if found is None:
        return None
    gap = difference(found, wanted, kinked)
    if gap > slack() * (KINKED if kinked else TOLERANCE):
        refused[contender.key] = f"wrong by {gap:.0e}"
        return None
    return call


def two_steps(contender, step):
    """The losses of the first two steps, and the seconds of the second."""
    rest()
    first = contender.number(step())
    start = perf_counter()
    second = contender.number(step())
    return (first, second), perf_counter() - start


def same_losses(losses, wanted, fall=FALL):
    """None, or in words how the losses differ.

    The second loss says little of the gradients, for a step is small; the difference of the two is what the step has done.

    >>> same_losses([1.0, 0.50001], [1.0, 0.5]), same_losses([1.0, 0.999], [1.0, 0.9989])
    (None, 'other losses: 1 for 1, 0.999 for 0.9989')
    """
    (a, a2), (b, b2) = losses, wanted
    same, fall, rounding = LOSSES * slack(), min(fall * slack(), 0.5), ROUNDING * slack()
    near = abs(a - b) <= same * abs(b) and abs(a2 - b2) <= max(same * abs(b2), fall * abs(b - b2))
    if near and abs((a - a2) - (b - b2)) <= fall * abs(b - b2) + rounding * abs(b):
        return None
    return "other losses: " + ", ".join(f"{a:.6g} for {b:.6g}" for a, b in zip(losses, wanted))


def records(contenders, calls, refused, budget, known=None, **about):
    """A dictionary for each contender: its time, every round, the ratio tinyvision / this one; or why it was refused."""
    first, ours = contenders[0], contenders[0].key
    order = {key: calls[key] for key in (c.key for c in contenders) if key in calls}
    times = in_turns(order, budget, known, finish=first.finish, shortest=first.block) if order else None
    rows = []
    for key in (c.key for c in contenders):
        row = {**about, "contender": key}
        if key not in calls:
            rows.append(row | {"refused": refused.get(key, "not there")})
            continue
        row |= {"seconds": times.seconds(key), "rounds_seconds": times.rounds[key]}
        if key != ours and ours in calls:
            row["ratio"] = times.ratio(ours, key)
        rows.append(row)
    return rows
