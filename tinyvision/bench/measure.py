"""Times in turns: short blocks of calls, one contender after the other, round after round; then medians.

A machine is never the same twice: its clock goes up and down, other programs come and go.  What happens to all contenders
within one round cancels in their ratio, so ratios are taken round by round, and their median is given.

Each block starts with a short rest, and where calls are short with a call that is not timed: threads that one engine has left
spinning take a processor for a few milliseconds, and would be charged to the next.
"""

import gc
import statistics
from time import perf_counter, sleep

REST = 0.004                                              # seconds between contenders
BLOCK = 0.01                                              # seconds that a block should last at least
LEAST, MOST = 3, 15                                       # rounds


class Times:
    """Seconds per call by contender: one number for each round, fewer for slow ones."""

    def __init__(self, rounds):
        self.rounds = rounds

    def seconds(self, name):
        return statistics.median(self.rounds[name])

    def ratio(self, first, other):
        """The time of `first` as a multiple of the other's.

        >>> Times({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0]}).ratio("a", "b")
        0.5
        """
        pairs = [(a, b) for a, b in zip(self.rounds[first], self.rounds[other]) if b > 0]
        return statistics.median(a / b for a, b in pairs) if pairs else float("nan")


def once(call):
    start = perf_counter()
    call()
    return perf_counter() - start


def in_turns(calls, budget, known=None, least=LEAST, most=MOST):
    """Measure {name: call} for about `budget` seconds; returns Times.

    Every call has run before, to be checked: what compiles has compiled, caches are filled.  known: seconds that a call took
    there; one that takes longer than the whole budget is not called again.
    Everybody takes part in the first rounds; what is left of the budget goes to those that are not much slower than the first.

    >>> times = in_turns({"a": lambda: sum(range(500)), "b": lambda: sum(range(5000))}, budget=0.05)
    >>> times.ratio("a", "b") < 1
    True
    """
    known = known or {}
    guess = {name: known[name] if known.get(name, 0) > budget else once(call) for name, call in calls.items()}
    cost = {name: REST + max(t, BLOCK) + (t if t < BLOCK else 0) for name, t in guess.items()}
    rounds = {name: [] for name in calls}
    late = [name for name, t in guess.items() if t > budget]
    for name in late:                                     # so slow that one call has to do
        rounds[name].append(guess[name])
    quick = [name for name in calls if name not in late]
    steady = [name for name in quick if cost[name] <= 3 * cost[quick[0]]]
    extra = (budget - least * sum(cost[name] for name in quick)) / max(sum(cost[name] for name in steady), 1e-9)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for r in range(least + min(max(int(extra), 0), most - least)):
            turn = quick if r < least else steady
            for k in range(len(turn)):                    # another one begins in every round
                name = turn[(k + r) % len(turn)]
                rounds[name].append(block(calls[name], guess[name]))
    finally:
        if collecting:
            gc.enable()
    return Times(rounds)


def block(call, guess):
    """Seconds per call over a block of calls."""
    sleep(REST)
    if guess < BLOCK:
        call()
    repeats = max(1, round(BLOCK / max(guess, 1e-7)))
    start = perf_counter()
    for _ in range(repeats):
        call()
    return (perf_counter() - start) / repeats
