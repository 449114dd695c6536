"""Times in turns: who takes part in which round, and what is made of the numbers."""

import gc
import math

import pytest

from tinyvision.bench import measure
from tinyvision.bench.measure import Times, block, in_turns


class Clock:
    """A clock that only the calls move on."""

    def __init__(self, monkeypatch):
        self.now, self.log = 0.0, []
        monkeypatch.setattr(measure, "perf_counter", lambda: self.now)
        monkeypatch.setattr(measure, "rest", lambda: self.log.append("rest"))

    def call(self, name, *seconds):
        """A call that takes these seconds, the last ever after."""
        seconds = list(seconds)

        def call():
            self.log.append(name)
            self.now += seconds.pop(0) if len(seconds) > 1 else seconds[0]
        return call


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_long_calls_are_timed_one_at_a_time_and_begin_in_turn(clock):
    times = in_turns({"a": clock.call("a", 1), "b": clock.call("b", 2)}, budget=9)
    assert clock.log == ["rest", "a", "rest", "b"] + [
        word for pair in ("ab", "ba", "ab") for name in pair for word in ("rest", name)]
    assert times.rounds == {"a": [1, 1, 1], "b": [2, 2, 2]}


def test_short_calls_come_in_blocks_with_one_call_before_that_is_not_timed(clock):
    slow_once = clock.call("a", 0.5, 0.001)
    assert math.isclose(block(slow_once, guess=0.001), 0.001)
    assert clock.log == ["rest"] + ["a"] * 11


def test_a_block_is_filled_where_the_guess_was_too_long(clock):
    assert math.isclose(block(clock.call("a", 0.001), guess=0.005), 0.001)
    assert clock.log == ["rest"] + ["a"] * (1 + 2 + 8)
    del clock.log[:]
    in_turns({"a": clock.call("a", 0.5, 0.001)}, budget=0.9)              # the first round still believes the first call
    assert clock.log[:2] + clock.log[-12:] == ["rest", "a"] + ["rest"] + ["a"] * 11


def test_a_block_waits_for_threads_that_still_spin(monkeypatch):
    """Two steps in which a thread worked, one in which it had gone to sleep; and no end of it: 50 steps are enough."""
    spent, slept = [0, 4, 4, 8, 8, 8.1], []
    monkeypatch.setattr(measure, "sleep", slept.append)
    monkeypatch.setattr(measure, "process_time", lambda: spent.pop(0) / 1000)
    measure.rest()
    assert slept == [0.004] * 3 and not spent
    monkeypatch.setattr(measure, "process_time", lambda: float(len(slept)))
    measure.rest()
    assert len(slept) == 3 + 50


def test_what_is_left_of_the_budget_goes_to_the_quick_ones(clock):
    times = in_turns({"a": clock.call("a", 0.1), "b": clock.call("b", 0.2), "c": clock.call("c", 1)}, budget=5)
    assert [len(times.rounds[name]) for name in "abc"] == [7, 7, 3]
    assert len(in_turns({"a": clock.call("a", 0.02)}, budget=100).rounds["a"]) == measure.MOST


def test_a_call_longer_than_the_budget_is_made_once_or_not_again(clock):
    calls = {"a": clock.call("a", 0.1), "b": clock.call("b", 7), "c": clock.call("c", 7)}
    times = in_turns(calls, budget=1, known={"a": 0.1, "b": 6})
    assert times.rounds["b"] == [6] and times.rounds["c"] == [7] and len(times.rounds["a"]) > 2
    assert "b" not in clock.log and clock.log.count("c") == 1


def test_what_happens_to_a_whole_round_leaves_the_ratio(clock):
    """The machine is three times slower in one round of three: the ratio of each round stays 1/2."""
    times = Times({"a": [1, 3, 1], "b": [2, 6, 2]})
    assert times.ratio("a", "b") == 0.5
    assert Times({"a": [1, 3, 3], "b": [2, 6, 10]}).ratio("a", "b") == 0.5 and Times({"a": [3, 1, 2]}).seconds("a") == 2
    assert math.isnan(Times({"a": [], "b": []}).ratio("a", "b"))


def test_garbage_is_not_collected_while_the_clock_runs(clock):
    seen = []
    in_turns({"a": lambda: seen.append(gc.isenabled()) or clock.call("a", 1)()}, budget=3)
    assert seen == [True, False, False, False] and gc.isenabled()


def test_the_collector_comes_back_after_an_error(clock):
    def call():
        clock.call("a", 1)()
        if clock.now > 1.5:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        in_turns({"a": call}, budget=3)
    assert gc.isenabled()
