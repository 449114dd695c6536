"""Every operation on a device, both passes: the same numbers as on the CPU, up to rounding, and nothing left on the host."""

import numpy as np
import pytest

from tests.cases import all_cases
from tests.test_courts import call, chosen, differentiable, outputs, with_values
from tinyvision import Tensor, grad
from tinyvision.backend import to_device
from tinyvision.random import manual_seed

CASES = all_cases()


def moved(value, device):
    """Arrays on the device, everything else as it is."""
    return to_device(value, device) if isinstance(value, np.ndarray) else value


def passes(case, device, twice, dtype=np.float64):
    """Outputs, gradients and gradients of gradients of a case on a device, brought back."""
    args, kwargs = case.draw(dtype)
    leaves = [Tensor(v, requires_grad=True, device=device) for v in differentiable(case, args, kwargs)]
    args, kwargs = [moved(a, device) for a in args], {k: moved(v, device) for k, v in kwargs.items()}
    y = call(case, *with_values(case, args, kwargs, leaves))
    found = list(outputs(y))
    y = chosen(case, y)
    if leaves and y.requires_grad:
        u = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
        gs = [g for g in grad(y, leaves, to_device(u, device), create_graph=twice, allow_unused=True) if g is not None]
        found += gs
        if twice and (gs := [g for g in gs if g.requires_grad]):
            us = [np.random.default_rng(2).standard_normal(g.shape).astype(dtype) for g in gs]
            found += [g for g in grad(gs, leaves, [to_device(v, device) for v in us], allow_unused=True) if g is not None]
    return [Tensor(x) for x in found]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_operations_agree_with_the_cpu(case, device):
    if "dropout" in case.name:
        pytest.skip("draws other numbers there than on the CPU: tests/device/test_device_random.py")
    manual_seed(0)
    twice = case.order == 2
    expected, found = passes(case, "cpu", twice), passes(case, device, twice)
    assert len(expected) == len(found)
    for right, y in zip(expected, found):
        assert y.device == device and y.dtype == right.dtype and y.shape == right.shape
        np.testing.assert_allclose(y.cpu().numpy(), right.numpy(), rtol=1e-9, atol=1e-10)
