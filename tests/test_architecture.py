"""The plan of the house, read off the source with `ast`: who may import whom, and what each room must not contain."""

import ast
import configparser
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tests.cases
import tinyvision
import tinyvision.functional as F
from tests.test_courts import call, chosen, differentiable, with_values
from tinyvision import Op, Tensor, grad

ROOT = Path(__file__).parent.parent

# --- rooms and imports

# From the ground floor up.  A room may import from the rooms below it, not from its neighbours on the same floor.
FLOORS = [
    ["backend", "packages"],
    ["memory"],
    ["kernels", "changes", "random", "cuda"],
    ["tensor"],
    ["autograd"],
    ["ops"],
    ["tinyvision"],                                       # tinyvision/__init__.py: re-exports, no code
    ["functional"],
    ["nn", "optim"],
    ["gradcheck", "models"],
    ["data", "metrics", "io", "interpret", "detect"],
    ["homework", "prepare", "style", "train", "viz"],
    ["bench"],
    ["cli"],
    ["__main__"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Imports against the direction, each inside a function, with the reason.
AGAINST = {
    ("tinyvision.tensor", "tinyvision.autograd"): "Tensor.backward starts the loop, which reads tensor.py",
}


def modules():
    """Name and path of every module of the package; the folder kernels/ is installed as tinyvision.kernels."""
    found = {}
    for top, folder in (("tinyvision", ROOT / "tinyvision"), ("tinyvision.kernels", ROOT / "kernels")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([top, *(parts[:-1] if parts[-1] == "__init__" else parts)])] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def room(module):
    """The floor plan's name for a module: tinyvision.ops.conv is in ops."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imports(name):
    """(imported module, line) for every import of the package by itself, those inside functions as well."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[:len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *filter(None, [node.module])])
            targets = [sub if (sub := f"{base}.{alias.name}") in MODULES else base for alias in node.names]
        else:
            continue
        yield from ((target, node.lineno) for target in targets if target.partition(".")[0] == "tinyvision")


def wrong_way(importer, imported):
    return room(importer) != room(imported) and FLOOR[room(imported)] >= FLOOR[room(importer)]


def test_every_room_is_on_the_plan():
    assert {room(name) for name in MODULES} <= set(FLOOR)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name):
    """No arrow upwards, not even inside a function, but for the exceptions above."""
    against = [f"{MODULES[name].name}:{line} imports {target}" for target, line in imports(name)
               if wrong_way(name, target) and (name, target) not in AGAINST]
    assert not against


def test_exceptions_are_still_needed_and_local():
    """Every exception of the table exists, and stands inside a function: at the top it would be a circle."""
    for importer, imported in AGAINST:
        assert imported in {target for target, _ in imports(importer)}, f"{importer} no longer imports {imported}"
        top = [node for node in TREES[importer].body if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert imported not in {target for target, line in imports(importer) if line in {n.lineno for n in top}}


def test_the_plan_would_notice():
    """The rule refuses what it should: a layer in a kernel, a model in an op, neighbours."""
    assert wrong_way("tinyvision.kernels.im2col", "tinyvision.tensor")
    assert wrong_way("tinyvision.ops.conv", "tinyvision.functional")
    assert wrong_way("tinyvision.nn.module", "tinyvision.optim.sgd")
    assert wrong_way("tinyvision.ops.conv", "tinyvision")
    assert not wrong_way("tinyvision.ops.conv", "tinyvision.ops.shapes")
    assert not wrong_way("tinyvision.models.unet", "tinyvision.nn.conv")
    assert {"tinyvision.backend", "tinyvision.changes", "tinyvision.autograd"} <= {t for t, _ in imports("tinyvision.tensor")}


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) == "kernels"])
def test_kernels_know_arrays_only(name):
    """Kernels speak of arrays and windows; of the rest of the package they may see where arrays live."""
    words = {node.id for node in ast.walk(TREES[name]) if isinstance(node, ast.Name)}
    words |= {node.attr for node in ast.walk(TREES[name]) if isinstance(node, ast.Attribute)}
    words |= {node.arg for node in ast.walk(TREES[name]) if isinstance(node, ast.arg)}
    assert not words & {"Tensor", "Parameter", "Module", "Op", "grad", "requires_grad", "backward", "loss"}
    assert {room(target) for target, _ in imports(name)} <= {"kernels", "backend", "memory"}


