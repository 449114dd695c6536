"""For all tests: Ctrl-C is what it is at a terminal, also where a shell started pytest in the background and took it away."""

import signal


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
