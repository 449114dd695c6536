"""Homework in every form: a right backward passes in each, a wrong one fails in each, and what is no form at all is refused."""

import copy
import re

import numpy as np
import pytest

from tinyvision.gradcheck import check_loss, check_pair

RNG = np.random.default_rng(11)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)
Y = np.array([0, 1, 1, 0])


def affine(x, w, b):
    return x @ w + b


def grads(dout, x, w, factor=1):
    return dout @ w.T, factor * x.T @ dout, dout.sum(axis=0)


def cached(x, w, b):
    return affine(x, w, b), (x, w)


RETURNED = {
    "tuple": lambda g: g, "list": list, "dict": lambda g: dict(zip("xwb", g)),
    "dict with d": lambda g: {f"d{k}": v for k, v in zip("xwb", g)},
    "dict with grad_": lambda g: {f"grad_{k}": v for k, v in zip("xwb", g)},
}


@pytest.mark.parametrize("form", RETURNED)
@pytest.mark.parametrize("with_cache", [True, False])
def test_functions(form, with_cache):
    def check(factor):
        if with_cache:
            return check_pair(cached, lambda dout, cache: RETURNED[form](grads(dout, *cache, factor)), X, W, B)
        return check_pair(affine, lambda dout, x, w, b: RETURNED[form](grads(dout, x, w, factor)), X, W, B)
    right, wrong = check(1), check(2)
    assert right and [row.name for row in right.inputs] == ["x", "w", "b"] and all(row.how == "elements" for row in right.inputs)
    assert wrong.cause == "constant-factor" and [row.passed for row in wrong.inputs] == [True, False, True]


@pytest.mark.parametrize("wrap", [lambda g: g, lambda g: (g,), lambda g: [g], lambda g: (g, None)])
def test_a_single_gradient_may_come_bare(wrap):
    for factor in (1, 3):
        assert bool(check_pair(lambda x: (x ** 3, x), lambda dout, x: wrap(factor * 3 * dout * x ** 2), X)) == (factor == 1)
        assert bool(check_pair(lambda x: x ** 3, lambda dout, x: wrap(factor * 3 * dout * x ** 2), X)) == (factor == 1)


@pytest.mark.parametrize("factor", [1, 2])
def test_three_return_values(factor):
    """(out1, out2, cache) with backward(dout1, dout2, cache)."""
    report = check_pair(lambda x: (x ** 2, np.sin(x), x), lambda da, db, x: 2 * da * x + factor * db * np.cos(x), X)
    assert bool(report) == (factor == 1)


@pytest.mark.parametrize("factor", [1, 2])
def test_tuples_of_outputs(factor):
    def backward(douts, cache):
        assert isinstance(douts, tuple) and len(douts) == 2
        return 2 * douts[0] * cache + factor * douts[1] * np.cos(cache)
    assert bool(check_pair(lambda x: ((x ** 2, np.sin(x)), x), backward, X)) == (factor == 1)
    assert bool(check_pair(lambda x: (x ** 2, np.sin(x)), lambda d, x: backward(d, x), X)) == (factor == 1)


@pytest.mark.parametrize("factor", [1, 2])
def test_scalar_outputs_may_be_python_floats(factor):
    def backward(dout, x):
        assert type(dout) is float
        return factor * dout * 2 * x
    assert bool(check_pair(lambda x: (float((x ** 2).sum()), x), backward, X)) == (factor == 1)


def test_integers_are_never_differentiated():
    def backward(dout, cache):
        x, i = cache
        dx = np.zeros_like(x)
        np.add.at(dx, i, dout)
        return dx, None
    report = check_pair(lambda x, i: (x[i], (x, i)), backward, X, Y)
    assert report and [row.name for row in report.inputs] == ["x"]
    assert check_pair(lambda i, x: (x[i], (x, i)), lambda d, c: backward(d, c)[::-1], Y, X)
    assert not check_pair(lambda i, x: (x[i], (x, i)), lambda d, c: (None, 2 * backward(d, c)[0]), Y, X)


def test_none_says_zero():
    assert check_pair(lambda x, w: (x * 2, None), lambda dout, _: (2 * dout, None), X, W)
    report = check_pair(lambda x, w: (x @ w, (x, w)), lambda dout, c: (dout @ c[1].T, None), X, W)
    assert report.cause == "missing-gradient" and [row.passed for row in report.inputs] == [True, False]


