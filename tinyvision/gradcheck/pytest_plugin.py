"""For pytest: the fixture `assert_gradients`, which is the function of that name with a seed drawn from the test's name.

It comes with the installation; in a test, ask for it by its name:

    def test_my_layer(assert_gradients):
        assert_gradients(MyOp(), np.ones((2, 3)))

Two tests draw different upstream gradients, and each draws the same ones in every run.
"""

import zlib
from functools import partial

import pytest


@pytest.fixture(name="assert_gradients")
def assert_gradients_fixture(request):
    """tinyvision.gradcheck.assert_gradients with the seed of this test (tinyvision is imported only when asked for)."""
    from . import assert_gradients
    return partial(assert_gradients, seed=zlib.crc32(request.node.nodeid.encode()))
