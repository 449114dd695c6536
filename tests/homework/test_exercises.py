"""The exercises: forward passes that agree with the engine, backward passes that are left out, texts that say what is there."""

import ast
import re

import numpy as np
import pytest

import tinyvision.functional as F
from tests.homework.kit import SUBMISSIONS
from tinyvision import Tensor, concatenate
from tinyvision.gradcheck import CAUSES, check_pair
from tinyvision.homework import read_spec
from tinyvision.homework.draw import References
from tinyvision.homework.spec import DEFAULT

FOLDER = DEFAULT.parent
NAMES = [exercise.name for exercise in read_spec().exercises]


def module(name):
    check = next(e for e in read_spec().exercises if e.name == name).checks[0]
    return References(FOLDER).load(FOLDER / f"{name}.py", check)


def randn(*shape):
    return np.random.default_rng([ord(c) for c in str(shape)]).standard_normal(shape)


def close(a, b):
    np.testing.assert_allclose(a, getattr(b, "data", b), rtol=1e-12, atol=1e-12)


def test_linear():
    x, w, b = randn(4, 3), randn(3, 5), randn(5)
    close(module("linear").linear_forward(x, w, b)[0], F.linear(Tensor(x), Tensor(w.T), Tensor(b)))


def test_cross_entropy():
    x, y = randn(4, 3) * 50, np.array([0, 2, 1, 1])
    loss, p = module("softmax_loss").cross_entropy(x, y)
    close(loss, F.cross_entropy(Tensor(x), y))
    close(p, F.softmax(Tensor(x), dim=1))


def test_batch_norm():
    x, gamma, beta = randn(3, 2, 4, 3) + 1, randn(2), randn(2)
    mean, var = np.zeros(2), np.ones(2)
    param = {"mode": "train", "eps": 1e-3, "momentum": 0.3}
    forward = module("batch_norm").batch_norm_forward
    for _ in range(2):                                    # the running statistics go on from where they were
        out, _ = forward(x, gamma, beta, param)
        close(out, F.batch_norm(Tensor(x), mean, var, Tensor(gamma), Tensor(beta), training=True, momentum=0.3, eps=1e-3))
    close(param["running_mean"], mean)
    close(param["running_var"], var)
    param["mode"] = "test"
    close(forward(x, gamma, beta, param)[0], F.batch_norm(Tensor(x), mean, var, Tensor(gamma), Tensor(beta), eps=1e-3))


@pytest.mark.parametrize("stride, pad", [(1, 0), (2, 1), (3, 2)])
def test_conv(stride, pad):
    x, w, b = randn(2, 3, 6, 7), randn(4, 3, 3, 2), randn(4)
    out, _ = module("conv").conv_forward(x, w, b, {"stride": stride, "pad": pad})
    close(out, F.conv2d(Tensor(x), Tensor(w), Tensor(b), stride, pad))


@pytest.mark.parametrize("size, stride", [(2, 2), (3, 1), (2, 3)])
def test_max_pool(size, stride):
    x = randn(2, 3, 7, 6)
    close(module("max_pool").max_pool_forward(x, {"size": size, "stride": stride})[0], F.max_pool2d(Tensor(x), size, stride))


@pytest.mark.parametrize("stride, pad", [(1, 0), (2, 1), (3, 0), (1, 1)])
def test_conv_transpose(stride, pad):
    x, w, b = randn(2, 3, 4, 3), randn(3, 2, 3, 4), randn(2)
    out, _ = module("conv_transpose").conv_transpose_forward(x, w, b, {"stride": stride, "pad": pad})
    close(out, F.conv_transpose2d(Tensor(x), Tensor(w), Tensor(b), stride, pad))


def test_dropout():
    x = randn(200, 50)
    forward = module("dropout").dropout_forward
    out, mask = forward(x, {"p": 0.3, "seed": 5})
    dropped = out == 0
    assert abs(dropped.mean() - 0.3) < 0.02               # 10,000 values: standard deviation 0.0046
    close(out[~dropped], x[~dropped] / 0.7)
    close(mask, np.where(dropped, 0, 1 / 0.7))
    assert np.array_equal(forward(x, {"p": 0.3, "seed": 5})[0], out)
    assert not np.array_equal(forward(x, {"p": 0.3, "seed": 6})[0], out)