def test_labels_that_are_floats_are_data():
    y = RNG.standard_normal(X.shape)

    def forward(x, y):
        return ((x - y) ** 2), (x, y)
    report = check_pair(forward, lambda d, c: 2 * d * (c[0] - c[1]), X, y)
    assert report and [row.how for row in report.inputs] == ["elements", "not checked"]
    assert not check_pair(forward, lambda d, c: 2 * d * (c[0] - c[1]), X, y, wrt=["x", "y"])
    assert not check_pair(forward, lambda d, c: (2 * d * (c[0] - c[1]), 2 * d * (c[0] - c[1])), X, y)      # returned, so judged


@pytest.mark.parametrize("wrt, names", [("w", ["w"]), (1, ["w"]), ([0, "b"], ["x", "b"]), (["b", "w"], ["b", "w"])])
def test_wrt_by_number_and_name(wrt, names):
    """The gradients returned are those of the chosen inputs."""
    by_name = lambda g: {k: v for k, v in zip("xwb", g)}                                     # noqa: E731
    report = check_pair(affine, lambda dout, x, w, b: by_name(grads(dout, x, w)), X, W, B, wrt=wrt)
    assert report and [row.name for row in report.inputs] == names
    wrong = check_pair(affine, lambda dout, x, w, b: by_name(grads(dout, x, w, 2)), X, W, B, wrt=wrt)
    assert bool(wrong) == ("w" not in names)
    whole = check_pair(affine, lambda dout, x, w, b: grads(dout, x, w), X, W, B, wrt=wrt)
    assert whole and [row.name for row in whole.inputs] == names


def test_names_are_the_users():
    report = check_pair(affine, lambda dout, *inputs: grads(dout, *inputs[:2], 2), X, W, B, names=["pixels", "kernel", "offset"])
    assert [row.name for row in report.inputs] == ["pixels", "kernel", "offset"] and "kernel" in report.diagnosis


# --- dictionaries among the inputs


def batch_norm(x, bn_param):
    mean = x.mean(axis=0)
    bn_param["running_mean"] = 0.9 * bn_param["running_mean"] + 0.1 * mean
    bn_param["calls"] += 1
    return x - mean + (bn_param["calls"] - 1) * x, None


def test_running_statistics_start_anew_and_the_users_dictionary_is_left_alone():
    """The output would change from call to call if `calls` were not restored."""
    param = {"running_mean": np.zeros(3), "calls": 0, "nested": {"a": [1, 2]}}
    kept, array = copy.deepcopy(param), param["running_mean"]
    assert check_pair(batch_norm, lambda dout, _: dout - dout.mean(axis=0), X, param)
    assert not check_pair(batch_norm, lambda dout, _: dout, X, param)
    assert param["running_mean"] is array and param["calls"] == 0 and param["nested"] == kept["nested"]
    np.testing.assert_array_equal(array, np.zeros(3))


def test_statistics_changed_in_place_are_restored():
    def forward(x, param):
        param["count"] += 1
        return x * param["count"], param["count"].copy()
    param = {"count": np.array([1.0])}
    assert check_pair(forward, lambda dout, count: dout * count, X, param) and param["count"] == 1


# --- objects


class Layer:
    """w and b in `params`, gradients in `grads`."""

    factor = 1

    def __init__(self, w=W, b=B):
        self.params, self.grads = {"w": w.copy(), "b": b.copy()}, {}

    def forward(self, x):
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, dout):
        dx, dw, db = grads(dout, self.x, self.params["w"], self.factor)
        self.leave(dw, db)
        return dx

    def leave(self, dw, db):
        self.grads = {"w": dw, "b": db}


class WithD(Layer):
    def leave(self, dw, db):
        self.grads = {"dw": dw, "db": db}


class Accumulating(Layer):
    def __init__(self):
        super().__init__()
        self.grads = {key: np.full_like(p, 7) for key, p in self.params.items()}

    def leave(self, dw, db):
        self.grads["w"] += dw
        self.grads["b"] += db


class Lists(Layer):
    def __init__(self):
        self.params, self.grads = [W.copy(), B.copy()], [None, None]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        dx, *self.grads = grads(dout, self.x, self.params[0], self.factor)
        return dx


class Attributes:
    factor = 1

    def __init__(self):
        self.W, self.b = W.copy(), B.copy()

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        dx, self.dW, self.db = grads(dout, self.x, self.W, self.factor)
        return dx


