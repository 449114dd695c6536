"""Run with so many threads, as far as the machine has them."""

import contextlib

from tinyvision.kernels.registry import get_num_threads, set_num_threads


@contextlib.contextmanager
def some_threads(n):
    before = get_num_threads()
    try:
        set_num_threads(n)
    except ValueError:                                    # more than there are cores: then with all there are
        set_num_threads(before)
    try:
        yield
    finally:
        set_num_threads(before)
