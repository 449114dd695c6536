"""For tests of files that claim to be larger than they are."""

import tracemalloc

import pytest


@pytest.fixture
def little_memory():
    """Fails the test where it took more than the 16 MB that every file is granted, three times over: as stored, decoded, copied."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000
