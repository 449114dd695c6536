"""Functions of several operations: the one that is wrong is named, and a graph that was cut is told from it."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import Op, Tensor, nn
from tinyvision import functional as F
from tinyvision.gradcheck import check_module, check_network, check_torch, gradcheck
from tinyvision.gradcheck.subject import TensorSubject

rng = np.random.default_rng(12)


class Flipped(Op):
    """A running sum along the rows that is undone from the wrong end."""

    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, g, x):
        return np.cumsum(g, axis=1)


class Block(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.a, self.b, self.inner = nn.Linear(4, 5).double(), nn.Linear(5, 3).double(), inner

    def forward(self, x):
        return F.softmax(self.b(self.inner(F.gelu(self.a(x)))), dim=1)


def test_the_wrong_operation_is_named():
    """Behind a nonlinearity and in front of a softmax no pattern is left of a reversed sum; by itself it is plain."""
    for report in (check_module(Block(Flipped()), rng.normal(size=(3, 4))),
                   gradcheck(lambda x: tv.tanh(Flipped()(x * x)).mean(axis=0), rng.normal(size=(3, 4))),
                   check_network(nn.Sequential(Block(Flipped()), nn.Linear(3, 2).double()), rng.normal(size=(3, 4)))):
        assert not report and report.cause == "flipped", str(report)
        assert "the operation Flipped inside is wrong by itself" in report.diagnosis


def test_a_cut_is_not_taken_for_anything_else():
    """All operations are the library's: what is missing was taken out of the graph."""
    def f(x, w):
        gate = tv.sigmoid(Tensor(np.cbrt(x.data)) @ w)
        return tv.tanh(x @ w) * gate

    report = gradcheck(f, rng.uniform(0.5, 2, (4, 3)), rng.normal(size=(3, 3)))
    causes = {row.name: row.cause for row in report.inputs if not row.passed}
    assert report.cause == "term-missing" and set(causes) == {"x"}, str(report)


def test_both_kinds_pass_where_they_are_right():
    assert check_module(Block(nn.Identity()), rng.normal(size=(3, 4)))


def test_one_operation_has_no_parts():
    """It is the whole, and would be examined twice."""
    assert TensorSubject("", Flipped(), ["x"], [np.ones((2, 3))], [0]).parts([np.ones((2, 3))]) is None
    parts = TensorSubject("", lambda x: Flipped()(x) * 2, ["x"], [np.ones((2, 3))], [0]).parts([np.ones((2, 3))])
    assert [part.title for part in parts] == ["Flipped"]
    assert TensorSubject("", lambda x: tv.exp(x) * 2, ["x"], [np.ones((2, 3))], [0]).parts([np.ones((2, 3))]) == []


def test_torch_functions_inside_are_named():
    torch = pytest.importorskip("torch")

    class Norm(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x / x.pow(2).mean(dim=1, keepdim=True).sqrt()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g / x.pow(2).mean(dim=1, keepdim=True).sqrt()

    apply = Norm.apply
    linear = torch.nn.Linear(5, 4).double()
    report = check_torch(lambda x: torch.softmax(linear(Norm.apply(torch.tanh(x))), dim=1), rng.normal(size=(3, 5)))
    assert not report and report.cause in ("term-missing", "diagonal-only") and "Norm" in report.diagnosis, str(report)
    assert Norm.apply == apply and "apply" not in vars(Norm)           # nothing is left of the watching


def test_torch_cuts_are_told_apart():
    torch = pytest.importorskip("torch")

    def f(x):
        return torch.tanh(x).cumsum(1) * torch.from_numpy(np.cbrt(x.detach().numpy()))

    report = check_torch(f, rng.uniform(0.5, 2, (4, 5)))
    assert not report and report.cause == "term-missing", str(report)
    assert "detach(), .data" in report.diagnosis