class GradAttributes(Attributes):
    def backward(self, dout):
        dx, self.W_grad, self.grad_b = grads(dout, self.x, self.W, self.factor)
        return dx


class Param:
    def __init__(self, data):
        self.data, self.grad = data.copy(), np.zeros_like(data)


class ParamObjects(Layer):
    def __init__(self):
        self.params = [Param(W), Param(B)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0].data + self.params[1].data

    def backward(self, dout):
        dx, dw, db = grads(dout, self.x, self.params[0].data, self.factor)
        self.params[0].grad += dw
        self.params[1].grad += db
        return dx


class Methods(Lists):
    """params() and grads() as methods."""

    def __init__(self):
        self.p, self.g = [W.copy(), B.copy()], []
        self.params, self.grads = lambda: self.p, lambda: self.g

    def __deepcopy__(self, memo):
        return type(self)()

    def forward(self, x):
        self.x = x
        return x @ self.p[0] + self.p[1]

    def backward(self, dout):
        dx, *self.g = grads(dout, self.x, self.p[0], self.factor)
        return dx


@pytest.mark.parametrize("cls", [Layer, WithD, Accumulating, Lists, Attributes, GradAttributes, ParamObjects, Methods])
@pytest.mark.parametrize("bound", [False, True])
def test_objects(cls, bound):
    layer, wrong = cls(), cls()
    wrong.factor = 2
    if cls is Methods:                                    # its copy is a new one
        wrong = type("Wrong", (Methods,), {"factor": 2})()
    check = lambda x: check_pair(x.forward, x.backward, X) if bound else check_pair(x, X)     # noqa: E731
    right, found = check(layer), check(wrong)
    assert right and len(right.inputs) == 3 and all(row.how == "elements" for row in right.inputs)
    assert not found and [row.passed for row in found.inputs] == [True, False, True] and found.cause == "constant-factor"


@pytest.mark.parametrize("cls", [Layer, Accumulating, Lists, Attributes, ParamObjects])
def test_objects_are_never_changed_themselves(cls):
    def state(x):
        if isinstance(x, dict):
            return {k: state(v) for k, v in x.items()}
        if isinstance(x, (list, tuple)):
            return [state(v) for v in x]
        return x.tolist() if isinstance(x, np.ndarray) else state(vars(x)) if hasattr(x, "__dict__") else x
    layer = cls()
    before = copy.deepcopy(state(layer))
    check_pair(layer, X)
    check_pair(layer.forward, layer.backward, X)
    assert state(layer) == before


def test_wrt_of_an_object():
    wrong = Layer()
    wrong.factor = 2
    assert not check_pair(wrong, X, wrt="w") and check_pair(wrong, X, wrt=["x", "b"])


# --- losses and models


def softmax_loss(x, y):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    dx = p.copy()
    dx[np.arange(len(y)), y] -= 1
    return -np.log(p[np.arange(len(y)), y]).mean(), dx / len(y)


def linear_loss(W, X, y, reg):
    loss, dscores = softmax_loss(X @ W, y)
    return loss + reg * (W * W).sum(), X.T @ dscores + 2 * reg * W


def test_losses():
    assert check_loss(softmax_loss, X, Y)
    report = check_loss(linear_loss, RNG.standard_normal((3, 2)), X, Y, 0.1)
    assert report and [(row.name, row.how) for row in report.inputs] == [("W", "elements"), ("X", "not checked")]
    assert not check_loss(lambda W, X, y, reg: (linear_loss(W, X, y, reg)[0], linear_loss(W, X, y, 0)[1]), W, X, Y, 0.1)
    assert check_loss(lambda x, y: (softmax_loss(x, y)[0], 4 * softmax_loss(x, y)[1]), X, Y).cause == "constant-factor"


def test_losses_with_two_gradients_and_plain_numbers():
    f = lambda factor: lambda a, b: (float((a * b).sum()), b, factor * a)                    # noqa: E731
    assert check_loss(f(1), X, X + 1) and not check_loss(f(2), X, X + 1)
    assert check_loss(lambda a, b: (np.array([(a * b).sum()]), (b, a)), X, X + 1)


class Model:
    """CS231n's: everything in self.dtype; an L2 penalty of reg."""

    def __init__(self, keep=1):
        self.keep, self.dtype, self.reg = keep, np.float32, 0.2
        self.params = {"W1": W.astype(np.float32), "b1": B.astype(np.float32)}

    def loss(self, X, y=None):
        X = X.astype(self.dtype)
        assert X.dtype == self.params["W1"].dtype
        loss, dscores = softmax_loss(X @ self.params["W1"] + self.params["b1"], y)
        loss += 0.5 * self.reg * np.sum(self.params["W1"] ** 2)
        return loss, {"W1": X.T @ dscores + self.keep * self.reg * self.params["W1"], "b1": dscores.sum(axis=0)}