WITHOUT = ["numba", "cupy", "matplotlib", "scipy", "sklearn", "pooch", "tqdm", "safetensors", "PIL", "torch", "requests", "onnx",
           "onnxruntime", "tomli_w"]
PACKAGES = sorted({name for name in MODULES if MODULES[name].name == "__init__.py"} | {"tinyvision.functional"})


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_loads_numpy_only():
    """Everything but NumPy is imported where it is used: a student who reads conv.py needs no plotting library."""
    code = f"import sys, {', '.join(PACKAGES)}; print([m for m in {WITHOUT} if m in sys.modules], 'numpy' in sys.modules)"
    assert python(code) == "[] True"


def test_import_is_quick():
    """`import tinyvision` takes less than 0.3 s beyond NumPy (the best of three, for the machine may be busy)."""
    code = "import time, numpy; t = time.perf_counter(); import tinyvision; print(time.perf_counter() - t)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


# --- what a file may contain

SOURCES = sorted(path for folder in ("tinyvision", "kernels", "tests", "notebooks", ".ci")
                 for path in (ROOT / folder).rglob("*")
                 if path.is_file() and path.suffix in {".py", ".cu", ".h", ".ipynb", ".md", ".toml", ".cfg", ""})
SOURCES += [ROOT / name for name in ("README.md", "setup.cfg", "pyproject.toml")]


def test_files_are_short_enough_to_read():
    """No file of code has more than 500 lines."""
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if p.suffix in {".py", ".cu"}
            if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500}
    assert not long


def test_no_absolute_paths():
    """Nothing refers to a folder of one person's machine; tests write to pytest's tmp_path."""
    somewhere = re.compile(r"(?<![\w.)}])/(?:home|Users|root|work|tmp|mnt|media)/\w")
    assert somewhere.search("open('" + "/tmp" + "/x')") and not somewhere.search("docs.org/work/x")
    bad = [f"{p.relative_to(ROOT)}:{i}" for p in SOURCES
           for i, line in enumerate(p.read_text(encoding="utf-8", errors="replace").splitlines(), 1) if somewhere.search(line)]
    assert not bad


