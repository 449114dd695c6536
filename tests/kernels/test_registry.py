"""What runs a kernel: the choice, a missing or broken Numba, its cache, forked processes, Python threads."""

import itertools
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import tinyvision
from tinyvision.kernels import conv, elementwise, matmul, normalize, random, registry, resample, softmax, update
from tinyvision.kernels.cpu import cache, jit
from tinyvision.kernels.window import Window

WINDOW = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
STEP = """
import sys, numpy as np
from tinyvision import Tensor, functional as F
x = Tensor(np.arange(96, dtype="float32").reshape(1, 2, 6, 8) / 96, requires_grad=True)
y = F.conv2d(x, Tensor(np.ones((3, 2, 3, 3), "float32")), padding=1)
(y * y).sum().backward()
print(round(float(y.data.sum()), 3), round(float(x.grad.data.sum()), 2))
"""


TRAINING = """
import hashlib, numpy as np, tinyvision
from tinyvision import Tensor, functional as F, nn, optim
tinyvision.use_kernels("compiled")
tinyvision.manual_seed(0)
rng = np.random.default_rng(0)
net = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2),
                    nn.ConvTranspose2d(8, 8, 2, stride=2), nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear"),
                    nn.Conv2d(8, 6, 5, stride=2, padding=2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6 * 7 * 7, 10))
for make in optim.SGD, optim.Adam, optim.RMSprop, optim.Adagrad, optim.Adadelta:
    optimizer = make(net.parameters(), lr=0.01, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        x = Tensor(rng.standard_normal((4, 2, 14, 14)).astype("float32"))
        F.cross_entropy(net(x), rng.integers(0, 10, 4)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
    print(make.__name__, hashlib.sha256(b"".join(p.data.tobytes() for p in net.parameters())).hexdigest())
"""


def run(code, *, warnings="default", **environment):
    return subprocess.run([sys.executable, "-W", warnings, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, **environment})


def test_the_choice():
    x = np.ones((1, 2, 6, 6), np.float32)
    w = np.ones((3, 2, 3, 3), np.float32)
    calls = []
    twin = registry.find("conv", "conv")
    with registry.use_kernels("reference"):
        assert registry.state.choice == "reference" and registry.report()[0][1].startswith("reference")
        plain = conv.conv(x, w, None, WINDOW, 1)
    with registry.use_kernels("compiled"):
        np.testing.assert_allclose(conv.conv(x, w, None, WINDOW, 1), plain, rtol=1e-6)
    assert registry.state.choice == "auto" and twin is not None and not calls
    with pytest.raises(ValueError, match="use_kernels: must be one of 'auto', 'compiled', 'reference', got 'fast'"):
        tinyvision.use_kernels("fast")


def test_the_choice_for_a_function_and_for_two_blocks():
    """A decorator chooses for the calls of its function, each time; and what was made once may be used again."""
    @registry.use_kernels("reference")
    def choice():
        return registry.state.choice

    assert registry.state.choice == "auto" and choice() == choice() == "reference" and registry.state.choice == "auto"
    with registry.use_kernels("compiled"):
        assert choice() == "reference" and registry.state.choice == "compiled"
    chosen = registry.use_kernels("reference")
    for _ in range(2):
        with chosen:
            assert registry.state.choice == "reference"
        assert registry.state.choice == "auto"


