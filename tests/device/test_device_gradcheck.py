"""The gradient checker on arrays of a device: right rules pass, wrong ones are named, everything is given back."""

import numpy as np
import pytest

from tests.cases import all_cases
from tests.test_courts import call, chosen, differentiable, with_values
from tinyvision import Op, Parameter, Tensor, nn
from tinyvision import functional as F
from tinyvision.gradcheck import assert_gradients, check_module, check_network, check_op, gradcheck

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3))
SEEN = []


class Cube(Op):
    def __init__(self, factor=3.0):
        self.factor = factor

    def forward(self, x):
        SEEN.append(type(x).__module__.partition(".")[0])
        return x * x * x

    def backward(self, g, x):
        return self.factor * g * x * x


def test_an_op_is_checked_where_its_input_is(device):
    SEEN.clear()
    assert check_op(Cube(), Tensor(X, device=device), order=2)
    assert set(SEEN) == {"cupy"}
    report = check_op(Cube(2.0), Tensor(X, device=device).data)
    assert not report and report.cause == "constant-factor" and report.inputs[0].ratio == pytest.approx(2 / 3)


def test_functions_of_several_inputs(device):
    w, labels = Tensor(RNG.standard_normal((5, 3)), device=device), Tensor(np.array([0, 4, 1, 2]), device=device)
    assert gradcheck(lambda x, w, labels: F.cross_entropy(F.linear(x, w), labels), Tensor(X, device=device), w, labels, order=2)
    assert gradcheck(lambda x: (x * 2, x.reshape(-1)[:2]), Tensor(X, device=device))
    report = gradcheck(lambda x: (x * x.detach()).sum(), Tensor(X, device=device))
    assert not report and report.inputs[0].ratio == pytest.approx(0.5)


SOME = [case for case in all_cases() if case.differentiated][::37]


@pytest.mark.parametrize("case", SOME, ids=[case.id for case in SOME])
def test_operations_pass_on_a_device(case, device):
    args, kwargs = case.draw()
    put = lambda a: Tensor(a, device=device) if isinstance(a, np.ndarray) else a
    args, kwargs = list(map(put, args)), {key: put(value) for key, value in kwargs.items()}
    assert_gradients(lambda *values: chosen(case, call(case, *with_values(case, args, kwargs, values))),
                     *differentiable(case, args, kwargs), order=case.order)


MODULES = {"linear": (lambda: nn.Linear(3, 2), X), "norm": (lambda: nn.BatchNorm1d(3), X), "relu": (nn.ReLU, X),
           "net": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)),
                   RNG.standard_normal((2, 1, 4, 4)))}


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_given_back_as_they_were(name, device):
    make, x = MODULES[name]
    module = make().to(device)
    before = [(t, t.data, t.data.copy()) for t in (*module.parameters(), *module.buffers())]
    assert check_module(module, Tensor(x, device=device), order=2)
    for t, array, copy in before:
        assert t.data is array and t.device == device
        np.testing.assert_array_equal(t.cpu().numpy(), copy.get())
    assert all(p is q for p, (q, _, _) in zip(module.parameters(), before))


def test_a_wrong_module_is_found(device):
    class Half(nn.Module):
        def __init__(self):
            self.weight = Parameter(np.array([1.0, 2.0, 3.0]))

        def forward(self, x):
            return Cube(1.5)(x) * self.weight
    report = check_module(Half().to(device), Tensor(X, device=device))
    assert not report and [row.passed for row in report.inputs] == [False, True]


def test_a_network_on_a_gpu_is_refused(device):
    with pytest.raises(ValueError, match=r"check_network: looks into a network in main memory.*module.cpu\(\)"):
        check_network(nn.Linear(3, 2).to(device), Tensor(X, device=device))