def test_everything_is_installed():
    """setup.cfg names every package, and every file beside the modules: an installation that is no link to the sources has all."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = setup["options"]["packages"].split()
    folders = {("tinyvision." if path.parts[0] == "kernels" else "") + ".".join(path.parts): ROOT / path
               for top in ("tinyvision", "kernels") for init in (ROOT / top).rglob("__init__.py") for path in [init.parent.relative_to(ROOT)]}
    assert sorted(packages) == sorted(folders)
    named = {path for name, patterns in setup["options.package_data"].items() for pattern in patterns.split(",")
             for path in folders[name].glob(pattern.strip())}
    assert named == {path for top in ("tinyvision", "kernels") for path in (ROOT / top).rglob("*")
                     if path.is_file() and (path.suffix != ".py" or path.parent not in folders.values()) and path.parent.name != "__pycache__"}


TESTS = sorted((ROOT / "tests").rglob("*.py"))


def repeated(tree):
    """Names of functions and classes that stand twice in a module or in one class."""
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    counts = [Counter(node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))) for body in bodies]
    return [name for count in counts for name, n in count.items() if n > 1]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_no_test_hides_another(path):
    """Two tests of one name in a file: Python keeps the last, and the first never runs."""
    assert not repeated(ast.parse(path.read_text(encoding="utf-8")))


def test_repetitions_are_found():
    assert repeated(ast.parse("def f(): ...\ndef g(): ...\ndef f(): ...")) == ["f"]
    assert repeated(ast.parse("def f(): ...\nclass A:\n  def f(): ...\n  def h(): ...\n  def h(): ...")) == ["h"]


# --- ops


def augmented_in_backward(tree):
    """The lines of augmented assignments in methods called backward."""
    methods = [f for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for f in node.body
               if isinstance(f, ast.FunctionDef) and f.name == "backward"]
    return [node.lineno for f in methods for node in ast.walk(f) if isinstance(node, ast.AugAssign)]


@pytest.mark.parametrize("name", MODULES)
def test_no_augmented_assignment_in_backward(name):
    """x += y writes into an array that the graph may still need, and means something else for a Tensor than for an array."""
    assert not augmented_in_backward(TREES[name])


def test_augmented_assignments_are_found():
    assert augmented_in_backward(ast.parse("class A:\n  def forward(x):\n    x += 1\n  def backward(g):\n    g += 1")) == [5]


def op_classes():
    """Every subclass of Op that tinyvision/ops defines."""
    for module in pkgutil.iter_modules([str(ROOT / "tinyvision" / "ops")]):
        for value in vars(importlib.import_module(f"tinyvision.ops.{module.name}")).values():
            if inspect.isclass(value) and issubclass(value, Op) and value.__module__ == f"tinyvision.ops.{module.name}":
                yield value


def run_to_second_order(case):
    args, kwargs = case.draw()
    tensors = [Tensor(x, requires_grad=True) for x in differentiable(case, args, kwargs)]
    y = chosen(case, call(case, *with_values(case, args, kwargs, tensors)))
    if not tensors or not y.requires_grad:
        return
    u = Tensor(np.ones(y.shape), requires_grad=True)      # a gradient is linear in u: this reaches the adjoints of linear ops
    gs = grad(y, tensors, u, create_graph=case.order == 2, allow_unused=True)
    gs = [g for g in gs if g is not None and g.requires_grad]
    if gs:
        grad(gs, [*tensors, u], [np.ones(g.shape) for g in gs], allow_unused=True)


def test_every_backward_is_in_the_table(monkeypatch):
    """The table of cases runs the backward rule of every op there is, so that every rule comes before the courts."""
    ran = set()

    def watched(cls, rule):
        def backward(self, g, *inputs):
            ran.update({cls, type(self)})             # the rule, and the op that may have inherited it
            return rule(self, g, *inputs)
        return backward

    ops = set(op_classes())
    for cls in ops:
        if "backward" in vars(cls):
            monkeypatch.setattr(cls, "backward", watched(cls, cls.backward))
    for case in tests.cases.all_cases():
        run_to_second_order(case)
    assert {cls.__name__ for cls in ops - ran} <= {"ToDeviceOp"} and len(ops) > 30                       # tests/device has a device


# Functions without a row, and why.
WITHOUT_CASE = {
    "one_hot": "integers in, integers out: nothing to differentiate",
}


def functions(module):
    return {name: f for name, f in vars(module).items() if not name.startswith("_") and inspect.isfunction(f)}


def test_every_function_is_in_the_table():
    covered = {case.name for case in tests.cases.all_cases()}
    assert set(functions(F)) - covered == set(WITHOUT_CASE)


# --- documentation


def public(package):
    """What a package offers as its own: names and objects, classes and functions."""
    module = importlib.import_module(f"tinyvision.{package}")
    return {name: value for name, value in vars(module).items() if not name.startswith("_")
            and (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__.startswith("tinyvision")}


@pytest.mark.parametrize("package", ["functional", "nn", "optim", "data", "data.transforms", "data.generated", "metrics", "io", "models",
                                     "train", "viz", "interpret", "style"])
def test_public_names_come_with_an_example(package):
    """A docstring that starts with its sentence, and an example, which the tests execute."""
    docs = {name: value.__doc__ or "" for name, value in public(package).items()}
    assert not [name for name, doc in docs.items() if not doc.partition("\n")[0].strip() or ">>> " not in doc]


@pytest.mark.parametrize("name", functions(F))
def test_functions_say_their_shapes(name):
    assert re.search(r"\bShapes?:", getattr(F, name).__doc__)


def test_functional_only_re_exports():
    """functional.py is a list of imports: every line of code stands in the file of its family."""
    kinds = {type(node) for node in TREES["tinyvision.functional"].body[1:]}
    assert kinds == {ast.ImportFrom}
    assert tinyvision.functional.__doc__