def test_numbers_in_another_order_of_bytes_are_left_to_the_reference():
    """Numba has no such type; that is no reason to turn everything off."""
    rng = np.random.default_rng(0)
    x, w, a = rng.standard_normal((2, 3, 40, 40)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal((60, 70))
    x, w, a = (array.astype(">f4") for array in (x, w, a))
    with registry.use_kernels("compiled"), warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(elementwise.rectify(x), np.maximum(x, 0))
        assert conv.conv(x, w, None, WINDOW, 1).shape == (2, 4, 40, 40) and conv.channel_sum(x).shape == (3,)
        np.testing.assert_allclose(matmul.matmul(a, a.T), a @ a.T)
    assert not registry.state.off


def test_a_kernel_without_a_twin_runs_as_its_reference():
    assert registry.twin_of("cpu", "random", "uniform") is None and registry.twin_of("cpu", "conv", "no such") is None
    with registry.use_kernels("compiled"):
        found = random.uniform(np.zeros(1), (1, 2), (5,))
    np.testing.assert_array_equal(found, random.uniform.reference(np.zeros(1), (1, 2), (5,)))


def test_number_of_threads():
    before = tinyvision.get_num_threads()
    try:
        tinyvision.set_num_threads(1)
        assert tinyvision.get_num_threads() == 1
    finally:
        tinyvision.set_num_threads(before)
    for wrong in (0, 10_000, 1.5, True):
        with pytest.raises(ValueError, match=r"set_num_threads: must be an integer from 1 to \d+"):
            tinyvision.set_num_threads(wrong)


def several(x, r, labels):
    """Kernels of several steps, or with memory for each worker."""
    rows = x.reshape(6, 8, -1)
    y, mean, var, rstd = normalize.normalize(rows, None, None, (0, 2), 1e-5, True, r.reshape(rows.shape))
    yield from (y, mean, var, rstd)
    yield from normalize.normalize_grad(rows, rows, None, None, mean, rstd, (0, 2), True, r.reshape(rows.shape))[::3]
    yield from softmax.cross_entropy(x, labels)
    yield resample.scatter_pixels(rows, labels.reshape(6, -1), 8)
    yield np.array(update.square_sum(x, [x, r]))


def test_another_thread_may_change_the_number_of_threads_meanwhile(monkeypatch):
    """A call counts its workers once: memory for fewer, or sums of fewer, than there are would be wrong."""
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((2, 6, 8, 40, 40), dtype=np.float32)
    labels = rng.integers(0, 8, (6, 40, 40))
    with registry.use_kernels("compiled"):
        wanted = list(several(x, r, labels))
        counts = itertools.cycle([1, 2])
        monkeypatch.setattr(jit.Threads, "count", property(lambda self: next(counts), lambda self, value: None), raising=False)
        monkeypatch.setattr(jit, "scratch", jit.Scratch())
        for found, value in zip(several(x, r, labels), wanted, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)


def test_without_numba():
    """Everything runs on the reference, and one warning says so."""
    code = "import sys; sys.modules['numba'] = None\nimport importlib.util\nimportlib.util.find_spec_ = importlib.util.find_spec\n" \
           "importlib.util.find_spec = lambda name, *a: None if name == 'numba' else importlib.util.find_spec_(name, *a)\n" + STEP * 2
    found = run(code)
    assert len(set(found.stdout.split("\n")[:2])) == 1 and found.stdout.startswith(run(STEP).stdout)
    assert found.stderr.count("Numba is not installed; kernels run as NumPy functions, right but slower") == 1


def test_broken_numba():
    code = "import sys\nsys.modules['numba'] = type(sys)('numba'); sys.modules['numba'].__spec__ = type('S', (), {})()\n" + STEP
    found = run(code)
    assert found.stdout == run(STEP).stdout and "Numba cannot be loaded (ImportError" in found.stderr


def test_a_kernel_that_does_not_compile():
    """An error of Numba itself turns the compiled kernels off; what was asked for is computed all the same."""
    code = "import tinyvision.kernels.cpu.conv as twin\nfrom numba.core.errors import TypingError\n" \
           "def broken(*args): raise TypingError('no such function')\ntwin.conv = broken\n" + STEP
    found = run(code)
    assert found.stdout == run(STEP).stdout and "Numba failed in conv (TypingError: no such function)" in found.stderr


def test_disabled_by_the_user():
    found = run(STEP + "from tinyvision.kernels import registry\nprint(registry.report())\n"
                "import tinyvision\ntry:\n    tinyvision.set_num_threads(1)\nexcept RuntimeError as error:\n    print(error)",
                warnings="error", NUMBA_DISABLE_JIT="1")
    assert "reference (NumPy): NUMBA_DISABLE_JIT is set" in found.stdout and not found.stderr
    assert "set_num_threads: NUMBA_DISABLE_JIT is set, so kernels run as NumPy functions" in found.stdout


def test_the_cache_cannot_be_written(tmp_path):
    """One line says so; the kernels are compiled all the same."""
    (tmp_path / "file").write_text("not a folder")
    found = run(STEP, warnings="error", NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert found.stdout == run(STEP).stdout
    assert found.stderr.count("so every process compiles them anew. Set NUMBA_CACHE_DIR") == 1
    assert found.stderr.count("compiling kernels for this machine") == 1


def test_damaged_and_outdated_cache(tmp_path):
    """A damaged file, and kernels of another version of the sources, are compiled anew; a good cache compiles nothing."""
    first = run(STEP, NUMBA_CACHE_DIR=str(tmp_path))
    again = run(STEP, NUMBA_CACHE_DIR=str(tmp_path))
    assert "compiling" in first.stderr and not again.stderr and again.stdout == first.stdout
    edited = run("import tinyvision.kernels.cpu.cache as cache\ncache.stamp = lambda: 'another text'\n" + STEP, NUMBA_CACHE_DIR=str(tmp_path))
    assert "compiling" in edited.stderr and edited.stdout == first.stdout
    run(STEP, NUMBA_CACHE_DIR=str(tmp_path))
    for path in tmp_path.rglob("*.nbc"):
        path.write_bytes(b"\x80damaged")
    damaged = run(STEP, NUMBA_CACHE_DIR=str(tmp_path))
    assert "cannot be read" in damaged.stderr and damaged.stdout == first.stdout


@pytest.mark.slow
def test_compiling_and_loading_give_the_same_bits(tmp_path):
    """Training is repeated bit for bit, whether a process compiled its kernels, another one helped it, or the cache had them."""
    first, helped, again = (run(TRAINING, NUMBA_CACHE_DIR=str(tmp_path / folder), **environment) for folder, environment in
                            (("alone", {registry.HELPER: "1"}), ("helped", {}), ("alone", {})))
    assert "compiling" in first.stderr and "compiling" in helped.stderr and not again.stderr
    assert first.stdout == helped.stdout == again.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_process():
    """A child of a process that used threads computes with one, instead of hanging or being killed."""
    code = STEP + "import os\npid = os.fork()\nif pid == 0:\n" + "".join(f"    {line}\n" for line in STEP.strip().split("\n")) \
        + "    sys.stdout.flush(); os._exit(0)\nprint('status', os.waitpid(pid, 0)[1])"
    lines = run(code, warnings="ignore").stdout.strip().split("\n")
    assert sorted(lines) == sorted([lines[0], lines[0], "status 0"])


def test_python_threads():
    """Several Python threads may call the same kernels at once."""
    rng = np.random.default_rng(0)
    tasks = [(rng.standard_normal((3, 4, 9 + i, 11)).astype(np.float32), rng.standard_normal((5, 4, 3, 3)).astype(np.float32))
             for i in range(4)]
    with registry.use_kernels("compiled"):
        right = [conv.conv(x, w, None, WINDOW, 1) for x, w in tasks]
        wrong = []

        def work(i):
            for _ in range(50):
                if not np.array_equal(conv.conv(*tasks[i], None, WINDOW, 1), right[i]):
                    wrong.append(i)
        workers = [threading.Thread(target=work, args=(i,)) for i in range(len(tasks))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not wrong


def test_layer_without_locks(monkeypatch):
    """Where Numba has only its simple threads, which break when two Python threads enter them, kernels wait for each other."""
    entered = []

    class Lock:
        def __enter__(self):
            entered.append(True)

        def __exit__(self, *error):
            pass
    monkeypatch.setattr(jit.threads, "unsafe", True)
    monkeypatch.setattr(jit.threads, "lock", Lock())
    u = np.ones((1, 2, jit.LITTLE), np.float32)                           # enough for more than one worker
    with registry.use_kernels("compiled"):
        assert conv.channel_sum(u).tolist() == [jit.LITTLE] * 2 and entered


def test_importing_changes_nothing():
    """Neither the environment nor Numba's and OpenBLAS's threads are touched by importing and computing."""
    code = "import os, numba\nbefore = dict(os.environ), numba.get_num_threads()\n" + STEP + \
           "assert (dict(os.environ), numba.get_num_threads()) == before"
    run(code)


def number(x):
    return x + 1


@pytest.fixture
def kernel_elsewhere(tmp_path, monkeypatch):
    """(folder, new): a cache with the function `number`, and a function that makes it anew, as another process would."""
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(cache, "said", {"compile"})

    def new():
        return jit.cached(number, "a.number", **jit.OPTIONS)
    assert new()(1) == 2 and not (tmp_path / "a.number.claim").exists()
    return tmp_path, new


def test_what_another_process_is_compiling_is_waited_for(kernel_elsewhere):
    fcntl = pytest.importorskip("fcntl")
    (folder, new), elsewhere = kernel_elsewhere, kernel_elsewhere[0] / "elsewhere"
    elsewhere.mkdir()
    files = [path.rename(elsewhere / path.name) for path in folder.glob("a.number-*")]
    claim = open(folder / "a.number.claim", "a")
    fcntl.flock(claim, fcntl.LOCK_EX)

    def finish():
        for path in sorted(files, reverse=True):          # the index last
            path.rename(folder / path.name)
        claim.close()
    timer = threading.Timer(0.3, finish)
    timer.start()
    found = new()
    assert found(1) == 2 and sum(found.stats.cache_hits.values()) == 1
    timer.join()
    assert not (folder / "a.number.claim").exists()


def test_who_compiles_for_too_long_is_not_waited_for(kernel_elsewhere, monkeypatch):
    """A process that was stopped, or a folder on a file system whose locks do not work."""
    fcntl = pytest.importorskip("fcntl")
    folder, new = kernel_elsewhere
    for path in folder.glob("a.number-*"):
        path.unlink()
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    with open(folder / "a.number.claim", "a") as claim:
        fcntl.flock(claim, fcntl.LOCK_EX)
        assert new()(1) == 2

    def refused(*args):
        raise OSError("no locks")
    monkeypatch.setattr(cache.fcntl, "flock", refused)
    monkeypatch.setattr(cache, "PATIENCE", 1e9)
    for path in folder.glob("a.number-*"):
        path.unlink()
    assert new()(1) == 2


def test_a_function_apart_is_compiled_for_each_type_and_called_by_its_address(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    from tinyvision.kernels.cpu import cache, jit
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)

    @jit.separate
    def add(x, i, y):
        y[0] += i * x[0]

    @jit.shared
    def twice(t, T, where, x, y):
        for i in range(2):
            jit.call_separate(where, (x, i + 1, y))

    where = {dtype: add.address(np.empty(0, dtype), 0, np.empty(0, dtype)) for dtype in ("f4", "f8")}
    assert where["f4"] != where["f8"] == add.address(np.ones(3), 7, np.ones(2))
    for dtype, address in where.items():
        y = np.ones(1, dtype)
        twice(address, np.full(1, 5, dtype), y, workers=1)
        assert y == 1 + 5 + 10 and y.dtype == dtype
    again = jit.separate(add.dispatcher.py_func)             # as another process: from the cache
    assert again.address(np.empty(0), 0, np.empty(0)) and sum(again.dispatcher.stats.cache_hits.values()) == 1


AFTER = """
import sys
import numpy as np
from tinyvision import Tensor, functional as F, use_kernels
rng = np.random.default_rng(0)
draw = lambda *shape: Tensor(rng.standard_normal(shape).astype("f"))
x, w = draw(2, 3, 16, 16), draw(8, 3, 5, 5)
first = {"winograd": lambda: F.conv2d(draw(8, 16, 16, 16), draw(16, 16, 3, 3), padding=1),
         "product": lambda: draw(20, 1300) @ draw(1300, 1300)}
first[sys.argv[1]]()
y = F.conv2d(x, w).data
with use_kernels("reference"):
    print(abs(y - F.conv2d(x, w).data).max())
"""


@pytest.mark.parametrize("first", ["winograd", "product"])
def test_a_kernel_calls_its_own_functions_whatever_ran_before(first, tmp_path):
    """Copies of one name are optimised for their callers: the first that is loaded must not serve them all."""
    for _ in range(2):                                    # compiled, and from the cache
        found = subprocess.run([sys.executable, "-c", AFTER, first], capture_output=True, text=True, check=True,
                               env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)})
        assert float(found.stdout) < 1e-4
