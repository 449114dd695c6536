"""For all tests: every one begins with the same random numbers, and Ctrl-C is what it is at a terminal."""

import random
import signal

import numpy as np
import pytest

import tinyvision.random


def pytest_configure(config):
    """A shell that starts pytest in the background takes Ctrl-C away, also from the processes that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Whatever ran before, and whether it ran: a test that fails does so again."""
    random.seed(0)
    np.random.seed(0)
    tinyvision.random.manual_seed(0)
