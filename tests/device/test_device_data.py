"""Batches on their way to a device: moved whole, from page-locked memory where that is wanted."""

import warnings
from collections import namedtuple

import numpy as np
import pytest

from tinyvision import Tensor, backend, data
from tinyvision.ops.device import moved, on_host, pinned_batch

from .fake_module import Event

Pair = namedtuple("Pair", "picture label")


def loader(**options):
    x, y = np.arange(40.0).reshape(10, 4), np.arange(10)
    return data.DataLoader(data.TensorDataset(x, y), 4, **options)


def test_batches_of_any_form_are_moved(device):
    batch = {"a": [Tensor([1.0]), np.ones(2)], "b": Pair(Tensor([2.0]), (3, "text")), "c": None}
    there = moved(batch, device)
    assert there["a"][0].device == backend.device_of(there["a"][1]) == there["b"].picture.device == device
    assert there["b"].label == (3, "text") and there["c"] is None and type(there["b"]) is Pair
    back = moved(there, "cpu")
    assert back["a"][0].device == "cpu" and isinstance(back["a"][1], np.ndarray) and on_host(there["a"][0]).tolist() == [1.0]


@pytest.mark.parametrize("prefetch", [False, True])
def test_pinned_batches_are_the_same(prefetch, device):
    pinned = loader(pin_memory=True)
    for (x, y), (a, b) in zip(data.Prefetch(pinned) if prefetch else pinned, loader(), strict=True):
        assert backend.is_pinned(x.data) and backend.is_pinned(y.data) and not backend.is_pinned(a.data)
        np.testing.assert_array_equal(x.numpy(), a.numpy())
        np.testing.assert_array_equal(moved([x, y], device)[0].cpu().numpy(), a.numpy())
        np.testing.assert_array_equal(y.to(device).cpu().numpy(), b.numpy())


def test_pinned_memory_is_kept_until_it_was_fetched(device):
    """Batches that are dropped at once, one after the other: none may take the memory that another is fetched from."""
    found = []
    for k in range(50):
        found.append(backend.to_device(backend.pinned(np.full(1 << 16, k, np.float32)), device))
    for k, x in enumerate(found):
        np.testing.assert_array_equal(on_host(x), np.full(1 << 16, k, np.float32))


def test_what_was_fetched_is_let_go(transfers, monkeypatch):
    backend.under_way.clear()
    for _ in range(3):
        backend.to_device(backend.pinned(np.zeros(4)), "cuda")
    assert len(backend.under_way) == 1                    # the last one: whether it is done is asked the next time
    monkeypatch.setattr(Event, "delay", 5)
    for _ in range(3):
        backend.to_device(backend.pinned(np.zeros(4)), "cuda")
    assert len(backend.under_way) == 3
    backend.under_way.clear()


def test_views_and_arrays_of_a_device_are_not_pinned_again(device):
    x = backend.pinned(np.arange(6.0).reshape(2, 3))
    assert backend.pinned(x) is x and not backend.is_pinned(x[1:])
    there = backend.to_device(x, device)
    assert backend.pinned(there) is there
    assert pinned_batch([Tensor(there)])[0].device == device
    np.testing.assert_array_equal(on_host(backend.to_device(x[:, 1:], device)), x[:, 1:])


def test_without_a_gpu_a_warning_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.warns(UserWarning, match="pin_memory=True is for copies to a GPU, and there is none: batches stay"):
        plain = loader(pin_memory=True)
    assert not backend.is_pinned(next(iter(plain))[0].data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader(pin_memory=False)
    with pytest.raises(TypeError, match="pin_memory must be True or False"):
        loader(pin_memory=1)
