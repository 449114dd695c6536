"""Times in turns: short blocks of calls, one contender after the other, round after round; then medians.

A machine is never the same twice: its clock goes up and down, other programs come and go.  What happens to all contenders
within one round cancels in their ratio, so ratios are taken round by round, and their median is given.

Threads look for more work for a while after a call, before they sleep: those of OpenMP about 7 ms, those of OpenBLAS 60 ms and
more.  That takes a processor, and would be charged to the next contender; so each block begins when this process has
become idle, and where calls are short with a call that is not timed, which wakes the contender's own threads.
"""

import gc
import statistics
from time import perf_counter, process_time, sleep

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


def nothing():
    """For what is done when its call returns."""


def once(call, finish=nothing):
    """Seconds of one call, until `finish` returns as well."""
    rest()
    start = perf_counter()
    call()
    finish()
    return perf_counter() - start


def in_turns(calls, budget, known=None, least=LEAST, most=MOST, finish=nothing, shortest=BLOCK):
    """Measure {name: call} for about `budget` seconds; returns Times.

    finish: waits until what was called is done, where that is later than its return, as on a GPU.
    shortest: seconds that a block should last at least.

    Every call has run before, to be checked: what compiles has compiled, caches are filled.  known: seconds that a call took
    there; one that takes longer than the whole budget is not called again.
    Everybody takes part in the first rounds; what is left of the budget goes to those that are not much slower than the first.

    >>> times = in_turns({"a": lambda: sum(range(500)), "b": lambda: sum(range(5000))}, budget=0.05)
    >>> times.ratio("a", "b") < 1
    True
    """
    known = known or {}
    guess = {name: known[name] if known.get(name, 0) > budget else once(call, finish) for name, call in calls.items()}
    rounds = {name: [] for name in calls}
    late = [name for name, t in guess.items() if t > budget]
    for name in late:                                     # so slow that one call has to do
        rounds[name].append(guess[name])
    quick = [name for name in calls if name not in late]
    steady = [name for name in quick if max(guess[name], shortest) <= 3 * max(guess[quick[0]], shortest)]
    collecting, start = gc.isenabled(), perf_counter()
    gc.disable()
    try:
        for r in range(most):
            if r >= least and perf_counter() - start >= budget:
                break
            turn = quick if r < least else steady
            for k in range(len(turn)):                    # another one begins in every round
                name = turn[(k + r) % len(turn)]
                rounds[name].append(block(calls[name], guess[name], finish, shortest))
                guess[name] = min(guess[name], rounds[name][-1])
    finally:
        if collecting:
            gc.enable()
    return Times(rounds)


def rest(step=0.004, most=0.2):
    """Wait until no thread of this process works, at most so many seconds."""
    for _ in range(round(most / step)):
        before = process_time()
        sleep(step)
        if process_time() - before < 0.2 * step:
            break


def block(call, guess, finish=nothing, shortest=BLOCK):
    """Seconds per call over a block of calls."""
    rest()
    if guess < shortest:
        call()
        finish()
    repeats = max(1, round(shortest / max(guess, 1e-7)))
    done, start = 0, perf_counter()
    while True:
        for _ in range(repeats):
            call()
        finish()
        done, seconds = done + repeats, perf_counter() - start
        if seconds >= 0.9 * shortest:
            return seconds / done
        # the guess was a call that threads had to be woken for: the rest of the block by what is known now
        repeats = max(1, round((shortest - seconds) / max(seconds / done, 1e-7)))