def conv1x1(x, w):
    return F.conv2d(x, Tensor(w[:, :, None, None]))


def test_residual_block():
    x, w1, w2 = randn(2, 3, 2, 4), randn(4, 3), randn(3, 4)
    t = Tensor(x)
    close(module("residual_block").residual_forward(x, w1, w2)[0], F.relu(t + conv1x1(F.relu(conv1x1(t, w1)), w2)))


def test_up_block():
    x, skip, w, v = randn(2, 3, 2, 3), randn(2, 2, 4, 6), randn(3, 5, 2, 2), randn(4, 7)
    up = F.conv_transpose2d(Tensor(x), Tensor(w), stride=2)
    out, _ = module("up_block").up_forward(x, skip, w, v)
    close(out, F.relu(conv1x1(concatenate([Tensor(skip), up], axis=1), v)))


@pytest.mark.parametrize("name", NAMES)
def test_the_backward_is_left_out(name):
    """Exactly one function ends in NotImplementedError, with its name in the sentence and the shapes in its docstring."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    left_out = [f for f in functions if isinstance(f.body[-1], ast.Raise)]
    assert len(left_out) == 1
    f, text = left_out[0], ast.get_docstring(left_out[0])
    assert f.body[-1].exc.func.id == "NotImplementedError" and f.body[-1].exc.args[0].value.startswith(f"{f.name}: ")
    assert ("backward" in f.name or f.name == "softmax_loss") and "Hint" in text and re.search(r"d\w*x", text)
    assert all(ast.get_docstring(g) for g in functions) and ast.get_docstring(tree).startswith("Exercise ")


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_at_the_end_check_the_exercise(name, capsys):
    """`python conv.py` reports on what the student wrote: here on a right solution, put in place of what is left out."""
    skeleton = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    main = skeleton[skeleton.index("\nif __name__"):]
    solution = (SUBMISSIONS / "right" / f"{name}.py").read_text(encoding="utf-8")
    exec(compile(solution + main, f"{name}.py", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.startswith("gradients agree")


@pytest.mark.parametrize("name", NAMES)
def test_solutions_keep_the_forward_pass(name):
    """The right solutions are those of these very exercises: every function but one has the same code, docstrings aside."""
    def code(path):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for node in functions.values():
            node.body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        return {key: ast.unparse(node) for key, node in functions.items()}
    given, solved = code(FOLDER / f"{name}.py"), code(SUBMISSIONS / "right" / f"{name}.py")
    assert given.keys() == solved.keys() and sum(given[key] != solved[key] for key in given) == 1


def test_the_readme_says_what_the_specification_says():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = {name: int(points) for name, points in re.findall(r"^\| `(\w+)\.py` \| .* \| (\d+) \|$", text, re.M)}
    spec = read_spec()
    assert rows == {exercise.name: exercise.points for exercise in spec.exercises} and list(rows) == NAMES
    assert sum(rows.values()) == 100


def test_every_cause_is_explained_to_the_student():
    """The tags that the marking adds to the checker's stand in the README."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in DEFAULT.parent.parent.glob("*.py"))
    tags = set(re.findall(r'(?:"cause": |Fault\(|cause=|cause, diagnosis = |cause = )"([a-z-]+)"', code))
    assert len(tags) > 12
    assert not {tag for tag in tags - set(CAUSES) if tag not in text}


def test_the_readme_shows_what_the_checker_prints():
    """The report in the README is that of linear.py with the mean in place of the sum, but for the figures."""
    shown = re.search(r"```\n(gradients DISAGREE.*?)```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.S)[1]
    text = (SUBMISSIONS / "right" / "linear.py").read_text(encoding="utf-8").replace("dout.sum(", "dout.mean(")
    names = {}
    exec(text, names)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5)
    report = check_pair(names["linear_forward"], names["linear_backward"], *inputs)
    assert re.fullmatch(re.escape(shown.strip()).replace(r"\.\.\.", ".*"), str(report).strip())