def test_models():
    model = Model()
    report = check_loss(model, X, Y)
    assert report and [(row.name, row.how) for row in report.inputs] == [("W1", "elements"), ("b1", "elements")]
    assert model.dtype is np.float32 and model.params["W1"].dtype == np.float32
    np.testing.assert_array_equal(model.params["W1"], W.astype(np.float32))
    wrong = check_loss(Model(keep=0), X, Y)
    assert not wrong and [row.passed for row in wrong.inputs] == [False, True]
    assert check_loss(Model(keep=0), X, Y, wrt="b1") and not check_loss(Model(keep=0), X, Y, wrt=["W1"])


# --- what is refused


class Modelled:
    def __init__(self, params, returned):
        self.params, self.returned = params, returned

    def loss(self, X, y):
        return self.returned


class Parameterless:
    def forward(self, i):
        return i * 1.0

    def backward(self, dout):
        return None


REFUSED = {
    "no functions": (lambda: check_pair(3, lambda d: d, X),
                     TypeError, r"check_pair: forward must be a function, got int. Call check_pair\("),
    "no backward": (lambda: check_pair(affine, X, W, B), TypeError, "check_pair: backward must be a function, got ndarray"),
    "no return": (lambda: check_pair(lambda x: None, lambda dout, x: dout, X), TypeError,
                  "check_pair: forward must return numbers, got None. Does it lack its return"),
    "a string": (lambda: check_pair(lambda x: ("text", x), lambda dout, x: dout, X), TypeError, "must return numbers, got a str"),
    "too many": (lambda: check_pair(lambda x: (x, None), lambda dout, c: (dout, dout, dout), X), None,
                 r"check_pair: backward returned 3 gradients for 1 floating-point inputs \(x\). Return one per input"),
    "integers only": (lambda: check_pair(lambda i: (i * 1.0, None), lambda dout, c: dout, Y), TypeError,
                      "check_pair: needs at least one floating-point input"),
    "nothing in an object": (lambda: check_pair(Parameterless(), Y), TypeError,
                             "check_pair: needs at least one floating-point input or parameter"),
    "wrt": (lambda: check_pair(cached, lambda d, c: grads(d, *c), X, W, B, wrt="z"),
            ValueError, "check_pair: wrt must name .* got 'z'"),
    "wrt of an object": (lambda: check_pair(Layer(), X, wrt="z"), ValueError, "check_pair: wrt must name .* got 'z'"),
    "inputs in a tuple": (lambda: check_pair(cached, lambda d, c: grads(d, *c), (X, W, B)), TypeError, "inputs go one by one"),
    "not callable": (lambda: check_loss(3, X),
                     TypeError, r"check_loss: f must be a function, or a model with params and loss\(X, y\), got int"),
    "no gradient": (lambda: check_loss(lambda x: (x ** 2).sum(), X),
                    None, r"check_loss: the function must return \(loss, gradient\), got"),
    "many losses": (lambda: check_loss(lambda x: (x ** 2, 2 * x), X),
                    None, r"the loss must be one number, got a ndarray of shape \(4, 3\)"),
    "no params": (lambda: check_loss(Modelled({"W": 3}, (0.0, {})), X, Y),
                  TypeError, r"Modelled.params must hold float arrays, got \['W'\]"),
    "no dictionary": (lambda: check_loss(Modelled({"W": W}, (0.0, W)), X, Y), TypeError,
                      r"loss\(X, y\) must return \(loss, grads\) with a dictionary of gradients, got a ndarray"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    """Raised where the form is wrong; what happens inside of the user's backward or loss is a finding of the report."""
    call, error, words = REFUSED[name]
    if error is None:
        report = call()
        assert not report and report.cause == "error" and re.search(words, report.diagnosis)
    else:
        with pytest.raises(error, match=words):
            call()


def test_an_error_in_backward_is_a_finding_with_its_line():
    def backward(dout, cache):
        return dout @ cache["x"]
    report = check_pair(lambda x: (x, x), backward, X)
    assert report.cause == "error" and "IndexError" in report.diagnosis and "test_pair.py" in report.diagnosis
