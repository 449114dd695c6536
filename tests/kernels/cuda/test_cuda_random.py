"""The CUDA source of random numbers against the reference, bit for bit, and against published answers where it repeats itself."""

import threading

import numpy as np
import pytest

from tinyvision.kernels import random
from tinyvision.kernels.cuda import random as twins

from .emulate import emulated

KEYS = [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0xDEADBEEF, 42)]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (13,), (2, 3, 5), (0, 3), (5000,)])
def test_the_same_bits_as_the_reference(gpu, key, shape):
    x = gpu.array(np.zeros(1, "f"))
    u, keep = gpu.numpy(twins.uniform(x, key, shape)), gpu.numpy(twins.kept(x, key, shape, 0.3))
    assert u.dtype == np.float32 and keep.dtype == bool and u.shape == keep.shape == shape
    np.testing.assert_array_equal(u, random.uniform.reference(np.zeros(1), key, shape))
    np.testing.assert_array_equal(keep, random.kept.reference(np.zeros(1), key, shape, 0.3))


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_and_everything_is_dropped(gpu, p):
    assert gpu.numpy(twins.kept(gpu.array(np.zeros(1, "f")), (1, 2), (1000,), p)).all() == (p == 0)


def test_a_recorded_step_draws_others_in_every_turn(gpu):
    """Turn n is the word c2 of the counter, so its numbers are those of Philox at (block, 0, n, 0)."""
    x, turn, key = gpu.array(np.zeros(1, "f")), twins.TurnOnDevice(gpu.array(np.zeros(1, "f"))), (7, 8)
    found = []
    for n in range(3):
        with turn.recorded():
            found.append(gpu.numpy(twins.uniform(x, key, (8,))))
            with pytest.raises(RuntimeError, match="recorded already"), turn.recorded():
                pass
        assert gpu.numpy(turn.array).tolist() == [n + 1]
    for n, numbers in enumerate(found):
        zero = np.zeros(2, np.uint32)
        words = np.stack(random.philox((np.arange(2, dtype=np.uint32), zero, zero + np.uint32(n), zero), key), axis=1).ravel()
        np.testing.assert_array_equal(numbers, (words >> 8) / np.float32(2 ** 24))
    np.testing.assert_array_equal(gpu.numpy(twins.uniform(x, key, (8,))), found[0])           # outside, there are no turns


def test_a_step_that_fails_while_it_is_recorded_is_not_counted(gpu):
    turn = twins.TurnOnDevice(gpu.array(np.zeros(1, "f")))
    with pytest.raises(KeyError), turn.recorded():
        raise KeyError
    assert gpu.numpy(turn.array).tolist() == [0] and twins.state.turn is None


def test_each_thread_records_its_own_step():
    with emulated():
        turn, seen = twins.TurnOnDevice(np.zeros(1, "f")), []
        with turn.recorded():
            thread = threading.Thread(target=lambda: seen.append(twins.state.turn))
            thread.start()
            thread.join()
        assert seen == [None]
